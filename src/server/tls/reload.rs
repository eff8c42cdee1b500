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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;
    use crate::server::TlsFiles;

    /// Writes a new certificate and its key into a directory.
    fn write(directory: &std::path::Path) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(directory.join("certificate"), cert.pem()).unwrap();
        fs::write(directory.join("key"), signing_key.serialize_pem()).unwrap();
        let owner_only = fs::Permissions::from_mode(0o600);
        fs::set_permissions(directory.join("key"), owner_only).unwrap();
    }

    #[test]
    fn contents_are_used_or_refused_once() {
        let name = format!("cdn-activation-tls-{}", std::process::id());
        let directory: PathBuf = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        write(&directory);
        let files = TlsFiles {
            certificate: directory.join("certificate"),
            key: directory.join("key"),
            client_ca: None,
        };
        let tls = Tls::load(files).unwrap();
        let mut used = tls.grpc();
        let mut seen = tls.0.first_read;
        let mut reload = || {
            let (digest, outcome) = tls.reload(seen);
            seen = digest;
            outcome.map(|outcome| outcome.map_err(|error| error.to_string()))
        };
        assert_eq!(reload(), None);
        write(&directory);
        assert_eq!(reload(), Some(Ok(())));
        assert_eq!(reload(), None);
        assert!(used.has_changed().unwrap());
        used.mark_unchanged();
        fs::write(directory.join("key"), "no key").unwrap();
        let refused = reload().unwrap().unwrap_err();
        assert!(refused.ends_with("does not contain a private key in PEM"), "{refused}");
        assert_eq!(reload(), None);
        fs::remove_file(directory.join("certificate")).unwrap();
        assert!(reload().unwrap().unwrap_err().starts_with("cannot read "));
        assert_eq!(reload(), None);
        assert!(!used.has_changed().unwrap());
        fs::remove_dir_all(&directory).unwrap();
    }
}
