//! Bodies of streams that keep something until the stream ends: a permit, a place among the running
//! streams of a caller, or the count of how it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Code, Status};

use crate::metrics::{Call, Listener};
use crate::quotas::Admission;

/// Marks a response that is counted when its stream ends.
#[derive(Clone, Copy, Debug)]
pub struct CountedAtItsEnd;

/// A body that keeps a value until it is dropped.
pub(super) struct Keeping<B, T> {
    body: B,
    kept: T,
}

/// Counts a stream by the code with which it ends.
pub(super) struct StreamCount(Option<Arc<Listener>>);

/// Counts a call of health or reflection when its stream ends, and keeps the permit of a watch.
pub(super) struct Endless {
    /// `None` once the call was counted.
    call: Option<Call>,
    _watch: Option<OwnedSemaphorePermit>,
}

/// A value that sees the frames of a body.
pub(super) trait Sees {
    /// Called for each frame that passes.
    fn see(&mut self, frame: &Frame<Bytes>);
}

impl<B, T> Keeping<B, T> {
    /// Creates a body that keeps `kept`.
    pub fn new(body: B, kept: T) -> Self {
        Self { body, kept }
    }
}

impl StreamCount {
    /// Creates a count of this listener.
    pub fn new(listener: Arc<Listener>) -> Self {
        Self(Some(listener))
    }
}

impl Endless {
    /// Creates the count of a call that has begun to answer.
    pub fn new(call: Call, watch: Option<OwnedSemaphorePermit>) -> Self {
        Self { call: Some(call), _watch: watch }
    }
}

impl Sees for Endless {
    fn see(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            let code = Status::from_header_map(trailers).map_or(Code::Unknown, |end| end.code());
            if let Some(call) = self.call.take() {
                call.finished(code);
            }
        }
    }
}

impl Sees for StreamCount {
    fn see(&mut self, frame: &Frame<Bytes>) {
        let status = frame.trailers_ref().and_then(Status::from_header_map);
        if let Some((status, listener)) = status.and_then(|status| Some((status, self.0.take()?))) {
            listener.answered_with(&status);
        }
    }
}

impl Drop for StreamCount {
    fn drop(&mut self) {
        if let Some(listener) = &self.0 {
            listener.abandoned();
        }
    }
}

impl Sees for Option<Admission> {
    /// Gives the place back before the client sees the end, so that it can open the next stream.
    fn see(&mut self, frame: &Frame<Bytes>) {
        if frame.is_trailers() {
            *self = None;
        }
    }
}

impl<B, T> HttpBody for Keeping<B, T>
where
    B: HttpBody<Data = Bytes> + Unpin,
    T: Sees + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.kept.see(frame);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
