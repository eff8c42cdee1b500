//! Signature V3: ACS3-HMAC-SHA256 over a canonical request (protocol, section 3).

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::{Pair, canonical_query};
use crate::auth::secret::Secret;

/// The scheme of the `Authorization` header.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// An `Authorization` header, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// The access key id.
    pub credential: &'a str,
    /// The names of the headers that the client signed, joined by `;`.
    pub signed_headers: &'a str,
    /// The signature in lower-case hex.
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads `Credential=…,SignedHeaders=…,Signature=…` in any order, blanks after the commas
    /// allowed; `None` where a field is missing, unknown or given twice.
    #[must_use]
    pub fn parse(fields: &'a str) -> Option<Self> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            if value.is_empty() || slot.replace(value).is_some() {
                return None;
            }
        }
        Some(Self {
            credential: credential?,
            signed_headers: signed_headers?,
            signature: signature?,
        })
    }

    /// Whether a header is among the signed ones.
    #[must_use]
    pub fn signs(&self, header: &str) -> bool {
        self.signed_headers.split(';').any(|name| name == header)
    }
}

/// The canonical request: method, path, query, signed headers, their names, hash of the body. A
/// signed header that is absent counts as empty. `payload_hash` is the header's value; the caller
/// compares it with the body.
#[must_use]
pub fn canonical_request<'a>(
    method: &str,
    query: impl Iterator<Item = &'a Pair>,
    headers: &HeaderMap,
    signed_headers: &str,
    payload_hash: &str,
) -> String {
    let mut request = format!("{method}\n/\n{}\n", canonical_query(query));
    for name in signed_headers.split(';') {
        // All of its values and all of their bytes: what was added or changed later shows.
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let value = values.collect::<Vec<_>>().join(",");
        writeln!(request, "{name}:{}", value.trim()).expect("a String takes any text");
    }
    write!(request, "\n{signed_headers}\n{payload_hash}").expect("a String takes any text");
    request
}

/// What is signed: the algorithm and the hash of the canonical request.
#[must_use]
pub fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{}", hash(canonical_request.as_bytes()))
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The signature, in lower-case hex.
#[must_use]
pub fn sign(secret: &Secret, string_to_sign: &str) -> String {
    hex(&mac(secret, string_to_sign).finalize().into_bytes())
}

/// Whether a signature is that of the string; in time that does not depend on where they differ.
#[must_use]
pub fn verify(secret: &Secret, string_to_sign: &str, signature: &str) -> bool {
    let Some(signature) = unhex(signature) else { return false };
    mac(secret, string_to_sign).verify_slice(&signature).is_ok()
}

fn mac(secret: &Secret, text: &str) -> Hmac<Sha256> {
    let key = secret.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes any text");
        hex
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorization_header_is_read_by_field_name() {
        let expected =
            Authorization { credential: "id", signed_headers: "host;x-acs-date", signature: "ab" };
        let python = "Credential=id,SignedHeaders=host;x-acs-date,Signature=ab";
        let java = "Signature=ab, SignedHeaders=host;x-acs-date, Credential=id";
        assert_eq!(Authorization::parse(python), Some(expected));
        assert_eq!(Authorization::parse(java), Some(expected));
        assert!(expected.signs("host") && !expected.signs("x-acs"));
        for wrong in [
            "",
            "Credential=id",
            "Credential=id,SignedHeaders=host,Signature=",
            "Credential=id,Credential=id,SignedHeaders=host,Signature=ab",
            "Credential=id,SignedHeaders=host,Signature=ab,More=1",
        ] {
            assert_eq!(Authorization::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hex_is_lower_case() {
        assert_eq!(unhex(&hex(&[0, 9, 10, 255])), Some(vec![0, 9, 10, 255]));
        assert!(unhex("AB").is_none() && unhex("a").is_none() && unhex("é").is_none());
    }
}
