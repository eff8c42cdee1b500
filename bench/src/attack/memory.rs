//! Attacks that make a server keep bytes, without a token: large messages, heads that never end,
//! answers that are not read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use hyper::body::Frame;
use hyper::client::conn::http2::SendRequest;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout, timeout_at};

use super::Outcome;
use super::field::Serve;
use super::wire::{http2, post};

/// The most streams that a connection may have.
const STREAMS: usize = 200;
/// A message that is a little shorter than tonic's own limit.
const LARGE: usize = 4 * 1024 * 1024 - 1024;
const CHUNK: usize = 16 * 1024;
/// Connections with a head that never ends, to each of two listeners.
const HEADS: usize = 300;
const HEAD: usize = 47 * 1024;
/// Connections on which no answer is read.
const READERS: usize = 100;
/// Requests that are written at once.
const PIPELINED: usize = 64;
/// A pause after a failure.
const AGAIN: Duration = Duration::from_millis(10);
const SERVICES: [&str; 2] =
    ["/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"];

type Body = BoxBody<Bytes, std::io::Error>;

/// Sends large messages without their end to services that need no token.
pub async fn streams(serve: &Serve, lasts: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + lasts;
    let mut outcome = Outcome::default();
    while Instant::now() < until {
        // If the server ends the connections, others are opened.
        let connections = [http2::<Body>(serve.grpc, None).await?, http2(serve.grpc, None).await?];
        let sending = (0..STREAMS).map(|number| {
            let connection = connections[number / (STREAMS / 2)].clone();
            large_messages(connection, SERVICES[number % 2], until)
        });
        for (sent, answered) in join_all(sending).await {
            outcome.sent += sent;
            outcome.answered += answered;
        }
        sleep(AGAIN).await;
    }
    "messages of 4 MiB".clone_into(&mut outcome.note);
    Ok(outcome)
}

async fn large_messages(
    mut connection: SendRequest<Body>,
    path: &str,
    until: Instant,
) -> (u64, u64) {
    let (mut sent, mut answered) = (0, 0);
    while Instant::now() < until && !connection.is_closed() {
        let Ok(request) = post(path, &[], endless()) else { break };
        sent += 1;
        let answer = async {
            let answer = connection.send_request(request).await?;
            answer.into_body().collect().await
        };
        match timeout_at(until.into(), answer).await {
            Ok(Ok(_)) => answered += 1,
            Ok(Err(_)) => sleep(AGAIN).await,
            Err(_) => break,
        }
    }
    (sent, answered)
}

/// Returns the head of a message and all of its bytes but the last ones.
fn endless() -> Body {
    let length = u32::try_from(LARGE).expect("4 MiB").to_be_bytes();
    let head = Bytes::from([&[0][..], &length].concat());
    let zeros = Bytes::from_static(&[0; CHUNK]);
    let frames = stream::unfold((Some(head), 0), move |(head, sent)| {
        let zeros = zeros.clone();
        async move {
            if let Some(head) = head {
                return Some((Ok(Frame::data(head)), (None, 0)));
            }
            if sent + CHUNK >= LARGE {
                std::future::pending::<()>().await;
            }
            Some((Ok(Frame::data(zeros)), (None, sent + CHUNK)))
        }
    });
    StreamBody::new(frames).boxed()
}

/// Sends heads of requests that never end.
pub async fn heads(serve: &Serve, lasts: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + lasts;
    let head = [&b"GET / HTTP/1.1\r\nhost: a\r\nx: "[..], &vec![b'x'; HEAD]].concat();
    let sending = [serve.rest, serve.ops].into_iter().flat_map(|address| {
        let head = &head;
        (0..HEADS).map(move |_| unfinished(address, head, lasts))
    });
    let opened: Vec<_> = join_all(sending).await.into_iter().flatten().collect();
    sleep(until.saturating_duration_since(Instant::now())).await;
    let (sent, answered) = (u64::try_from(2 * HEADS)?, u64::try_from(opened.len())?);
    Ok(Outcome { sent, answered, note: "heads of 47 KiB".to_owned(), ..Outcome::default() })
}

async fn unfinished(address: SocketAddr, head: &[u8], within: Duration) -> Option<TcpStream> {
    let sending = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(head).await.ok()?;
        Some(stream)
    };
    timeout(within, sending).await.ok().flatten()
}

/// Sends requests on connections of which nothing is read.
pub async fn slow_readers(serve: &Serve, lasts: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + lasts;
    let metrics = &b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"[..];
    let refused = &b"GET /?Action=NoSuchAction HTTP/1.1\r\nhost: a\r\n\r\n"[..];
    let sending = (0..READERS).map(|number| {
        let (address, request) =
            if number % 2 == 0 { (serve.ops, metrics) } else { (serve.rest, refused) };
        requests_without_end(address, request, until)
    });
    let sent = join_all(sending).await.into_iter().sum();
    Ok(Outcome { sent, note: format!("{READERS} readers"), ..Outcome::default() })
}

/// Repeats a request, and reconnects if the connection ends; returns how many were sent.
async fn requests_without_end(address: SocketAddr, request: &[u8], until: Instant) -> u64 {
    let requests = request.repeat(PIPELINED);
    let mut sent = 0;
    while Instant::now() < until {
        if let Ok(Ok(mut stream)) = timeout_at(until.into(), TcpStream::connect(address)).await {
            while let Ok(Ok(())) = timeout_at(until.into(), stream.write_all(&requests)).await {
                sent += PIPELINED as u64;
                if Instant::now() >= until {
                    break;
                }
            }
        }
        sleep(AGAIN).await;
    }
    sent
}
