//! Refuses requests on the gRPC listener that are not gRPC. The refusal is HTTP with a sentence for
//! people.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tonic::body::Body;

use crate::metrics::Listener;

/// The first bytes of every HTTP/2 connection.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The answer to any other first bytes.
const NO_HTTP_2: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\
    Content-Length: 43\r\n\r\nThis port speaks gRPC, by HTTP/2 directly.\n";
/// How long a peer that got this answer may take to close the connection. If the service closed the
/// connection with unread bytes, the body of a POST for example, the kernel would discard the
/// answer.
const GONE_WITHIN: Duration = Duration::from_secs(1);
const GRPC: &[u8] = b"application/grpc";

/// Returns the refusal of an HTTP/2 request that is not a gRPC call.
#[must_use]
pub fn answer<B>(request: &Request<B>) -> Option<Response<Body>> {
    let mut refused = Response::new(Body::empty());
    if request.method() != Method::POST {
        *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return Some(refused);
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|content_type| is_grpc(content_type.as_bytes())) {
        return None;
    }
    *refused.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    refused.headers_mut().insert("accept-post", HeaderValue::from_static("application/grpc"));
    Some(refused)
}

/// Accepts `application/grpc`, alone or with a message format or parameters. gRPC-Web is another
/// protocol.
fn is_grpc(content_type: &[u8]) -> bool {
    let Some(rest) = content_type.get(GRPC.len()..) else { return false };
    content_type[..GRPC.len()].eq_ignore_ascii_case(GRPC)
        && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// A socket that is written to only after its peer has begun to speak HTTP/2. Any other peer gets
/// the sentence, where hyper would send a frame.
pub(super) struct Begun<S> {
    stream: S,
    /// Bytes that were read and not yet passed on.
    read: Vec<u8>,
    /// Whether the peer is known to speak HTTP/2.
    is_known: bool,
    told: usize,
    /// The time by which a peer that got the sentence must have closed the connection.
    gone: Option<Pin<Box<Sleep>>>,
    listener: Arc<Listener>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Begun<S> {
    /// Wraps a socket. Peers that get the sentence are counted.
    pub(super) fn new(stream: S, listener: &Arc<Listener>) -> Self {
        let listener = Arc::clone(listener);
        Self { stream, read: Vec::new(), is_known: false, told: 0, gone: None, listener }
    }

    /// Waits for enough bytes to recognize what the peer speaks.
    fn poll_known(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_known {
            let begun = self.read.len().min(PREFACE.len());
            if self.read[..begun] != PREFACE[..begun] {
                return self.poll_tell(context);
            }
            if begun == PREFACE.len() {
                self.is_known = true;
                break;
            }
            let mut bytes = [0; PREFACE.len()];
            let mut buffer = ReadBuf::new(&mut bytes[begun..]);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            self.read.extend_from_slice(buffer.filled());
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the sentence, waits a moment until the peer has closed the connection, and returns an
    /// error.
    fn poll_tell(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.told < NO_HTTP_2.len() {
            let rest = &NO_HTTP_2[self.told..];
            self.told += ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
        }
        if self.gone.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.listener.malformed();
        }
        let gone = self.gone.get_or_insert_with(|| Box::pin(sleep(GONE_WITHIN)));
        while gone.as_mut().poll(context).is_pending() {
            let mut bytes = [0; 1024];
            let mut rest = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut rest))?;
            if rest.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "not HTTP/2")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.is_known {
            ready!(this.poll_known(context))?;
        }
        if this.read.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let length = this.read.len().min(buffer.remaining());
        buffer.put_slice(&this.read[..length]);
        this.read.drain(..length);
        if this.read.is_empty() {
            this.read = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.is_known {
            ready!(self.poll_known(context))?;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !self.is_known {
            ready!(self.poll_known(context))?;
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_length_is_the_length_of_the_answer() {
        let text = std::str::from_utf8(NO_HTTP_2).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }

    #[test]
    fn grpc_is_distinguished_from_types_that_begin_like_it() {
        for grpc in
            ["application/grpc", "application/grpc+proto", "Application/GRPC; charset=utf-8"]
        {
            assert!(is_grpc(grpc.as_bytes()), "{grpc}");
        }
        for other in [
            "",
            "application/json",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grp",
        ] {
            assert!(!is_grpc(other.as_bytes()), "{other}");
        }
    }
}
