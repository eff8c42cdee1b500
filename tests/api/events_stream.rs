//! `WatchEvents` as a stream: how it begins and ends, and how a follower learns of new events.

use std::time::{Duration, Instant};

use cdn_activation::proto::events::v1::event_data::Data;
use cdn_activation::proto::events::v1::{AccessKeyChanged, EventData};
use cdn_activation::proto::operator::v1::event_service_client::EventServiceClient;
use cdn_activation::proto::operator::v1::{CreateAccessKeyRequest, WatchEventsRequest};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::Api;
use crate::support::database::left_out_on_citus;
use crate::support::events::{
    PATIENCE, handled, metric, next, next_event, until_count, version, watch, watch_with,
    write_event,
};
use crate::support::grpc::{next_account_id, refusal};

const LISTENERS: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'cdn-activation events' AND datname = current_database()";
const KILL_LISTENERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'cdn-activation events' AND datname = current_database()";

async fn write_one(api: &Api, account_id: i64, version: i64) {
    let mut connection = api.database.connect().await;
    write_event(&mut connection, account_id, api.clock.wire_now(), version).await;
}

#[tokio::test]
async fn a_watch_from_now_delivers_new_events_only() {
    let api = Api::start().await;
    let account_id = next_account_id();
    write_one(&api, account_id, 1).await;
    let mut events = api.events().await;
    let mut from_oldest = watch(&mut events, "").await;
    assert_eq!(version(&next_event(&mut from_oldest).await.0), 1);
    let request = WatchEventsRequest { from_now: true, ..Default::default() };
    let mut from_now = watch_with(&mut events, request).await.expect("watched");
    let first = next(&mut from_now).await.expect("the stream continues");
    assert!(
        first.event.is_none() && !first.cursor.is_empty(),
        "the first response has a cursor and no event"
    );
    write_one(&api, account_id, 2).await;
    assert_eq!(version(&next_event(&mut from_now).await.0), 2);
    // Without new events, the follower still gets a response with its cursor.
    let quiet = next(&mut from_now).await.expect("the stream continues");
    assert!(quiet.event.is_none());
}

#[tokio::test]
async fn a_watch_delivers_a_write_at_once() {
    if left_out_on_citus("a two-phase commit takes as long as it allows").await {
        return;
    }
    let api = Api::start().await;
    let request = WatchEventsRequest { from_now: true, ..Default::default() };
    let mut watching = watch_with(&mut api.events().await, request).await.expect("watched");
    next(&mut watching).await.expect("the stream continues");
    let mut keys = api.access_keys().await;
    let mut latencies = Vec::new();
    for _ in 0..10 {
        let account_id = api.account().await.account_id; // an account has at most 10 keys
        until_count(&api, "SELECT count(*) FROM event_outbox", 0).await;
        let create = CreateAccessKeyRequest { account_id, ..Default::default() };
        let created = keys.create_access_key(create).await.expect("created").into_inner();
        let written = Instant::now();
        let access_key_id = created.access_key.expect("a key").access_key_id;
        let expected = AccessKeyChanged { access_key_id, disabled: false, deleted: false };
        let expected = Some(EventData { data: Some(Data::AccessKeyChanged(expected)) });
        while next_event(&mut watching).await.0.data != expected {}
        latencies.push(written.elapsed());
    }
    latencies.sort();
    // If timers alone woke the follower, it would take hundreds of milliseconds.
    println!("delivered after {latencies:?}");
    let quicker_half: Duration = latencies[..5].iter().sum();
    assert!(quicker_half < Duration::from_millis(250), "{latencies:?}");
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline_with_an_error_that_says_so() {
    let api = Api::start().await;
    let mut events = api.events().await;
    let mut request = Request::new(WatchEventsRequest::default());
    request.set_timeout(Duration::from_millis(700));
    let began = Instant::now();
    let mut watching = events.watch_events(request).await.expect("watched").into_inner();
    let ended = loop {
        match next(&mut watching).await {
            Ok(response) => assert!(response.event.is_none()),
            Err(status) => break status,
        }
    };
    let (reported, took) = (refusal(&ended), began.elapsed());
    assert_eq!(
        (reported.grpc, reported.code.as_str()),
        (Code::DeadlineExceeded, "DeadlineExceeded")
    );
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(metric(&api, &handled("DeadlineExceeded")).await, Some(1));
    assert_eq!(metric(&api, &handled("OK")).await, Some(0), "a stream is counted when it ends");

    // A caller that disconnects counts as cancelled.
    drop(watch(&mut events, "").await);
    let counted = async {
        while metric(&api, &handled("Canceled")).await != Some(1) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("in time");
}

#[tokio::test]
async fn a_stream_without_a_deadline_ends_after_ten_seconds() {
    let api = Api::start().await;
    let began = Instant::now();
    let request = WatchEventsRequest::default();
    let mut watching = api.events().await.watch_events(request).await.expect("ok").into_inner();
    let mut responses = 0;
    while next(&mut watching).await.is_ok() {
        responses += 1;
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(14), "{took:?}");
    assert!((3..=8).contains(&responses), "one response every two seconds, not {responses}");
}

#[tokio::test]
async fn a_health_watch_does_not_end_at_its_deadline() {
    let api = Api::start().await;
    let mut request = Request::new(HealthCheckRequest { service: String::new() });
    request.metadata_mut().insert("grpc-timeout", "300m".parse().expect("ASCII"));
    let mut health = HealthClient::new(api.channel().await);
    let mut watching = health.watch(request).await.expect("watched").into_inner();
    watching.message().await.expect("serving");
    let more = tokio::time::timeout(Duration::from_secs(1), watching.message()).await;
    assert!(more.is_err(), "the watch did not wait for a change: {more:?}");
}

#[tokio::test]
async fn open_watches_end_when_the_server_shuts_down() {
    let api = Api::start_with(|settings| settings.drain_timeout = Duration::from_secs(20)).await;
    let mut events = api.events().await;
    let mut watching = watch(&mut events, "").await;
    let first = next(&mut watching).await.expect("the stream continues");
    let replica = api.replica().await;
    let began = Instant::now();
    let stopped = tokio::spawn(api.stop());
    let ended = next(&mut watching).await.expect_err("it ends");
    let reported = refusal(&ended);
    assert_eq!((reported.grpc, reported.code.as_str()), (Code::Unavailable, "ServiceUnavailable"));
    stopped.await.expect("stopped");
    assert!(began.elapsed() < Duration::from_secs(5), "the drain does not wait for the watch");

    // The follower continues on another replica.
    let account_id = next_account_id();
    write_one(&replica, account_id, 1).await;
    let mut resumed = watch(&mut replica.events().await, &first.cursor).await;
    assert_eq!(version(&next_event(&mut resumed).await.0), 1);
}

#[tokio::test]
async fn followers_are_woken_by_polling_when_the_listening_connection_is_lost() {
    let api = Api::start().await;
    until_count(&api, LISTENERS, 1).await;
    let mut watching = watch(&mut api.events().await, "").await;
    let account_id = next_account_id();
    let mut polled = 0;
    for version_written in 1..=3 {
        api.database.execute(KILL_LISTENERS).await;
        until_count(&api, LISTENERS, 0).await;
        write_one(&api, account_id, version_written).await;
        assert_eq!(version(&next_event(&mut watching).await.0), version_written);
        polled += i32::from(api.database.count(LISTENERS).await == 0);
        until_count(&api, LISTENERS, 1).await; // it is opened again
    }
    assert!(polled > 0, "at least one event came without a listening connection");
}

#[tokio::test]
async fn only_a_calling_service_can_follow_events() {
    let api = Api::start().await;
    let mut stranger = EventServiceClient::new(api.channel().await);
    let request = WatchEventsRequest::default();
    let status = stranger.watch_events(request).await.expect_err("refused");
    assert_eq!(refusal(&status).code, "ServiceUnauthenticated");
    let key = api.account().await;
    let reply = api.get(&key, "Action=WatchEvents").await;
    assert_eq!((reply.status, reply.text("Code").as_str()), (404, "InvalidAction.NotFound"));
}
