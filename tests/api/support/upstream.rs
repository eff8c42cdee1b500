//! The server behind a relay: on TCP or on a Unix socket.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::database::Database;

/// A connection of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The address of a server.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// On TCP.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(PathBuf),
}

impl Upstream {
    /// Returns the server of a database.
    pub fn of(database: &Database) -> Self {
        let options: PgConnectOptions = database.url.parse().expect("a URL");
        if let Some(directory) = options.get_socket() {
            return Self::Unix(directory.join(format!(".s.PGSQL.{}", options.get_port())));
        }
        let host = (options.get_host(), options.get_port());
        Self::Tcp(host.to_socket_addrs().expect("a host").next().expect("an address"))
    }

    /// Opens a connection.
    pub async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}
