//! Binds the listeners.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use super::Listening;
use crate::config::named;

/// Bytes that the kernel holds for a connection in each direction. Linux doubles this for its own
/// bookkeeping.
const SOCKET_BUFFER: u32 = 64 * 1024;
/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 1024;

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system refused the address.
    #[error("{}: cannot listen on {address}: {cause}", named(.setting))]
    Refused {
        /// The setting.
        setting: &'static str,
        /// The address of the setting.
        address: String,
        /// Why it was refused.
        cause: std::io::Error,
    },
    /// Callers and tokens would be readable on the network.
    #[error(
        "{}: {address} is reachable from other hosts, and TLS is not set: set TLS_CERT_FILE and TLS_KEY_FILE, or \
         INSECURE_PLAINTEXT=true if a mesh or a proxy terminates TLS",
        named(.setting)
    )]
    Exposed {
        /// The setting.
        setting: &'static str,
        /// Its value.
        address: String,
    },
}

/// Binds a listener at the address of a setting. `public` is how callers reach it, if they do.
pub(super) async fn bind(
    setting: &'static str,
    address: &str,
    public: Option<&Listening>,
) -> Result<TcpListener, BindError> {
    let refused = |cause| BindError::Refused { setting, address: address.to_owned(), cause };
    let found: Vec<_> = lookup_host(address).await.map_err(refused)?.collect();
    if let Some(listening) = public
        && found.iter().any(|found| listening.exposes(*found))
    {
        return Err(BindError::Exposed { setting, address: address.to_owned() });
    }
    listen(&found).map_err(refused)
}

/// Listens at the first of these addresses that can be used. Accepted sockets inherit its buffer
/// sizes.
fn listen(addresses: &[SocketAddr]) -> std::io::Result<TcpListener> {
    let mut failed = None;
    for address in addresses {
        match listen_at(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| std::io::Error::other("the name has no address")))
}

fn listen_at(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?; // as tokio's own `TcpListener::bind` does
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
