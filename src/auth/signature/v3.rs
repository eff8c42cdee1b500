//! Signature V3: ACS3-HMAC-SHA256 over a canonical request (docs/protocol.md,
//! "Signature V3").

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::{Parameters, TYPICAL_LENGTH, query};
use crate::auth::secret::Secret;

/// The scheme of the `Authorization` header.
pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// A parsed `Authorization` header.
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
    /// Parses `Credential=…,SignedHeaders=…,Signature=…`. The fields can be in any order, and
    /// blanks can follow the commas. Returns `None` if a field is missing, unknown or given twice, or
    /// if a header is named twice.
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
        let signed_headers = signed_headers?;
        // The canonical request has the value of each header once for each time that it is named.
        let mut names = HashSet::new();
        if !signed_headers.split(';').all(|name| names.insert(name)) {
            return None;
        }
        Some(Self { credential: credential?, signed_headers, signature: signature? })
    }

    /// Returns whether a header is signed.
    #[must_use]
    pub fn signs(&self, header: &str) -> bool {
        self.signed_headers.split(';').any(|name| name == header)
    }
}

/// Returns the canonical request: method, path, query, signed headers, their names, and the hash of
/// the body. A signed header that is absent counts as empty. `payload_hash` is the value of the
/// header `x-acs-content-sha256`; the caller of this function compares it with the body.
#[must_use]
pub fn canonical_request(
    method: &str,
    parameters: &Parameters,
    headers: &HeaderMap,
    signed_headers: &str,
    payload_hash: &str,
) -> String {
    let mut request = String::with_capacity(2 * TYPICAL_LENGTH);
    let in_query = parameters.sorted().filter(|parameter| !parameter.in_form);
    for part in [method, "\n/\n", &query(in_query), "\n"] {
        request.push_str(part);
    }
    for name in signed_headers.split(';') {
        request.push_str(name);
        request.push(':');
        request.push_str(signed_value(headers, name).trim());
        request.push('\n');
    }
    for part in ["\n", signed_headers, "\n", payload_hash] {
        request.push_str(part);
    }
    request
}

/// Returns all values of a header, joined by commas, so that the signature does not match if a
/// value was added after signing. Bytes that are not UTF-8 are replaced by U+FFFD.
fn signed_value<'a>(headers: &'a HeaderMap, name: &str) -> Cow<'a, str> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Cow::Borrowed("") };
    values.fold(String::from_utf8_lossy(first.as_bytes()), |joined, value| {
        joined + "," + String::from_utf8_lossy(value.as_bytes())
    })
}

/// Returns the string to sign: the algorithm and the hash of the canonical request.
#[must_use]
pub fn string_to_sign(canonical_request: &str) -> String {
    [ALGORITHM, "\n", &hash(canonical_request.as_bytes())].concat()
}

/// Returns the SHA-256 in lower-case hex.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The state of the HMAC after its key, which is the secret. It is computed once, and cloned for
/// each signature.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// Computes the key from a secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let key = secret.expose().as_bytes();
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// Returns the signature in lower-case hex.
    #[must_use]
    pub fn sign(&self, string_to_sign: &str) -> String {
        hex::encode(self.mac(string_to_sign).finalize().into_bytes())
    }

    /// Returns whether this is the signature of the string, in lower-case hex. The comparison takes
    /// constant time.
    #[must_use]
    pub fn verify(&self, string_to_sign: &str, signature: &str) -> bool {
        if signature.contains(|character: char| character.is_ascii_uppercase()) {
            return false;
        }
        let Ok(signature) = hex::decode(signature) else { return false };
        self.mac(string_to_sign).verify_slice(&signature).is_ok()
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        self.0.clone().chain_update(text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
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
    fn a_signature_is_lower_case_hex_and_is_compared_as_a_whole() {
        let key = Key::new(&Secret::new("testsecret".to_owned()));
        let signature = key.sign("text");
        assert!(key.verify("text", &signature) && !key.verify("texts", &signature));
        assert_eq!(signature.len(), 64);
        let upper_case = signature.to_ascii_uppercase();
        let longer = format!("{signature}00");
        for wrong in ["", "é", "g0", &signature[..62], &signature[..63], &longer, &upper_case] {
            assert!(!key.verify("text", wrong), "{wrong}");
        }
    }
}
