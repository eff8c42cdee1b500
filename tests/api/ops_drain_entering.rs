//! Connections whose TLS handshake or PROXY header has begun when the listeners close: they enter, and
//! their first request is answered. Those that have sent nothing do not hold the drain.

use std::time::Duration;

use cdn_activation::server::{Listening, TrustedProxies};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::raw_grpc::{framed, token};
use crate::support::rest::{Key, Reply, query};
use crate::support::tls::{Authority, H2, HTTP_1, ServerFiles, TlsClient};
use crate::support::{Api, eventually};
use crate::trusted_proxies::{PROXY, header};

/// The drain, and the time until a first request is complete. A stop that waits for either of them
/// takes longer than [`SOON`].
const LONGEST: Duration = Duration::from_mins(5);
const SOON: Duration = Duration::from_mins(1);
/// When the listeners close, a connection is new, or it is older than the time in which a silent one
/// counts as new.
const DELAYS: [Duration; 2] = [Duration::ZERO, Duration::from_secs(2)];

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;

/// Starts a replica with one core, which takes connections and reads from them in turn.
async fn replica(plain: &Api, listening: Listening, delay: Duration) -> Api {
    let replica = plain.replica_with(|settings| {
        settings.cores = 1;
        settings.listening = listening;
        settings.drain_delay = delay;
        settings.drain_timeout = LONGEST;
        settings.bounds.greeting = LONGEST;
    });
    replica.await
}

/// Returns a signed request that does not ask for the connection to be closed.
fn signed(api: &Api, key: &Key) -> Vec<u8> {
    let parameters = api.common(key, "Action=DescribeUserCdnStatus");
    let target = format!("/?{}", query(&api.sign(key, "GET", parameters)));
    api.request("GET", &target, &[], b"")
}

/// Checks that the request is answered and that the answer closes the connection.
async fn is_answered(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) {
    stream.write_all(request).await.expect("sent");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.expect("an answer, and the end");
    let reply = Reply::parse(&reply);
    assert_eq!((reply.status, reply.headers["connection"].as_str()), (200, "close"), "{reply:?}");
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Returns the first bytes of a client with a call. They are sent at once: a client that has read
/// GOAWAY begins no call.
fn call(key: &Key) -> Vec<u8> {
    let (authorization, token) = token();
    let account = key.account_id.to_string();
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", "/activation.cdn.v1.CdnService/DescribeUserCdnStatus"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        (authorization, token.as_str()),
        ("x-account-id", account.as_str()),
    ] {
        block.push(0); // a literal that is not added to the table
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend(text.bytes());
        }
    }
    let settings = frame(4, 0, 0, b"");
    let (head, message) = (frame(HEADERS, 4, 1, &block), frame(DATA, END_STREAM, 1, &framed(b"")));
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &head, &message].concat()
}

/// Checks that the call is answered with a message.
async fn call_is_answered(mut stream: impl AsyncRead + AsyncWrite + Unpin, call: &[u8]) {
    stream.write_all(call).await.expect("sent");
    let mut has_message = false;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("the call ends before the connection");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("short")];
        stream.read_exact(&mut payload).await.expect("a whole frame");
        let (kind, flags) = (head[3], head[4]);
        if head[5..] == [0, 0, 0, 1] && [DATA, HEADERS].contains(&kind) {
            has_message |= kind == DATA && payload.len() >= 5;
            if flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert!(has_message, "the call failed");
}

/// Begins a handshake: the hello is sent, and nothing more until the future is polled.
async fn begun(
    client: &TlsClient,
    address: std::net::SocketAddr,
) -> BoxFuture<'static, std::io::Result<TlsStream<TcpStream>>> {
    let (stream, client) = (TcpStream::connect(address).await.expect("it listens"), client.clone());
    let mut shaking = async move { client.shake(stream).await }.boxed();
    assert!(futures_util::poll!(&mut shaking).is_pending());
    shaking
}

/// Asks the replica to stop, and waits until its listeners are closed.
async fn close(api: &mut Api) -> tokio::task::JoinHandle<()> {
    let ended = api.begin_stop();
    for address in [api.addresses.grpc, api.addresses.rest] {
        eventually("closed", async || TcpStream::connect(address).await.is_err()).await;
    }
    assert!(!ended.is_finished());
    ended
}

#[tokio::test]
async fn a_handshake_that_has_begun_when_the_listeners_close_is_completed_and_its_request_answered()
{
    let authority = Authority::new("the authority");
    let files = ServerFiles::new(&authority.issue(&[]), &authority.pem());
    let client = |protocol| TlsClient::new(&authority.pem(), protocol);
    let plain = Api::start_without_workers().await;
    let key = plain.account().await;
    for delay in DELAYS {
        let tls = Some(files.tls(false));
        let mut api = replica(&plain, Listening { tls, ..Listening::default() }, delay).await;
        let mut silent = Vec::new();
        for address in [api.addresses.rest, api.addresses.grpc] {
            silent.push(TcpStream::connect(address).await.expect("it listens"));
        }
        let rest = begun(&client(HTTP_1), api.addresses.rest).await;
        let grpc = begun(&client(H2), api.addresses.grpc).await;
        // The core has read both, because it has completed later handshakes.
        client(HTTP_1).connect(api.addresses.rest).await.expect("a handshake");
        client(H2).connect(api.addresses.grpc).await.expect("a handshake");
        let asked = tokio::time::Instant::now();
        let ended = close(&mut api).await;
        is_answered(rest.await.expect("a handshake"), &signed(&api, &key)).await;
        call_is_answered(grpc.await.expect("a handshake"), &call(&key)).await;
        ended.await.expect("the service ends in good order");
        assert!(asked.elapsed() < SOON, "silent connections hold the drain");
    }
}

#[tokio::test]
async fn a_proxy_header_that_has_begun_when_the_listeners_close_is_read_and_its_request_answered() {
    let plain = Api::start_without_workers().await;
    let key = plain.account().await;
    let header = header(PROXY);
    for delay in DELAYS {
        let proxies = TrustedProxies::new(&["127.0.0.1/32".parse().expect("a network")], true);
        let listening = Listening { proxies, ..Listening::default() };
        let mut api = replica(&plain, listening, delay).await;
        let (mut begun, mut silent) = (Vec::new(), Vec::new());
        for address in [api.addresses.rest, api.addresses.grpc] {
            silent.push(TcpStream::connect(address).await.expect("it listens"));
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(&header[..10]).await.expect("sent");
            begun.push(stream);
            // The core has read it, because it closes a later connection without a header.
            let mut other = TcpStream::connect(address).await.expect("it listens");
            other.write_all(&[b'a'; 64]).await.expect("sent");
            other.read_to_end(&mut Vec::new()).await.ok();
        }
        let asked = tokio::time::Instant::now();
        let ended = close(&mut api).await;
        let (grpc, rest) = (begun.pop().expect("the second"), begun.pop().expect("the first"));
        is_answered(rest, &[&header[10..], &signed(&api, &key)].concat()).await;
        call_is_answered(grpc, &[&header[10..], &call(&key)].concat()).await;
        ended.await.expect("the service ends in good order");
        assert!(asked.elapsed() < SOON, "silent connections hold the drain");
    }
}
