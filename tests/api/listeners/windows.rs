//! A client that gives no flow-control window for an answer: the answer is reset at its deadline, and
//! nothing else is.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::answers;
use crate::quotas::with_quotas;
use crate::support::events::write_event;
use crate::support::grpc::next_account_id;
use crate::support::raw_grpc::{framed, token};
use crate::support::{Api, eventually};

const WATCH: &str = "/activation.operator.v1.EventService/WatchEvents";
const LIST: &str = "/activation.operator.v1.EventService/ListEvents";
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Opens a connection that gives each stream a window of this size, and more only for what it reads.
async fn connect(api: &Api, window: u32) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    let (sender, connection) = Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn call(sender: &mut SendRequest<Full<Bytes>>, path: &str) -> Response<Incoming> {
    let (name, token) = token();
    let request = Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "500m")
        .header(name, token)
        .body(Full::new(framed(&[])));
    sender.send_request(request.expect("a request")).await.expect("answered")
}

/// Starts a service that has events and quotas.
async fn with_events() -> Api {
    let api = Api::start_with(|settings| {
        with_quotas(settings);
        settings.bounds.stall = Duration::from_millis(200);
    })
    .await;
    let account_id = next_account_id();
    let mut connection = api.database.connect().await;
    for version in 1..20 {
        write_event(&mut connection, account_id, api.clock.wire_now(), version).await;
    }
    api
}

async fn stalled(api: &Api, count: f64) {
    eventually("answers are reset", async || {
        api.metric("streams_stalled_total").await.is_some_and(|stalled| stalled >= count)
    })
    .await;
}

#[tokio::test]
async fn a_stream_without_a_window_is_reset_at_its_deadline_and_the_others_go_on() {
    let api = with_events().await;
    for window in [0, 100] {
        let mut sender = connect(&api, window).await;
        let watch = call(&mut sender, WATCH).await;
        let before = api.metric("streams_stalled_total").await.unwrap_or_default();
        stalled(&api, before + 1.0).await;
        let read = watch.into_body().collect().await;
        assert!(read.is_err(), "the stream was reset: {read:?}");
        // The connection still works.
        let check = call(&mut sender, CHECK).await;
        if window > 0 {
            assert!(check.into_body().collect().await.is_ok());
        }
    }
    let abandoned = answers(&api, "grpc", "abandoned").await;
    assert_eq!(abandoned.to_bits(), 2_f64.to_bits());
}

/// A calling service may have 256 streams at once.
#[tokio::test]
async fn streams_that_were_reset_do_not_count_among_those_of_their_service() {
    let api = with_events().await;
    for round in 1..=4_u8 {
        let mut sender = connect(&api, 0).await;
        let mut watches = Vec::new();
        for _ in 0..100 {
            let watch = call(&mut sender, WATCH).await;
            assert_eq!(watch.headers().get("grpc-status"), None, "refused in round {round}");
            watches.push(watch);
        }
        stalled(&api, 100.0 * f64::from(round)).await;
        drop(watches);
    }
}

#[tokio::test]
async fn an_answer_without_a_window_is_reset_at_its_deadline() {
    let api = with_events().await;
    let mut sender = connect(&api, 0).await;
    let list = call(&mut sender, LIST).await;
    stalled(&api, 1.0).await;
    let read = list.into_body().collect().await;
    assert!(read.is_err(), "the stream was reset: {read:?}");
}

/// An answer that was received before its deadline is not reset later.
#[tokio::test]
async fn an_answer_that_is_received_is_not_reset() {
    let api = with_events().await;
    let mut sender = connect(&api, 65_535).await;
    let list = call(&mut sender, LIST).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(list.into_body().collect().await.is_ok());
    assert_eq!(api.metric("streams_stalled_total").await, Some(0.0));
}
