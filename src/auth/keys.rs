//! Access keys that are ready to check signatures: the secret is decrypted, the states of both
//! message authentication codes are computed, and the policy is parsed.
//!
//! A ready key is kept between requests and is used only for the row that it was made from. That
//! row is read for every request, so the first request after a key was disabled, deleted or created
//! again sees the change.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::secret::SealingKey;
use super::signature::{v1, v3};
use crate::domain::policy::Policy;
use crate::error::Error;
use crate::storage::StoredAccessKey;

/// Largest number of keys in each generation.
const GENERATION: usize = 500;

/// An access key ready to check signatures and permissions. The secret itself is not kept.
#[derive(Debug)]
pub struct ReadyKey {
    /// The secret as the key of signature V1.
    pub v1: v1::Key,
    /// The secret as the key of signature V3.
    pub v3: v3::Key,
    /// What the key may do.
    pub policy: Policy,
    made_of: MadeOf,
}

/// The columns of a row that a [`ReadyKey`] depends on, and the version of the row. The version
/// alone is not enough: a key that is deleted and created again starts at version 1 again. Its
/// sealed bytes always differ, because they contain a random nonce.
#[derive(Debug, PartialEq, Eq)]
struct MadeOf {
    version: i64,
    secret_sealed: Vec<u8>,
    policy: String,
}

impl ReadyKey {
    fn new(row: &StoredAccessKey, sealing_key: &SealingKey) -> Result<Self, Error> {
        let secret = sealing_key.open(&row.access_key_id, &row.secret_sealed)?;
        Ok(Self {
            v1: v1::Key::new(&secret),
            v3: v3::Key::new(&secret),
            policy: Policy::parse(&row.policy).unwrap_or_else(|wrong| {
                tracing::warn!(
                    access_key_id = row.access_key_id,
                    wrong,
                    "the policy of an access key cannot be read and denies everything"
                );
                Policy::nothing()
            }),
            made_of: MadeOf {
                version: row.version,
                secret_sealed: row.secret_sealed.clone(),
                policy: row.policy.clone(),
            },
        })
    }

    fn is_made_of(&self, row: &StoredAccessKey) -> bool {
        let MadeOf { version, secret_sealed, policy } = &self.made_of;
        *version == row.version && *secret_sealed == row.secret_sealed && *policy == row.policy
    }
}

/// The keys that were used recently. Clones share them.
#[derive(Clone, Default)]
pub struct ReadyKeys(Arc<Mutex<Generations>>);

/// If the newer generation is full, it becomes the older one, and the previous older one is
/// dropped. This forgets the keys that were not used for one generation, without any bookkeeping
/// per use.
#[derive(Default)]
struct Generations {
    newer: HashMap<String, Arc<ReadyKey>>,
    older: HashMap<String, Arc<ReadyKey>>,
}

impl ReadyKeys {
    /// Returns the ready key of a row. The kept key is returned if the row has not changed since.
    pub fn of(
        &self,
        row: &StoredAccessKey,
        sealing_key: &SealingKey,
    ) -> Result<Arc<ReadyKey>, Error> {
        let kept = self.with(|generations| generations.get(&row.access_key_id));
        if let Some(key) = kept.filter(|key| key.is_made_of(row)) {
            return Ok(key);
        }
        let key = Arc::new(ReadyKey::new(row, sealing_key)?);
        let (id, kept) = (row.access_key_id.clone(), Arc::clone(&key));
        let forgotten = self.with(|generations| generations.insert(id, kept));
        drop(forgotten); // up to 500 keys, dropped after the lock is released
        Ok(key)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Generations) -> T) -> T {
        // A poisoned lock can be used: every entry is compared with its row before it is used.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    fn get(&mut self, access_key_id: &str) -> Option<Arc<ReadyKey>> {
        if let Some(key) = self.newer.get(access_key_id) {
            return Some(Arc::clone(key));
        }
        let (id, key) = self.older.remove_entry(access_key_id)?;
        // This drops the older generation at most once per 500 inserted keys.
        drop(self.insert(id, Arc::clone(&key)));
        Some(key)
    }

    /// Inserts a key, and returns the generation that is forgotten for it.
    fn insert(&mut self, id: String, key: Arc<ReadyKey>) -> HashMap<String, Arc<ReadyKey>> {
        let mut forgotten = HashMap::new();
        if self.newer.len() >= GENERATION && !self.newer.contains_key(&id) {
            let full = std::mem::take(&mut self.newer);
            forgotten = std::mem::replace(&mut self.older, full);
        }
        self.newer.insert(id, key);
        forgotten
    }
}

impl fmt::Debug for ReadyKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReadyKeys(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::secret::Secret;
    use crate::domain::{AccountId, Time, policy};

    fn row(sealing_key: &SealingKey, id: &str, secret: &str) -> StoredAccessKey {
        let secret = Secret::new(secret.to_owned());
        StoredAccessKey {
            access_key_id: id.to_owned(),
            account_id: AccountId::new(1).unwrap(),
            secret_sealed: sealing_key.seal(id, &secret).unwrap(),
            policy: policy::EVERYTHING.to_owned(),
            disabled: false,
            version: 1,
            created_at: Time::UNIX_EPOCH,
            updated_at: Time::UNIX_EPOCH,
        }
    }

    fn sealing_key() -> SealingKey {
        SealingKey::parse(&SealingKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_kept_for_as_long_as_its_row_is_the_same() {
        let (keys, sealing_key) = (ReadyKeys::default(), sealing_key());
        let row = row(&sealing_key, "id", "secret");
        let kept = keys.of(&row, &sealing_key).unwrap();
        assert!(Arc::ptr_eq(&kept, &keys.of(&row, &sealing_key).unwrap()));
        let changed = StoredAccessKey { version: 2, ..row.clone() };
        assert!(!Arc::ptr_eq(&kept, &keys.of(&changed, &sealing_key).unwrap()));
        let narrowed = StoredAccessKey {
            policy: r#"{"Version":"1","Statement":[]}"#.to_owned(),
            ..row.clone()
        };
        let narrowed = keys.of(&narrowed, &sealing_key).unwrap();
        assert!(!narrowed.policy.allows("cdn:OpenCdnService"));
        assert_eq!(narrowed.v1.sign("text"), kept.v1.sign("text"));
    }

    #[test]
    fn a_key_that_is_created_again_with_the_same_id_is_not_reused() {
        let (keys, sealing_key) = (ReadyKeys::default(), sealing_key());
        let first = keys.of(&row(&sealing_key, "id", "first"), &sealing_key).unwrap();
        let second = keys.of(&row(&sealing_key, "id", "second"), &sealing_key).unwrap();
        assert_ne!(first.v1.sign("text"), second.v1.sign("text"));
        assert_ne!(first.v3.sign("text"), second.v3.sign("text"));
        let again = keys.of(&row(&sealing_key, "id", "first"), &sealing_key).unwrap();
        assert_eq!(first.v1.sign("text"), again.v1.sign("text"));
    }

    #[test]
    fn a_secret_that_cannot_be_decrypted_is_not_kept() {
        let (keys, sealing_key) = (ReadyKeys::default(), sealing_key());
        let mut row = row(&sealing_key, "id", "secret");
        row.secret_sealed.pop();
        assert!(keys.of(&row, &sealing_key).is_err() && keys.of(&row, &sealing_key).is_err());
    }

    #[test]
    fn the_number_of_kept_keys_is_bounded_and_used_keys_stay() {
        let sealing_key = sealing_key();
        let key =
            Arc::new(ReadyKey::new(&row(&sealing_key, "id", "secret"), &sealing_key).unwrap());
        let mut generations = Generations::default();
        for number in 0..3 * GENERATION {
            generations.insert(number.to_string(), Arc::clone(&key));
            assert!(generations.get("0").is_some(), "{number}");
            assert!(generations.newer.len() <= GENERATION && generations.older.len() <= GENERATION);
        }
        let last = (3 * GENERATION - 1).to_string();
        assert!(generations.get("1").is_none() && generations.get(&last).is_some());
    }

    #[test]
    fn debug_output_does_not_contain_a_secret() {
        let (keys, sealing_key) = (ReadyKeys::default(), sealing_key());
        let key = keys.of(&row(&sealing_key, "id", "secret"), &sealing_key).unwrap();
        let printed = format!("{keys:?} {key:?}");
        assert!(printed.starts_with("ReadyKeys(…) ReadyKey { v1: Key(…), v3: Key(…), policy:"));
    }
}
