//! A reply that is a stream, held to what every call is held to: it ends at its deadline, a panic in
//! it is an answer, and it counts as handled when it ends, with the code that it ends with.
//!
//! HTTP/2 asks for more of a stream only when the client has room for it. That of a client which
//! does not read ends, therefore, when it reads again or goes away; until then it holds what its
//! window and one page of its source take.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};

use super::status;
use crate::context::RequestId;
use crate::error::Error;
use crate::logging;
use crate::metrics::Call;

/// The body of a streaming reply.
pub(super) struct HeldStream {
    /// Gone when the stream has ended.
    running: Option<Running>,
}

struct Running {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    call: Call,
    request_id: RequestId,
}

impl HeldStream {
    /// Holds a stream to its deadline.
    pub fn new(body: Body, until: Instant, call: Call, request_id: RequestId) -> Self {
        let deadline = Box::pin(sleep_until(until));
        Self { running: Some(Running { body, deadline, call, request_id }) }
    }

    /// Ends the stream with an error of ours.
    fn end_with(&mut self, error: &Error) -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        if let Some(running) = self.running.take() {
            let status = status::of(error, &running.request_id, None);
            // The texts are ours, and percent-encoded: they make headers.
            status.add_header(&mut trailers).ok();
            running.end(status.code());
        }
        Frame::trailers(trailers)
    }
}

impl Running {
    fn end(self, code: Code) {
        let (method, milliseconds) = (self.call.method(), self.call.elapsed().as_millis());
        let request_id = self.request_id;
        if logging::is_within_limit() {
            tracing::info!(%request_id, method, milliseconds, ?code, "the stream ended");
        }
        self.call.finished(code);
    }
}

impl HttpBody for HeldStream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(running) = self.running.as_mut() else { return Poll::Ready(None) };
        // Before the body: one that always has more would never come to its deadline.
        if running.deadline.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Ok(self.end_with(&Error::DeadlineExceeded))));
        }
        let body = Pin::new(&mut running.body);
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.poll_frame(context))) else {
            tracing::error!(request_id = %running.request_id, "a stream panicked");
            let error = Error::internal("a stream panicked");
            return Poll::Ready(Some(Ok(self.end_with(&error))));
        };
        let ended_with = match &polled {
            Poll::Ready(Some(Ok(frame))) => frame.trailers_ref().map(|trailers| {
                Status::from_header_map(trailers).map_or(Code::Unknown, |status| status.code())
            }),
            Poll::Ready(Some(Err(_)) | None) => Some(Code::Unknown), // without trailers
            Poll::Pending => None,
        };
        if let Some((code, running)) =
            ended_with.and_then(|code| Some((code, self.running.take()?)))
        {
            running.end(code);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.running.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
