//! TLS on the gRPC and the REST listener: versions, protocols, certificates of clients, and peers
//! that do not complete a handshake.

use std::time::Duration;

use cdn_activation::proto::cdn::v1::DescribeCdnServiceRequest;
use cdn_activation::proto::cdn::v1::cdn_service_client::CdnServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::support::grpc::calling;
use crate::support::raw_grpc::RawGrpc;
use crate::support::rest::{Key, query};
use crate::support::tls::{Authority, H2, HTTP_1, ServerFiles, TlsClient};
use crate::support::{Api, eventually};

const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";
const SHORT: Duration = Duration::from_millis(300);

/// A service with TLS, beside one without it on the same database, through which tests prepare
/// accounts.
struct Secure {
    api: Api,
    plain: Api,
    authority: Authority,
    files: ServerFiles,
}

impl Secure {
    async fn start() -> Self {
        let authority = Authority::new("the authority");
        let files = ServerFiles::new(&authority.issue(&[]), &authority.pem());
        let plain = Api::start_without_workers().await;
        let api = plain.with_tls(files.tls(false)).await;
        Self { api, plain, authority, files }
    }

    fn client(&self, protocol: &[u8]) -> TlsClient {
        TlsClient::new(&self.authority.pem(), protocol)
    }

    async fn handshakes(&self, listener: &str, outcome: &str) -> f64 {
        let name = format!(r#"tls_handshakes_total{{listener="{listener}",outcome="{outcome}"}}"#);
        self.api.metric(&name).await.unwrap_or_default()
    }

    async fn handshakes_reach(&self, listener: &str, outcome: &str, count: f64) {
        let what = format!("{count} handshakes of {listener}: {outcome}");
        eventually(&what, async || self.handshakes(listener, outcome).await >= count).await;
    }
}

/// Returns the bytes of a signed request that asks for the connection to be closed.
pub fn status_request(api: &Api, key: &Key) -> Vec<u8> {
    let parameters = api.common(key, "Action=DescribeUserCdnStatus");
    let target = format!("/?{}", query(&api.sign(key, "GET", parameters)));
    api.request("GET", &target, &[("Connection", "close")], b"")
}

#[tokio::test]
async fn both_wires_are_served_over_tls_1_2_and_1_3() {
    let secure = Secure::start().await;
    let key = secure.plain.account().await;
    secure.plain.open_cdn(&key).await;
    let account = key.account_id.to_string();
    for version in [&TLS12, &TLS13] {
        let only = |protocol| TlsClient::of_version(&secure.authority.pem(), protocol, version);
        let grpc = only(H2).grpc(secure.api.addresses.grpc).await;
        let reply = grpc.call(DESCRIBE, &[("x-account-id", &account)], b"").await;
        assert_eq!(reply.status().code(), tonic::Code::Ok);
        let request = status_request(&secure.api, &key);
        let reply = only(HTTP_1).exchange(secure.api.addresses.rest, &request).await;
        assert_eq!(reply.expect("answered").succeeded().json()["OnService"], true);
    }
    secure.handshakes_reach("grpc", "complete", 2.0).await;
    secure.handshakes_reach("rest", "complete", 2.0).await;

    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(secure.authority.pem()))
        .domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", secure.api.addresses.grpc));
    let endpoint = endpoint.expect("an address").tls_config(tls).expect("an authority");
    let channel = endpoint.connect().await.expect("a handshake");
    let mut cdn = CdnServiceClient::new(calling(&channel, &key));
    let described = cdn.describe_cdn_service(DescribeCdnServiceRequest::default()).await;
    assert!(described.expect("answered").into_inner().opening_time.is_some());
}

#[tokio::test]
async fn a_client_without_alpn_is_served_and_one_with_other_protocols_is_refused() {
    let secure = Secure::start().await;
    let key = secure.plain.account().await;
    let (grpc, rest) = (secure.api.addresses.grpc, secure.api.addresses.rest);
    for (listener, address, ours, other) in [("grpc", grpc, H2, HTTP_1), ("rest", rest, HTTP_1, H2)]
    {
        let stream = secure.client(ours).connect(address).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(ours));
        let both = secure.client(ours).changed(|config| {
            config.alpn_protocols = vec![other.to_vec(), ours.to_vec()];
        });
        let stream = both.connect(address).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(ours));
        let refused = secure.client(other).connect(address).await.expect_err("refused");
        assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
        secure.handshakes_reach(listener, "no_protocol", 1.0).await;
    }
    let silent = secure.client(H2).changed(|config| config.alpn_protocols.clear());
    let raw = silent.grpc(grpc).await;
    let account = key.account_id.to_string();
    let reply = raw.call(DESCRIBE, &[("x-account-id", &account)], b"").await;
    assert_eq!(reply.status().code(), tonic::Code::Ok);
    let reply = silent.exchange(rest, &status_request(&secure.api, &key)).await;
    reply.expect("answered").succeeded();
}

/// Returns the hello of a client that speaks at most this version of TLS.
fn old_hello(minor: u8) -> Vec<u8> {
    let signatures = [0, 8, 0, 13, 0, 4, 0, 2, 4, 1];
    let body = [&[3, minor][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0], &signatures].concat();
    let length = u8::try_from(body.len()).expect("short");
    [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}

#[tokio::test]
async fn tls_1_1_is_refused_with_an_alert() {
    let secure = Secure::start().await;
    for (listener, address) in
        [("grpc", secure.api.addresses.grpc), ("rest", secure.api.addresses.rest)]
    {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(&old_hello(2)).await.expect("sent");
        let mut alert = Vec::new();
        stream.read_to_end(&mut alert).await.expect("the end");
        assert_eq!((alert[0], &alert[5..]), (21, &[2, 70][..]), "fatal protocol_version");
        secure.handshakes_reach(listener, "old_version", 1.0).await;
    }
}

#[tokio::test]
async fn plaintext_on_a_port_with_tls_gets_an_alert_and_is_counted() {
    let secure = Secure::start().await;
    for (listener, address) in
        [("grpc", secure.api.addresses.grpc), ("rest", secure.api.addresses.rest)]
    {
        for text in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
        {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(text).await.expect("sent");
            let mut alert = Vec::new();
            stream.read_to_end(&mut alert).await.expect("the end");
            assert_eq!((alert.len(), alert[0], alert[5]), (7, 21, 2), "{alert:?}");
        }
        secure.handshakes_reach(listener, "not_tls", 2.0).await;
    }
}

#[tokio::test]
async fn another_protocol_inside_tls_gets_the_answer_of_the_listener() {
    let secure = Secure::start().await;
    let client = secure.client(H2);
    let reply = client.exchange(secure.api.addresses.grpc, b"GET / HTTP/1.1\r\n\r\n").await;
    let reply = reply.expect("answered");
    assert_eq!((reply.status, &*reply.body), (400, "This port speaks gRPC, by HTTP/2 directly.\n"));
    let reply = secure.client(HTTP_1).exchange(secure.api.addresses.rest, b"no HTTP\r\n\r\n").await;
    assert_eq!(reply.expect("answered").status, 400);
}

#[tokio::test]
async fn a_client_certificate_is_verified_on_grpc_and_not_asked_for_on_rest() {
    let secure = Secure::start().await;
    let api = secure.plain.with_tls(secure.files.tls(true)).await;
    let key = secure.plain.account().await;
    let (roots, account) = (secure.authority.pem(), key.account_id.to_string());
    let call = async |client: TlsClient| {
        let grpc = client.grpc(api.addresses.grpc).await;
        grpc.call(DESCRIBE, &[("x-account-id", &account)], b"").await.status().code()
    };
    let known = secure.authority.issue(&["spiffe://example.org/orders"]);
    assert_eq!(call(TlsClient::with(&roots, Some(&known), H2)).await, tonic::Code::Ok);
    assert_eq!(call(TlsClient::new(&roots, H2)).await, tonic::Code::Ok, "the token is enough");

    let stranger = Authority::new("another authority").issue(&["spiffe://example.org/orders"]);
    let stranger = TlsClient::with(&roots, Some(&stranger), H2);
    // The client has finished its part before the server verifies the certificate.
    let refused = match stranger.connect(api.addresses.grpc).await {
        Ok(mut stream) => stream.read_u8().await.expect_err("refused"),
        Err(refused) => refused,
    };
    assert!(refused.to_string().contains("UnknownCA"), "{refused}");
    let refused = r#"tls_handshakes_total{listener="grpc",outcome="bad_certificate"}"#;
    eventually("counted", async || api.metric(refused).await == Some(1.0)).await;
    let stranger = stranger.changed(|config| config.alpn_protocols = vec![HTTP_1.to_vec()]);
    let reply = stranger.exchange(api.addresses.rest, &status_request(&api, &key)).await;
    reply.expect("answered").succeeded();
}

#[tokio::test]
async fn a_handshake_that_stops_is_ended_within_the_greeting_time() {
    let secure = Secure::start().await;
    let tls = secure.files.tls(false);
    let api = secure.plain.replica_with(|settings| {
        settings.listening.tls = Some(tls);
        settings.bounds.greeting = SHORT;
        settings.bounds.round = Duration::from_millis(50);
    });
    let api = api.await;
    for (listener, address) in [("grpc", api.addresses.grpc), ("rest", api.addresses.rest)] {
        let _silent = TcpStream::connect(address).await.expect("it listens");
        let mut half = TcpStream::connect(address).await.expect("it listens");
        half.write_all(&old_hello(3)[..20]).await.expect("sent");
        let client = secure.client(H2).changed(|config| config.alpn_protocols.clear());
        let _shaken = client.connect(address).await.expect("a handshake, and no request");
        let name = format!(r#"connections_ended_total{{listener="{listener}",reason="silent"}}"#);
        eventually("all three end", async || api.metric(&name).await == Some(3.0)).await;
    }
}

/// Opens connections whose handshake stops after the hello: the server has sent its part.
async fn stopped(secure: &Secure, address: std::net::SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut stopped = Vec::new();
    let hello = secure.client(H2).hello();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(&hello).await.expect("sent");
        stopped.push(stream);
    }
    stopped
}

#[tokio::test]
async fn handshakes_that_stop_do_not_keep_others_out() {
    let secure = Secure::start().await;
    let key = secure.plain.account().await;
    let tls = secure.files.tls(false);
    let api = secure.plain.replica_with(|settings| {
        settings.listening.tls = Some(tls);
        settings.cores = 1;
        settings.bounds.rest_connections = 100;
    });
    let api = api.await;
    // More than the places, and more than the turns of the core.
    let _stopped = stopped(&secure, api.addresses.rest, 150).await;
    let begun = tokio::time::Instant::now();
    let client = secure.client(HTTP_1);
    let reply = client.exchange(api.addresses.rest, &status_request(&api, &key)).await;
    reply.expect("answered").succeeded();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}"); // the greeting time is 10 s
}

#[tokio::test]
async fn a_handshake_is_completed_although_more_connections_than_places_come_behind_it() {
    let secure = Secure::start().await;
    let key = secure.plain.account().await;
    let tls = secure.files.tls(false);
    let api = secure.plain.replica_with(|settings| {
        settings.listening.tls = Some(tls);
        settings.bounds.grpc_connections = 20;
        // The test may be slow.
        settings.bounds.beginning_with_tls = Duration::from_mins(1);
        settings.bounds.first_bytes = Duration::from_mins(1);
    });
    let api = api.await;
    let stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    let client = secure.client(H2);
    let mut first = std::pin::pin!(client.shake(stream));
    assert!(futures_util::poll!(&mut first).is_pending(), "it has sent its hello");
    let _stopped = stopped(&secure, api.addresses.grpc, 30).await;
    let open = r#"connections_open{listener="grpc"}"#;
    eventually("all places are taken", async || api.metric(open).await >= Some(20.0)).await;
    let grpc = RawGrpc::over(first.await.expect("a handshake")).await;
    let account = key.account_id.to_string();
    let reply = grpc.call(DESCRIBE, &[("x-account-id", &account)], b"").await;
    assert_eq!(reply.status().code(), tonic::Code::Ok);
}

#[tokio::test]
async fn a_service_with_open_handshakes_stops_within_the_greeting_time() {
    let secure = Secure::start().await;
    let tls = secure.files.tls(false);
    let longest = Duration::from_mins(2);
    let api = secure.plain.replica_with(|settings| {
        settings.listening.tls = Some(tls);
        settings.drain_timeout = longest;
        settings.bounds.greeting = Duration::from_secs(3);
    });
    let api = api.await;
    let _stopped = stopped(&secure, api.addresses.grpc, 3).await;
    let begun = tokio::time::Instant::now();
    api.stop().await;
    let took = begun.elapsed();
    assert!(took < longest / 2, "{took:?}");
}
