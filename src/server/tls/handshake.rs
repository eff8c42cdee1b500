//! The handshakes of a listener on one core. The time of a handshake is limited by the place of its
//! connection, which ends one that has not sent a request. Only a limited number of handshakes are
//! computed at once, so that a crowd of new connections does not delay the calls of others.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::rustls::{Error, InvalidMessage, PeerIncompatible, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

use crate::metrics::Listener;
use crate::runtime::socket::Socket;

/// Largest number of handshakes of a listener that have a turn at once on a core.
const TURNS: usize = 64;
/// Longest turn. A client that has not answered by then continues without one, so that silent
/// clients do not keep others waiting.
const LONGEST_TURN: Duration = Duration::from_millis(50);

/// Makes the handshakes of a listener. Clones share the turns.
#[derive(Clone)]
pub(in crate::server) struct Handshakes {
    config: watch::Receiver<Arc<ServerConfig>>,
    turns: Turns,
}

/// The turns of a listener on a core.
#[derive(Clone)]
struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TURNS)))
    }
}

impl Handshakes {
    /// Creates handshakes that use the configuration that is current when they begin, with turns of
    /// their own: clients of one listener do not delay those of another.
    pub fn new(config: watch::Receiver<Arc<ServerConfig>>) -> Self {
        Self { config, turns: Turns::default() }
    }

    /// Makes a handshake, and counts how it ended. Returns `None` if it failed; then the client was
    /// told why, if it speaks TLS.
    pub async fn shake(&self, socket: Socket, listener: &Listener) -> Option<TlsStream<Socket>> {
        let shaken = self.try_shake(socket).await;
        let outcome = shaken.as_ref().map_or_else(outcome_of, |_| "complete");
        listener.handshaken(outcome);
        if let Err(error) = &shaken {
            tracing::debug!(%error, outcome, "a handshake failed");
        }
        shaken.ok()
    }

    async fn try_shake(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        // A client has its turn once it has sent its hello: waiting for it costs nothing.
        let start = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
        let config = Arc::clone(&self.config.borrow());
        self.turns.take(finish(start, config)).await
    }
}

async fn finish(
    start: StartHandshake<Socket>,
    config: Arc<ServerConfig>,
) -> io::Result<TlsStream<Socket>> {
    start.into_stream(config).await
}

impl Turns {
    /// Runs work when it has its turn. The turn ends with the work, or after its longest time.
    async fn take<T>(&self, work: impl Future<Output = T>) -> T {
        let turn = self.0.acquire().await.expect("the semaphore is never closed");
        let mut work = std::pin::pin!(work);
        if let Ok(done) = timeout(LONGEST_TURN, work.as_mut()).await {
            return done;
        }
        drop(turn);
        work.await
    }
}

/// Returns the value of the label in the metrics.
fn outcome_of(error: &io::Error) -> &'static str {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => "not_tls",
        Some(Error::NoApplicationProtocol) => "no_protocol",
        Some(Error::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        )) => "old_version",
        Some(Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => "bad_certificate",
        Some(Error::AlertReceived(_)) => "refused_by_client",
        Some(_) => "failed",
        None => "broken",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use futures_util::future::{FutureExt, join_all, pending, select};
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::server::ResolvesServerCertUsingSni;

    use super::*;

    #[tokio::test]
    async fn at_most_64_handshakes_have_a_turn_at_once() {
        let (turns, running, most) = (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let work = (0..1000).map(|_| {
            turns.take(async {
                most.fetch_max(running.fetch_add(1, Relaxed) + 1, Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
                running.fetch_sub(1, Relaxed);
            })
        });
        join_all(work).await;
        assert_eq!((most.into_inner(), running.into_inner()), (TURNS, 0));
    }

    #[tokio::test]
    async fn handshakes_that_stop_in_the_middle_lose_their_turn() {
        let turns = Turns::default();
        let silent = join_all((0..TURNS).map(|_| turns.take(pending::<()>())));
        let other = std::pin::pin!(turns.take(async {}));
        let begun = tokio::time::Instant::now();
        select(std::pin::pin!(silent), other).await;
        let waited = begun.elapsed();
        assert!((LONGEST_TURN..20 * LONGEST_TURN).contains(&waited), "{waited:?}");
    }

    #[tokio::test]
    async fn each_listener_has_its_own_turns() {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
        let (_sender, config) = watch::channel(Arc::new(config));
        let [rest, grpc] = [config.clone(), config].map(Handshakes::new);
        let _all = rest.turns.0.acquire_many(u32::try_from(TURNS).unwrap()).await.unwrap();
        assert!(rest.clone().turns.take(async {}).now_or_never().is_none());
        assert!(grpc.turns.take(async {}).now_or_never().is_some());
    }
}
