//! TLS to a database on another host: without an `sslmode`, its certificate is verified. `0.0.0.0`
//! leads to this host, and is not a loopback address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;

use crate::database_connecting::assert_unavailable;
use crate::support::database::Database;
use crate::support::scratch::Scratch;
use crate::support::tls::{Authority, Issued};
use crate::support::upstream::Upstream;
use crate::support::{Api, SEALING_KEY};

/// The request of PostgreSQL's protocol for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What terminates TLS in front of a database, as a pooler does.
struct TlsFront {
    address: SocketAddr,
    /// How many clients have accepted its certificate and sent something.
    accepted: Arc<AtomicUsize>,
}

impl TlsFront {
    async fn start(database: &Database, issued: &Issued) -> Self {
        let chain =
            vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they fit");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (upstream, accepted) = (Upstream::of(database), Arc::<AtomicUsize>::default());
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
                tokio::spawn(serve(client, acceptor, upstream, Arc::clone(&count)));
            }
        });
        Self { address, accepted }
    }

    /// Returns a URL without an `sslmode`, with further parameters.
    fn url(&self, name: &str, parameters: &str) -> String {
        let port = self.address.port();
        format!("postgres://postgres:pass-word@0.0.0.0:{port}/{name}{parameters}")
    }
}

async fn serve(
    mut client: TcpStream,
    acceptor: TlsAcceptor,
    upstream: Upstream,
    accepted: Arc<AtomicUsize>,
) -> Option<()> {
    let mut request = [0; 8];
    client.read_exact(&mut request).await.ok()?;
    assert_eq!(request, SSL_REQUEST, "nothing is sent before TLS");
    client.write_all(b"S").await.ok()?;
    let mut client = acceptor.accept(client).await.ok()?;
    let mut first = [0; 1];
    client.read_exact(&mut first).await.ok()?;
    accepted.fetch_add(1, Ordering::Relaxed);
    let mut server = upstream.connect().await.ok()?;
    server.write_all(&first).await.ok()?;
    copy_bidirectional(&mut client, &mut server).await.ok().map(|_| ())
}

/// A database, an authority, and the file of the authority.
struct Case {
    database: Database,
    name: String,
    authority: Authority,
    scratch: Scratch,
}

impl Case {
    async fn new() -> Self {
        let (database, authority) = (Database::fresh().await, Authority::new("databases"));
        let name = database.url.split(['/', '?']).nth(3).expect("a name").to_owned();
        Self { database, name, authority, scratch: Scratch::new() }
    }

    /// Returns the parameter that makes this authority the only one that is trusted.
    fn trusting(&self, authority: &Authority) -> String {
        format!("?sslrootcert={}", self.scratch.file("ca.crt", &authority.pem()))
    }

    async fn assert_refused(&self, issued: &Issued, parameters: &str, cause: &str) {
        let front = TlsFront::start(&self.database, issued).await;
        assert_unavailable(front.url(&self.name, parameters), cause).await;
        assert_eq!(front.accepted.load(Ordering::Relaxed), 0, "no password is sent");
    }
}

#[tokio::test]
async fn a_database_on_another_host_with_a_certificate_of_its_name_is_used() {
    let case = Case::new().await;
    let front = TlsFront::start(&case.database, &case.authority.issue(&["0.0.0.0"])).await;
    let url = front.url(&case.name, &case.trusting(&case.authority));
    let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
    let api = Api::start_on(Database { url }, sealing_key, Clock::system(), |_| {}).await;
    assert_eq!(api.page("/readyz").await.body, "ready\n");
    let key = api.account().await;
    api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
    assert!(front.accepted.load(Ordering::Relaxed) > 0, "the connections use TLS");
}

#[tokio::test]
async fn a_database_on_another_host_with_a_certificate_of_another_name_is_refused() {
    let case = Case::new().await;
    let issued = case.authority.issue(&["db.example"]);
    case.assert_refused(&issued, &case.trusting(&case.authority), "not valid for name").await;
}

#[tokio::test]
async fn a_database_on_another_host_with_a_certificate_of_an_unknown_authority_is_refused() {
    let case = Case::new().await;
    let issued = case.authority.issue(&["0.0.0.0"]);
    let other = case.trusting(&Authority::new("others"));
    case.assert_refused(&issued, &other, "UnknownIssuer").await;
    case.assert_refused(&issued, "", "UnknownIssuer").await; // trusts those of the system
}
