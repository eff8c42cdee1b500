//! Connections that send nothing, or only the beginning of a protocol.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Outcome;

/// More connections than the limit of descriptors.
const CONNECTIONS: usize = 1100;
/// The first bytes of an HTTP/2 client, without its settings.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Opens connections to a listener, sends these bytes on each, and holds them.
pub async fn silent(address: SocketAddr, said: &[u8], lasts: Duration) -> anyhow::Result<Outcome> {
    let until = Instant::now() + lasts;
    let opening = (0..CONNECTIONS).map(|_| async move {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(said).await.ok()?;
        Some(stream)
    });
    let opening = opening.map(|opening| timeout(lasts, opening));
    let opened: Vec<_> = join_all(opening).await.into_iter().flatten().flatten().collect();
    sleep(until.saturating_duration_since(Instant::now())).await;
    let ended = opened.iter().filter(|stream| has_ended(stream)).count();
    let note = format!("{ended} ended by the server");
    let (sent, answered) = (u64::try_from(CONNECTIONS)?, u64::try_from(opened.len())?);
    Ok(Outcome { sent, answered, note, ..Outcome::default() })
}

fn has_ended(stream: &TcpStream) -> bool {
    let mut bytes = [0; 1024];
    loop {
        match stream.try_read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}
