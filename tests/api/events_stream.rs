//! `WatchEvents` as a stream: how it begins, how it ends, and what wakes it.

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
async fn a_watch_from_now_tells_what_happens_and_nothing_older() {
    let api = Api::start().await;
    let account_id = next_account_id();
    write_one(&api, account_id, 1).await;
    let mut events = api.events().await;
    let mut from_oldest = watch(&mut events, "").await;
    assert_eq!(version(&next_event(&mut from_oldest).await.0), 1);
    let request = WatchEventsRequest { from_now: true, ..Default::default() };
    let mut from_now = watch_with(&mut events, request).await.expect("watched");
    let first = next(&mut from_now).await.expect("it goes on");
    assert!(first.event.is_none() && !first.cursor.is_empty(), "first it is told where it stands");
    write_one(&api, account_id, 2).await;
    assert_eq!(version(&next_event(&mut from_now).await.0), 2);
    // Nothing happens: it is told where it stands all the same.
    let quiet = next(&mut from_now).await.expect("it goes on");
    assert!(quiet.event.is_none());
}

#[tokio::test]
async fn a_watch_tells_of_a_write_at_once() {
    if left_out_on_citus("a two-phase commit takes as long as it allows").await {
        return;
    }
    let api = Api::start().await;
    let key = api.account().await;
    let request = WatchEventsRequest { from_now: true, ..Default::default() };
    let mut watching = watch_with(&mut api.events().await, request).await.expect("watched");
    next(&mut watching).await.expect("it goes on");
    let mut keys = api.access_keys().await;
    let mut latencies = Vec::new();
    for _ in 0..10 {
        until_count(&api, "SELECT count(*) FROM event_outbox", 0).await;
        let create = CreateAccessKeyRequest { account_id: key.account_id, ..Default::default() };
        let created = keys.create_access_key(create).await.expect("created").into_inner();
        let written = Instant::now();
        let access_key_id = created.access_key.expect("a key").access_key_id;
        let told = AccessKeyChanged { access_key_id, disabled: false, deleted: false };
        let told = Some(EventData { data: Some(Data::AccessKeyChanged(told)) });
        while next_event(&mut watching).await.0.data != told {}
        latencies.push(written.elapsed());
    }
    latencies.sort();
    // The timers alone take hundreds of milliseconds.
    println!("told after {latencies:?}");
    let quicker_half: Duration = latencies[..5].iter().sum();
    assert!(quicker_half < Duration::from_millis(250), "{latencies:?}");
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline_and_says_so() {
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
    let (said, took) = (refusal(&ended), began.elapsed());
    assert_eq!((said.grpc, said.code.as_str()), (Code::DeadlineExceeded, "DeadlineExceeded"));
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(5), "{took:?}");
    assert_eq!(metric(&api, &handled("DeadlineExceeded")).await, Some(1));
    assert_eq!(metric(&api, &handled("OK")).await, None, "a stream counts when it ends");

    // Who hangs up has cancelled.
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
    let mut told = 0;
    while next(&mut watching).await.is_ok() {
        told += 1;
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(14), "{took:?}");
    assert!((3..=8).contains(&told), "told where it stands every two seconds: {told} times");
}

#[tokio::test]
async fn a_health_watch_is_not_cut_at_a_deadline() {
    let api = Api::start().await;
    let mut request = Request::new(HealthCheckRequest { service: String::new() });
    request.metadata_mut().insert("grpc-timeout", "300m".parse().expect("ASCII"));
    let mut health = HealthClient::new(api.channel().await);
    let mut watching = health.watch(request).await.expect("watched").into_inner();
    watching.message().await.expect("serving");
    let more = tokio::time::timeout(Duration::from_secs(1), watching.message()).await;
    assert!(more.is_err(), "it waits for a change: {more:?}");
}

#[tokio::test]
async fn open_watches_end_when_the_server_shuts_down() {
    let api = Api::start_with(|settings| settings.drain_timeout = Duration::from_secs(20)).await;
    let mut events = api.events().await;
    let mut watching = watch(&mut events, "").await;
    let first = next(&mut watching).await.expect("it goes on");
    let replica = api.replica().await;
    let began = Instant::now();
    let stopped = tokio::spawn(api.stop());
    let ended = next(&mut watching).await.expect_err("it ends");
    let said = refusal(&ended);
    assert_eq!((said.grpc, said.code.as_str()), (Code::Unavailable, "ServiceUnavailable"));
    stopped.await.expect("stopped");
    assert!(began.elapsed() < Duration::from_secs(5), "the drain did not wait for it");

    // The follower goes on elsewhere.
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
    let mut unheard = 0;
    for version_written in 1..=3 {
        api.database.execute(KILL_LISTENERS).await;
        until_count(&api, LISTENERS, 0).await;
        write_one(&api, account_id, version_written).await;
        assert_eq!(version(&next_event(&mut watching).await.0), version_written);
        unheard += i32::from(api.database.count(LISTENERS).await == 0);
        until_count(&api, LISTENERS, 1).await; // and it is made again
    }
    assert!(unheard > 0, "one at least came while nobody listened");
}

#[tokio::test]
async fn nobody_but_a_calling_service_follows_events() {
    let api = Api::start().await;
    let mut stranger = EventServiceClient::new(api.channel().await);
    let request = WatchEventsRequest::default();
    let status = stranger.watch_events(request).await.expect_err("refused");
    assert_eq!(refusal(&status).code, "ServiceUnauthenticated");
    let key = api.account().await;
    let reply = api.get(&key, "Action=WatchEvents").await;
    assert_eq!((reply.status, reply.text("Code").as_str()), (404, "InvalidAction.NotFound"));
}
