//! What may be called without a token takes little: so many watches, and so many calls of a connection
//! that have not sent their request.

use std::convert::Infallible;

use bytes::Bytes;
use http::Request;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::grpc::{assert_refusal, refusal};
use crate::support::raw_grpc::framed;
use crate::support::{Api, eventually};

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
async fn a_connection_may_begin_sixteen_calls_without_a_token_that_send_nothing() {
    let api = Api::start().await;
    let mut sender = connect(&api).await;
    let mut begun = Vec::new();
    for _ in 0..16 {
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
