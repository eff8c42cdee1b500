//! Reads the files of TLS again and again, and uses new contents. The contents are compared, and not
//! the times of the files, because Kubernetes replaces a symbolic link to their directory.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::Tls;
use super::files::{self, Digest, TlsError};

impl Tls {
    /// Uses new contents of the files until `shutdown`. Contents that cannot be used are logged
    /// once, and the last usable ones stay in use.
    pub(in crate::server) async fn stay_current(
        self,
        interval: Duration,
        shutdown: CancellationToken,
    ) {
        let mut seen = self.0.first_read;
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = shutdown.cancelled() => return,
            }
            let tls = self.clone();
            // Reading files may wait for a disk. Checking a key takes a millisecond.
            match spawn_blocking(move || tls.reload(seen)).await {
                Ok((digest, outcome)) => {
                    seen = digest;
                    match outcome {
                        Some(Ok(())) => tracing::info!("uses new certificates"),
                        Some(Err(error)) => {
                            tracing::warn!(%error, "kept the certificates that are in use");
                        }
                        None => {}
                    }
                }
                Err(error) => tracing::error!(%error, "certificates could not be read again"),
            }
        }
    }

    /// Reads the files, and uses their contents if they differ from those that were read before.
    /// Returns the digest of the contents, and the outcome if they differ.
    fn reload(&self, seen: Digest) -> (Digest, Option<Result<(), TlsError>>) {
        let read = self.0.files.read();
        let digest = files::digest(&read);
        if digest == seen {
            return (digest, None);
        }
        let configs = read.and_then(|contents| self.0.files.configs(&contents));
        let outcome = configs.map(|configs| {
            self.0.grpc.send_replace(configs.grpc);
            self.0.rest.send_replace(configs.rest);
        });
        (digest, Some(outcome))
    }
}
