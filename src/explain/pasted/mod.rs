//! Recognises what was pasted, and reads the request of it.

mod curl;
mod http;
mod shell;
pub mod strings;
mod url;

use serde::Serialize;

use super::sent::Sent;
use crate::auth::signature::v3;

/// What was pasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A URL, or its query.
    Url,
    /// A curl command.
    Curl,
    /// A raw HTTP request.
    Http,
    /// A string to sign, of the client or in a message of the server.
    StringToSign,
    /// A canonical request of V3, of the client or in a message of the server.
    CanonicalRequest,
}

/// A pasted text, and the request of it.
#[derive(Clone, Debug)]
pub struct Pasted {
    /// What was pasted.
    pub kind: Kind,
    /// The request.
    pub sent: Sent,
    /// The client's own string, if that was pasted.
    pub own: Option<String>,
    /// The server's string, if a message of the server was pasted.
    pub server: Option<String>,
    /// Codes of causes that the form of the text shows.
    pub notes: Vec<&'static str>,
}

/// Recognises a text. Returns `None` if it is none of the kinds.
#[must_use]
pub fn recognise(text: &str) -> Option<Pasted> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Some(command) = curl_command(text) {
        return Some(curl::read(command));
    }
    if let Some(request) = http::find(text) {
        return Some(http::read(&request));
    }
    if let Some(pasted) = strings::read_message(text) {
        return Some(pasted);
    }
    if text.starts_with(v3::ALGORITHM) {
        let own = Some(own_string(text));
        let sent = Sent::default();
        let notes = vec!["only_a_hash"];
        return Some(Pasted { kind: Kind::StringToSign, sent, own, server: None, notes });
    }
    let own = own_string(text);
    let (kind, sent) = if strings::is_v1(&own) {
        (Kind::StringToSign, strings::v1(&own)?)
    } else if let Some(sent) = strings::canonical_request(&own).filter(|_| text.contains('\n')) {
        (Kind::CanonicalRequest, sent)
    } else {
        return url::is_url(text).then(|| url::read(text));
    };
    Some(Pasted { kind, sent, own: Some(own), server: None, notes: Vec::new() })
}

/// Returns a client's own string as it signed it: without the line ends that copying adds. A string
/// of V1 has no line end at all.
#[must_use]
pub fn own_string(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let text = text.trim_end_matches('\n').trim_start_matches('\n');
    let joined: String = text.lines().collect();
    if strings::is_v1(&joined) && !text.starts_with(v3::ALGORITHM) {
        joined
    } else {
        text.to_owned()
    }
}

fn is_method(text: &str) -> bool {
    ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]
        .iter()
        .any(|method| text.eq_ignore_ascii_case(method))
}

/// Returns the part of a text from a command `curl` at the start of a line on.
fn curl_command(text: &str) -> Option<&str> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let command = line.trim_start_matches(['$', '#', '%', '>', ' ', '\t']);
        let is_curl = ["curl ", "curl\t", "curl.exe "].iter().any(|name| command.starts_with(name));
        if is_curl {
            return Some(&text[start + line.len() - command.len()..]);
        }
        start += line.len();
    }
    None
}
