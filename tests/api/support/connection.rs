//! A connection that stays open. Tests send bytes as they are, read replies one by one, and see
//! whether the server ends it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Api;
use super::rest::Reply;

/// Longer than any time limit of the server, so that waiting longer means that the server hangs.
const PATIENCE: Duration = Duration::from_secs(25);

/// A connection of a client.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Api {
    /// Connects to the listener of the RPC query format.
    pub async fn connect(&self) -> Connection {
        Connection::to(self.addresses.rest).await
    }

    /// Returns the bytes of a request that leaves the connection open. `Host` and `Content-Length`
    /// are added.
    pub fn request(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        let first = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.addresses.rest);
        let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let headers = headers.collect::<Vec<_>>().concat();
        let has_body = !body.is_empty() || method == "POST";
        let length = format!("Content-Length: {}\r\n", body.len());
        let length = if has_body { length } else { String::new() };
        let head = [first, headers, length].concat();
        [head.as_bytes(), b"\r\n", body].concat()
    }

    /// Sends these bytes on a new connection and returns the first reply; `None` if the connection
    /// ends without one.
    pub async fn exchange(&self, request: &[u8]) -> Option<Reply> {
        let mut connection = self.connect().await;
        connection.send(request).await;
        let reply = connection.reply().await?;
        // Some clients send `Expect: 100-continue`.
        if reply.status == 100 { connection.reply().await } else { Some(reply) }
    }
}

impl Connection {
    /// Connects to a listener.
    pub async fn to(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the service listens");
        Self { stream, read: Vec::new() }
    }

    /// Sends bytes. A server that has refused earlier bytes may not accept them.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }

    /// Returns the next reply; `None` if the connection ends without one.
    pub async fn reply(&mut self) -> Option<Reply> {
        loop {
            if let Some(length) = reply_length(&self.read) {
                let rest = self.read.split_off(length);
                let reply = Reply::parse(&std::mem::replace(&mut self.read, rest));
                return Some(reply);
            }
            if !self.read_more().await {
                assert!(self.read.is_empty(), "half a reply: {:?}", self.read);
                return None;
            }
        }
    }

    /// Whether the server ends the connection without a further reply.
    pub async fn has_ended(&mut self) -> bool {
        !self.read_more().await && self.read.is_empty()
    }

    /// Reads more bytes. Returns false at the end of the connection.
    async fn read_more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await;
        match read.expect("the server answers or ends the connection") {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.read.extend(&bytes[..count]);
                true
            }
        }
    }
}

/// Returns the length of the first reply in these bytes, if it is complete.
fn reply_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let body: usize = length.map_or(0, |length| length.trim().parse().expect("a number"));
    (bytes.len() >= head + body).then_some(head + body)
}
