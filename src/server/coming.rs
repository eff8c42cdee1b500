//! The body of a request as it comes over HTTP/2. Where the call is answered before all of it has come, a
//! refused one say, the rest is let come for a moment. Otherwise the stream would be reset; what comes
//! for it then counts as an error, and after a thousand of them h2 ends the connection, with all the
//! calls on it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tonic::body::Body;

/// How long the rest may take to come, and how large it may be; then the stream is reset.
const REST: (Duration, usize) = (Duration::from_secs(1), 64 * 1024);

/// A body that comes.
pub(super) struct Coming(Option<Incoming>);

impl Coming {
    /// The body of a request.
    pub fn body(incoming: Incoming) -> Body {
        Body::new(Self(Some(incoming)))
    }
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = self.0.as_mut() else { return Poll::Ready(None) };
        Pin::new(incoming).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|incoming| !incoming.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(let_come(rest));
        }
    }
}

async fn let_come(rest: Incoming) {
    let (longest, largest) = REST;
    let mut rest = Limited::new(rest, largest);
    let come = async { while let Some(Ok(_)) = rest.frame().await {} };
    timeout(longest, come).await.ok();
}
