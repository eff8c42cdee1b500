//! Connections to a server, with TLS or without.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::tls::TlsClient;

/// A connection.
pub type Stream = Either<TcpStream, TlsStream<TcpStream>>;

/// The address of a server, and a client of it if it takes TLS only.
#[derive(Clone, Debug)]
pub struct Address {
    /// The address.
    pub address: SocketAddr,
    /// The client.
    pub tls: Option<TlsClient>,
}

impl Address {
    /// Connects.
    pub async fn connect(&self) -> io::Result<Stream> {
        if let Some(tls) = &self.tls {
            return Ok(Either::Right(tls.connect(self.address).await?));
        }
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(Either::Left(stream))
    }
}
