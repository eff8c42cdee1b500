//! Serves a connection of any protocol: it passes the entrance when it has a place, obeys the orders
//! that its place gets, and is counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use hyper_util::server::graceful::GracefulConnection;
use pin_project_lite::pin_project;
use tokio_util::task::TaskTracker;

use super::entrance::{Entrance, Passed};
use super::tls::Transport;
use crate::context::Peer;
use crate::logging;
use crate::metrics::Listener;
use crate::runtime::places::Place;
use crate::runtime::socket::Socket;
use crate::runtime::state::{ConnectionState, Signal};
use crate::runtime::{Accepted, Connections};

/// Serves until the listener closes, then finishes running calls. `begin` starts a connection that
/// has passed the entrance.
pub(super) async fn serve<C, B>(mut connections: Connections, entrance: Entrance, begin: B)
where
    B: Fn(Transport, Peer, &Arc<ConnectionState>, &Listener) -> C + Clone + Send + 'static,
    C: GracefulConnection<Error = hyper::Error> + Send + 'static,
{
    let running = TaskTracker::new();
    while let Some(next) = connections.next().await {
        match next {
            Ok(Accepted { stream, address, place }) => {
                let address = address.ip().to_canonical();
                let stage = if entrance.is_open(address) {
                    let socket = Transport::Plain(Socket::new(stream, place.state()));
                    let (state, listener) = (place.state(), place.listener());
                    let connection = begin(socket, Peer::at(address), state, listener);
                    Stage::Serving { connection }
                } else {
                    let (state, listener) = (place.state().clone(), place.listener().clone());
                    let begin = begin.clone();
                    let passing = entrance.clone().pass(stream, address, state, listener);
                    Stage::Entering {
                        entering: Box::pin(async move {
                            let Passed { transport, peer, state, listener } = passing.await?;
                            Some(begin(transport, peer, &state, &listener))
                        }),
                    }
                };
                running.spawn(Served { stage, place, was_asked: false });
            }
            Err(error) if logging::is_within_limit() => {
                tracing::warn!(%error, "a connection could not be taken over");
            }
            Err(_) => {}
        }
    }
    running.close();
    running.wait().await;
}

pin_project! {
    /// How far a connection has come.
    #[project = StageProjection]
    enum Stage<C> {
        /// It passes the entrance. Boxed, so that other connections do not take its memory.
        Entering { entering: BoxFuture<'static, Option<C>> },
        /// It is served.
        Serving { #[pin] connection: C },
    }
}

pin_project! {
    /// A connection of a place. It frees its place after it is closed, because fields are dropped in
    /// their order.
    struct Served<C> {
        #[pin]
        stage: Stage<C>,
        place: Place,
        // Whether the connection was asked to finish its calls.
        was_asked: bool,
    }
}

impl<C: GracefulConnection<Error = hyper::Error>> Future for Served<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Entering { entering } => match entering.as_mut().poll(context) {
                    Poll::Ready(Some(connection)) => {
                        this.stage.set(Stage::Serving { connection });
                        continue;
                    }
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => {}
                },
                StageProjection::Serving { connection } => {
                    if let Poll::Ready(ended) = connection.poll(context) {
                        if let Err(error) = ended {
                            note_end(&error, this.place);
                        }
                        return Poll::Ready(());
                    }
                }
            }
            match this.place.state().hear(context.waker()) {
                // A connection that is new or enters is asked after its first request has come:
                // hyper would close it at once. Its place ends it if no request comes.
                Signal::Leave if !*this.was_asked && this.place.state().has_spoken() => {
                    *this.was_asked = true;
                    if let StageProjection::Serving { connection } = this.stage.as_mut().project() {
                        connection.graceful_shutdown();
                    }
                }
                Signal::Stay | Signal::Leave => return Poll::Pending,
                Signal::End => return Poll::Ready(()),
            }
        }
    }
}

/// Records that a connection broke, or was not HTTP.
fn note_end(error: &hyper::Error, place: &Place) {
    if error.is_parse() {
        place.listener().malformed();
    }
    tracing::debug!(%error, "a connection ended");
}
