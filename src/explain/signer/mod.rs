//! A signer whose every step can be done wrongly. A cause is a change to the signer that does
//! everything right.

pub mod encoding;

use serde::Serialize;

use super::sent::Sent;
use crate::auth::signature::{Pair, v1, v3};

/// Which signature a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Version {
    /// HMAC-SHA1 in the parameters.
    V1,
    /// ACS3-HMAC-SHA256 in the headers.
    V3,
}

/// The function of the MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Algorithm {
    /// That of V1.
    #[serde(rename = "HMAC-SHA1")]
    Sha1,
    /// That of V3.
    #[serde(rename = "HMAC-SHA256")]
    Sha256,
}

/// How the MAC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Base64 with padding, for V1.
    Base64,
    /// Hex digits in lower case, for V3.
    Hex,
    /// The base64 of the hex digits.
    Base64OfHex,
}

/// Which text of the secret is the middle of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Used {
    /// The secret without blanks, line ends and byte order marks around it.
    Trimmed,
    /// The secret as it was typed.
    AsGiven,
}

/// How a MAC is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Mac {
    /// The function.
    pub algorithm: Algorithm,
    /// How the MAC is written.
    pub encoding: Encoding,
    /// What stands before the secret in the key.
    pub key_prefix: String,
    /// What stands after it.
    pub key_suffix: String,
    /// The middle of the key.
    pub secret: Used,
}

/// In which order parameters are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By the bytes of the names.
    Sorted,
    /// As in the request.
    AsSent,
    /// By the names, of which the letter case does not count.
    IgnoringCase,
    /// By the bytes of `name=value`.
    AsTexts,
}

/// What becomes of a parameter with an empty value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// `name=`.
    Kept,
    /// It is left out.
    LeftOut,
    /// `name`.
    WithoutEquals,
}

/// Encodes a text.
pub type Encode = fn(&str) -> String;

/// A way to sign a request.
#[derive(Clone, Debug)]
pub struct Signer<'a> {
    /// The request.
    pub sent: &'a Sent,
    /// Which signature.
    pub version: Version,
    /// The method in the string to sign.
    pub method: String,
    /// The path; `None` leaves out the whole part.
    pub path: Option<&'static str>,
    /// The decoded parameters.
    pub pairs: Vec<Pair>,
    /// Their order.
    pub order: Order,
    /// What becomes of empty values.
    pub empty: Empty,
    /// How names and values are encoded.
    pub encode: Encode,
    /// How V1 encodes the canonical query.
    pub encode_query: Encode,
    /// What stands before and after the canonical query.
    pub around_query: (&'static str, &'static str),
    /// The header lines of V3.
    pub headers: Vec<Pair>,
    /// What stands between the header lines and the names of the signed headers.
    pub gap: &'static str,
    /// The names of the signed headers.
    pub signed_headers: String,
    /// The last line of the canonical request.
    pub payload_hash: String,
    /// Makes the string to sign of a canonical request.
    pub to_sign: Encode,
    /// The last step: changes the string to sign.
    pub finish: Encode,
    /// How the MAC is made.
    pub mac: Mac,
    /// What the cause is about, the name of a parameter for example.
    pub about: String,
}

/// What a signer makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Strings {
    /// The canonical query of V1, or the canonical request of V3.
    pub canonical: String,
    /// The string to sign.
    pub to_sign: String,
}

impl<'a> Signer<'a> {
    /// Returns the signer that does everything right.
    #[must_use]
    pub fn new(sent: &'a Sent, version: Version, signed_headers: &str) -> Self {
        let is_v1 = version == Version::V1;
        let is_signed = |pair: &Pair| !is_v1 || pair.0 != v1::SIGNATURE;
        let signed_headers = if is_v1 { "" } else { signed_headers };
        Self {
            sent,
            version,
            method: sent.method.clone(),
            path: Some(if is_v1 { "%2F" } else { "/" }),
            pairs: sent.pairs(is_v1).filter(is_signed).collect(),
            order: Order::Sorted,
            empty: Empty::Kept,
            encode: encoding::standard,
            encode_query: if is_v1 { encoding::standard } else { encoding::none },
            around_query: ("", ""),
            headers: if is_v1 { Vec::new() } else { header_lines(sent, signed_headers) },
            gap: "\n",
            signed_headers: signed_headers.to_owned(),
            payload_hash: sent.header("x-acs-content-sha256").unwrap_or_default().to_owned(),
            to_sign: v3::string_to_sign,
            finish: encoding::none,
            mac: Mac::of(version),
            about: String::new(),
        }
    }

    /// Whether the signature is V1.
    #[must_use]
    pub fn is_v1(&self) -> bool {
        self.version == Version::V1
    }

    /// Signs, except for the MAC.
    #[must_use]
    pub fn strings(&self) -> Strings {
        let query = self.query();
        if self.is_v1() {
            let path = self.path.map(|path| format!("{path}&")).unwrap_or_default();
            let to_sign = format!("{}&{path}{}", self.method, (self.encode_query)(&query));
            return Strings { canonical: query, to_sign: (self.finish)(&to_sign) };
        }
        let path = self.path.map(|path| format!("{path}\n")).unwrap_or_default();
        let mut lines = String::new();
        for (name, value) in &self.headers {
            lines.extend([name.as_str(), ":", value, "\n"]);
        }
        let (method, query) = (&self.method, (self.encode_query)(&query));
        let canonical = format!(
            "{method}\n{path}{query}\n{lines}{}{}\n{}",
            self.gap, self.signed_headers, self.payload_hash
        );
        let to_sign = (self.finish)(&(self.to_sign)(&canonical));
        Strings { canonical, to_sign }
    }

    fn query(&self) -> String {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        match self.order {
            Order::Sorted => pairs.sort_by(|one, other| one.0.cmp(&other.0)),
            Order::AsSent => {}
            Order::IgnoringCase => pairs.sort_by_cached_key(|pair| pair.0.to_lowercase()),
            Order::AsTexts => pairs.sort_by_cached_key(|pair| self.text(pair)),
        }
        if self.empty == Empty::LeftOut {
            pairs.retain(|pair| !pair.1.is_empty());
        }
        let texts: Vec<_> = pairs.into_iter().map(|pair| self.text(pair)).collect();
        [self.around_query.0, &texts.join("&"), self.around_query.1].concat()
    }

    fn text(&self, (name, value): &Pair) -> String {
        let name = (self.encode)(name);
        if value.is_empty() && self.empty == Empty::WithoutEquals {
            return name;
        }
        format!("{name}={}", (self.encode)(value))
    }
}

impl Mac {
    /// Returns how the MAC of a version is made.
    #[must_use]
    pub fn of(version: Version) -> Self {
        let (algorithm, encoding, suffix) = match version {
            Version::V1 => (Algorithm::Sha1, Encoding::Base64, "&"),
            Version::V3 => (Algorithm::Sha256, Encoding::Hex, ""),
        };
        Self {
            algorithm,
            encoding,
            key_prefix: String::new(),
            key_suffix: suffix.to_owned(),
            secret: Used::Trimmed,
        }
    }
}

/// Returns the header lines as the server signs them: in the order of `signed_headers`, several
/// values joined by commas, an absent header as an empty value.
fn header_lines(sent: &Sent, signed_headers: &str) -> Vec<Pair> {
    let names = signed_headers.split(';').map(|name| {
        let same = sent.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let values: Vec<_> = same.map(|(_, value)| value.trim()).collect();
        (name.to_owned(), values.join(",").trim().to_owned())
    });
    names.collect()
}
