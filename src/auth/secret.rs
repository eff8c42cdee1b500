//! The secrets of access keys, and random ids. `Debug` prints no secret.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::Error;

/// An access key's secret.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Returns the text, for a signature or for the one reply that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Generates a secret of 30 letters and digits.
    pub fn random() -> Result<Self, Error> {
        random_letters(30).map(Self)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Generates an access key id: `LTAI`, with which the vendor's ids begin, and 20 letters and
/// digits.
pub fn random_access_key_id() -> Result<String, Error> {
    Ok(format!("LTAI{}", random_letters(20)?.as_str()))
}

/// Generates random characters of base 32 in lower case. The id of a DCDN instance ends with nine.
pub fn random_base32(length: usize) -> Result<String, Error> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0; length];
    fill_random(&mut bytes)?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// Generates letters and digits, each with the same probability.
pub(super) fn random_letters(length: usize) -> Result<Zeroizing<String>, Error> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut letters = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0; 64]);
    while letters.len() < length {
        fill_random(&mut *bytes)?;
        // 248 is the largest multiple of 62 that fits a byte. Bytes from 248 on would make the
        // first letters more probable.
        let fair = bytes.iter().filter(|byte| **byte < 248).take(length - letters.len());
        letters.extend(fair.map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    }
    Ok(letters)
}

/// Fills a buffer with random bytes of the operating system.
pub(super) fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes)
        .map_err(|error| Error::internal(format!("cannot get random bytes: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_cannot_be_printed() {
        assert_eq!(format!("{:?}", Secret::new("testsecret".to_owned())), "Secret(…)");
    }

    #[test]
    fn random_ids_have_the_documented_form() {
        let id = random_access_key_id().unwrap();
        assert!(
            id.len() == 24
                && id.starts_with("LTAI")
                && id.bytes().all(|b| b.is_ascii_alphanumeric())
        );
        assert_eq!(Secret::random().unwrap().expose().len(), 30);
        assert!(random_base32(9).unwrap().bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
    }
}
