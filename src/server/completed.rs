//! Adds a body to the answers that hyper itself gives to bytes that it cannot read as a request.
//! Such an answer has no body. When hyper writes it to the socket, it is replaced by a complete
//! one.
//!
//! One header gets the letter case of its documentation in the same way: hyper writes all names in
//! title case, and the official Java SDK looks for this one in exactly this case.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Returns the complete answer for the status that hyper has chosen.
pub(super) type Complete = Arc<dyn Fn(u16) -> Vec<u8> + Send + Sync>;

/// A socket on which every answer has a body.
pub(super) struct Completed<S> {
    stream: S,
    complete: Complete,
    /// The bytes that replace hyper's answer, and how many of them were written.
    replacing: Option<(Vec<u8>, usize)>,
}

impl<S> Completed<S> {
    pub(super) fn new(stream: S, complete: Complete) -> Self {
        Self { stream, complete, replacing: None }
    }
}

/// The name of the header as hyper writes it, and as it is documented.
const RATE_LIMIT: [&[u8]; 2] = [b"\r\nX-Ratelimit-User-Api: ", b"\r\nX-RateLimit-User-API: "];

/// Returns what is to be written instead of bytes that begin an answer.
fn replacement(bytes: &[u8], complete: &Complete) -> Option<Vec<u8>> {
    if !bytes.starts_with(b"HTTP/1.") {
        return None;
    }
    if let Some(status) = status_without_a_body(bytes) {
        return Some(complete(status));
    }
    let at = rate_limit(bytes)?;
    let [_, documented] = RATE_LIMIT;
    let mut bytes = bytes.to_vec();
    bytes[at..at + documented.len()].copy_from_slice(documented);
    Some(bytes)
}

/// Returns where the header is in the head of an answer. Only one with the status 400 has it.
fn rate_limit(head: &[u8]) -> Option<usize> {
    let is_refusal = head.starts_with(b"HTTP/1.") && head.get(8..13) == Some(b" 400 ");
    let [written, _] = RATE_LIMIT;
    is_refusal.then(|| head.windows(written.len()).position(|name| name == written))?
}

/// Returns the status if the bytes are an error that hyper itself answers: an error without a body.
/// The errors of the service have a body.
fn status_without_a_body(bytes: &[u8]) -> Option<u16> {
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    let head = std::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.1 ").or_else(|| head.strip_prefix("http/1.0 "))?;
    let status = status.get(..3)?.parse().ok().filter(|status| *status >= 400)?;
    head.lines().any(|line| line == "content-length: 0").then_some(status)
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Completed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.replacing.is_none() {
            let Some(replacement) = replacement(bytes, &this.complete) else {
                return Pin::new(&mut this.stream).poll_write(context, bytes);
            };
            this.replacing = Some((replacement, 0));
        }
        // While this returns `Pending`, hyper calls again with the same bytes.
        while let Some((answer, written)) = &mut this.replacing {
            if *written == answer.len() {
                this.replacing = None;
                break;
            }
            *written +=
                ready!(Pin::new(&mut this.stream).poll_write(context, &answer[*written..]))?;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // An answer without a body is one slice. The head of any other answer is in the first one.
        match slices {
            [bytes] => self.poll_write(context, bytes),
            [head, ..] if self.replacing.is_some() || rate_limit(head).is_some() => {
                self.poll_write(context, head)
            }
            slices => Pin::new(&mut self.stream).poll_write_vectored(context, slices),
        }
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

impl<S: AsyncRead + Unpin> AsyncRead for Completed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_without_a_body_is_taken_for_an_answer_of_hyper() {
        let bare = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(status_without_a_body(bare), Some(431));
        for ours in [
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
        ] {
            assert_eq!(status_without_a_body(ours.as_bytes()), None, "{ours}");
        }
    }

    #[test]
    fn the_header_about_the_rate_limit_has_the_case_of_its_documentation() {
        let complete: Complete = Arc::new(|_| Vec::new());
        let answer = |status: &str, name: &str| {
            format!("HTTP/1.1 {status}\r\n{name}: Remain:0\r\nContent-Length: 2\r\n\r\n{{}}")
        };
        let refusal = answer("400 Bad Request", "X-Ratelimit-User-Api");
        let expected = answer("400 Bad Request", "X-RateLimit-User-API").into_bytes();
        assert_eq!(replacement(refusal.as_bytes(), &complete), Some(expected));
        for other in
            [answer("400 Bad Request", "X-Other"), answer("200 OK", "X-Ratelimit-User-Api")]
        {
            assert_eq!(replacement(other.as_bytes(), &complete), None);
        }
    }
}
