//! A client of the RPC query format that uses no code of the server: it has its own
//! percent-encoding, signer and HTTP, and can send any bytes.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Api;

/// An access key, and the account for which it signs.
#[derive(Clone, Debug)]
pub struct Key {
    /// The account.
    pub account_id: i64,
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: String,
}

/// A reply as it was received.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

/// The parameters of a request as decoded names and values.
pub type Parameters = BTreeMap<String, String>;

/// Percent-encodes as signatures demand.
pub fn encode(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encode =
        |byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// Joins parameters as `name=value`, sorted and encoded.
pub fn query(parameters: &Parameters) -> String {
    let pairs =
        parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Parses `Name=Value&Name=Value`, unencoded, as tests write it.
pub fn parameters(text: &str) -> Parameters {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect()
}

/// Returns the string that V1 signs.
pub fn string_to_sign_v1(method: &str, parameters: &Parameters) -> String {
    format!("{method}&%2F&{}", encode(&query(parameters)))
}

/// Returns the V1 signature of parameters without a signature.
pub fn sign_v1(method: &str, parameters: &Parameters, secret: &str) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()).expect("any length");
    mac.update(string_to_sign_v1(method, parameters).as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Returns lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// Returns a nonce that no other request has.
pub fn nonce() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("nonce-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Api {
    /// Returns the instant of the wire clock, as clients spell it.
    pub fn timestamp(&self) -> String {
        cdn_activation::domain::time::format(self.clock.wire_now())
    }

    /// Returns the common parameters of V1 except the signature, and the given ones. The format is
    /// JSON unless `given` names another.
    pub fn common(&self, key: &Key, given: &str) -> Parameters {
        let mut all = parameters(given);
        let version = if all.get("Action").is_some_and(|action| action.contains("Dcdn")) {
            "2018-01-15"
        } else {
            "2018-05-10"
        };
        for (name, value) in [
            ("AccessKeyId", key.id.as_str()),
            ("Format", "JSON"),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", &nonce()),
            ("Timestamp", &self.timestamp()),
            ("Version", version),
        ] {
            all.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        all
    }

    /// Returns a signed V1 GET. `given` is like
    /// `Action=OpenCdnService&InternetChargeType=PayByTraffic`, unencoded.
    pub async fn get(&self, key: &Key, given: &str) -> Reply {
        let signed = self.sign(key, "GET", self.common(key, given));
        self.send_get(&query(&signed)).await
    }

    /// Returns a signed V1 POST with all parameters in the form body.
    pub async fn post(&self, key: &Key, given: &str) -> Reply {
        let body = query(&self.sign(key, "POST", self.common(key, given)));
        let content_type = "application/x-www-form-urlencoded";
        self.send("POST", "/", &[("Content-Type", content_type)], body.as_bytes()).await
    }

    /// Adds the signature.
    #[expect(clippy::unused_self, reason = "reads like the ways to send")]
    pub fn sign(&self, key: &Key, method: &str, mut parameters: Parameters) -> Parameters {
        let signature = sign_v1(method, &parameters, &key.secret);
        parameters.insert("Signature".to_owned(), signature);
        parameters
    }

    /// Gets `/?query` as it is.
    pub async fn send_get(&self, query: &str) -> Reply {
        self.send("GET", &format!("/?{query}"), &[], b"").await
    }

    /// Returns the headers of a signed V3 request; `given` are further headers to sign.
    pub fn sign_v3(
        &self,
        key: &Key,
        method: &str,
        query: &Parameters,
        given: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<(String, String)> {
        let mut headers: BTreeMap<String, String> = BTreeMap::from([
            ("host".to_owned(), self.addresses.rest.to_string()),
            ("x-acs-content-sha256".to_owned(), hex(&Sha256::digest(body))),
            ("x-acs-date".to_owned(), self.timestamp()),
            ("x-acs-signature-nonce".to_owned(), nonce()),
        ]);
        headers.extend(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let names = headers.keys().cloned().collect::<Vec<_>>().join(";");
        let lines: Vec<_> = headers
            .iter()
            .map(|(name, value)| {
                format!(
                    "{name}:{value}
"
                )
            })
            .collect();
        let lines = lines.concat();
        let hash = &headers["x-acs-content-sha256"];
        let canonical = format!("{method}\n/\n{}\n{lines}\n{names}\n{hash}", self::query(query));
        let to_sign = format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical)));
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).expect("any length");
        mac.update(to_sign.as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        let fields = format!("Credential={},SignedHeaders={names},Signature={signature}", key.id);
        headers.insert("Authorization".to_owned(), format!("ACS3-HMAC-SHA256 {fields}"));
        headers.remove("host"); // `send` writes it
        headers.into_iter().collect()
    }

    /// Returns a signed V3 POST with its parameters in the query.
    pub async fn post_v3(&self, key: &Key, action: &str, version: &str, given: &str) -> Reply {
        let query = parameters(given);
        let named = [("x-acs-action", action), ("x-acs-version", version)];
        let headers = self.sign_v3(key, "POST", &query, &named, b"");
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.send("POST", &format!("/?{}", self::query(&query)), &headers, b"").await
    }

    /// Sends one request on a new connection. `Host` and `Content-Length` are added.
    pub async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
            self.addresses.rest
        );
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a String takes any text");
        }
        if !body.is_empty() || method == "POST" {
            write!(head, "Content-Length: {}\r\n", body.len()).expect("a String takes any text");
        }
        let request = [head.as_bytes(), b"\r\n", body].concat();
        self.send_raw(&request).await
    }

    /// Sends these bytes as they are. The request must ask for the connection to be closed, or be
    /// refused with that.
    pub async fn send_raw(&self, request: &[u8]) -> Reply {
        Reply::of(self.addresses.rest, request).await
    }
}

/// Returns a text member if it is present and not empty. Over REST some are empty that gRPC omits.
pub fn text_if_any(body: &serde_json::Value, name: &str) -> Option<String> {
    let text = body.get(name)?.as_str().expect("text");
    (!text.is_empty()).then(|| text.to_owned())
}

impl Reply {
    /// Returns the reply of the listener at this address to these bytes on a new connection.
    pub async fn of(address: std::net::SocketAddr, request: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("the service listens");
        stream.write_all(request).await.expect("sent");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.expect("answered");
        Self::parse(&reply)
    }

    /// Parses a reply.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status: status.parse().expect("a number"), headers, body: body.to_owned() }
    }

    /// Returns the parsed body.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Returns a member of the JSON body.
    pub fn text(&self, name: &str) -> String {
        let body = self.json();
        body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
    }

    /// Returns the body with `REQUEST-ID` as its request id, after checking the id and the headers
    /// that belong to it.
    pub fn body_without_request_id(&self) -> String {
        let id = &self.headers["x-acs-request-id"];
        assert_eq!((id.len(), id.to_ascii_uppercase()), (36, id.clone()), "an upper-case UUID");
        assert!(self.body.contains(id.as_str()), "the body carries the request id: {}", self.body);
        self.body.replace(id.as_str(), "REQUEST-ID")
    }

    /// Checks that the call succeeded with 200.
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    /// Checks that the call was refused with this status, code and message, in JSON with exactly
    /// the four documented members.
    pub fn refused(&self, status: u16, code: &str, message: &str) -> &Self {
        self.refused_with(status, code, message, None)
    }

    /// Checks the same of a reply of `dev`, whose errors point to its explorer.
    pub fn refused_by_dev(&self, dev: &Api, status: u16, code: &str, message: &str) -> &Self {
        let address = format!("http://{}/explorer/errors/{code}", dev.addresses.rest);
        self.refused_with(status, code, message, Some(&address))
    }

    /// Checks the same of a reply with or without the address of a page about the code. Only a
    /// denial has a detail, which [`Reply::is_denied`] checks.
    pub fn refused_with(
        &self,
        status: u16,
        code: &str,
        message: &str,
        recommend: Option<&str>,
    ) -> &Self {
        let mut body: serde_json::Value = self.json();
        let detail = body.as_object_mut().and_then(|body| body.remove("AccessDeniedDetail"));
        assert_eq!(detail.is_some(), code == "Forbidden.RAM", "{self:?}");
        let mut expected = serde_json::json!({
            "RequestId": self.headers["x-acs-request-id"],
            "HostId": "127.0.0.1",
            "Code": code,
            "Message": message,
        });
        if let Some(address) = recommend {
            expected["Recommend"] = address.into();
        }
        assert_eq!((self.status, &body), (status, &expected));
        assert_eq!(self.headers["content-type"], "application/json;charset=utf-8");
        self
    }
}
