//! A stream that continues only after the connection has sent the frame before. HTTP/2 takes the
//! next frame, or the end of the stream, as soon as the client's window has room for one byte, and
//! keeps it. A client with a tiny window could so hold a page, and a stream that has ended here,
//! until its connection ends. A paced stream still runs at its deadline and is reset.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// The body of a stream, which is sent one frame at a time.
pub(super) struct Paced<B> {
    body: B,
    sending: Arc<Sending>,
}

/// Whether a frame is being sent.
#[derive(Debug, Default)]
struct Sending {
    is_under_way: AtomicBool,
    sent: AtomicWaker,
}

/// The bytes of a frame. The connection drops them once they were sent.
struct Sent {
    bytes: Bytes,
    sending: Arc<Sending>,
}

impl<B> Paced<B> {
    /// Creates a paced body.
    pub fn new(body: B) -> Self {
        Self { body, sending: Arc::default() }
    }
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.sending.is_under_way.store(false, Ordering::Release);
        self.sending.sent.wake();
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.sending.sent.register(context.waker()); // before the check, so that no wake-up is missed
        if self.sending.is_under_way.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        let sending = &self.sending;
        Poll::Ready(polled.map(|frame| {
            frame.map(|frame| {
                frame.map_data(|bytes| {
                    sending.is_under_way.store(true, Ordering::Release);
                    Bytes::from_owner(Sent { bytes, sending: Arc::clone(sending) })
                })
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[tokio::test]
    async fn the_next_frame_is_read_after_the_last_one_was_sent() {
        let frames = ["first", "second"].map(|text| Ok::<_, ()>(Frame::data(Bytes::from(text))));
        let mut paced = Paced::new(StreamBody::new(futures_util::stream::iter(frames)));
        let first = paced.frame().await.unwrap().unwrap();
        assert!(paced.frame().now_or_never().is_none());
        let waiting =
            tokio::spawn(async move { paced.frame().await.unwrap().unwrap().into_data() });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.unwrap().unwrap(), "second");
    }
}
