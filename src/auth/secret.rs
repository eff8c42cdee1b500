//! The secrets of access keys. They are encrypted in the database and not hashed, because a
//! signature can be checked with the secret only. `Debug` prints none of them.

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Error;

/// First byte of a sealed secret. 12 bytes of nonce and the ciphertext with its tag follow.
const SEALED_FORM: u8 = 1;
const NONCE_BYTES: usize = 12;

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
fn random_letters(length: usize) -> Result<Zeroizing<String>, Error> {
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

fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes)
        .map_err(|error| Error::internal(format!("cannot get random bytes: {error}")))
}

/// The key that encrypts the secrets of access keys in the database, and from which the keys of
/// cursors and page tokens are derived. Clones share it, so that only one copy has to be wiped.
#[derive(Clone)]
pub struct SealingKey(Arc<Sealing>);

struct Sealing {
    cipher: Aes256Gcm,
    /// The bytes from which keys for other purposes are derived.
    material: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// Parses the text of a key file: 32 bytes in base64. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        let material: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().ok()?);
        let cipher = Aes256Gcm::new((&*material).into());
        Some(Self(Arc::new(Sealing { cipher, material })))
    }

    /// Derives a key for the purpose that the label names: the HMAC-SHA256 of the label. A derived
    /// key reveals neither this key nor the key of another label.
    #[must_use]
    pub fn derive(&self, label: &str) -> [u8; 32] {
        keyed(&*self.0.material).chain_update(label).finalize().into_bytes().into()
    }

    /// Returns a value that identifies the key and does not reveal it.
    #[must_use]
    pub fn check_value(&self) -> [u8; 32] {
        self.derive("check value")
    }

    /// Generates a key, as the text of a key file.
    pub fn generate() -> Result<Zeroizing<String>, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill_random(&mut *bytes)?;
        Ok(Zeroizing::new(STANDARD.encode(*bytes)))
    }

    /// Encrypts the secret of an access key. It can be decrypted for the same access key id only.
    pub fn seal(&self, access_key_id: &str, secret: &Secret) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce)?;
        let payload = Payload { msg: secret.expose().as_bytes(), aad: access_key_id.as_bytes() };
        let sealed = self.0.cipher.encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::internal("cannot encrypt a secret"))?;
        Ok([&[SEALED_FORM], &nonce[..], &sealed].concat())
    }

    /// Decrypts the sealed secret of an access key.
    pub fn open(&self, access_key_id: &str, sealed: &[u8]) -> Result<Secret, Error> {
        let fault = || {
            Error::internal(format!(
                "cannot decrypt the secret of access key {access_key_id}; check that SEALING_KEY_FILE \
                 has the key that encrypted it"
            ))
        };
        let (form, sealed) = sealed.split_first().ok_or_else(fault)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(fault)?;
        if *form != SEALED_FORM {
            return Err(fault());
        }
        let payload = Payload { msg: sealed, aad: access_key_id.as_bytes() };
        let opened = self.0.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| fault())?;
        String::from_utf8(opened).map(Secret::new).map_err(|_| fault())
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey(…)")
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    KeyInit::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_can_be_decrypted_for_its_own_key_id_only() {
        let key = SealingKey::parse(&SealingKey::generate().unwrap()).unwrap();
        let sealed = key.seal("testid", &Secret::new("testsecret".to_owned())).unwrap();
        assert_eq!(key.open("testid", &sealed).unwrap().expose(), "testsecret");
        assert!(key.open("testid2", &sealed).is_err());
        assert!(key.open("testid", &sealed[..sealed.len() - 1]).is_err());
        assert!(key.open("testid", &[]).is_err());
        let other = SealingKey::parse(&SealingKey::generate().unwrap()).unwrap();
        assert!(other.open("testid", &sealed).is_err());
        assert_ne!(sealed, key.seal("testid", &Secret::new("testsecret".to_owned())).unwrap());
    }

    #[test]
    fn secrets_cannot_be_printed() {
        let key = SealingKey::parse(&SealingKey::generate().unwrap()).unwrap();
        let printed = format!("{:?} {key:?}", Secret::new("testsecret".to_owned()));
        assert_eq!(printed, "Secret(…) SealingKey(…)");
    }

    #[test]
    fn a_derived_key_depends_on_the_key_and_on_the_label() {
        let text = SealingKey::generate().unwrap();
        let key = SealingKey::parse(&text).unwrap();
        assert_eq!(key.derive("cursor"), SealingKey::parse(&text).unwrap().derive("cursor"));
        assert_ne!(key.derive("cursor"), key.derive("page"));
        let other = SealingKey::parse(&SealingKey::generate().unwrap()).unwrap();
        assert_ne!(key.derive("cursor"), other.derive("cursor"));
        assert!(SealingKey::parse("c2hvcnQ=").is_none() && SealingKey::parse("").is_none());
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
