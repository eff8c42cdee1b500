//! What may be called without a token takes little: so many watches, and so many calls of a connection
//! that have not sent their request.

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
/// A POST of a check, in the shortest form of HPACK, and three bytes of its message.
const CHECK_HEAD: &[u8] = b"\0\0\x43\x01\x04\0\0\0\x01\x83\x86\x04\x1c/grpc.health.v1.Health/Check\x01\x01x\x0f\x10\x10application/grpc\x00\x02te\x08trailers";
const CHECK_DATA: &[u8] = b"\0\0\x03\0\0\0\0\0\x01\0\0\0";
const MESSAGE: &str = "Too many streams without a token are open: close some, or try later.";

#[tokio::test]
async fn more_health_watches_than_there_may_be_are_refused() {
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
    // Checks are no streams; and those that watch go on.
    health.check(HealthCheckRequest::default()).await.expect("answered");
    for watch in &mut watches {
        watch.message().await.expect("a message").expect("not the end");
    }
    watches.pop();
    eventually("another may watch", async || {
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

/// A check whose request has come; its status, where it is refused.
async fn whole(sender: &mut Sender) -> Option<Status> {
    let request = check(Full::new(framed(&[])).boxed_unsync());
    let response = sender.send_request(request).await.expect("answered");
    Status::from_header_map(response.headers())
}

#[tokio::test]
async fn a_connection_may_begin_eight_calls_without_a_token_that_send_nothing() {
    let api = Api::start().await;
    let mut sender = connect(&api).await;
    let mut begun = Vec::new();
    for _ in 0..8 {
        let nothing = StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, _>>());
        begun.push(tokio::spawn(sender.send_request(check(nothing.boxed_unsync()))));
    }
    eventually("one too many is refused", async || match whole(&mut sender).await {
        None => false,
        Some(status) => {
            let said = refusal(&status);
            assert_eq!((said.code.as_str(), said.http), ("TooManyStreams", 429));
            true
        }
    })
    .await;
    assert!(whole(&mut connect(&api).await).await.is_none(), "others may call");
    assert!(begun.iter().all(|call| !call.is_finished()));
    for call in begun {
        call.abort();
    }
    eventually("there is room again", async || whole(&mut sender).await.is_none()).await;
}

#[tokio::test]
async fn a_call_that_is_broken_off_is_no_fault_of_the_service() {
    let api = Api::start().await;
    for _ in 0..5 {
        let mut stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
        let bytes = [PREFACE, SETTINGS, CHECK_HEAD, CHECK_DATA].concat();
        stream.write_all(&bytes).await.expect("sent");
        // What comes last is an acknowledgement: the call has begun.
        stream.read_exact(&mut [0; 9]).await.expect("settings");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let open = r#"connections_open{listener="grpc"}"#;
    eventually("all have ended", async || api.metric(open).await == Some(0.0)).await;
    assert_eq!(answers(&api, "grpc", "InternalError").await.to_bits(), 0_f64.to_bits());
}

#[tokio::test]
async fn a_connection_whose_calls_have_not_come_whole_makes_room() {
    let api = Api::start_with(|settings| settings.bounds.grpc_connections = 1).await;
    let mut unsent = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    let sent = [PREFACE, SETTINGS, CHECK_HEAD, CHECK_DATA].concat();
    unsent.write_all(&sent).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(500)).await; // it is read
    let mut health = HealthClient::new(api.channel().await);
    health.check(HealthCheckRequest::default()).await.expect("served");
    ended(&api, "grpc", "crowded_out", 1.0).await;
}
