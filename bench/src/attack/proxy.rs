//! A proxy that fails as a network does: existing connections stop passing bytes without an error,
//! while new ones work.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

/// A proxy in front of a server on a Unix socket.
pub struct Proxy {
    /// The address of its listener.
    pub address: SocketAddr,
    /// The number of times that connections were frozen.
    frozen: watch::Sender<u32>,
}

impl Proxy {
    /// Starts the proxy.
    pub async fn before(socket: PathBuf) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let frozen = watch::Sender::new(0);
        let freezes = frozen.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, freezes) = (socket.clone(), freezes.subscribe());
                tokio::spawn(async move {
                    let Ok(server) = UnixStream::connect(socket).await else { return };
                    client.set_nodelay(true).ok();
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::join!(
                        relay(from_client, to_server, freezes.clone()),
                        relay(from_server, to_client, freezes),
                    );
                });
            }
        });
        Ok(Self { address, frozen })
    }

    /// Stops all bytes of the existing connections. They do not end.
    pub fn freeze(&self) {
        self.frozen.send_modify(|times| *times += 1);
    }
}

/// Passes bytes until their end. If the connection is frozen, it is held until the proxy ends.
async fn relay(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut freezes: watch::Receiver<u32>,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            _ = freezes.changed() => std::future::pending().await,
            read = from.read(&mut bytes) => read,
        };
        let Ok(length @ 1..) = read else { break };
        if to.write_all(&bytes[..length]).await.is_err() {
            break;
        }
    }
    to.shutdown().await.ok();
}
