//! A streaming reply under the rules for every call: it ends at its deadline, a panic becomes a
//! status, and the call is counted, and its span ended, when the stream ends, with its code.
//!
//! HTTP/2 polls a stream only if the client has room for more, so the stream of a client that does
//! not read cannot end itself at the deadline. A timer in a task of its own ends the call in this
//! case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::body::Body;
use tonic::{Code, Status};

use super::traced::CallSpan;
use crate::error::{Error, status};
use crate::ids::RequestId;
use crate::logging;
use crate::metrics::Call;

/// The body of a streaming reply.
pub(super) struct HeldStream {
    /// `None` once the stream has ended.
    running: Option<Running>,
}

struct Running {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    call: Arc<Held>,
    request_id: RequestId,
    /// Dropping it notifies the task that waits for the deadline that the stream has ended.
    _gone: oneshot::Sender<()>,
}

/// The call of a stream until it is ended by the body or by the deadline.
struct Held(Mutex<Option<(Call, CallSpan)>>);

impl HeldStream {
    /// Creates a stream that ends at its deadline.
    pub fn new(body: Body, until: Instant, call: (Call, CallSpan), request_id: RequestId) -> Self {
        let call = Arc::new(Held(Mutex::new(Some(call))));
        let (gone, has_gone) = oneshot::channel::<()>();
        let (held, id) = (Arc::clone(&call), request_id.clone());
        tokio::spawn(async move {
            if timeout_at(until, has_gone).await.is_err() {
                held.end(Code::DeadlineExceeded, &id);
            }
        });
        let deadline = Box::pin(sleep_until(until));
        Self { running: Some(Running { body, deadline, call, request_id, _gone: gone }) }
    }

    /// Ends the stream with an error of the service.
    fn end_with(&mut self, error: &Error) -> Frame<Bytes> {
        let mut trailers = HeaderMap::new();
        if let Some(running) = self.running.take() {
            let status = status::of(error, &running.request_id, None);
            // The texts are percent-encoded, so they are valid headers.
            status.add_header(&mut trailers).ok();
            running.call.end(status.code(), &running.request_id);
        }
        Frame::trailers(trailers)
    }
}

impl Held {
    /// Counts and logs the call and ends its span, unless that was done.
    fn end(&self, code: Code, request_id: &RequestId) {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((call, span)) = held else { return };
        let (method, milliseconds) = (call.method(), call.elapsed().as_secs_f64() * 1e3);
        if logging::is_within_limit() {
            tracing::info!(%request_id, method, milliseconds, grpc_code = ?code, "the stream ended");
        }
        call.finished(code);
        span.finished(code);
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
        // The deadline is polled first, because a body that always has a frame would hide it.
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
            running.call.end(code, &running.request_id);
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
