//! Requests of the attacks, and of the well-behaved callers beside them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::signature::{Pair, canonical_query, v1};
use cdn_activation::ids::new_id;
use http::Response;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use crate::clock;

/// The deadline of a call that is to be served.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// An access key.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub secret: String,
}

/// Gets a page on a new connection; returns the status and the answer.
pub async fn get(address: SocketAddr, target: &str) -> anyhow::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no answer but {answer:?}"))?;
    Ok((status, answer))
}

/// Sends a signed Describe on a new connection.
pub async fn describe(rest: SocketAddr, key: &Key) -> anyhow::Result<()> {
    let pairs = [
        ("Action", "DescribeCdnService"),
        ("Version", "2018-05-10"),
        ("Format", "JSON"),
        ("AccessKeyId", &key.id),
        ("SignatureMethod", v1::METHOD),
        ("SignatureVersion", v1::VERSION),
        ("SignatureNonce", &new_id().to_string()),
        ("Timestamp", &clock::timestamp(clock::second())),
    ];
    let mut pairs: Vec<Pair> = pairs.map(|(name, value)| (name.into(), value.into())).to_vec();
    let to_sign = v1::string_to_sign("GET", &pairs.iter().collect());
    let signature = v1::Key::new(&Secret::new(key.secret.clone())).sign(&to_sign);
    pairs.push((v1::SIGNATURE.into(), signature));
    let target = format!("/?{}", canonical_query(&pairs.iter().collect()));
    let (status, answer) = get(rest, &target).await?;
    ensure!(status == 200, "{answer}");
    Ok(())
}

/// Returns a request with the headers of a calling service.
pub fn told<T>(token: &str, account_id: Option<i64>, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(DEADLINE);
    let metadata = request.metadata_mut();
    let visible = "visible characters";
    metadata.insert("authorization", format!("Bearer {token}").parse().expect(visible));
    if let Some(account_id) = account_id {
        metadata.insert("x-account-id", account_id.to_string().parse().expect(visible));
    }
    request
}

/// Returns a channel that connects when it is used, and reconnects.
pub fn channel(grpc: SocketAddr) -> Channel {
    endpoint(grpc).connect_lazy()
}

/// Returns the endpoint of a server.
pub fn endpoint(grpc: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{grpc}")).expect("an address")
}

/// Returns an HTTP/2 connection, for requests of any form.
pub async fn http2<B>(grpc: SocketAddr, window: Option<u32>) -> anyhow::Result<SendRequest<B>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let stream = TcpStream::connect(grpc).await?;
    stream.set_nodelay(true)?;
    let mut builder = Builder::new(TokioExecutor::new());
    if let Some(window) = window {
        builder.initial_stream_window_size(window);
    }
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Returns a gRPC request for a path.
pub fn post<B>(path: &str, headers: &[(&str, &str)], body: B) -> anyhow::Result<http::Request<B>> {
    let mut request = http::Request::post(format!("http://127.0.0.1{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.body(body)?)
}

/// Returns a message without fields, as gRPC frames it.
pub fn empty_message() -> Full<Bytes> {
    Full::new(Bytes::from_static(&[0; 5]))
}

/// A follower of events that answers pings and never has room for an event.
pub struct BlindFollower {
    _connection: SendRequest<Full<Bytes>>,
    _answer: Response<Incoming>,
}

impl BlindFollower {
    /// Follows with the longest deadline, and with this window.
    pub async fn follow(grpc: SocketAddr, token: &str, window: u32) -> anyhow::Result<Self> {
        let mut connection = http2(grpc, Some(window)).await?;
        let token = format!("Bearer {token}");
        let headers = [("authorization", token.as_str()), ("grpc-timeout", "30S")];
        let path = "/activation.operator.v1.EventService/WatchEvents";
        let answer = connection.send_request(post(path, &headers, empty_message())?).await?;
        let refusal = answer.headers().get("grpc-status");
        ensure!(refusal.is_none(), "the watch is refused: {:?}", answer.headers());
        Ok(Self { _connection: connection, _answer: answer })
    }
}
