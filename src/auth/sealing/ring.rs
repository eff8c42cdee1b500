//! The key ring: the sealing keys of a deployment. It follows its file, so that a key can be
//! replaced while the service runs.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::key::sealed_by;
use super::{Sealed, SealingKey, SealingKeyId};
use crate::auth::lines::numbered_lines;
use crate::auth::secret::Secret;
use crate::auth::secret_files::read_secret;
use crate::domain::AccountId;
use crate::error::Error;
use crate::files::{ContentDigest, FollowedFile, Following};
use crate::storage::SealingCheck;

/// Largest number of keys. A rotation needs two.
const MOST_KEYS: usize = 16;

/// Why a text is not a key ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRingError {
    /// There is no key.
    #[error("does not contain a sealing key; expected 32 bytes in base64")]
    NoKey,
    /// A line is not a key. Its text is not shown, because it may be most of a key.
    #[error("has a line that is not a sealing key: line {0}; expected 32 bytes in base64")]
    NotAKey(usize),
    /// A line has the key of another line, or a key with the same id.
    #[error("has the same sealing key twice: line {0}")]
    Twice(usize),
    /// There are too many keys.
    #[error("has more than {MOST_KEYS} sealing keys")]
    TooMany,
    /// The file cannot be read, or other users can read it. The text is a whole sentence.
    #[error("{0}")]
    Unreadable(String),
}

impl KeyRingError {
    /// Returns the sentence about the file at `path`.
    #[must_use]
    pub fn about(&self, path: &Path) -> String {
        match self {
            Self::Unreadable(sentence) => sentence.clone(),
            error => format!("{} {error}", path.display()),
        }
    }
}

/// The sealing keys. The first one seals, and all of them open. Clones share the keys, also after
/// they were replaced.
#[derive(Clone)]
pub struct KeyRing(Arc<Shared>);

struct Shared {
    /// The file, and the digest of what was read of it first.
    file: Option<(PathBuf, ContentDigest)>,
    keys: RwLock<Arc<[SealingKey]>>,
}

impl KeyRing {
    /// Returns a ring with one key, which does not change.
    #[must_use]
    pub fn of(key: SealingKey) -> Self {
        Self::new(None, [key].into())
    }

    /// Parses the text of a key file: one key a line. Empty lines and lines that begin with `#` are
    /// ignored.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        Ok(Self::new(None, parse(text)?))
    }

    /// Reads the ring from a file, which [`KeyRing::follow`] then follows.
    pub fn of_file(path: &Path) -> Result<Self, KeyRingError> {
        let text = read(path)?;
        let first = ContentDigest::of::<RingFile>(&text);
        Ok(Self::new(Some((path.to_owned(), first)), parse(&text)?))
    }

    fn new(file: Option<(PathBuf, ContentDigest)>, keys: Arc<[SealingKey]>) -> Self {
        Self(Arc::new(Shared { file, keys: RwLock::new(keys) }))
    }

    /// Returns the key that seals.
    #[must_use]
    pub fn first(&self) -> SealingKey {
        self.keys()[0].clone()
    }

    /// Returns the key with this id, if the ring has it.
    #[must_use]
    pub fn key(&self, id: SealingKeyId) -> Option<SealingKey> {
        self.keys().iter().find(|key| key.id() == id).cloned()
    }

    /// Returns what the database keeps about each key, the key that seals first.
    #[must_use]
    pub fn checks(&self) -> Vec<SealingCheck> {
        self.keys().iter().map(SealingKey::check).collect()
    }

    /// Encrypts bytes for a purpose with the first key.
    pub fn seal(&self, sealed: Sealed<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.first().seal(sealed, plain)
    }

    /// Decrypts what a key of the ring has sealed for the same purpose. Returns the key, too.
    #[must_use]
    pub fn open(
        &self,
        sealed: Sealed<'_>,
        bytes: &[u8],
    ) -> Option<(SealingKey, Zeroizing<Vec<u8>>)> {
        let key = self.key(sealed_by(bytes)?)?;
        let opened = key.open(sealed, bytes)?;
        Some((key, opened))
    }

    /// Decrypts the sealed secret of an access key.
    pub fn open_secret(
        &self,
        access_key_id: &str,
        account_id: AccountId,
        bytes: &[u8],
    ) -> Result<Secret, Error> {
        let sealed = Sealed::Secret { access_key_id, account_id: account_id.get() };
        let opened = self.open(sealed, bytes);
        let text = opened.and_then(|(_, text)| std::str::from_utf8(&text).ok().map(str::to_owned));
        text.map(Secret::new).ok_or_else(|| {
            Error::internal(format!(
                "cannot decrypt the secret of access key {access_key_id}; check that \
                 SEALING_KEY_FILE has the key that encrypted it"
            ))
        })
    }

    /// Follows the file until `shutdown`, if there is one.
    pub async fn follow(self, following: Following, shutdown: CancellationToken) {
        if let Some((path, first)) = self.0.file.clone() {
            following.follow(RingFile { path, ring: self }, first, shutdown).await;
        }
    }

    fn keys(&self) -> Arc<[SealingKey]> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The file of a ring.
struct RingFile {
    path: PathBuf,
    ring: KeyRing,
}

impl FollowedFile for RingFile {
    const NAME: &'static str = "sealing_keys";
    type Content = Zeroizing<String>;

    fn read(&self) -> Result<Zeroizing<String>, String> {
        read_secret(&self.path).map_err(|refused| refused.to_string())
    }

    fn parts(text: &Zeroizing<String>) -> Vec<&[u8]> {
        vec![text.as_bytes()]
    }

    fn apply(&self, text: Zeroizing<String>) -> Result<String, String> {
        let keys = parse(&text).map_err(|error| error.about(&self.path))?;
        let said = names(&keys);
        // A poisoned lock can be used: the value is replaced as a whole.
        *self.ring.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(said)
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyRingError> {
    read_secret(path).map_err(|refused| KeyRingError::Unreadable(refused.to_string()))
}

fn parse(text: &str) -> Result<Arc<[SealingKey]>, KeyRingError> {
    let mut keys: Vec<SealingKey> = Vec::new();
    for (number, line) in numbered_lines(text) {
        let key = SealingKey::parse(line).ok_or(KeyRingError::NotAKey(number))?;
        if keys.iter().any(|other| other.id() == key.id()) {
            return Err(KeyRingError::Twice(number));
        }
        keys.push(key);
    }
    match keys.len() {
        0 => Err(KeyRingError::NoKey),
        1..=MOST_KEYS => Ok(keys.into()),
        _ => Err(KeyRingError::TooMany),
    }
}

/// Returns the ids of keys for a log line.
fn names(keys: &[SealingKey]) -> String {
    let mut text = "keys".to_owned();
    for key in keys {
        write!(text, " {}", hex::encode(key.id())).expect("writing to a String cannot fail");
    }
    text
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyRing(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated() -> Zeroizing<String> {
        SealingKey::generate().unwrap()
    }

    #[test]
    fn the_first_key_seals_and_all_keys_open() {
        let (a, b) = (generated(), generated());
        let ring = |text: &str| KeyRing::parse(text).unwrap();
        let old = ring(&a);
        let sealed = old.seal(Sealed::SecurityToken, b"text").unwrap();
        let both = ring(&format!("# new\n\n{}\r\n  {}\n", b.as_str(), a.as_str()));
        assert_eq!(**both.open(Sealed::SecurityToken, &sealed).unwrap().1, *b"text");
        let sealed_anew = both.seal(Sealed::SecurityToken, b"text").unwrap();
        assert!(old.open(Sealed::SecurityToken, &sealed_anew).is_none());
        let new = ring(&b);
        assert!(new.open(Sealed::SecurityToken, &sealed_anew).is_some());
        assert!(new.open(Sealed::SecurityToken, &sealed).is_none());
    }

    #[test]
    fn what_is_sealed_cannot_be_opened_with_any_byte_changed_or_cut_off() {
        let ring = KeyRing::parse(&generated()).unwrap();
        let account_id = AccountId::new(7).unwrap();
        let secret = Secret::new("testsecret".to_owned());
        let sealed = ring.first().seal_secret("testid", account_id, &secret).unwrap();
        let open = |bytes: &[u8]| ring.open_secret("testid", account_id, bytes);
        assert_eq!(open(&sealed).unwrap().expose(), "testsecret");
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert!(open(&changed).is_err(), "byte {at}, bit {bit}");
            }
            assert!(open(&sealed[..at]).is_err(), "cut off at {at}");
        }
        assert!(open(&[&sealed[..], b"a"].concat()).is_err());
    }

    #[test]
    fn a_wrong_file_is_described_without_its_text() {
        let key = generated();
        let key = key.as_str();
        let many = (0..=MOST_KEYS).map(|_| format!("{}\n", generated().as_str()));
        for (text, wrong) in [
            (String::new(), KeyRingError::NoKey),
            ("# nothing\n\n".to_owned(), KeyRingError::NoKey),
            (format!("{key}\n\nabc\n"), KeyRingError::NotAKey(3)),
            (format!("{key} {key}"), KeyRingError::NotAKey(1)),
            (format!("{key}\n{key}"), KeyRingError::Twice(2)),
            (many.collect(), KeyRingError::TooMany),
        ] {
            assert_eq!(KeyRing::parse(&text).unwrap_err(), wrong);
        }
        assert_eq!(format!("{:?}", KeyRing::parse(key)), "Ok(KeyRing(…))");
    }
}
