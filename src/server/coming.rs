//! The body of a request as it comes. Until all of it has come nothing works on the call, and the
//! connection shows so.
//!
//! Over HTTP/2, where the call is answered before all of it has come, a refused one say, the rest is let
//! come for a moment. Otherwise the stream would be reset; what comes for it then counts as an error,
//! and after a thousand of them h2 ends the connection, with all the calls on it.

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

use crate::runtime::signs::{Arriving, Signs};

/// How long the rest may take to come, and how large it may be; then the stream is reset.
const REST: (Duration, usize) = (Duration::from_secs(1), 64 * 1024);
/// Rests of a connection that are let come at once; more are reset.
const MOST_RESTS: usize = 16;

/// A body that comes.
pub struct Coming {
    /// Gone when this is dropped.
    incoming: Option<Incoming>,
    /// Gone when all of it has come.
    arriving: Option<Arriving>,
    rests: Option<Rests>,
}

/// The rests of the bodies of a connection. Clones share the bound.
#[derive(Clone)]
pub(super) struct Rests(Arc<Semaphore>);

impl Default for Rests {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_RESTS)))
    }
}

impl Coming {
    /// The body of a request on the connection of these signs. Of HTTP/1 a rest is hyper's to deal with.
    pub(super) fn new(incoming: Incoming, signs: &Arc<Signs>, rests: Option<&Rests>) -> Self {
        let arriving = (!incoming.is_end_stream()).then(|| signs.arrives());
        Self { incoming: Some(incoming), arriving, rests: rests.cloned() }
    }
}

impl HttpBody for Coming {
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

impl Drop for Coming {
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
