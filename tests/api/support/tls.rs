//! Certificate authorities, the files of a server's TLS, and clients over TLS.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use cdn_activation::server::{Listening, ServerSettings, Tls, TlsFiles};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion,
};

use super::Api;
use super::raw_grpc::RawGrpc;
use super::rest::Reply;
use super::scratch::Scratch;

/// The protocol of gRPC in ALPN.
pub const H2: &[u8] = b"h2";
/// The protocol of the RPC query format in ALPN.
pub const HTTP_1: &[u8] = b"http/1.1";

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// Creates an authority with this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("random bytes");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Returns its own certificate in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for the loopback address, `localhost` and the given names and
    /// addresses.
    pub fn issue(&self, names: &[&str]) -> Issued {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        for name in names {
            let ascii = (*name).try_into().expect("ASCII");
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) if name.contains("://") => SanType::URI(ascii),
                Err(_) => SanType::DnsName(ascii),
            });
        }
        let key = KeyPair::generate().expect("random bytes");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Issued {
    /// Returns the certificate in DER, as a peer sees it.
    pub fn der(&self) -> Vec<u8> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        certificate.expect("a certificate").to_vec()
    }
}

/// The files of a server's TLS. They are replaced together, as Kubernetes does: the directory is a
/// symbolic link that moves.
pub struct ServerFiles {
    scratch: Scratch,
    version: u32,
}

impl ServerFiles {
    /// Creates the files with a certificate and, if given, the authorities of clients.
    pub fn new(issued: &Issued, client_ca: &str) -> Self {
        let mut files = Self { scratch: Scratch::new(), version: 0 };
        files.put(issued, client_ca);
        files
    }

    /// Replaces all of them.
    pub fn put(&mut self, issued: &Issued, client_ca: &str) {
        self.version += 1;
        let version = self.scratch.0.join(self.version.to_string());
        fs::create_dir(&version).expect("a new directory");
        let texts =
            [("tls.crt", &*issued.certificate), ("tls.key", &*issued.key), ("ca.crt", client_ca)];
        for (name, text) in texts {
            fs::write(version.join(name), text).expect("written");
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(version.join("tls.key"), private).expect("it is ours");
        let next = self.scratch.0.join("next");
        symlink(&version, &next).expect("a new link");
        fs::rename(&next, self.scratch.0.join("current")).expect("moved");
    }

    /// Returns the path of a file.
    pub fn path(&self, name: &str) -> String {
        self.scratch.0.join("current").join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Returns the TLS of a server with these files, and with the authorities of clients if asked.
    pub fn tls(&self, with_clients: bool) -> Tls {
        let files = TlsFiles {
            certificate: self.path("tls.crt").into(),
            key: self.path("tls.key").into(),
            client_ca: with_clients.then(|| self.path("ca.crt").into()),
        };
        Tls::load(files).expect("files that fit")
    }
}

impl Api {
    /// Starts a replica with TLS. It reads its files often.
    pub async fn with_tls(&self, tls: Tls) -> Self {
        self.replica_with(|settings| {
            settings.listening = Listening { tls: Some(tls), ..Listening::default() };
            settings.bounds.look_at_files = Duration::from_millis(50);
        })
        .await
    }

    /// Starts a replica with other settings on the same database, with the same clock.
    pub async fn replica_with(&self, change: impl FnOnce(&mut ServerSettings)) -> Self {
        let (key, clock) = (self.sealing_key.clone(), self.clock.clone());
        Self::start_on(self.database.clone(), key, clock, change).await
    }
}

/// How a client makes handshakes.
#[derive(Clone)]
pub struct TlsClient {
    config: ClientConfig,
    name: &'static str,
}

impl TlsClient {
    /// Creates a client that trusts these authorities, in PEM, and offers this protocol.
    pub fn new(roots: &str, protocol: &[u8]) -> Self {
        Self::with(roots, None, protocol)
    }

    /// The same with a certificate.
    pub fn with(roots: &str, issued: Option<&Issued>, protocol: &[u8]) -> Self {
        Self::built(roots, issued, protocol, &[&TLS13, &TLS12])
    }

    fn built(
        roots: &str,
        issued: Option<&Issued>,
        protocol: &[u8],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
            store.add(root.expect("PEM")).expect("an authority");
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(store);
        let mut config = match issued {
            None => builder.with_no_client_auth(),
            Some(Issued { certificate, key }) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                let chain = chain.map(|certificate| certificate.expect("PEM")).collect();
                builder.with_client_auth_cert(chain, key).expect("they fit")
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Self { config, name: "localhost" }
    }

    /// The same with one version of TLS.
    pub fn of_version(
        roots: &str,
        protocol: &[u8],
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        Self::built(roots, None, protocol, &[version])
    }

    /// Returns the same client with a change.
    pub fn changed(&self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = self.config.clone();
        change(&mut config);
        Self { config, name: self.name }
    }

    /// Returns the same client, which expects a server of this name.
    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// Returns the first message of a handshake.
    pub fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from(self.name).expect("a name");
        let client = ClientConnection::new(Arc::new(self.config.clone()), name);
        let mut hello = Vec::new();
        client.expect("a configuration").write_tls(&mut hello).expect("a Vec takes all");
        hello
    }

    /// Opens a connection.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        self.shake(stream).await
    }

    /// Makes a handshake on a connection.
    pub async fn shake(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.name).expect("a name");
        TlsConnector::from(Arc::new(self.config.clone())).connect(name, stream).await
    }

    /// Opens a connection for gRPC by hand.
    pub async fn grpc(&self, address: SocketAddr) -> RawGrpc {
        RawGrpc::over(self.connect(address).await.expect("a handshake")).await
    }

    /// Sends a request that asks for the connection to be closed, and returns the reply.
    pub async fn exchange(&self, address: SocketAddr, request: &[u8]) -> io::Result<Reply> {
        let mut stream = self.connect(address).await?;
        stream.write_all(request).await?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await?;
        Ok(Reply::parse(&reply))
    }
}
