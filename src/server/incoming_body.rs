//! The body of a request while it arrives. Until it is complete, the call does no work, and the
//! connection records this.
//!
//! If an HTTP/2 call is answered before its request is complete, because it is refused for example,
//! the rest of the request is read for a moment. Otherwise the stream would be reset, and what then
//! arrives for it would count as an error. After a thousand such errors, h2 ends the connection
//! with all its calls.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::runtime::state::{Arriving, ConnectionState};

/// How long the rest may take to arrive, and its largest size; then the stream is reset.
const REST: (Duration, usize) = (Duration::from_secs(1), 64 * 1024);
/// Largest number of rests that a connection reads at once; further ones are reset.
const MOST_RESTS: usize = 16;

/// A body that arrives.
pub struct IncomingBody {
    /// `None` only while this is dropped.
    incoming: Option<Incoming>,
    /// `None` once the body is complete.
    arriving: Option<Arriving>,
    rests: Option<Rests>,
}

/// The permits of a connection to read rests of bodies. Clones share them.
#[derive(Clone)]
pub(super) struct Rests(Arc<Semaphore>);

impl Default for Rests {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_RESTS)))
    }
}

impl IncomingBody {
    /// Creates the body of a request on the connection with this state. Over HTTP/1, hyper handles
    /// the rest.
    pub(super) fn new(
        incoming: Incoming,
        state: &Arc<ConnectionState>,
        rests: Option<&Rests>,
    ) -> Self {
        let arriving = (!incoming.is_end_stream()).then(|| state.arrives());
        Self { incoming: Some(incoming), arriving, rests: rests.cloned() }
    }
}

impl HttpBody for IncomingBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = self.incoming.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *incoming).poll_frame(context);
        let has_come = matches!(polled, Poll::Ready(None | Some(Err(_))));
        if has_come || incoming.is_end_stream() {
            self.arriving = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        let rest = self.incoming.take().filter(|incoming| !incoming.is_end_stream());
        let permit = self.rests.take().and_then(|rests| rests.0.try_acquire_owned().ok());
        if let (Some(rest), Some(permit), Ok(runtime)) = (rest, permit, Handle::try_current()) {
            runtime.spawn(let_come(rest, permit));
        }
    }
}

async fn let_come(rest: Incoming, permit: OwnedSemaphorePermit) {
    let (longest, largest) = REST;
    let mut rest = Limited::new(rest, largest);
    let come = async { while let Some(Ok(_)) = rest.frame().await {} };
    timeout(longest, come).await.ok();
    drop(permit);
}
