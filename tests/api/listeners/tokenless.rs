//! Calls without a token take limited resources: there is a limit of watches, and of calls on a
//! connection that have not sent their request.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{answers, ended};
use crate::support::grpc::{assert_refusal, refusal};
use crate::support::raw_grpc::framed;
use crate::support::{Api, eventually};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
/// The head of a health check in the shortest form of HPACK.
const CHECK_HEAD: &[u8] = b"\0\0\x43\x01\x04\0\0\0\x01\x83\x86\x04\x1c/grpc.health.v1.Health/Check\x01\x01x\x0f\x10\x10application/grpc\x00\x02te\x08trailers";
/// The first three bytes of its message.
const CHECK_DATA: &[u8] = b"\0\0\x03\0\0\0\0\0\x01\0\0\0";
const MESSAGE: &str = "Too many streams without a token are open: close some, or try later.";

#[tokio::test]
async fn health_watches_beyond_the_limit_are_refused() {
    let api = Api::start_with(|settings| settings.bounds.watches = 3).await;
    let mut watches = Vec::new();
    for _ in 0..3 {
        let mut health = HealthClient::new(api.channel().await);
        let watch = health.watch(HealthCheckRequest::default()).await.expect("watched");
        watches.push(watch.into_inner());
    }
    let mut health = HealthClient::new(api.channel().await);
    let refused = health.watch(HealthCheckRequest::default()).await.expect_err("one too many");
    assert_refusal(&refused, Code::ResourceExhausted, "TooManyStreams", 429, MESSAGE);
    // A check is not a stream, and the other watches stay open.
    health.check(HealthCheckRequest::default()).await.expect("answered");
    for watch in &mut watches {
        watch.message().await.expect("a message").expect("the watch stays open");
    }
    watches.pop();
    eventually("another watch is accepted", async || {
        health.watch(HealthCheckRequest::default()).await.is_ok()
    })
    .await;
}

type Sender = SendRequest<UnsyncBoxBody<Bytes, Infallible>>;

async fn connect(api: &Api) -> Sender {
    let stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    let (sender, connection) =
        handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

fn check(body: UnsyncBoxBody<Bytes, Infallible>) -> Request<UnsyncBoxBody<Bytes, Infallible>> {
    let request = Request::post("http://localhost/grpc.health.v1.Health/Check");
    request.header("content-type", "application/grpc").body(body).expect("a request")
}

/// Makes a complete check. Returns its status if it is refused.
async fn complete_check(sender: &mut Sender) -> Option<Status> {
    let request = check(Full::new(framed(&[])).boxed_unsync());
    let response = sender.send_request(request).await.expect("answered");
    Status::from_header_map(response.headers())
}

#[tokio::test]
async fn a_connection_may_have_eight_incomplete_calls_without_a_token() {
    let api = Api::start().await;
    let mut sender = connect(&api).await;
    let mut begun = Vec::new();
    for _ in 0..8 {
        let nothing = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, _>>());
        begun.push(tokio::spawn(sender.send_request(check(nothing.boxed_unsync()))));
    }
    eventually("one too many is refused", async || match complete_check(&mut sender).await {
        None => false,
        Some(status) => {
            let refused = refusal(&status);
            assert_eq!((refused.code.as_str(), refused.http), ("TooManyStreams", 429));
            true
        }
    })
    .await;
    assert!(complete_check(&mut connect(&api).await).await.is_none(), "other connections may call");
    assert!(begun.iter().all(|call| !call.is_finished()));
    for call in begun {
        call.abort();
    }
    eventually("a call is accepted again", async || complete_check(&mut sender).await.is_none())
        .await;
}

#[tokio::test]
async fn a_call_whose_connection_is_lost_is_not_a_fault_of_the_service() {
    let api = Api::start().await;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
        let bytes = [PREFACE, SETTINGS, CHECK_HEAD, CHECK_DATA].concat();
        stream.write_all(&bytes).await.expect("sent");
        // The service has sent its settings: the call has begun.
        stream.read_exact(&mut [0; 9]).await.expect("settings");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let open = r#"connections_open{listener="grpc"}"#;
    eventually("all connections have ended", async || api.metric(open).await == Some(0.0)).await;
    assert_eq!(answers(&api, "grpc", "InternalError").await.to_bits(), 0_f64.to_bits());
}

#[tokio::test]
async fn a_connection_with_only_incomplete_calls_is_closed_for_a_new_one() {
    let api = Api::start_with(|settings| settings.bounds.grpc_connections = 1).await;
    let mut incomplete = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    let sent = [PREFACE, SETTINGS, CHECK_HEAD, CHECK_DATA].concat();
    incomplete.write_all(&sent).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(500)).await; // the service reads it
    let mut health = HealthClient::new(api.channel().await);
    health.check(HealthCheckRequest::default()).await.expect("served");
    ended(&api, "grpc", "crowded_out", 1.0).await;
}
