//! A caller over the signed RPC query format: HTTP/1.1, one request at a time. Each request is signed
//! when it is sent (signature V1, HMAC-SHA1).
//!
//! The keyed state of the MAC is made once: all access keys of the data have the same secret.

use std::fmt::Write;
use std::io;
use std::time::Instant;

use anyhow::ensure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::accounts::{access_key_id, instance_id};
use super::stream::{Address, Stream};
use super::traceparent;
use super::work::Work;
use crate::clock;

/// The action that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `DescribeDcdnService`.
    Describe,
    /// `OpenCdnService`.
    Open,
}

/// The caller of one connection.
pub struct Caller {
    stream: Stream,
    signer: Signer,
    out: Vec<u8>,
    read: Vec<u8>,
}

/// Writes requests.
#[derive(Clone)]
pub struct Signer {
    action: Action,
    key: Hmac<Sha1>,
    /// A random number for the connection, and the number of its last request.
    nonces: [u64; 2],
    /// The second of the timestamp, and the timestamp.
    timestamp: (i64, String),
    query: String,
    to_sign: String,
    is_in_a_trace: bool,
}

impl Signer {
    /// Signs with the secret that all keys have.
    pub fn new(action: Action, secret: &str) -> io::Result<Self> {
        let key = Hmac::new_from_slice(format!("{secret}&").as_bytes())
            .expect("HMAC takes a key of any length");
        let nonces = [random()?, 0];
        let timestamp = (0, String::new());
        let (query, to_sign) = (String::new(), String::new());
        Ok(Self { action, key, nonces, timestamp, query, to_sign, is_in_a_trace: false })
    }

    /// Sends a `traceparent` with each request, or none.
    pub fn in_a_trace(self, is_in_a_trace: bool) -> Self {
        Self { is_in_a_trace, ..self }
    }

    /// Appends a signed request.
    fn put(&mut self, out: &mut Vec<u8>, account: u64) {
        self.nonces[1] += 1;
        let second = clock::second();
        if second != self.timestamp.0 {
            self.timestamp = (second, clock::timestamp(second).replace(':', "%3A"));
        }
        let (name, version, parameter) = match self.action {
            Action::Describe => ("DescribeDcdnService", "2018-01-15", ""),
            Action::Open => ("OpenCdnService", "2018-05-10", "&InternetChargeType=PayByTraffic"),
        };
        let (timestamp, [process, number]) = (&self.timestamp.1, self.nonces);
        self.query.clear();
        write!(
            self.query,
            "AccessKeyId={}&Action={name}&Format=JSON{parameter}&SignatureMethod=HMAC-SHA1&\
             SignatureNonce={process:016x}{number:016x}&SignatureVersion=1.0&Timestamp={timestamp}&\
             Version={version}",
            access_key_id(account),
        )
        .expect("a String takes any text");
        self.to_sign.clear();
        self.to_sign.push_str("GET&%2F&");
        escape(&self.query, &mut self.to_sign);
        let mut mac = self.key.clone();
        mac.update(self.to_sign.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        out.extend_from_slice(b"GET /?");
        out.extend_from_slice(self.query.as_bytes());
        out.extend_from_slice(b"&Signature=");
        let mut escaped = String::with_capacity(40);
        escape(&signature, &mut escaped);
        out.extend_from_slice(escaped.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nhost: 127.0.0.1\r\n");
        if self.is_in_a_trace {
            let parent = traceparent(account);
            out.extend_from_slice(format!("traceparent: {parent}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Escapes the reserved characters that these queries and signatures have.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("%26"),
            '=' => out.push_str("%3D"),
            '%' => out.push_str("%25"),
            '+' => out.push_str("%2B"),
            '/' => out.push_str("%2F"),
            other => out.push(other),
        }
    }
}

/// Connects a number of callers.
pub async fn connect(
    address: &Address,
    callers: usize,
    signer: &Signer,
) -> anyhow::Result<Vec<Caller>> {
    let mut connected = Vec::with_capacity(callers);
    for _ in 0..callers {
        let stream = address.connect().await?;
        let mut signer = signer.clone();
        signer.nonces[0] = random()?;
        connected.push(Caller { stream, signer, out: Vec::new(), read: Vec::new() });
    }
    Ok(connected)
}

impl Caller {
    /// Calls until there is no further account.
    pub async fn run(mut self, work: &Work<'_>) {
        while let Some(account) = work.next_account() {
            let sent = Instant::now();
            let answer = self.call(account).await;
            let is_broken = answer.as_ref().is_err_and(anyhow::Error::is::<io::Error>);
            work.answered(account, sent, answer);
            if is_broken {
                return work.stop();
            }
        }
    }

    async fn call(&mut self, account: u64) -> anyhow::Result<()> {
        self.out.clear();
        self.signer.put(&mut self.out, account);
        self.stream.write_all(&self.out).await?;
        self.stream.flush().await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let Some((head, body)) = answer(&self.read) else { continue };
            let right =
                head.starts_with(b"HTTP/1.1 200") && self.signer.action.is_answer(body, account);
            let first_line = || head.split(|byte| *byte == b'\r').next().unwrap_or_default();
            ensure!(right, "{} {}", first_line().escape_ascii(), body.escape_ascii());
            return Ok(());
        }
    }
}

impl Action {
    fn is_answer(self, body: &[u8], account: u64) -> bool {
        if !body.starts_with(b"{\"RequestId\":\"") {
            return false;
        }
        match self {
            Self::Open => body.len() == 52, // the name, 36 characters, and what is around them
            Self::Describe => {
                let said = format!("\"InstanceId\":\"{}\"", instance_id(account));
                body.windows(said.len()).any(|part| part == said.as_bytes())
            }
        }
    }
}

/// Returns head and body of an answer, or `None` if it is not complete.
fn answer(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
    let head = &bytes[..end];
    let length = head.split(|byte| *byte == b'\n').find_map(|line| {
        let name = line.get(..15).filter(|name| name.eq_ignore_ascii_case(b"content-length:"))?;
        std::str::from_utf8(&line[name.len()..]).ok()?.trim().parse::<usize>().ok()
    });
    Some((head, bytes.get(end + 4..end + 4 + length?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cdn_activation::auth::secret::Secret;
    use cdn_activation::auth::signature::v1;
    use cdn_activation::rest::decode;

    #[test]
    fn the_service_accepts_the_signature_of_a_request() {
        let mut signer = Signer::new(Action::Open, "testsecret").expect("random bytes");
        let mut out = Vec::new();
        signer.put(&mut out, 12_345_678);
        let request = String::from_utf8(out).expect("ASCII");
        let (_, query) = request.split_once('?').expect("a query");
        let (query, _) = query.split_once(' ').expect("a version");
        let (parameters, wrong) = decode(query.as_bytes(), b"");
        let signature = parameters.get(v1::SIGNATURE).unwrap_or_default();
        let to_sign = v1::string_to_sign("GET", &parameters);
        let key = v1::Key::new(&Secret::new("testsecret".to_owned()));
        assert!(wrong.is_none() && key.verify(&to_sign, signature), "{query}");
    }

    #[test]
    fn an_answer_is_read_when_it_is_complete() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(answer(bytes), Some((&bytes[..34], &b"{}"[..])));
        assert_eq!(answer(&bytes[..bytes.len() - 1]), None);
    }
}
