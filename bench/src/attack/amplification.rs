//! Requests of a few bytes that repeat a long path, and the bytes that they cause in the log.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Outcome;
use super::connections::PREFACE;
use super::field::{Field, Over, Serve};
use super::frames::{ended_streams, flag, kind, put, remembered_path, repeated_path};
use super::wire::DEADLINE;

/// The longest path that fits into the header table of a server.
const PATH: usize = 3900;
const AT_ONCE: u32 = 100;
/// The bound of the log: a multiple of the sent bytes, and a number of bytes per second.
const TIMES: u64 = 4;
const EACH_SECOND: u64 = 256 * 1024;

/// The counts of an attack.
#[derive(Default)]
struct Sent {
    requests: u64,
    bytes: u64,
    answers: u64,
}

/// Attacks a service whose log is measured, and then the one whose log is not read.
pub async fn run(field: &Field, serve: &Serve, lasts: Duration) -> anyhow::Result<Outcome> {
    let mut outcome = measured(field, serve.over, lasts / 2).await?;
    match repeat(serve.grpc, lasts / 2).await {
        Ok(unread) => {
            outcome.sent += unread.requests;
            outcome.answered += unread.answers;
        }
        Err(why) => outcome.faults.push(format!("{why:#}")),
    }
    Ok(outcome)
}

async fn measured(field: &Field, over: Over, lasts: Duration) -> anyhow::Result<Outcome> {
    let (serve, log) = field.serve_with_a_log(over).await?;
    let before = fs::metadata(&log)?.len();
    let began = Instant::now();
    let sent = repeat(serve.grpc, lasts).await?;
    sleep(Duration::from_secs(1)).await; // lines that are written later count
    let written = fs::metadata(&log)?.len() - before;
    let bound = TIMES * sent.bytes + EACH_SECOND * (began.elapsed().as_secs() + 1);
    serve.terminate().await?;
    let note = format!("{} KiB in, {} KiB of log", sent.bytes / 1024, written / 1024);
    let (sent, answered) = (sent.requests, sent.answers);
    let mut outcome = Outcome { sent, answered, note, ..Outcome::default() };
    if written > bound {
        outcome.faults.push(format!("the log is more than {} KiB", bound / 1024));
    }
    Ok(outcome)
}

async fn repeat(grpc: SocketAddr, lasts: Duration) -> anyhow::Result<Sent> {
    let until = Instant::now() + lasts;
    let mut sent = Sent::default();
    while Instant::now() < until {
        // The server may end the connection.
        let repeating = timeout(lasts + DEADLINE, on_a_connection(grpc, until, &mut sent)).await;
        repeating.context("it does not answer")??;
        sleep(Duration::from_millis(10)).await;
    }
    Ok(sent)
}

async fn on_a_connection(grpc: SocketAddr, until: Instant, sent: &mut Sent) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(grpc).await?;
    let first = remembered_path(&format!("/a.B/{}", "x".repeat(PATH)));
    let later = repeated_path();
    let (mut out, mut read, mut id) = (PREFACE.to_vec(), Vec::new(), 1);
    put(&mut out, kind::SETTINGS, 0, 0, &[]);
    while Instant::now() < until && id < u32::MAX / 4 {
        for _ in 0..AT_ONCE {
            let block = if id == 1 { &first } else { &later };
            put(&mut out, kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, id, block);
            id += 2;
        }
        sent.bytes += u64::try_from(out.len())?;
        if stream.write_all(&out).await.is_err() {
            return Ok(());
        }
        sent.requests += u64::from(AT_ONCE);
        out.clear();
        let mut due = AT_ONCE;
        while due > 0 {
            if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                return Ok(());
            }
            let answers = ended_streams(&mut read, &mut out);
            sent.answers += u64::from(answers);
            due = due.saturating_sub(answers);
        }
    }
    Ok(())
}
