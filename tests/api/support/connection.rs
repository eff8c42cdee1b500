//! A connection that stays open: bytes in as they are, replies out one by one, and whether the server
//! has ended it.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Api;
use super::rest::Reply;

/// Longer than any time limit of the server: who waits longer hangs.
const PATIENCE: Duration = Duration::from_secs(25);

/// A connection of a client.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Api {
    /// Connects to the RPC query format.
    pub async fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.addresses.rest).await.expect("the service listens");
        Connection { stream, read: Vec::new() }
    }

    /// The bytes of a request that leaves the connection open. `Host` and `Content-Length` are
    /// added.
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

    /// Sends these bytes on a connection of their own and takes the first reply; `None` where the
    /// connection ends without one.
    pub async fn exchange(&self, request: &[u8]) -> Option<Reply> {
        let mut connection = self.connect().await;
        connection.send(request).await;
        let reply = connection.reply().await?;
        // Some clients ask to be told to go on.
        if reply.status == 100 { connection.reply().await } else { Some(reply) }
    }
}

impl Connection {
    /// Sends bytes. A server that has refused what came before may not take them.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.ok();
    }

    /// The next reply; `None` where the connection ends without one.
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

    /// Whether the server ends the connection without another word.
    pub async fn has_ended(&mut self) -> bool {
        !self.read_more().await && self.read.is_empty()
    }

    /// Reads on; false at the end of the connection.
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

/// How long the first reply among these bytes is, once it is complete.
fn reply_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let body: usize = length.map_or(0, |length| length.trim().parse().expect("a number"));
    (bytes.len() >= head + body).then_some(head + body)
}
