//! Signature V1: HMAC-SHA1 over method and sorted parameters (protocol, section 2.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::{Pair, canonical_query, encode};
use crate::auth::secret::Secret;

/// The value of `SignatureMethod`.
pub const METHOD: &str = "HMAC-SHA1";
/// The value of `SignatureVersion`.
pub const VERSION: &str = "1.0";
/// The parameter that carries the signature and is not signed itself.
pub const SIGNATURE: &str = "Signature";

/// What is signed: method, path and the canonical query of all parameters but the signature,
/// encoded once more.
#[must_use]
pub fn string_to_sign<'a>(method: &str, pairs: impl Iterator<Item = &'a Pair>) -> String {
    let query = canonical_query(pairs.filter(|(name, _)| name != SIGNATURE));
    format!("{method}&%2F&{}", encode(&query))
}

/// The signature, in base64.
#[must_use]
pub fn sign(secret: &Secret, string_to_sign: &str) -> String {
    STANDARD.encode(mac(secret, string_to_sign).finalize().into_bytes())
}

/// Whether a signature is that of the string; in time that does not depend on where they differ.
#[must_use]
pub fn verify(secret: &Secret, string_to_sign: &str, signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    mac(secret, string_to_sign).verify_slice(&signature).is_ok()
}

fn mac(secret: &Secret, text: &str) -> Hmac<Sha1> {
    let key = zeroize::Zeroizing::new([secret.expose(), "&"].concat());
    let mut mac =
        Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac
}
