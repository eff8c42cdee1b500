//! Signature V1: HMAC-SHA1 over the method and the sorted parameters (docs/protocol.md, "Signature
//! V1").

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::{Parameters, encode, query};
use crate::auth::secret::Secret;

/// The value of `SignatureMethod`.
pub const METHOD: &str = "HMAC-SHA1";
/// The value of `SignatureVersion`.
pub const VERSION: &str = "1.0";
/// The parameter that carries the signature and is not signed itself.
pub const SIGNATURE: &str = "Signature";

/// Returns the string to sign: the method, the path, and the canonical query of all parameters
/// except the signature, encoded a second time.
#[must_use]
pub fn string_to_sign(method: &str, parameters: &Parameters) -> String {
    let signed = parameters.sorted().filter(|parameter| parameter.name != SIGNATURE);
    format!("{method}&%2F&{}", encode(&query(signed)))
}

/// The state of the HMAC after its key, which is the secret. It is computed once, and cloned for
/// each signature.
#[derive(Clone)]
pub struct Key(Hmac<Sha1>);

impl Key {
    /// Computes the key from a secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let key = zeroize::Zeroizing::new([secret.expose(), "&"].concat());
        Self(Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes a key of any length"))
    }

    /// Returns the signature in base64.
    #[must_use]
    pub fn sign(&self, string_to_sign: &str) -> String {
        STANDARD.encode(self.mac(string_to_sign).finalize().into_bytes())
    }

    /// Returns whether this is the signature of the string, in base64. The comparison takes
    /// constant time.
    #[must_use]
    pub fn verify(&self, string_to_sign: &str, signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        self.mac(string_to_sign).verify_slice(&signature).is_ok()
    }

    fn mac(&self, text: &str) -> Hmac<Sha1> {
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
    fn a_signature_of_any_length_is_compared_as_a_whole() {
        let key = Key::new(&Secret::new("testsecret".to_owned()));
        let signature = key.sign("text");
        assert!(key.verify("text", &signature) && !key.verify("texts", &signature));
        let whole = STANDARD.decode(&signature).unwrap();
        for wrong in [vec![], whole[..19].to_vec(), [&whole[..], &[0]].concat(), vec![0; 99]] {
            assert!(!key.verify("text", &STANDARD.encode(wrong)));
        }
        assert!(!key.verify("text", "") && !key.verify("text", "*"));
        assert!(!key.verify("text", &format!("{signature}=")));
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
