//! TLS with the service: a certificate for it, connections to it, and a forwarder by which clients
//! that have no TLS call it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::callers::write_secret;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What a forwarder keeps of each direction of a connection: little, so that a client that does not
/// read stops the service, too.
const KEPT: usize = 8 * 1024;
/// A pause after a connection that could not be accepted.
const AGAIN: Duration = Duration::from_millis(10);

/// What is spoken within TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: the query format.
    Http1,
    /// HTTP/2: gRPC.
    Http2,
}

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// A certificate for 127.0.0.1, with its key in a file that only its owner can read.
#[derive(Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    file: PathBuf,
    key_file: PathBuf,
}

impl Certificate {
    /// Makes a certificate, and writes it to a directory.
    pub fn make(directory: &Path) -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed([LOCALHOST.to_string()])?;
        let (file, key_file) = (directory.join("tls.crt"), directory.join("tls.key"));
        fs::write(&file, made.cert.pem())?;
        write_secret(&key_file, &made.signing_key.serialize_pem())?;
        Ok(Self { der: made.cert.der().clone(), file, key_file })
    }

    /// Returns the settings by which the service takes nothing but TLS.
    pub fn settings(&self) -> [(&'static str, &Path); 2] {
        [("TLS_CERT_FILE", &self.file), ("TLS_KEY_FILE", &self.key_file)]
    }

    /// Returns a client that trusts this certificate and no other.
    pub fn client(&self, protocol: Protocol) -> anyhow::Result<TlsClient> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone())?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.name().to_vec()];
        // Each handshake is a whole one: it costs the service the most.
        config.resumption = Resumption::disabled();
        Ok(TlsClient { config: Arc::new(config), protocol })
    }
}

/// A client of one protocol.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    protocol: Protocol,
}

impl TlsClient {
    /// Connects, and shakes hands.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name(), stream).await?;
        if stream.get_ref().1.alpn_protocol() == Some(self.protocol.name()) {
            return Ok(stream);
        }
        Err(io::Error::other(format!("the server does not agree to {:?}", self.protocol)))
    }

    /// Returns the first message of a handshake.
    pub fn hello(&self) -> anyhow::Result<Vec<u8>> {
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name())?;
        let mut hello = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut hello)?;
        }
        Ok(hello)
    }
}

fn name() -> ServerName<'static> {
    ServerName::IpAddress(LOCALHOST.into())
}

/// A listener without TLS that passes each connection on to a server that takes TLS only.
#[derive(Debug)]
pub struct Forwarder {
    /// The address of its listener.
    pub address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Forwarder {
    /// Starts a forwarder, as a task of this runtime.
    pub fn before(server: SocketAddr, client: TlsClient, runtime: &Handle) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let accepting = runtime.spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Some(_) = connections.join_next() => {}
                    accepted = listener.accept() => match accepted {
                        Ok((plain, _)) => {
                            connections.spawn(forward(plain, server, client.clone()));
                        }
                        Err(_) => sleep(AGAIN).await,
                    },
                }
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        // The task has the connections, which end with it.
        self.accepting.abort();
    }
}

/// Passes bytes both ways. The end of one direction is passed on; a fault ends the connection.
async fn forward(mut plain: TcpStream, server: SocketAddr, client: TlsClient) -> io::Result<()> {
    plain.set_nodelay(true)?;
    let mut secured = client.connect(server).await?;
    copy_bidirectional_with_sizes(&mut plain, &mut secured, KEPT, KEPT).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use cdn_activation::ids::new_id;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::server;

    use super::*;

    type Secured = server::TlsStream<TcpStream>;

    /// Makes a certificate, and returns it with what a server needs.
    fn certificate() -> (Certificate, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let directory = std::env::temp_dir().join(format!("bench-{}", new_id()));
        fs::create_dir(&directory).expect("a directory");
        let certificate = Certificate::make(&directory).expect("a certificate");
        let [(_, file), (_, key_file)] = certificate.settings();
        let chain = CertificateDer::pem_file_iter(file).expect("a file");
        let chain = chain.collect::<Result<_, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(key_file).expect("a key");
        fs::remove_dir_all(&directory).expect("it is there");
        (certificate, chain, key)
    }

    /// Starts a server of TLS that does this with each connection, and a forwarder before it.
    async fn forwarded<F>(serve: impl Fn(Secured) -> F + Send + Sync + 'static) -> Forwarder
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (certificate, chain, key) = certificate();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let mut config =
            builder.with_no_client_auth().with_single_cert(chain, key).expect("they fit");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind((LOCALHOST, 0)).await.expect("a port");
        let server = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(acceptor.accept(stream).await.expect("a handshake")));
            }
        });
        let client = certificate.client(Protocol::Http2).expect("a client");
        Forwarder::before(server, client, &Handle::current()).expect("a port")
    }

    #[tokio::test]
    async fn a_forwarder_passes_bytes_and_the_end_of_either_side() {
        let forwarder = forwarded(|mut secured| async move {
            assert_eq!(secured.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let mut said = Vec::new();
            secured.read_to_end(&mut said).await.expect("bytes until their end");
            said.reverse();
            secured.write_all(&said).await.expect("it reads");
            secured.shutdown().await.expect("it is there");
        })
        .await;
        let said: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut stream = TcpStream::connect(forwarder.address).await.expect("a connection");
        stream.write_all(&said).await.expect("it reads");
        stream.shutdown().await.expect("it is there");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer until its end");
        answer.reverse();
        assert!(answer == said);
    }

    #[tokio::test]
    async fn a_forwarder_keeps_little_of_what_is_not_read() {
        let forwarder = forwarded(|secured| async move {
            sleep(Duration::from_mins(1)).await;
            drop(secured);
        })
        .await;
        let mut stream = TcpStream::connect(forwarder.address).await.expect("a connection");
        let zeros = vec![0; 64 * 1024];
        let mut sent = 0;
        let sending = async {
            while stream.write_all(&zeros).await.is_ok() {
                sent += zeros.len();
            }
        };
        assert!(timeout(Duration::from_secs(1), sending).await.is_err(), "the connection ended");
        // What the sockets of both connections hold, at most.
        assert!(sent < 32 << 20, "{sent} bytes");
        drop(forwarder);
        let mut byte = [0];
        let ended = timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
        assert!(!matches!(ended.expect("the connection goes on"), Ok(1..)));
    }

    #[tokio::test]
    async fn a_client_says_hello_first() {
        let (certificate, ..) = certificate();
        let hello = certificate.client(Protocol::Http1).and_then(|client| client.hello());
        let hello = hello.expect("a message");
        // A record of a handshake, whose length is in its header, and a ClientHello in it.
        assert_eq!((hello[0], hello[5]), (22, 1));
        assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
    }
}
