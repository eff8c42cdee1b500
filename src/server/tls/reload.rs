//! Follows the files of TLS. They are used together.

use tokio_util::sync::CancellationToken;

use super::Tls;
use super::files::{Configs, Contents};
use crate::files::{FollowedFile, Following};

impl Tls {
    /// Follows the files until `shutdown`.
    pub(in crate::server) async fn follow(self, following: Following, shutdown: CancellationToken) {
        let first = self.0.first;
        following.follow(FollowedTls(self), first, shutdown).await;
    }
}

/// The files of a [`Tls`].
pub(super) struct FollowedTls(Tls);

impl FollowedFile for FollowedTls {
    const NAME: &'static str = "tls";
    type Content = Contents;

    fn read(&self) -> Result<Contents, String> {
        self.0.0.files.read().map_err(|error| error.to_string())
    }

    fn parts(contents: &Contents) -> Vec<&[u8]> {
        contents.parts()
    }

    fn apply(&self, contents: Contents) -> Result<String, String> {
        let Configs { grpc, rest } =
            self.0.0.files.configs(&contents).map_err(|error| error.to_string())?;
        self.0.0.grpc.send_replace(grpc);
        self.0.0.rest.send_replace(rest);
        Ok("the next handshake uses it".to_owned())
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
    fn contents_are_used_or_refused() {
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
        let followed = FollowedTls(tls);
        let reload = || followed.read().and_then(|contents| followed.apply(contents));
        write(&directory);
        reload().unwrap();
        assert!(used.has_changed().unwrap());
        used.mark_unchanged();
        fs::write(directory.join("key"), "no key").unwrap();
        let refused = reload().unwrap_err();
        assert!(refused.ends_with("does not contain a private key in PEM"), "{refused}");
        fs::remove_file(directory.join("certificate")).unwrap();
        assert!(reload().unwrap_err().starts_with("cannot read "));
        assert!(!used.has_changed().unwrap());
        fs::remove_dir_all(&directory).unwrap();
    }
}
