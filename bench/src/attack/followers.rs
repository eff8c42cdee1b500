//! Followers of events that do not read them.

use std::time::{Duration, Instant};

use anyhow::Context;
use cdn_activation::proto::operator::v1::event_service_client::EventServiceClient;
use cdn_activation::proto::operator::v1::{
    ListEventsRequest, WatchEventsRequest, WatchEventsResponse,
};
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::Outcome;
use super::field::{Field, Serve};
use super::wire::{BlindFollower, DEADLINE, channel, endpoint, told};

/// The window of clients on gRPC's C library.
const USUAL_WINDOW: u32 = 65_535;
/// The longest time for a page of events.
const LISTED_WITHIN: Duration = Duration::from_secs(2);

/// Opens two followers without a window and four that take one event of the backlog, and lists events.
pub async fn unread(field: &Field, serve: &Serve, lasts: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + lasts;
    let mut blind = Vec::new();
    for window in [0, 1] {
        let follower = BlindFollower::follow(serve.grpc, &field.token, window);
        blind.push(timeout(DEADLINE, follower).await.context("a blind follower")??);
    }
    let mut busy = Vec::new();
    for _ in 0..4 {
        let follower = busy_after_one(field, serve);
        busy.push(timeout(DEADLINE, follower).await.context("a busy follower")??);
    }
    let mut outcome = Outcome { sent: 6, ..Outcome::default() };
    let mut events = EventServiceClient::new(channel(serve.grpc));
    let (mut listed, mut worst) = (0, Duration::ZERO);
    while Instant::now() < until {
        let began = Instant::now();
        let request = ListEventsRequest { page_size: 100, ..Default::default() };
        let page = events.list_events(told(&field.token, None, request)).await;
        match page.map(|page| page.into_inner().events.len()) {
            Ok(100) => listed += 1,
            Ok(few) => outcome.faults.push(format!("ListEvents: {few} events of 100")),
            Err(status) => outcome.faults.push(format!("ListEvents: {status}")),
        }
        worst = worst.max(began.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    outcome.answered = 6;
    outcome.note = format!("{listed} ListEvents, worst {} ms", worst.as_millis());
    if worst > LISTED_WITHIN {
        outcome.faults.push(format!("a ListEvents took {} ms", worst.as_millis()));
    }
    drop((blind, busy));
    Ok(outcome)
}

async fn busy_after_one(
    field: &Field,
    serve: &Serve,
) -> anyhow::Result<Streaming<WatchEventsResponse>> {
    let endpoint = endpoint(serve.grpc).initial_stream_window_size(USUAL_WINDOW);
    let mut request = told(&field.token, None, WatchEventsRequest::default());
    request.set_timeout(Duration::from_secs(30));
    let mut events = EventServiceClient::new(endpoint.connect().await?);
    let mut watching = events.watch_events(request).await?.into_inner();
    while watching.message().await?.context("the watch has ended")?.event.is_none() {}
    Ok(watching)
}
