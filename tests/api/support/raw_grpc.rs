//! gRPC by hand: HTTP/2 requests in which every header and byte can be chosen, for requests that a
//! generated client cannot send, and without a client's timers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::Status;

use super::{Api, TOKEN};

/// The metadata `authorization` of a calling service with the right token.
pub fn token() -> (&'static str, String) {
    ("authorization", format!("Bearer {TOKEN}"))
}

/// Returns a message after the five bytes of its frame header.
pub fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

/// A connection for requests by hand.
#[derive(Clone)]
pub struct RawGrpc(SendRequest<Full<Bytes>>);

/// A reply as it was received.
#[derive(Debug)]
pub struct RawReply {
    /// The headers.
    pub headers: HeaderMap,
    /// The body, with the five bytes of frame header before the message.
    pub body: Bytes,
    /// The trailers; empty if the headers contain the status.
    pub trailers: HeaderMap,
}

impl Api {
    /// Opens a connection for gRPC by hand.
    pub async fn raw_grpc(&self) -> RawGrpc {
        RawGrpc::connect(self.addresses.grpc).await
    }
}

impl RawGrpc {
    /// Opens a connection to this address.
    pub async fn connect(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the service listens");
        stream.set_nodelay(true).expect("connected"); // headers and body are two packets
        Self::over(stream).await
    }

    /// Speaks over this stream.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let stream = TokioIo::new(stream);
        let (sender, connection) =
            handshake(TokioExecutor::new(), stream).await.expect("it speaks HTTP/2");
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends this body to this path. `metadata` is all metadata beyond what HTTP/2 and gRPC demand.
    pub async fn send(&self, path: &str, metadata: &[(&str, &str)], body: Bytes) -> RawReply {
        let reply = self.send_as("POST", "application/grpc", path, metadata, body).await;
        let (status, reply) = reply;
        assert_eq!(status, 200, "gRPC says everything with 200: {:?}", reply.headers);
        reply
    }

    /// The same with another method or content type. Returns the HTTP status and the reply.
    pub async fn send_as(
        &self,
        method: &str,
        content_type: &str,
        path: &str,
        metadata: &[(&str, &str)],
        body: Bytes,
    ) -> (u16, RawReply) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"))
            .header("content-type", content_type)
            .header("te", "trailers");
        for (name, value) in metadata {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("no control character");
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        let response = self.0.clone().send_request(request).await.expect("answered");
        let (head, body) = response.into_parts();
        let collected = body.collect().await.expect("a whole reply");
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let reply = RawReply { headers: head.headers, body: collected.to_bytes(), trailers };
        (head.status.as_u16(), reply)
    }

    /// Sends an encoded message with the token and further metadata.
    pub async fn call(&self, path: &str, metadata: &[(&str, &str)], message: &[u8]) -> RawReply {
        let (name, token) = token();
        let metadata = [&[(name, token.as_str())], metadata].concat();
        self.send(path, &metadata, framed(message)).await
    }
}

impl RawReply {
    /// Returns how the call ended.
    pub fn status(&self) -> Status {
        let status = Status::from_header_map(&self.headers);
        status.or_else(|| Status::from_header_map(&self.trailers)).expect("a status")
    }

    /// Returns the message of a call that succeeded.
    pub fn message<T: Message + Default>(&self) -> T {
        let status = self.status();
        assert_eq!(status.code(), tonic::Code::Ok, "{status:?}");
        T::decode(&self.body[5..]).expect("a message of this type")
    }

    /// Returns the metadata `x-request-id`.
    pub fn request_id(&self) -> &str {
        self.headers["x-request-id"].to_str().expect("visible characters")
    }
}
