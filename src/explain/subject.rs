//! What is explained: the signature of a request, and what the request itself shows about it.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::causes::OPTION_NOT_READ;
use super::pasted::{Kind, Pasted};
use super::sent::Sent;
use super::signer::{Signer, Version, encoding};
use crate::auth::signature::{v1, v3};

/// A code of a cause, and what the cause is about.
pub type Found = (&'static str, String);

/// The signature of a request.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Which signature.
    pub version: Version,
    /// The names of the signed headers of V3.
    pub signed_headers: String,
    /// The signature, as the client computed it.
    pub signature: Option<String>,
    /// The causes for which the server refuses the request even if the MAC matches.
    pub refusals: Vec<Found>,
    /// Other causes that the request shows.
    pub hints: Vec<Found>,
}

impl Subject {
    /// Reads the signature of a pasted request.
    #[must_use]
    pub fn of(pasted: &Pasted) -> Self {
        let sent = &pasted.sent;
        let authorization = sent.header("authorization").unwrap_or_default();
        let is_v3 = authorization.starts_with("ACS") || (pasted.own_is_v3() && sent.raw.is_empty());
        let is_anonymous =
            sent.header("x-acs-date").is_some() && sent.parameter("Action").is_none();
        let version = if is_v3 || is_anonymous { Version::V3 } else { Version::V1 };
        let received = match version {
            Version::V1 => sent.parameter(v1::SIGNATURE),
            Version::V3 => field(authorization, "Signature"),
        };
        let mut subject = Self {
            version,
            signed_headers: field(authorization, "SignedHeaders").unwrap_or_default(),
            signature: None,
            refusals: Vec::new(),
            hints: pasted.notes.iter().map(|code| (*code, String::new())).collect(),
        };
        if let Some(received) = received.filter(|received| !received.is_empty()) {
            subject.read_signature(received);
        }
        if !are_distinct(&subject.signed_headers) {
            subject.signed_headers.clear();
            subject.refuse("authorization_unreadable", "");
        }
        if matches!(pasted.kind, Kind::Url | Kind::Curl | Kind::Http) {
            subject.check(sent);
        }
        subject
    }

    fn refuse(&mut self, code: &'static str, about: &str) {
        self.refusals.push((code, about.to_owned()));
    }

    /// Repairs a signature that was damaged on the way to the server, so that it can be compared
    /// with a MAC.
    fn read_signature(&mut self, mut text: String) {
        if text.contains('%') {
            text = super::sent::decode(&text.replace('+', "%2B"));
            self.refuse("signature_encoded_twice", "");
        }
        let trimmed = text.trim_matches(['\r', '\n', '\t']).trim_end();
        if trimmed.len() < text.len() {
            text = trimmed.into();
            self.refuse("signature_with_line_end", "");
        }
        if is_hex(&text) {
            if self.version == Version::V3 && text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                self.refuse("signature_upper_case", "");
            }
            text.make_ascii_lowercase();
        } else if self.version == Version::V1 {
            self.repair_base64(&mut text);
        }
        self.hints.extend(shape(&text, self.version).map(|code| (code, String::new())));
        self.signature = Some(text);
    }

    fn repair_base64(&mut self, text: &mut String) {
        if text.contains(' ') {
            *text = text.replace(' ', "+");
            self.refuse("signature_plus_as_blank", "");
        }
        if text.contains(['-', '_']) {
            *text = text.replace('-', "+").replace('_', "/");
            self.refuse("signature_url_safe", "");
        }
        if !text.len().is_multiple_of(4) && !text.ends_with('=') {
            text.push_str(&"=".repeat(4 - text.len() % 4));
            self.refuse("signature_without_padding", "");
        }
    }

    /// Finds what the server refuses before it compares the signature, or beside it.
    fn check(&mut self, sent: &Sent) {
        for option in sent.unread.iter().take(5) {
            self.hints.push((OPTION_NOT_READ, option.clone()));
        }
        if self.signature.is_none() && sent.unread.is_empty() {
            self.refuse("signature_missing", "");
        }
        let mut names = HashSet::new();
        if let Some((name, _)) = sent.pairs(true).find(|(name, _)| !names.insert(name.clone())) {
            self.refuse("parameter_twice", &name);
        }
        if sent.path != "/" {
            self.refuse("path_not_root", &sent.path);
        }
        if !sent.body.trim().is_empty() && !sent.is_form() {
            self.refuse("body_not_a_form", "");
        }
        match self.version {
            Version::V1 => self.check_v1(sent),
            Version::V3 => self.check_v3(sent),
        }
    }

    fn check_v1(&mut self, sent: &Sent) {
        let differs = |name, known: &str| sent.parameter(name).is_some_and(|value| value != known);
        if differs("SignatureMethod", v1::METHOD) || differs("SignatureVersion", v1::VERSION) {
            self.refuse("signature_method_unknown", "");
        }
        self.check_key(sent, &sent.parameter("AccessKeyId").unwrap_or_default());
    }

    fn check_v3(&mut self, sent: &Sent) {
        let authorization = sent.header("authorization").unwrap_or_default();
        let fields = authorization.strip_prefix(v3::ALGORITHM).unwrap_or_default();
        let Some(parsed) = v3::Authorization::parse(fields.trim_start()) else {
            if sent.unread.is_empty() {
                self.refuse("authorization_unreadable", "");
            }
            return;
        };
        match sent.header("x-acs-content-sha256") {
            None if !sent.unread.is_empty() => {}
            None => self.refuse("payload_hash_missing", ""),
            Some(hash) if sent.unread.is_empty() && !is_hash_of(hash, &sent.body) => {
                self.refuse("payload_hash_of_another_body", "");
            }
            Some(_) => {}
        }
        let names = sent.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
        for name in names.filter(|name| name.starts_with("x-acs-") && !parsed.signs(name)) {
            self.refuse("header_not_signed", &name);
        }
        let absent = parsed.signed_headers.split(';').filter(|name| sent.header(name).is_none());
        self.hints.extend(absent.take(5).map(|name| ("signed_header_not_sent", name.to_owned())));
        self.check_key(sent, parsed.credential);
    }

    /// Checks whether the request was signed with a key that is not secret.
    fn check_key(&mut self, sent: &Sent, access_key_id: &str) {
        let signer = Signer::new(sent, self.version, &self.signed_headers);
        let text = signer.strings().to_sign;
        for (secret, code) in [("", "empty_secret"), (access_key_id, "key_id_as_secret")] {
            if Some(signer.mac.sign(&text, secret)) == self.signature {
                self.hints.push((code, String::new()));
                return;
            }
        }
    }
}

impl Pasted {
    fn own_is_v3(&self) -> bool {
        self.own.as_deref().is_some_and(|own| own.starts_with(v3::ALGORITHM))
    }
}

/// Whether no name of a list occurs twice. Otherwise the canonical request could be as long as the
/// square of the text.
fn are_distinct(signed_headers: &str) -> bool {
    let mut names = HashSet::new();
    signed_headers.split(';').all(|name| names.insert(name.to_ascii_lowercase()))
}

/// Returns a field of the header `Authorization`.
fn field(authorization: &str, name: &str) -> Option<String> {
    let fields = authorization.split_once(' ')?.1.split(',');
    let mut values = fields.filter_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    values.next().map(str::to_owned)
}

/// Whether a hash is that of the body. Copying may have added a line end to the body.
fn is_hash_of(hash: &str, body: &str) -> bool {
    [body, body.trim_end_matches(['\r', '\n'])].iter().any(|body| v3::hash(body.as_bytes()) == hash)
}

fn is_hex(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the cause that the length and the alphabet of a signature show.
fn shape(signature: &str, version: Version) -> Option<&'static str> {
    if is_hex(signature) {
        return match (version, signature.len()) {
            (Version::V1, _) => Some("hex_for_base64"),
            (Version::V3, 40) => Some("hmac_sha1"),
            (Version::V3, _) => None,
        };
    }
    let bytes = STANDARD.decode(signature).ok()?;
    match (version, bytes.len()) {
        (_, 40 | 64) if bytes.iter().all(u8::is_ascii_hexdigit) => Some("base64_of_hex"),
        (Version::V1, 32) => Some("hmac_sha256"),
        (Version::V3, 20 | 32) => Some("base64_for_hex"),
        _ => None,
    }
}

/// Removes `amp;` before the names, which remains of `&amp;`. Returns whether there was any.
pub fn remove_html_escapes(sent: &mut Sent) -> bool {
    let mut found = false;
    for raw in &mut sent.raw {
        if let Some(name) = raw.name.strip_prefix("amp;") {
            raw.name = name.to_owned();
            found = true;
        }
    }
    found
}

/// Compares a client's own parameters with those of the request. Returns at most five causes.
#[must_use]
pub fn compare_pairs(own: &[(String, String)], sent: &[(String, String)]) -> Vec<Found> {
    let value = |pairs: &[(String, String)], name: &str| {
        pairs.iter().find(|(given, _)| given == name).map(|(_, value)| encoding::standard(value))
    };
    let mut found: Vec<Found> = Vec::new();
    for (name, _) in own.iter().take(256) {
        match (value(own, name), value(sent, name)) {
            (_, None) => found.push(("parameter_not_sent", name.clone())),
            (signed, sent) if signed != sent => found.push(("value_differs", name.clone())),
            _ => {}
        }
    }
    let unsigned = sent.iter().take(256).filter(|(name, _)| value(own, name).is_none());
    found.extend(unsigned.map(|(name, _)| ("parameter_not_signed", name.clone())));
    found.truncate(5);
    found
}
