//! A caller over the signed RPC query format: HTTP/1.1 with keep-alive, without retries. It opens
//! another connection only after an answer that closes the first one.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cdn_activation::auth::secret::Secret;
use cdn_activation::auth::signature::{Pair, canonical_query, v1};
use cdn_activation::ids::new_id;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::cases::Calling;
use crate::attack::wire::Key;
use crate::clock;

/// The longest time of a request.
const DEADLINE: Duration = Duration::from_secs(10);

/// The method of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    /// With all parameters in the form body.
    Post,
}

impl Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if *self == Self::Get { "GET" } else { "POST" })
    }
}

/// One caller.
pub struct RestCaller {
    address: SocketAddr,
    method: Method,
    key_id: String,
    key: v1::Key,
    connection: Option<TcpStream>,
}

impl RestCaller {
    pub fn new(address: SocketAddr, method: Method, key: &Key) -> Self {
        let signing = v1::Key::new(&Secret::new(key.secret.clone()));
        Self { address, method, key_id: key.id.clone(), key: signing, connection: None }
    }

    async fn exchange(&mut self) -> anyhow::Result<()> {
        let mut stream = match self.connection.take() {
            Some(kept) => kept,
            None => TcpStream::connect(self.address).await.context("no connection")?,
        };
        stream.set_nodelay(true)?;
        stream.write_all(&self.request()).await.context("the request was not sent")?;
        let mut read = Vec::with_capacity(1024);
        let (head, body) = loop {
            let length = stream.read_buf(&mut read).await.context("the request was reset")?;
            if let Some(answer) = whole(&read) {
                break answer;
            }
            if length == 0 {
                bail!("the connection ended after {} bytes of the answer", read.len());
            }
        };
        let status = head.lines().next().unwrap_or_default();
        ensure!(status.starts_with("http/1.1 200 "), "{status}: {}", body.escape_debug());
        if !head.contains("\r\nconnection: close") {
            self.connection = Some(stream);
        }
        Ok(())
    }

    fn request(&self) -> Vec<u8> {
        let pairs = [
            ("Action", "DescribeCdnService"),
            ("Version", "2018-05-10"),
            ("Format", "JSON"),
            ("AccessKeyId", &self.key_id),
            ("SignatureMethod", v1::METHOD),
            ("SignatureVersion", v1::VERSION),
            ("SignatureNonce", &new_id().to_string()),
            ("Timestamp", &clock::timestamp(clock::second())),
        ];
        let mut pairs: Vec<Pair> = pairs.map(|(name, value)| (name.into(), value.into())).to_vec();
        let to_sign = v1::string_to_sign(&self.method.to_string(), &pairs.iter().collect());
        pairs.push((v1::SIGNATURE.into(), self.key.sign(&to_sign)));
        let query = canonical_query(&pairs.iter().collect());
        let text = match self.method {
            Method::Get => format!("GET /?{query} HTTP/1.1\r\nhost: cdn\r\n\r\n"),
            Method::Post => format!(
                "POST / HTTP/1.1\r\nhost: cdn\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                 content-length: {}\r\n\r\n{query}",
                query.len()
            ),
        };
        text.into_bytes()
    }
}

impl Calling for RestCaller {
    async fn call(&mut self) -> anyhow::Result<()> {
        timeout(DEADLINE, self.exchange()).await.context("no answer")?
    }
}

/// Returns the head, in lower case, and the body of an answer that is complete.
fn whole(bytes: &[u8]) -> Option<(String, String)> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length?.trim().parse().ok()?;
    let body = bytes.get(end..end + length)?;
    Some((head, String::from_utf8_lossy(body).into_owned()))
}
