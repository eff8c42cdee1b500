//! How long a connection may be silent, not be read from, do nothing, and be at all.

use std::time::Duration;

use cdn_activation::server::Bounds;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::ended;
use crate::support::Api;
use crate::support::rest::query;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0\0\0\0\0\0\0\0\0";
const SHORT: Duration = Duration::from_millis(300);

async fn start(change: impl FnOnce(&mut Bounds)) -> Api {
    Api::start_with(|settings| {
        settings.bounds.round = Duration::from_millis(50);
        change(&mut settings.bounds);
    })
    .await
}

#[tokio::test]
async fn a_connection_that_sends_no_handshake_is_ended() {
    let api = start(|bounds| bounds.greeting = SHORT).await;
    let _silent = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    let mut half = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    half.write_all(PREFACE).await.expect("sent");
    half.write_all(&SETTINGS[..8]).await.expect("sent");
    ended(&api, "grpc", "silent", 2.0).await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_called_is_ended() {
    let api = start(|bounds| (bounds.idle, bounds.cut_off) = (SHORT, SHORT)).await;
    let mut idle = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    idle.write_all(&[PREFACE, SETTINGS].concat()).await.expect("sent");
    ended(&api, "grpc", "idle", 1.0).await;
    // One that only watches is not idle.
    let mut health = HealthClient::new(api.channel().await);
    let mut watch =
        health.watch(HealthCheckRequest::default()).await.expect("watched").into_inner();
    watch.message().await.expect("a message");
    let next = tokio::time::timeout(SHORT * 4, watch.message()).await;
    assert!(next.is_err(), "it goes on: {next:?}");
}

/// A connection that sends and never reads.
async fn blind(address: std::net::SocketAddr, bytes: Vec<u8>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("set");
    let mut stream = socket.connect(address).await.expect("it listens");
    tokio::spawn(async move { while stream.write_all(&bytes).await.is_ok() {} });
}

#[tokio::test]
async fn a_connection_whose_peer_does_not_read_is_ended() {
    let api = start(|bounds| bounds.write = SHORT).await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    blind(api.addresses.rest, request("/").repeat(100)).await;
    blind(api.addresses.ops, request("/metrics").repeat(10)).await;
    let mut grpc = [PREFACE, SETTINGS].concat();
    grpc.extend(PING.repeat(100_000));
    blind(api.addresses.grpc, grpc).await;
    for listener in ["rest", "ops", "grpc"] {
        ended(&api, listener, "stalled", 1.0).await;
    }
}

#[tokio::test]
async fn an_old_connection_is_asked_to_end_and_cut_off_where_it_does_not() {
    let api = start(|bounds| {
        bounds.age = SHORT;
        bounds.cut_off = Duration::from_secs(1);
    })
    .await;
    let mut health = HealthClient::new(api.channel().await);
    let mut watch =
        health.watch(HealthCheckRequest::default()).await.expect("watched").into_inner();
    watch.message().await.expect("a message");
    assert!(watch.message().await.is_err(), "the watch was cut off");
    ended(&api, "grpc", "age", 1.0).await;
}

#[tokio::test]
async fn an_old_connection_of_the_signed_format_ends_with_its_next_answer() {
    let api = start(|bounds| bounds.age = SHORT).await;
    let key = api.account().await;
    let mut connection = api.connect().await;
    let signed = || {
        let parameters = api.common(&key, "Action=DescribeUserCdnStatus");
        let target = format!("/?{}", query(&api.sign(&key, "GET", parameters)));
        api.request("GET", &target, &[], b"")
    };
    loop {
        connection.send(&signed()).await;
        let reply = connection.reply().await.expect("no request is lost");
        assert_eq!(reply.status, 200);
        if reply.headers.get("connection").is_some_and(|value| value == "close") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(connection.has_ended().await);
    ended(&api, "rest", "age", 1.0).await;
}
