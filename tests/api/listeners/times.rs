//! How long a connection may be silent, unread, idle, and open.

use std::time::Duration;

use cdn_activation::server::Bounds;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    // A connection with only a watch is not idle.
    let mut health = HealthClient::new(api.channel().await);
    let mut watch =
        health.watch(HealthCheckRequest::default()).await.expect("watched").into_inner();
    watch.message().await.expect("a message");
    let next = tokio::time::timeout(SHORT * 4, watch.message()).await;
    assert!(next.is_err(), "the watch stays open: {next:?}");
}

/// Opens a connection that sends and never reads.
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
async fn an_old_connection_is_asked_to_end_and_is_cut_off_if_it_does_not() {
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

#[tokio::test]
async fn a_connection_is_kept_longer_than_its_answers_announce() {
    let api = start(|bounds| bounds.keep_alive = Duration::from_secs(3)).await;
    for address in [api.addresses.rest, api.addresses.ops] {
        let mut kept = TcpStream::connect(address).await.expect("it listens");
        let mut answer = async |request: &str| {
            kept.write_all(request.as_bytes()).await.expect("sent");
            let mut read = vec![0; 4096];
            let length = kept.read(&mut read).await.expect("answered");
            String::from_utf8(read[..length].to_vec()).expect("text")
        };
        let get = "GET /livez HTTP/1.1\r\nHost: h\r\n\r\n";
        for _ in 0..2 {
            assert!(answer(get).await.contains("\r\nKeep-Alive: timeout=1\r\n"));
            // Longer than announced.
            tokio::time::sleep(Duration::from_millis(1300)).await;
        }
        let last = answer("GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
        assert!(last.starts_with("HTTP/1.1 ") && !last.contains("Keep-Alive"), "{last}");
    }
    let mut idle = TcpStream::connect(api.addresses.rest).await.expect("it listens");
    idle.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    ended(&api, "rest", "idle", 1.0).await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer_pings_is_disconnected() {
    let api = start(|bounds| {
        (bounds.keepalive_interval, bounds.keepalive_timeout) = (SHORT, SHORT);
    })
    .await;
    let mut deaf = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
    deaf.write_all(&[PREFACE, SETTINGS].concat()).await.expect("sent");
    let mut read = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), deaf.read_to_end(&mut read)).await;
    end.expect("the connection is ended").ok();
    let ping = &[0, 0, 8, 6, 0][..]; // its length, its type, no flag
    assert!(read.windows(ping.len()).any(|bytes| bytes == ping), "{read:?}");
}

#[tokio::test]
async fn a_client_is_told_how_many_calls_a_connection_may_have_at_once() {
    for streams in [200, 7] {
        let api = start(|bounds| bounds.streams = streams).await;
        let mut stream = TcpStream::connect(api.addresses.grpc).await.expect("it listens");
        stream.write_all(&[PREFACE, SETTINGS].concat()).await.expect("sent");
        let setting = [&[0, 3][..], &streams.to_be_bytes()].concat();
        let mut read: Vec<u8> = Vec::new();
        while !read.windows(setting.len()).any(|bytes| bytes == setting) {
            let mut more = [0; 256];
            let length = stream.read(&mut more).await.expect("the settings");
            assert!(length > 0, "{read:?}");
            read.extend(&more[..length]);
        }
    }
}
