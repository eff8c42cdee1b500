//! The token of a calling service, and its digest. Only digests are kept, so neither the file of
//! tokens nor the memory of the service reveals a token.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::domain::{Time, time};
use crate::error::Error;

/// The SHA-256 of a token.
pub(super) type TokenDigest = [u8; 32];

/// The text before each digest in a file of tokens.
pub(super) const DIGEST_KIND: &str = "sha256:";

/// Returns the digest of a token.
///
/// The digest is looked up in a table. The time of the look-up can depend on how many bytes of the
/// *digest* are equal to those of a known digest. A caller cannot choose the digest of the token that
/// it sends, so the time does not reveal how much of the token is right.
pub(super) fn digest_of(token: &str) -> TokenDigest {
    Sha256::digest(token).into()
}

/// A token in plain text, for its new owner.
pub struct ServiceToken(Zeroizing<String>);

impl ServiceToken {
    /// Generates a token of 43 characters from 32 random bytes.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes)
            .map_err(|error| Error::internal(format!("cannot get random bytes: {error}")))?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))))
    }

    /// Wraps a token.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// Returns the text, for the service that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the line of the file of tokens that makes the token valid for the service `name` until
    /// `not_after`, which is exclusive.
    #[must_use]
    pub fn line(&self, name: &str, not_after: Option<Time>) -> String {
        let digest = hex::encode(digest_of(&self.0));
        let not_after = not_after.map(|not_after| format!(" {}", time::format(not_after)));
        format!("{name} {DIGEST_KIND}{digest}{}", not_after.unwrap_or_default())
    }
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServiceToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_has_43_characters_and_cannot_be_printed() {
        let [first, second] = [(); 2].map(|()| ServiceToken::generate().unwrap());
        assert_ne!(first.expose(), second.expose());
        let is_url_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        assert!(first.expose().len() == 43 && first.expose().bytes().all(is_url_safe));
        assert_eq!(format!("{first:?}"), "ServiceToken(…)");
    }

    #[test]
    fn the_line_has_the_digest_and_not_the_token() {
        let token = ServiceToken::new("abc");
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(token.line("billing", None), format!("billing sha256:{digest}"));
        let not_after = time::parse("2027-01-01T00:00:00Z");
        let line = format!("billing sha256:{digest} 2027-01-01T00:00:00Z");
        assert_eq!(token.line("billing", not_after), line);
    }
}
