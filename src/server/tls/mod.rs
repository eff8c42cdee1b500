//! TLS of the gRPC and REST listeners. The certificate, its key and the authorities of client
//! certificates are read from files, and are replaced together when the files change
//! (`reload.rs`): the next handshake uses the new ones, and connections that exist go on.

mod files;
mod handshake;
mod names;
mod reload;
mod transport;

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::rustls::ServerConfig;

pub use self::files::{TlsError, TlsFiles};
pub(super) use self::handshake::Handshakes;
pub(super) use self::names::names_of;
pub(super) use self::transport::Transport;
use crate::files::ContentDigest;

/// The TLS of a process: its files, and what the next handshakes use. Clones share it.
#[derive(Clone)]
pub struct Tls(Arc<TlsState>);

struct TlsState {
    files: TlsFiles,
    /// The digest of the contents that were read first.
    first: ContentDigest,
    grpc: watch::Sender<Arc<ServerConfig>>,
    rest: watch::Sender<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files. The error is a sentence.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = files.read()?;
        let first = ContentDigest::of::<reload::FollowedTls>(&contents);
        let files::Configs { grpc, rest } = files.configs(&contents)?;
        let (grpc, rest) = (watch::Sender::new(grpc), watch::Sender::new(rest));
        Ok(Self(Arc::new(TlsState { files, first, grpc, rest })))
    }

    /// Returns what the handshakes of the gRPC listener use.
    pub(super) fn grpc(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.0.grpc.subscribe()
    }

    /// Returns what the handshakes of the REST listener use.
    pub(super) fn rest(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.0.rest.subscribe()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.files.fmt(formatter)
    }
}
