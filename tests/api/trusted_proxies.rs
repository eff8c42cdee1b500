//! Proxies that say who their clients are, by a PROXY header or by `X-Forwarded-For`. The log line of
//! a refusal shows the address.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::database::Database;
use crate::support::process::Program;
use crate::support::raw_grpc::{RawGrpc, framed};
use crate::support::rest::Reply;
use crate::support::serve_process::Deployment;
use crate::support::tls::{Authority, HTTP_1, ServerFiles, TlsClient};
use crate::support::{Api, eventually};

/// A header of the PROXY protocol, version 2: the client 192.0.2.1, or none.
pub fn header(command: u8) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11, 0, 12]);
    header.extend([192, 0, 2, 1, 10, 0, 0, 1, 0x30, 0x39, 0x01, 0xbb]);
    header
}

/// The command of a header that names the client.
pub const PROXY: u8 = 0x21;
const LOCAL: u8 = 0x20;

/// A process with these settings.
struct Served {
    program: Program,
    api: Api,
    _deployment: Deployment,
}

impl Served {
    async fn start(variables: &[(&str, &str)]) -> Self {
        let deployment = Deployment::new(&Database::fresh().await);
        let mut program = Program::spawn(deployment.serve(variables));
        let api = program.ready().await;
        Self { program, api, _deployment: deployment }
    }

    /// Returns a request that is refused, with a correlation id by which its log line is found.
    fn request(&self, id: &str, headers: &[(&str, &str)]) -> Vec<u8> {
        let own = [("Connection", "close"), ("x-request-id", id)];
        self.api.request("GET", "/?Action=Nothing", &[&own, headers].concat(), b"")
    }

    /// Returns the address in the log line of the request with this correlation id.
    async fn peer(&self, id: &str) -> String {
        let id = format!(r#""correlation_id":"{id}""#);
        let line =
            || self.program.stdout().lines().find(|line| line.contains(&id)).map(str::to_owned);
        eventually("it is logged", async || line().is_some()).await;
        let line: serde_json::Value = serde_json::from_str(&line().expect("found")).expect("JSON");
        let peer = line.get("peer").or_else(|| line["fields"].get("peer"));
        peer.unwrap_or_else(|| panic!("no peer: {line}")).as_str().expect("text").to_owned()
    }

    /// Sends a header and a request that is refused, and returns the address that was logged.
    async fn peer_over_rest(&self, id: &str, begin: &[u8], headers: &[(&str, &str)]) -> String {
        let request = [begin, &self.request(id, headers)].concat();
        let reply = Reply::of(self.api.addresses.rest, &request).await;
        assert!((400..500).contains(&reply.status), "{reply:?}");
        self.peer(id).await
    }

    /// Makes a call that is refused on this connection, and returns the address that was logged.
    async fn peer_over_grpc(&self, id: &str, begin: &[u8], forwarded: &[(&str, &str)]) -> String {
        let mut stream = TcpStream::connect(self.api.addresses.grpc).await.expect("it listens");
        stream.write_all(begin).await.expect("sent");
        let path = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";
        let metadata = [&[("x-request-id", id)], forwarded].concat();
        let grpc = RawGrpc::over(stream).await;
        let status = grpc.send(path, &metadata, framed(b"")).await.status();
        assert_eq!(status.code(), tonic::Code::Unauthenticated);
        self.peer(id).await
    }
}

#[tokio::test]
async fn a_proxy_header_of_a_trusted_proxy_names_the_client() {
    let variables = [("TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8"), ("PROXY_PROTOCOL", "true")];
    let served = Served::start(&variables).await;
    assert_eq!(served.peer_over_rest("rest-1", &header(PROXY), &[]).await, "192.0.2.1");
    assert_eq!(served.peer_over_rest("rest-2", &header(LOCAL), &[]).await, "127.0.0.1");
    assert_eq!(served.peer_over_grpc("grpc-1", &header(PROXY), &[]).await, "192.0.2.1");
    assert_eq!(served.peer_over_grpc("grpc-2", &header(LOCAL), &[]).await, "127.0.0.1");
    // The client that the header names is not a trusted proxy.
    let claims = [("x-forwarded-for", "198.51.100.7")];
    assert_eq!(served.peer_over_rest("rest-3", &header(PROXY), &claims).await, "192.0.2.1");
    // The ops pages have no header.
    assert_eq!(served.api.page("/livez").await.status, 200);

    for (listener, address) in
        [("rest", served.api.addresses.rest), ("grpc", served.api.addresses.grpc)]
    {
        for begin in
            [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\n"]
        {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(begin).await.expect("sent");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.ok();
            assert_eq!(answer, b"", "closed without an answer");
        }
        let name = format!(r#"proxy_headers_refused_total{{listener="{listener}"}}"#);
        eventually("counted", async || served.api.metric(&name).await == Some(2.0)).await;
    }
}

#[tokio::test]
async fn a_proxy_header_comes_before_tls() {
    let authority = Authority::new("the authority");
    let files = ServerFiles::new(&authority.issue(&[]), &authority.pem());
    let (certificate, key) = (files.path("tls.crt"), files.path("tls.key"));
    let served = Served::start(&[
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("PROXY_PROTOCOL", "true"),
        ("TLS_CERT_FILE", &certificate),
        ("TLS_KEY_FILE", &key),
    ])
    .await;
    let mut stream = TcpStream::connect(served.api.addresses.rest).await.expect("it listens");
    stream.write_all(&header(PROXY)).await.expect("sent");
    let client = TlsClient::new(&authority.pem(), HTTP_1);
    let mut stream = client.shake(stream).await.expect("a handshake");
    stream.write_all(&served.request("tls-1", &[])).await.expect("sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.expect("answered");
    assert_eq!(served.peer("tls-1").await, "192.0.2.1");
}

#[tokio::test]
async fn a_header_of_an_untrusted_peer_is_not_read() {
    let served =
        Served::start(&[("TRUSTED_PROXIES", "10.0.0.0/8"), ("PROXY_PROTOCOL", "true")]).await;
    assert_eq!(served.peer_over_rest("rest-1", b"", &[]).await, "127.0.0.1");
    let claims = [("x-forwarded-for", "198.51.100.7")];
    assert_eq!(served.peer_over_rest("rest-2", b"", &claims).await, "127.0.0.1");
    assert_eq!(served.peer_over_grpc("grpc-1", b"", &claims).await, "127.0.0.1");
    let request = [header(PROXY), served.request("rest-3", &[])].concat();
    let reply = Reply::of(served.api.addresses.rest, &request).await;
    assert_eq!(reply.status, 400, "the header is not HTTP: {reply:?}");
}

#[tokio::test]
async fn x_forwarded_for_of_a_trusted_proxy_names_the_client() {
    let served = Served::start(&[("TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")]).await;
    let forwarded = [("x-forwarded-for", "198.51.100.7, 192.0.2.1, 10.9.9.9")];
    assert_eq!(served.peer_over_rest("rest-1", b"", &forwarded).await, "192.0.2.1");
    assert_eq!(served.peer_over_grpc("grpc-1", b"", &forwarded).await, "192.0.2.1");
    assert_eq!(served.peer_over_rest("rest-2", b"", &[]).await, "127.0.0.1");
}
