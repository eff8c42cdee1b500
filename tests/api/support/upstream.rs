//! What is behind a relay of ours: a server on TCP or on a socket in the file system.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::database::Database;

/// A connection of either kind.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// On TCP.
    Tcp(SocketAddr),
    /// On a socket in the file system.
    Unix(PathBuf),
}

impl Upstream {
    /// The server of a database.
    pub fn of(database: &Database) -> Self {
        let options: PgConnectOptions = database.url.parse().expect("a URL");
        if let Some(directory) = options.get_socket() {
            return Self::Unix(directory.join(format!(".s.PGSQL.{}", options.get_port())));
        }
        let host = (options.get_host(), options.get_port());
        Self::Tcp(host.to_socket_addrs().expect("a host").next().expect("an address"))
    }

    /// A new connection.
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
