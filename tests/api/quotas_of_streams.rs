//! How many streams a calling service may have at the same time.

use std::time::{Duration, Instant};

use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::proto::cdn::v1::DescribeUserCdnStatusRequest;
use cdn_activation::proto::operator::v1::WatchEventsRequest;
use futures_util::future::join_all;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_types::StatusExt;

use super::quotas::with_quotas;
use crate::support::events::{Events, Watch, next, watch, watch_with};
use crate::support::grpc::{Caller, refusal};
use crate::support::{Api, callers, eventually};

const ANOTHER: &str = "token-of-another-service";
const WATCH: &str = "/activation.operator.v1.EventService/WatchEvents";
const IN_FLIGHT: &str = r#"quota_refusals_total{kind="in_flight"}"#;
/// The streams that a service may have.
const MOST: usize = 256;
/// The streams of reflection in these tests. All others are watches.
const REFLECTIONS: usize = 56;

/// Starts a service with quotas and another identity, which is granted watches.
async fn start() -> Api {
    let tokens = callers::tokens() + &callers::line("another", ANOTHER);
    let another = callers::grants("another", "operators = [\"EventService/*\"]");
    let callers = ServiceDirectory::of(&tokens, &(callers::EVERYTHING.to_owned() + &another));
    Api::start_with(|settings| {
        with_quotas(settings);
        settings.callers = callers.expect("valid files");
    })
    .await
}

async fn try_to_watch(events: &mut Events) -> Result<Watch, Status> {
    watch_with(events, WatchEventsRequest::default()).await
}

/// A stream of reflection, and the end of its requests that the client holds.
type Reflection = (Sender<ServerReflectionRequest>, Streaming<ServerReflectionResponse>);

/// Opens a stream of reflection that asks for nothing.
async fn reflect(channel: &Caller) -> Result<Reflection, Status> {
    let mut client = ServerReflectionClient::new(channel.clone());
    let (requests, sent) = mpsc::channel(1);
    let answers = client.server_reflection_info(ReceiverStream::new(sent)).await?;
    Ok((requests, answers.into_inner()))
}

/// Opens this many watches, 100 on a connection.
async fn open_watches(api: &Api, count: usize) -> Vec<Watch> {
    let mut opened = Vec::new();
    while opened.len() < count {
        let events = api.events().await;
        let more = (0..100.min(count - opened.len())).map(|_| {
            let mut events = events.clone();
            async move { watch(&mut events, "").await }
        });
        opened.extend(join_all(more).await);
    }
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_256_streams_gets_no_other_one_until_one_ends() {
    let api = start().await;
    let key = api.account().await;
    let began = Instant::now();
    let channel = api.operator().await;
    let reflections = join_all((0..REFLECTIONS).map(|_| reflect(&channel))).await;
    let reflections: Vec<_> = reflections.into_iter().map(|opened| opened.expect("open")).collect();
    let mut open = open_watches(&api, MOST - REFLECTIONS).await;

    let mut events = api.events().await;
    let status = try_to_watch(&mut events).await.expect_err("it is one too many");
    let refused = refusal(&status);
    assert_eq!((refused.grpc, refused.code.as_str()), (Code::ResourceExhausted, "Throttling.User"));
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(wait, Some(Duration::from_secs(1)));
    let failure = status.get_details_quota_failure().expect("a quota");
    let violation = &failure.violations[0];
    assert_eq!(violation.subject, "service:tests");
    assert_eq!(violation.description, "streams at the same time: 256");
    let status = reflect(&channel).await.expect_err("it is one too many");
    assert_eq!(refusal(&status).code, "Throttling.User");
    assert_eq!(api.metric(IN_FLIGHT).await, Some(2.0));

    // The streams take no places of calls, and another service has streams of its own.
    let status = api.cdn(&key).await;
    status.clone().describe_user_cdn_status(DescribeUserCdnStatusRequest {}).await.expect("open");
    let soon = [("grpc-timeout", "100m")];
    let another = api.raw_grpc().await;
    let watched = another.call_with(ANOTHER, WATCH, &soon, &WatchEventsRequest::default()).await;
    assert_eq!(watched.code(), "DeadlineExceeded");
    assert!(!watched.body.is_empty(), "it was told a cursor before the deadline");

    // A stream that its client drops makes room, and so does one of reflection.
    open.pop();
    let mut last = None;
    eventually("there is room for a watch", async || {
        last = try_to_watch(&mut events).await.ok();
        last.is_some()
    })
    .await;
    try_to_watch(&mut events).await.expect_err("it is one too many");
    drop(reflections);
    eventually("there is room for a watch", async || try_to_watch(&mut events).await.is_ok()).await;
    assert!(began.elapsed() < Duration::from_secs(25), "the watches ended at their deadline");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_saw_the_end_of_a_stream_can_open_the_next_one_at_once() {
    let api = start().await;
    let held = open_watches(&api, MOST - 1).await;
    let mut events = api.events().await;
    for _ in 0..10 {
        let mut request = Request::new(WatchEventsRequest::default());
        request.set_timeout(Duration::from_millis(100));
        let mut ends = events.watch_events(request).await.expect("there is room").into_inner();
        let ended = loop {
            match next(&mut ends).await {
                Ok(_) => {}
                Err(status) => break status,
            }
        };
        assert_eq!(refusal(&ended).code, "DeadlineExceeded");
    }
    drop(held);
}
