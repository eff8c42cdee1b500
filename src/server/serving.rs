//! Serves a connection of any protocol: it starts when it has a place, obeys the orders that its
//! place gets, and is counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use hyper_util::server::graceful::GracefulConnection;
use pin_project_lite::pin_project;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::Peer;
use crate::logging;
use crate::runtime::places::Place;
use crate::runtime::state::Signal;
use crate::runtime::{Accepted, Connections};

/// Bytes that the kernel holds for a connection in each direction. Linux doubles this for its own
/// bookkeeping.
const SOCKET_BUFFER: u32 = 64 * 1024;
/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 1024;

/// Listens at an address. Accepted sockets inherit its buffer sizes.
pub(super) async fn listen(address: &str) -> std::io::Result<TcpListener> {
    let mut failed = None;
    for address in lookup_host(address).await? {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| std::io::Error::other("the name has no address")))
}

fn listen_at(address: std::net::SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?; // as tokio's own `TcpListener::bind` does
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown`, then finishes running calls.
pub(super) async fn serve<C>(
    mut connections: Connections,
    begin: impl Fn(TcpStream, Peer, &Place) -> C,
    shutdown: CancellationToken,
) where
    C: GracefulConnection<Error = hyper::Error> + Send + 'static,
{
    let running = TaskTracker::new();
    loop {
        let next = tokio::select! {
            next = connections.next() => next,
            () = shutdown.cancelled() => None,
        };
        match next {
            Some(Ok(Accepted { stream, address, place })) => {
                let address = address.ip().to_canonical();
                let peer = Peer { address, certificate_names: Arc::default() };
                let connection = begin(stream, peer, &place);
                running.spawn(Served { connection, place, is_leaving: false });
            }
            Some(Err(error)) if logging::is_within_limit() => {
                tracing::warn!(%error, "a connection could not be taken over");
            }
            Some(Err(_)) => {}
            None => break,
        }
    }
    drop(connections);
    running.close();
    running.wait().await;
}

pin_project! {
    /// A connection that is served. It frees its place after it is closed, because fields are
    /// dropped in their order.
    struct Served<C> {
        #[pin]
        connection: C,
        place: Place,
        is_leaving: bool,
    }
}

impl<C: GracefulConnection<Error = hyper::Error>> Future for Served<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            if let Poll::Ready(ended) = this.connection.as_mut().poll(context) {
                if let Err(error) = ended {
                    if error.is_parse() {
                        this.place.listener().malformed();
                    }
                    tracing::debug!(%error, "a connection ended"); // it broke, or was not HTTP
                }
                return Poll::Ready(());
            }
            match this.place.state().hear(context.waker()) {
                Signal::Leave if !*this.is_leaving => {
                    *this.is_leaving = true;
                    this.connection.as_mut().graceful_shutdown();
                }
                Signal::Stay | Signal::Leave => return Poll::Pending,
                Signal::End => return Poll::Ready(()),
            }
        }
    }
}
