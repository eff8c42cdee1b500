//! Attacks on TLS itself: handshakes that stop, handshakes without a request, requests without TLS.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout, timeout_at};

use super::Outcome;
use super::connections::{PREFACE, silent};
use super::field::{Behind, Secured};
use super::wire::DEADLINE;

/// Concurrent handshakes.
const AT_ONCE: usize = 64;
/// Concurrent requests without TLS.
const BARE: usize = 16;
/// A pause after a failure.
const AGAIN: Duration = Duration::from_millis(10);
const REQUEST: &[u8] = b"GET /?Action=DescribeCdnService HTTP/1.1\r\nhost: a\r\n\r\n";

/// How much of a hello is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing.
    None,
    /// The first half.
    Half,
    /// All. The server then computes its part of a handshake that never ends.
    All,
}

/// Opens connections to both listeners on which handshakes stop, and holds them.
pub async fn stopped(behind: &Behind, said: Said, lasts: Duration) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let both = [&behind.rest, &behind.grpc].map(|listener| stop(listener, said, lasts));
    for one in try_join_all(both).await? {
        outcome.sent += one.sent;
        outcome.answered += one.answered;
        outcome.note = [outcome.note, one.note].join(" ");
    }
    outcome.note.insert_str(0, "REST, gRPC:");
    Ok(outcome)
}

async fn stop(listener: &Secured, said: Said, lasts: Duration) -> anyhow::Result<Outcome> {
    let hello = listener.client.hello()?;
    let length = match said {
        Said::None => 0,
        Said::Half => hello.len() / 2,
        Said::All => hello.len(),
    };
    silent(listener.address, &hello[..length], lasts).await
}

/// Shakes hands and leaves, as often as it goes.
pub async fn completed(behind: &Behind, lasts: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + lasts;
    let shaking = (0..AT_ONCE).map(|number| {
        shake(if number.is_multiple_of(2) { &behind.rest } else { &behind.grpc }, until)
    });
    let mut outcome = Outcome::default();
    for (sent, answered) in join_all(shaking).await {
        outcome.sent += sent;
        outcome.answered += answered;
    }
    if outcome.answered == 0 {
        outcome.faults.push("no handshake was completed".to_owned());
    }
    Ok(outcome)
}

async fn shake(listener: &Secured, until: Instant) -> (u64, u64) {
    let (mut sent, mut answered) = (0, 0);
    while Instant::now() < until {
        sent += 1;
        match timeout_at(until.into(), listener.client.connect(listener.address)).await {
            Ok(Ok(_)) => answered += 1,
            Ok(Err(_)) => sleep(AGAIN).await,
            Err(_) => break,
        }
    }
    (sent, answered)
}

/// Sends requests without TLS; each is to be refused at once.
pub async fn bare(behind: &Behind, lasts: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + lasts;
    let asking = (0..BARE).map(|number| {
        let (rest, grpc) = (behind.rest.address, behind.grpc.address);
        let (address, said) =
            if number.is_multiple_of(2) { (rest, REQUEST) } else { (grpc, PREFACE) };
        ask(address, said, until)
    });
    let mut outcome = Outcome::default();
    for one in join_all(asking).await {
        outcome.sent += one.sent;
        outcome.answered += one.answered;
        outcome.faults.extend(one.faults);
    }
    if outcome.answered == 0 {
        outcome.faults.push("no request was refused".to_owned());
    }
    Ok(outcome)
}

async fn ask(address: SocketAddr, said: &[u8], until: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    while Instant::now() < until {
        outcome.sent += 1;
        match timeout(DEADLINE, refusal(address, said)).await {
            Ok(Ok(answer)) if is_of_tls(&answer) => outcome.answered += 1,
            Ok(Ok(answer)) => {
                outcome.faults.push(format!("without TLS it answers {}", answer.escape_ascii()));
                break;
            }
            Ok(Err(_)) => sleep(AGAIN).await,
            Err(_) => {
                outcome.faults.push(format!("without TLS it is silent for {DEADLINE:?}"));
                break;
            }
        }
    }
    outcome
}

/// Returns what the server says until it ends the connection.
async fn refusal(address: SocketAddr, said: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(said).await?;
    let mut answer = Vec::new();
    // The end may be a reset, because the server has not read all.
    stream.read_to_end(&mut answer).await.ok();
    Ok(answer)
}

/// Returns whether the answer is an alert of TLS, or nothing.
fn is_of_tls(answer: &[u8]) -> bool {
    answer.first().is_none_or(|kind| *kind == 21)
}
