//! What a connection passes before it begins with HTTP: the PROXY header of a trusted proxy, then the
//! TLS handshake.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::proxies::{TrustedProxies, read_header};
use super::tls::{Handshakes, Transport, names_of};
use crate::context::Peer;
use crate::metrics::Listener;
use crate::runtime::socket::Socket;
use crate::runtime::state::ConnectionState;

/// The entrance of a listener on one core. The default one is open: connections begin at once.
#[derive(Clone, Default)]
pub(super) struct Entrance {
    proxies: TrustedProxies,
    handshakes: Option<Handshakes>,
}

impl Entrance {
    /// Creates an entrance. Without handshakes, the listener has no TLS.
    pub fn new(proxies: TrustedProxies, handshakes: Option<Handshakes>) -> Self {
        Self { proxies, handshakes }
    }

    /// Returns the proxies, for what they say in each request.
    pub fn proxies(&self) -> &TrustedProxies {
        &self.proxies
    }

    /// Whether a connection from this address begins at once.
    pub fn is_open(&self, address: IpAddr) -> bool {
        self.handshakes.is_none() && !self.proxies.sends_header(address)
    }

    /// Lets a connection pass, or returns `None` after it was refused and counted. The state of the
    /// connection tells when the peer has begun to enter, and when it has entered.
    pub async fn pass(
        self,
        stream: TcpStream,
        address: IpAddr,
        state: Arc<ConnectionState>,
        listener: Listener,
    ) -> Option<Passed> {
        stream.readable().await.ok()?;
        state.enters();
        let passed = self.let_in(stream, address, state, listener).await?;
        passed.state.entered();
        Some(passed)
    }

    async fn let_in(
        self,
        mut stream: TcpStream,
        mut address: IpAddr,
        state: Arc<ConnectionState>,
        listener: Listener,
    ) -> Option<Passed> {
        if self.proxies.sends_header(address) {
            match read_header(&mut stream).await {
                Ok(client) => address = client.unwrap_or(address),
                Err(error) => {
                    listener.without_proxy_header();
                    tracing::debug!(%error, %address, "closed a connection of a trusted proxy");
                    return None;
                }
            }
        }
        let (socket, mut peer) = (Socket::new(stream, &state), Peer::at(address));
        let transport = match self.handshakes {
            None => Transport::Plain(socket),
            Some(handshakes) => {
                let stream = handshakes.shake(socket, &listener).await?;
                peer.has_tls = true;
                peer.certificate_names = names_of(stream.get_ref().1.peer_certificates());
                Transport::Tls(Box::new(stream))
            }
        };
        Some(Passed { transport, peer, state, listener })
    }
}

/// A connection that has passed.
pub(super) struct Passed {
    pub transport: Transport,
    pub peer: Peer,
    pub state: Arc<ConnectionState>,
    pub listener: Listener,
}
