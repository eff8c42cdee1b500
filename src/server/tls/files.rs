//! The files of a listener's TLS, and the configurations that are made of their contents.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, version};
use zeroize::Zeroizing;

use crate::auth::secret_files::read_secret;

/// The files with which a server shows who it is and verifies its clients.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate of the server and those of its authorities, in PEM.
    pub certificate: PathBuf,
    /// The key of the certificate, in PEM.
    pub key: PathBuf,
    /// The authorities that verify the certificates of gRPC clients, in PEM. Without it, clients are
    /// not asked for a certificate.
    pub client_ca: Option<PathBuf>,
}

/// The files cannot be used. The text is a sentence that names a setting or a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

/// The contents of the files.
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<String>,
    client_ca: Option<Vec<u8>>,
}

/// A configuration for each listener. They differ in the protocol that they offer, and in the
/// certificates of clients, for which only gRPC asks.
pub(super) struct Configs {
    pub grpc: Arc<ServerConfig>,
    pub rest: Arc<ServerConfig>,
}

impl Contents {
    /// Returns what each file contains.
    pub fn parts(&self) -> Vec<&[u8]> {
        let Self { certificate, key, client_ca } = self;
        vec![certificate, key.as_bytes(), client_ca.as_deref().unwrap_or_default()]
    }
}

impl TlsFiles {
    /// Reads the files.
    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map_err(|error| TlsError(format!("cannot read {}: {error}", path.display())))
        };
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read_secret(&self.key).map_err(|refused| TlsError(refused.to_string()))?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    /// Makes configurations of the contents, and checks that they fit together.
    pub(super) fn configs(&self, contents: &Contents) -> Result<Configs, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&self.certificate, &contents.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(contents.key.as_bytes()).map_err(|_| {
            TlsError(format!("{} does not contain a private key in PEM", self.key.display()))
        })?;
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            TlsError(format!("{certificate} and {key} cannot be used together: {error}"))
        })?;
        let resolver = Arc::new(SingleCertAndKey::from(certified));
        let verifier = self.verifier(contents, &provider)?;
        let config = |verifier: Option<&Arc<dyn ClientCertVerifier>>, protocol: &[u8]| {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(&[&version::TLS13, &version::TLS12])
                .expect("ring has cipher suites of both versions");
            let mut config = match verifier {
                Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
                None => builder.with_no_client_auth(),
            }
            .with_cert_resolver(resolver.clone());
            config.alpn_protocols = vec![protocol.to_vec()];
            config.session_storage = Arc::new(NoServerSessionStorage {});
            // A resumed session is not verified again, so it could outlive a client's certificate.
            if verifier.is_none() {
                config.ticketer = tickets()?;
            } else {
                config.send_tls13_tickets = 0;
            }
            Ok(Arc::new(config))
        };
        Ok(Configs { grpc: config(verifier.as_ref(), b"h2")?, rest: config(None, b"http/1.1")? })
    }

    /// Returns what verifies the certificates of clients. A client without one is accepted, because
    /// it may send a token.
    fn verifier(
        &self,
        contents: &Contents,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
        let (Some(path), Some(bundle)) = (&self.client_ca, &contents.client_ca) else {
            return Ok(None);
        };
        let unusable = |error: &dyn std::fmt::Display| {
            TlsError(format!("{} cannot verify client certificates: {error}", path.display()))
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, bundle)? {
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let verifier = builder.allow_unauthenticated().build();
        verifier.map(|verifier| Some(verifier as Arc<_>)).map_err(|error| unusable(&error))
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| TlsError(format!("{} does not contain certificates in PEM", path.display())))
}

/// Returns the keys of session tickets. Each configuration has its own, so that no session outlives
/// the certificate with which it began.
fn tickets() -> Result<Arc<dyn ProducesTickets>, TlsError> {
    ring::Ticketer::new()
        .map_err(|error| TlsError(format!("session tickets cannot be made: {error}")))
}
