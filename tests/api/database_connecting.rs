//! Failures to connect to the database. No statement was sent, so the caller gets
//! `ServiceUnavailable`, and `/readyz` reports the cause once.

use std::time::Duration;

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::proto::cdn::v1 as cdn;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::database::Database;
use crate::support::grpc::refusal;
use crate::support::proxy::Proxy;
use crate::support::rest::Key;
use crate::support::{Api, SEALING_KEY, eventually};

/// Starts a server that is not a PostgreSQL server. It sends these bytes to each client and keeps
/// the connection open. Returns its URL.
async fn start_other_server(greeting: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut clients = Vec::new(); // kept open
        while let Ok((mut client, _)) = listener.accept().await {
            client.write_all(greeting).await.ok();
            clients.push(client);
        }
    });
    format!("postgres://postgres@{address}/cdn?sslmode=disable")
}

/// Checks that a service with this database refuses requests over both wires as unavailable, and
/// that `/readyz` reports this cause.
pub async fn assert_unavailable(url: String, cause: &str) {
    let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
    let (api, _announced) =
        Api::start_unready(Database { url: url.clone() }, sealing_key, Clock::system(), |_| {})
            .await;
    eventually(cause, async || api.page("/readyz").await.body.contains("does not answer: ")).await;
    let reported = api.page("/readyz").await.body;
    assert_eq!(reported.matches(cause).count(), 1, "{url}: {reported}");
    assert!(!reported.contains("pass-word"), "{reported}");

    let unknown = Key { account_id: 1, id: "LTAI-nobody".to_owned(), secret: "x".to_owned() };
    let message = "The request has failed due to a temporary failure of the server.";
    let answer = api.get(&unknown, "Action=OpenCdnService").await;
    answer.refused(503, "ServiceUnavailable", message);
    let request = cdn::OpenCdnServiceRequest::default();
    let answer = api.cdn_for(Some("1")).await.open_cdn_service(request).await;
    let answer = answer.expect_err("no database");
    let refused = refusal(&answer);
    assert_eq!((refused.grpc, refused.http), (tonic::Code::Unavailable, 503), "{url}: {answer:?}");
    api.stop().await;
}

#[tokio::test]
async fn the_service_is_unavailable_if_the_server_refuses_tls() {
    // The server answers a request for TLS with `N` if it does not support TLS.
    let url = start_other_server(b"N").await.replace("sslmode=disable", "sslmode=require");
    assert_unavailable(url, "TLS: server does not support TLS").await;
}

#[tokio::test]
async fn the_service_is_unavailable_if_the_server_ends_the_connection_at_once() {
    let (proxy, url) = Proxy::before_database(&Database::fresh().await).await;
    proxy.turn_away(true);
    assert_unavailable(url, "does not answer: ").await;
}

#[tokio::test]
async fn the_service_is_unavailable_if_the_server_speaks_another_protocol() {
    assert_unavailable(
        start_other_server(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
        "does not answer: ",
    )
    .await;
}

#[tokio::test]
async fn the_service_is_unavailable_if_the_server_does_not_answer() {
    assert_unavailable(start_other_server(b"").await, "no answer within 5s").await;
}

/// Starts a server in front of a database that makes each new connection wait. Returns the URL of the
/// database through it.
async fn start_slow_server(database: &Database, wait: Duration) -> String {
    let (proxy, url) = Proxy::before_database(database).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let behind = proxy.address;
    tokio::spawn(async move {
        let _proxy = proxy; // it ends with this task
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                let mut server = TcpStream::connect(behind).await.expect("the proxy accepts");
                tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
            });
        }
    });
    url.replace(&behind.to_string(), &address.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_three_seconds_to_accept_a_connection_is_used() {
    let url = start_slow_server(&Database::fresh().await, Duration::from_secs(3)).await;
    let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
    let api = Api::start_on(Database { url }, sealing_key, Clock::system(), |_| {}).await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.stop().await;
}

#[tokio::test]
async fn the_service_is_unavailable_if_the_database_does_not_exist() {
    let (_proxy, url) = Proxy::before_database(&Database::fresh().await).await;
    let (server, _) = url.rsplit_once('/').expect("a name");
    let url = format!("{server}/nowhere?sslmode=disable");
    assert_unavailable(url, "database \"nowhere\" does not exist (SQLSTATE 3D000)").await;
}

#[tokio::test]
async fn the_service_is_unavailable_if_the_role_does_not_exist() {
    let (_proxy, url) = Proxy::before_database(&Database::fresh().await).await;
    let url = url.replace("postgres@", "nobody:pass-word@");
    assert_unavailable(url, "role \"nobody\" does not exist (SQLSTATE 28000)").await;
}
