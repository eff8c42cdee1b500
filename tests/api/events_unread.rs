//! Followers that do not read the events that they asked for. The memory that they occupy does not
//! affect other callers, their calls end at their deadlines, and the service can stop without
//! them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cdn_activation::proto::operator::v1::event_service_client::EventServiceClient;
use cdn_activation::proto::operator::v1::{ListEventsRequest, WatchEventsRequest};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

use crate::support::events::{
    PATIENCE, Watch, handled, metric, next_event, until_count, write_many,
};
use crate::support::grpc::next_account_id;
use crate::support::raw_grpc::{framed, token};
use crate::support::{Api, eventually};

const BACKLOG: i64 = 6000;
/// The window of a client that uses the C library of gRPC. A tonic client has a larger one.
const USUAL_WINDOW: u32 = 65_535;
/// The time after which no more data reaches the followers.
const SETTLED: Duration = Duration::from_millis(500);

/// A watch whose client answers pings and never enlarges the window of the stream.
struct UnreadWatch {
    _sender: SendRequest<Full<Bytes>>,
    _reply: Response<Incoming>,
}

impl UnreadWatch {
    async fn follow(api: &Api, window: u32, timeout: &str) -> Self {
        let stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
        let (mut sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .handshake(TokioIo::new(stream))
            .await
            .expect("it speaks HTTP/2");
        tokio::spawn(connection);
        let (name, token) = token();
        let path = "/activation.operator.v1.EventService/WatchEvents";
        let request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("grpc-timeout", timeout)
            .header(name, token)
            .body(Full::new(framed(&[])))
            .expect("a request");
        let reply = sender.send_request(request).await.expect("answered");
        assert!(!reply.headers().contains_key("grpc-status"), "{:?}", reply.headers());
        Self { _sender: sender, _reply: reply }
    }
}

/// Opens a watch and reads one event, like a client that is busy with something else afterwards.
async fn busy_after_one(api: &Api) -> Watch {
    let endpoint = Endpoint::from_shared(format!("http://{}", api.addresses.grpc));
    let endpoint = endpoint.expect("an address").initial_stream_window_size(USUAL_WINDOW);
    let channel = endpoint.connect().await.expect("it listens");
    let mut request = tonic::Request::new(WatchEventsRequest::default());
    let (name, token) = token();
    request.metadata_mut().insert(name, token.parse().expect("visible characters"));
    request.set_timeout(Duration::from_secs(30));
    let watching = EventServiceClient::new(channel).watch_events(request).await;
    let mut watching = watching.expect("watched").into_inner();
    next_event(&mut watching).await;
    watching
}

/// Starts the service and gives it events that no follower has seen.
async fn with_a_backlog() -> Api {
    let api = Api::start().await;
    write_many(&api, next_account_id(), BACKLOG).await;
    until_count(&api, "SELECT count(*) FROM event_outbox", 0).await;
    api
}

/// Checks that other callers are served: the first events of the backlog, calls of operators, and
/// Describes on both wires.
async fn assert_that_others_are_served(api: &Api) {
    let began = Instant::now();
    let served = async {
        let mut events = api.events().await;
        for _ in 0..10 {
            let request = ListEventsRequest { page_size: 100, ..Default::default() };
            let page = events.list_events(request).await.expect("listed").into_inner();
            assert_eq!(page.events.len(), 100);
        }
        let key = api.account().await; // written by operators' calls
        for _ in 0..10 {
            api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
            let request = cdn_activation::proto::cdn::v1::DescribeUserCdnStatusRequest::default();
            api.cdn(&key).await.describe_user_cdn_status(request).await.expect("described");
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("in time");
    println!("others were served in {:?}", began.elapsed());
}

/// Checks that the service stops although no client has disconnected.
async fn assert_that_it_stops(mut api: Api) {
    let began = Instant::now();
    let stopped = tokio::time::timeout(PATIENCE, api.begin_stop()).await;
    stopped.expect("the drain has an end").expect("in good order");
    println!("stopped in {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_without_a_window_do_not_delay_other_callers_or_the_shutdown() {
    let api = with_a_backlog().await;
    let mut followers = Vec::new();
    for window in [0, 0, 1, 1, 100] {
        followers.push(UnreadWatch::follow(&api, window, "30S").await);
    }
    tokio::time::sleep(SETTLED).await;
    assert_that_others_are_served(&api).await;
    assert_that_it_stops(api).await;
    drop(followers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_that_read_one_event_do_not_delay_other_callers_or_the_shutdown() {
    let api = with_a_backlog().await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(busy_after_one(&api).await);
    }
    tokio::time::sleep(SETTLED).await;
    assert_that_others_are_served(&api).await;
    assert_that_it_stops(api).await;
    drop(busy);
}

#[tokio::test]
async fn the_call_of_a_follower_that_does_not_read_ends_at_its_deadline() {
    let api = with_a_backlog().await;
    let began = Instant::now();
    let mut followers = Vec::new();
    for window in [0, 1, USUAL_WINDOW] {
        followers.push(UnreadWatch::follow(&api, window, "1500m").await);
    }
    assert_eq!(metric(&api, &handled("DeadlineExceeded")).await, Some(0));
    eventually("each call is counted while its connection is open", async || {
        metric(&api, &handled("DeadlineExceeded")).await == Some(3)
    })
    .await;
    assert!(began.elapsed() >= Duration::from_millis(1500));
    assert_eq!(metric(&api, &handled("Canceled")).await, Some(0));
    drop(followers);
    assert_that_it_stops(api).await;
}
