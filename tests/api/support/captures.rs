//! Requests as unmodified official SDKs sent them (`tests/captures`). Their files are read without
//! the server's code, together with the index that describes them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

const DIRECTORY: &str = "tests/captures";

/// A request, as bytes and in parts.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The method.
    pub method: String,
    /// The parameters of the query, decoded, in the order of the wire.
    pub query: Vec<(String, String)>,
    /// The headers in the order of the wire, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A captured request with its entry in the index.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The name of its file.
    pub file: String,
    /// The request.
    pub request: HttpRequest,
    /// The entry of the index.
    pub says: Value,
}

/// Reads the index and every file that it names.
pub fn captures() -> Vec<Capture> {
    let index = json("index.json");
    let entries = index["captures"].as_array().expect("a list").iter().map(|says| {
        let file = says["file"].as_str().expect("a name").to_owned();
        let bytes = std::fs::read(Path::new(DIRECTORY).join(&file)).expect("a captured request");
        Capture { file, request: HttpRequest::parse(bytes), says: says.clone() }
    });
    entries.collect()
}

/// Reads a JSON file of the captures.
pub fn json(file: &str) -> Value {
    let text = std::fs::read_to_string(Path::new(DIRECTORY).join(file)).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

/// Returns the names of all captured requests that have files.
pub fn files() -> Vec<String> {
    let entries = std::fs::read_dir(DIRECTORY).expect("the directory of the captures");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let names = names.map(|name| name.expect("UTF-8"));
    names.filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "http")).collect()
}

impl HttpRequest {
    /// Parses the bytes of a request.
    pub fn parse(bytes: Vec<u8>) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&bytes[..end]).expect("UTF-8").to_owned();
        let mut body = bytes[end + 4..].to_vec();
        if body == b"0\r\n\r\n" {
            body.clear(); // a chunked body without chunks
        }
        let mut lines = head.split("\r\n");
        let line: Vec<_> = lines.next().expect("a line").split(' ').collect();
        let [method, target, "HTTP/1.1"] = line[..] else { panic!("no request line: {line:?}") };
        let query = target.strip_prefix('/').expect("the path");
        let query = decoded(query.strip_prefix('?').unwrap_or_default());
        let headers = lines.map(|line| line.split_once(':').expect("a header"));
        let headers = headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self { method: method.to_owned(), query, headers, body, bytes }
    }

    /// Returns a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the parameters of a form body, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        match self.header("content-type") {
            Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => {
                decoded(std::str::from_utf8(&self.body).expect("UTF-8"))
            }
            _ => Vec::new(),
        }
    }

    /// Returns all parameters of query and form.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        self.query.clone().into_iter().chain(self.form()).collect()
    }
}

impl Capture {
    /// Returns a text of the index; empty if it has none.
    pub fn text(&self, name: &str) -> &str {
        self.says[name].as_str().unwrap_or_default()
    }

    /// Returns when the request was signed, in the spelling of its client. An anonymous request has
    /// this, too.
    pub fn timestamp(&self) -> String {
        let parameter = self.request.parameters().get("Timestamp").cloned();
        let header = || self.request.header("x-acs-date").map(str::to_owned);
        parameter.or_else(header).expect("a timestamp")
    }

    /// Whether the signature is V1.
    pub fn is_v1(&self) -> bool {
        self.text("scheme") == "V1 HMAC-SHA1"
    }

    /// Whether the signature is V3.
    pub fn is_v3(&self) -> bool {
        self.text("scheme") == "ACS3-HMAC-SHA256"
    }

    /// Whether the request has a security token.
    pub fn has_security_token(&self) -> bool {
        self.says["credential"]["security_token"].is_string()
    }
}

/// Decodes a form.
fn decoded(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').expect("a pair"));
    pairs.map(|(name, value)| (decoded_text(name), decoded_text(value))).collect()
}

fn decoded_text(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("two digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}
