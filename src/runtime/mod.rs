//! Assigns connections to cores. Each core is a thread with a runtime of its own, and with
//! everything that a request needs built on this runtime: connections to the database, queues,
//! services. A connection is accepted once, handed to the next core in turn, and stays there, so no
//! answer waits for another thread. In the trials before this design, this gave twice the calls of
//! a runtime that shares its tasks among threads, which was more than any other change gave.
//!
//! The rest of the code is written for one runtime and does not know about cores. What cores share
//! (clock, metrics, readiness, the ring of events) is shared memory.

pub mod places;
mod pulse;
mod rounds;
pub mod socket;
pub mod state;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream as StdTcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::places::{Place, Places};
use self::pulse::Pulse;
pub use self::pulse::Pulses;
use crate::logging;

/// How long to wait if no connection can be accepted, for lack of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long, after the request to close the listener, the connections that the kernel has accepted
/// may take to be handed over. They wait if all places are taken.
const HANDED_OVER_WITHIN: Duration = Duration::from_millis(500);

/// A running core. It ends when the work that it was started with ends.
#[derive(Debug)]
pub struct Core(oneshot::Receiver<()>);

impl Core {
    /// Starts a thread with a runtime of its own, which runs what `work` builds on it, and adds its
    /// pulse to those of the other cores.
    pub fn start<F: Future<Output = ()>>(
        name: String,
        pulses: &Pulses,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (ended, core) = oneshot::channel();
        let pulse = Arc::<Pulse>::default();
        pulses.add(&name, Arc::clone(&pulse));
        std::thread::Builder::new().name(name).spawn(move || {
            // `work` is called within the runtime, because sockets and timers belong to the runtime
            // that creates them.
            runtime.block_on(async {
                tokio::spawn(Arc::clone(&pulse).beat());
                work().await;
            });
            pulse.end();
            // A name lookup that hangs in the system must not delay the end of the process.
            runtime.shutdown_background();
            ended.send(()).ok();
        })?;
        Ok(Self(core))
    }

    /// Waits until the core has ended.
    pub async fn ended(self) {
        if self.0.await.is_err() {
            tracing::error!("a core panicked");
        }
    }
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted<S> {
    /// Its socket.
    pub stream: S,
    /// The address of the peer.
    pub address: SocketAddr,
    /// Its place.
    pub place: Place,
}

/// A connection on the way to a core. It is taken soon, and there are never more of them than
/// places.
type OnItsWay = Accepted<StdTcpStream>;

/// The sending end, through which a listener hands connections to one core.
#[derive(Clone, Debug)]
pub struct Handover(mpsc::UnboundedSender<OnItsWay>);

/// The receiving end of a core for connections of one listener. The sockets belong to the runtime
/// that takes them.
#[derive(Debug)]
pub struct Connections(mpsc::UnboundedReceiver<OnItsWay>);

impl Connections {
    /// Creates the two ends.
    #[must_use]
    pub fn handed_over() -> (Handover, Self) {
        let (handover, connections) = mpsc::unbounded_channel();
        (Handover(handover), Self(connections))
    }
}

impl Stream for Connections {
    type Item = io::Result<Accepted<TcpStream>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(self.0.poll_recv(context));
        Poll::Ready(accepted.map(|Accepted { stream, address, place }| {
            TcpStream::from_std(stream).map(|stream| Accepted { stream, address, place })
        }))
    }
}

/// Accepts connections and hands them to the cores in turn, until `shutdown`. Then hands over those
/// that the kernel has already accepted, and closes the places. A connection without a place is
/// closed. If file descriptors are short, a connection without work is ended.
pub async fn hand_out(
    listener: TcpListener,
    places: Arc<Places>,
    cores: Vec<Handover>,
    shutdown: CancellationToken,
) {
    let too_late = async {
        shutdown.cancelled().await;
        sleep(HANDED_OVER_WITHIN).await;
    };
    tokio::select! {
        () = hand_out_all(listener, &places, &cores, &shutdown) => {}
        () = too_late => tracing::warn!("closed some connections that had no place before the listener closed"),
    }
    places.close(Instant::now());
}

async fn hand_out_all(
    listener: TcpListener,
    places: &Arc<Places>,
    cores: &[Handover],
    shutdown: &CancellationToken,
) {
    let mut turn = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        // Deregister the socket from this runtime, whose thread only accepts.
        match accepted.and_then(|(stream, address)| Ok((stream.into_std()?, address))) {
            Ok((stream, address)) => {
                let Some(place) = places.take().await else { continue };
                // Without it, a reply can wait 40 ms for the client's delayed acknowledgement.
                stream.set_nodelay(true).ok();
                hand_over(Accepted { stream, address, place }, cores, turn);
                turn += 1;
            }
            Err(error) => recover(&error, places).await,
        }
    }
    if let Ok(listener) = listener.into_std() {
        hand_out_the_rest(|| listener.accept(), places, cores, turn).await;
    }
}

/// Hands over the connections that the kernel has accepted, until `accept` would block. Closing the
/// listener would reset them, and their peers may have sent a request.
async fn hand_out_the_rest(
    accept: impl Fn() -> io::Result<(StdTcpStream, SocketAddr)>,
    places: &Arc<Places>,
    cores: &[Handover],
    mut turn: usize,
) {
    loop {
        match accept() {
            Ok((stream, address)) => {
                let place = places.take().await;
                if let (Some(place), Ok(())) = (place, stream.set_nonblocking(true)) {
                    stream.set_nodelay(true).ok();
                    hand_over(Accepted { stream, address, place }, cores, turn);
                    turn += 1;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => recover(&error, places).await,
        }
        tokio::task::yield_now().await; // the caller limits the time
    }
}

/// Prepares for the next connection after one could not be accepted.
async fn recover(error: &io::Error, places: &Places) {
    if logging::is_within_limit() {
        tracing::warn!(%error, "a connection could not be accepted");
    }
    // The peer has ended the connection before it was accepted. Others are not affected.
    let is_of_one =
        [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::Interrupted];
    if !is_of_one.contains(&error.kind()) {
        places.make_room();
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Hands a connection to the core whose turn it is or, if that has ended, to the next one that has
/// not.
fn hand_over(mut accepted: OnItsWay, cores: &[Handover], turn: usize) {
    for core in cores.iter().cycle().skip(turn % cores.len().max(1)).take(cores.len()) {
        match core.0.send(accepted) {
            Ok(()) => return,
            Err(mpsc::error::SendError(returned)) => accepted = returned,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn connections_are_handed_to_the_cores_in_turn_except_to_one_that_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (first, mut of_first) = Connections::handed_over();
        let (ended, of_ended) = Connections::handed_over();
        let (last, mut of_last) = Connections::handed_over();
        drop(of_ended);
        let shutdown = CancellationToken::new();
        let places = places::tests::many();
        let cores = vec![first, ended, last];
        let handing = tokio::spawn(hand_out(listener, places, cores, shutdown.clone()));
        // The service is ready when the first core has reached the database, so this core gets the
        // first connection.
        let mut clients = vec![TcpStream::connect(address).await.unwrap()];
        of_first.next().await.unwrap().unwrap();
        for _ in 1..6 {
            clients.push(TcpStream::connect(address).await.unwrap());
        }
        let mut count = (1, 0);
        while count.0 + count.1 < 6 {
            tokio::select! {
                Some(Ok(_)) = of_first.next() => count.0 += 1,
                Some(Ok(_)) = of_last.next() => count.1 += 1,
            }
        }
        assert_eq!(count, (2, 4));
        shutdown.cancel();
        handing.await.unwrap();
        assert!(of_first.next().await.is_none(), "the listener is gone");
        assert!(TcpStream::connect(address).await.is_err());
    }

    /// Returns both ends of a connection, and the address of its client.
    fn connected() -> (StdTcpStream, StdTcpStream, SocketAddr) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = StdTcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, address) = listener.accept().unwrap();
        (client, stream, address)
    }

    #[tokio::test]
    async fn an_error_of_accept_does_not_lose_the_connections_behind_it_when_the_listener_closes() {
        let (_client, stream, address) = connected();
        let (core, mut of_core) = Connections::handed_over();
        let left = std::cell::RefCell::new(vec![
            Err(ErrorKind::WouldBlock.into()),
            Ok((stream, address)),
            Err(io::Error::other("too few descriptors")),
            Err(ErrorKind::ConnectionAborted.into()),
        ]);
        let accept = || left.borrow_mut().pop().unwrap();
        hand_out_the_rest(accept, &places::tests::many(), &[core], 0).await;
        assert_eq!(of_core.next().await.unwrap().unwrap().address, address);
    }

    #[tokio::test]
    async fn connections_that_wait_for_a_place_do_not_delay_the_end_of_a_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let places = places::tests::many();
        let all = places::tests::all_taken_and_as_many_ending(&places).await;
        let mut waiting = Vec::new();
        for _ in 0..20 {
            waiting.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        }
        let (core, mut of_core) = Connections::handed_over();
        let (shutdown, begun) = (CancellationToken::new(), Instant::now());
        shutdown.cancel();
        hand_out(listener, places, vec![core], shutdown).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}"); // each of them waits for a second
        assert!(of_core.next().await.is_none(), "none of them got a place");
        drop(all);
    }

    #[tokio::test]
    async fn a_core_runs_on_a_thread_of_its_own_and_reports_its_end() {
        let here = std::thread::current().id();
        let (tell, told) = oneshot::channel();
        let core = Core::start("core-0".to_owned(), &Pulses::default(), move || async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let thread = std::thread::current();
            tell.send((thread.id(), thread.name().map(str::to_owned))).unwrap();
        });
        core.unwrap().ended().await;
        let (there, name) = told.await.unwrap();
        assert_ne!(there, here);
        assert_eq!(name.as_deref(), Some("core-0"));
    }
}
