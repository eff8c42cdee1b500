//! Calls that are refused. Each logs a line, and the log is not read.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::field::Serve;
use super::wire::{DEADLINE, empty_message, post};
use super::{Outcome, wire};

/// A path that still fits into the largest headers of an HTTP/2 server.
const LONG: usize = 15 * 1024;
/// Concurrent calls on the connection of gRPC.
const AT_ONCE: usize = 16;

/// Calls on one connection of each protocol, without a pause.
pub async fn refusals(serve: &Serve, lasts: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + lasts;
    let (rest, grpc) = tokio::join!(over_rest(serve.rest, until), over_grpc(serve.grpc, until));
    let mut outcome = rest;
    let grpc = grpc?;
    outcome.sent += grpc.sent;
    outcome.answered += grpc.answered;
    if outcome.answered < outcome.sent {
        let lost = outcome.sent - outcome.answered;
        outcome.faults.push(format!("{lost} refused calls were not answered"));
    }
    Ok(outcome)
}

async fn over_rest(rest: SocketAddr, until: Instant) -> Outcome {
    let targets = ["/?Action=NoSuchAction".to_owned(), format!("/{}", "x".repeat(16 * 1024))];
    let mut outcome = Outcome::default();
    let mut connection = None;
    for target in targets.iter().cycle() {
        if Instant::now() >= until {
            break;
        }
        outcome.sent += 1;
        let answered = timeout(DEADLINE, ask(&mut connection, rest, target)).await;
        if matches!(answered, Ok(Ok(()))) {
            outcome.answered += 1;
        } else {
            connection = None;
        }
    }
    outcome
}

/// Sends a request on a connection that is kept as long as the server keeps it.
async fn ask(
    connection: &mut Option<SendRequest<Empty<Bytes>>>,
    rest: SocketAddr,
    target: &str,
) -> anyhow::Result<()> {
    let usable = match connection.take() {
        Some(mut kept) => kept.ready().await.is_ok().then_some(kept),
        None => None,
    };
    let mut sender = if let Some(kept) = usable {
        kept
    } else {
        let stream = TcpStream::connect(rest).await?;
        let (sender, running) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(running);
        sender
    };
    let request = http::Request::get(target).header("host", "127.0.0.1").body(Empty::new())?;
    sender.send_request(request).await?.into_body().collect().await?;
    *connection = Some(sender);
    Ok(())
}

async fn over_grpc(grpc: SocketAddr, until: Instant) -> anyhow::Result<Outcome> {
    let connection = wire::http2(grpc, None).await?;
    let asking = (0..AT_ONCE).map(|number| refused(connection.clone(), number, until));
    let mut all = Outcome::default();
    for outcome in join_all(asking).await {
        all.sent += outcome.sent;
        all.answered += outcome.answered;
    }
    Ok(all)
}

async fn refused(
    mut connection: http2::SendRequest<Full<Bytes>>,
    number: usize,
    until: Instant,
) -> Outcome {
    let known = "/activation.cdn.v1.CdnService/DescribeCdnService".to_owned();
    let path = if number.is_multiple_of(2) { known } else { format!("/a.B/{}", "x".repeat(LONG)) };
    let headers = [("authorization", "Bearer not-the-token")];
    let mut outcome = Outcome::default();
    while Instant::now() < until {
        outcome.sent += 1;
        let Ok(request) = post(&path, &headers, empty_message()) else { break };
        match timeout(DEADLINE, connection.send_request(request)).await {
            Ok(Ok(answer)) => {
                outcome.answered += u64::from(answer.into_body().collect().await.is_ok());
            }
            Ok(Err(_)) if connection.is_closed() => break,
            _ => {}
        }
    }
    outcome
}
