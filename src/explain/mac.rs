//! Computes the MAC of a candidate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::signer::{Algorithm, Encoding, Mac, Used};

impl Mac {
    /// Returns the signature of a string with a secret.
    #[must_use]
    pub fn sign(&self, string_to_sign: &str, secret: &str) -> String {
        let secret = match self.secret {
            Used::Trimmed => trimmed(secret),
            Used::AsGiven => secret,
        };
        let key = Zeroizing::new([&self.key_prefix, secret, &self.key_suffix].concat());
        let (key, text) = (key.as_bytes(), string_to_sign.as_bytes());
        let bytes = match self.algorithm {
            Algorithm::Sha1 => {
                let mac = Hmac::<Sha1>::new_from_slice(key).expect("a key of any length");
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }
            Algorithm::Sha256 => {
                let mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
                mac.chain_update(text).finalize().into_bytes().to_vec()
            }
        };
        match self.encoding {
            Encoding::Base64 => STANDARD.encode(bytes),
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64OfHex => STANDARD.encode(hex::encode(bytes)),
        }
    }
}

/// Removes what people copy with a secret by accident: blanks, line ends, a byte order mark.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}
