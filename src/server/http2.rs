//! Serves HTTP/2 connections: their settings, their calls, and the end of answers that the client
//! does not take.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tonic::body::Body;

use super::Bounds;
use super::entrance::Entrance;
use super::incoming_body::{IncomingBody, Rests};
use super::no_grpc::Begun;
use super::serving;
use super::tls::Transport;
use crate::context::Peer;
use crate::grpc::answered;
use crate::metrics::Listener;
use crate::runtime::Connections;
use crate::runtime::socket::Greeted;
use crate::runtime::state::{ConnectionState, Running};

/// Largest number of pending resets of a connection; h2's default of 20 cuts off clients that hedge
/// requests.
const MOST_PENDING_RESETS: usize = 200;
/// Length of the client's preface and of the head of the frame that must follow: the handshake is
/// complete.
const GREETING: usize = 24 + 9;
/// Bytes of requests that are held for a stream, and for all streams of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 128 * 1024;
/// Bytes of an answer that are held for a stream beyond the window of the client.
const SEND_BUFFER: usize = 64 * 1024;
/// Bytes of metadata that are read.
const LARGEST_HEAD: u32 = 16 * 1024;

/// Serves until the listener closes, then finishes running calls. Each connection gets a handler of
/// its own. An answer is reset if the client does not take it within [`Bounds::stall`] after the
/// call's deadline.
pub(super) async fn serve<H, F>(
    connections: Connections,
    entrance: Entrance,
    handler: impl Fn() -> H + Clone + Send + 'static,
    bounds: Bounds,
) where
    H: Fn(Request<Body>) -> F + Send + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let proxies = entrance.proxies().clone();
    let begin = move |transport: Transport,
                      peer: Peer,
                      state: &Arc<ConnectionState>,
                      listener: &Listener| {
        let (state, proxies) = (Arc::clone(state), proxies.clone());
        let stream = Greeted::new(transport, &state, GREETING);
        let (handler, rests, of) = (handler(), Rests::default(), Arc::clone(&state));
        let service = service_fn(move |mut request: Request<Incoming>| {
            let peer = proxies.peer_of(&peer, request.headers());
            request.extensions_mut().insert(peer);
            let coming = |incoming| Body::new(IncomingBody::new(incoming, &of, Some(&rests)));
            handler(request.map(coming)).map(Ok::<_, Infallible>)
        });
        let listener = Arc::new(listener.clone());
        let calls = Calls { state, stall: bounds.stall, listener: Arc::clone(&listener) };
        http2::Builder::new(calls)
            .timer(TokioTimer::new())
            .keep_alive_interval(bounds.keepalive_interval)
            .keep_alive_timeout(bounds.keepalive_timeout)
            .max_concurrent_streams(bounds.streams)
            .max_pending_accept_reset_streams(MOST_PENDING_RESETS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(Begun::new(stream, &listener)), service)
    };
    serving::serve(connections, entrance, begin).await;
}

/// Runs each call of a connection as a task of its own.
#[derive(Clone, Debug)]
struct Calls {
    state: Arc<ConnectionState>,
    stall: Duration,
    listener: Arc<Listener>,
}

impl<F> Executor<F> for Calls
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let Self { stall, listener, .. } = self.clone();
        tokio::spawn(Timed { call, running: self.state.begin(), stall, listener, stalled: None });
    }
}

pin_project! {
    /// A call as hyper runs it: first the code that answers it, then the code that sends the answer
    /// as the client's window allows. Without a window, hyper does not poll the answer, so the
    /// answer cannot end itself. Dropping the call from outside resets its stream and no other.
    /// Most answers are sent at once and need no timer.
    struct Timed<F> {
        #[pin]
        call: F,
        #[pin]
        stalled: Option<Sleep>,
        stall: Duration,
        listener: Arc<Listener>,
        running: Running,
    }
}

impl<F: Future<Output = ()>> Future for Timed<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let (polled, deadline) = answered::noting(|| this.call.poll(context));
        if polled.is_ready() {
            return Poll::Ready(());
        }
        if let Some(deadline) = deadline {
            this.stalled.set(Some(sleep_until(deadline + *this.stall)));
        }
        let Some(stalled) = this.stalled.as_pin_mut() else { return Poll::Pending };
        ready!(stalled.poll(context));
        this.listener.stalled();
        Poll::Ready(())
    }
}
