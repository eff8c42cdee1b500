//! A sealing key.

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{KEY_ID_BYTES, Sealed, SealingKeyId};
use crate::auth::secret::{Secret, fill_random};
use crate::domain::AccountId;
use crate::error::Error;
use crate::storage::SealingCheck;

/// First byte of what is sealed. The id of the sealing key, the nonce, and the ciphertext with its
/// tag follow.
const FORM: u8 = 2;
const NONCE_BYTES: usize = 12;

/// A key that encrypts, and from which the keys of cursors, page tokens and temporary credentials
/// are derived. Clones share it, so that only one copy has to be wiped.
#[derive(Clone)]
pub struct SealingKey(Arc<Sealing>);

struct Sealing {
    id: SealingKeyId,
    cipher: Aes256Gcm,
    /// The bytes from which keys for other purposes are derived.
    material: Zeroizing<[u8; 32]>,
}

impl SealingKey {
    /// Parses a line of a key file: 32 bytes in base64. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).ok()?);
        let material: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().ok()?);
        let cipher = Aes256Gcm::new((&*material).into());
        let digest: [u8; 32] = code(&*material, b"key id").into_bytes().into();
        let mut id = SealingKeyId::default();
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Some(Self(Arc::new(Sealing { id, cipher, material })))
    }

    /// Returns the id, which is derived from the key.
    #[must_use]
    pub fn id(&self) -> SealingKeyId {
        self.0.id
    }

    /// Derives a key for the purpose that the label names: the HMAC-SHA256 of the label. A derived
    /// key reveals neither this key nor the key of another label.
    #[must_use]
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(code(&*self.0.material, label.as_bytes()).into_bytes().into())
    }

    /// Returns what the database keeps about the key. It does not reveal the key.
    #[must_use]
    pub fn check(&self) -> SealingCheck {
        SealingCheck { key_id: self.0.id, value: *self.derive("check value") }
    }

    /// Generates a key, as the line of a key file.
    pub fn generate() -> Result<Zeroizing<String>, Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill_random(&mut *bytes)?;
        Ok(Zeroizing::new(STANDARD.encode(*bytes)))
    }

    /// Encrypts the secret of an access key. It can be opened for the same key of the same account
    /// only.
    pub fn seal_secret(
        &self,
        access_key_id: &str,
        account_id: AccountId,
        secret: &Secret,
    ) -> Result<Vec<u8>, Error> {
        let sealed = Sealed::Secret { access_key_id, account_id: account_id.get() };
        self.seal(sealed, secret.expose().as_bytes())
    }

    /// Encrypts bytes for a purpose.
    pub(in crate::auth) fn seal(&self, sealed: Sealed<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_BYTES];
        fill_random(&mut nonce)?;
        let payload = Payload { msg: plain, aad: &sealed.associated_data() };
        let bytes = self.0.cipher.encrypt(&Nonce::from(nonce), payload);
        let bytes = bytes.map_err(|_| Error::internal("cannot encrypt"))?;
        Ok([&[FORM], &self.0.id[..], &nonce[..], &bytes].concat())
    }

    /// Decrypts what this key has sealed for the same purpose.
    pub(super) fn open(&self, sealed: Sealed<'_>, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, bytes) = after_id(bytes)?.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: bytes, aad: &sealed.associated_data() };
        self.0.cipher.decrypt(&Nonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }
}

/// Returns the id of the key that has sealed these bytes; `None` if they have another form.
pub(super) fn sealed_by(bytes: &[u8]) -> Option<SealingKeyId> {
    after_id(bytes)?;
    bytes[1..].first_chunk().copied()
}

fn after_id(bytes: &[u8]) -> Option<&[u8]> {
    let (form, rest) = bytes.split_first()?;
    let (_, rest) = rest.split_first_chunk::<KEY_ID_BYTES>()?;
    (*form == FORM).then_some(rest)
}

/// Returns the state of an HMAC-SHA256 with a key.
pub(in crate::auth) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    KeyInit::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn code(key: &[u8], text: &[u8]) -> hmac::digest::CtOutput<Hmac<Sha256>> {
    keyed(key).chain_update(text).finalize()
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SealingKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealingKey {
        SealingKey::parse(&SealingKey::generate().unwrap()).unwrap()
    }

    fn secret_of(access_key_id: &str, account_id: i64) -> Sealed<'_> {
        Sealed::Secret { access_key_id, account_id }
    }

    #[test]
    fn a_sealed_secret_can_be_opened_for_its_own_key_and_account_only() {
        let key = key();
        let account_id = AccountId::new(7).unwrap();
        let secret = Secret::new("testsecret".to_owned());
        let sealed = key.seal_secret("testid", account_id, &secret).unwrap();
        assert_eq!(sealed[0], 2);
        assert_eq!(sealed_by(&sealed), Some(key.id()));
        assert_eq!(**key.open(secret_of("testid", 7), &sealed).unwrap(), *b"testsecret");
        for other in [
            secret_of("testid2", 7),
            secret_of("testi", 7),
            secret_of("testid", 8),
            secret_of("", 7),
            Sealed::SecurityToken,
        ] {
            assert!(key.open(other, &sealed).is_none(), "{other:?}");
        }
        let other = super::tests::key();
        assert!(other.open(secret_of("testid", 7), &sealed).is_none());
        assert_ne!(sealed, key.seal_secret("testid", account_id, &secret).unwrap());
    }

    #[test]
    fn the_associated_data_of_two_purposes_or_subjects_differ() {
        let account = i64::from_be_bytes(*b"12345678");
        let all = [
            secret_of("", account).associated_data(),
            secret_of("1", account).associated_data(),
            secret_of("12345678", account).associated_data(),
            secret_of("\0", account).associated_data(),
            secret_of("12345678", 0).associated_data(),
            Sealed::SecurityToken.associated_data(),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one), "{one:?}");
        }
    }

    #[test]
    fn a_derived_key_depends_on_the_key_and_on_the_label() {
        let text = SealingKey::generate().unwrap();
        let key = SealingKey::parse(&text).unwrap();
        let again = SealingKey::parse(&format!(" {}\n", text.as_str())).unwrap();
        assert_eq!((key.derive("cursor"), key.id()), (again.derive("cursor"), again.id()));
        assert_ne!(key.derive("cursor"), key.derive("page"));
        let other = super::tests::key();
        assert_ne!(key.derive("cursor"), other.derive("cursor"));
        assert_ne!((key.id(), key.check()), (other.id(), other.check()));
        assert!(SealingKey::parse("c2hvcnQ=").is_none() && SealingKey::parse("").is_none());
        assert_eq!(format!("{key:?}"), "SealingKey(…)");
    }
}
