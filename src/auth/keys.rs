//! Access keys that are ready to check signatures: the secret is decrypted, the states of both
//! message authentication codes are computed, and the policy is parsed.
//!
//! Ready keys are cached. Every request reads the row of its key, and a cached key is used only if
//! the row has not changed since. So the first request after a key was disabled, deleted or created
//! again sees the change.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

use super::secret::SealingKey;
use super::signature::{v1, v3};
use crate::domain::policy::Policy;
use crate::error::Error;
use crate::storage::StoredAccessKey;

/// Largest number of cached keys.
const MOST_KEYS: usize = 1_000;

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
#[derive(Clone)]
pub struct ReadyKeys(Arc<Mutex<LruCache<String, Arc<ReadyKey>>>>);

impl ReadyKeys {
    /// Returns the ready key of a row. The kept key is returned if the row has not changed since.
    pub fn of(
        &self,
        row: &StoredAccessKey,
        sealing_key: &SealingKey,
    ) -> Result<Arc<ReadyKey>, Error> {
        let kept = self.lock().get(&row.access_key_id).cloned();
        if let Some(key) = kept.filter(|key| key.is_made_of(row)) {
            return Ok(key);
        }
        let key = Arc::new(ReadyKey::new(row, sealing_key)?);
        self.lock().insert(row.access_key_id.clone(), Arc::clone(&key));
        Ok(key)
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<String, Arc<ReadyKey>>> {
        // A poisoned lock can be used: every entry is compared with its row before it is used.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ReadyKeys {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(MOST_KEYS))))
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
    use crate::domain::policy::Permission;
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
        let permission = narrowed.policy.decide("cdn:OpenCdnService", row.account_id);
        assert_eq!(permission, Permission::DeniedImplicitly);
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
        let (keys, sealing_key) = (ReadyKeys::default(), sealing_key());
        let used = row(&sealing_key, "used", "secret");
        let kept = keys.of(&used, &sealing_key).unwrap();
        for number in 0..MOST_KEYS + 10 {
            keys.of(&row(&sealing_key, &number.to_string(), "secret"), &sealing_key).unwrap();
            assert!(Arc::ptr_eq(&kept, &keys.of(&used, &sealing_key).unwrap()), "{number}");
            assert!(keys.lock().len() <= MOST_KEYS);
        }
        assert!(!keys.lock().contains_key("0") && keys.lock().contains_key("100"));
    }

    #[test]
    fn debug_output_does_not_contain_a_secret() {
        let (keys, sealing_key) = (ReadyKeys::default(), sealing_key());
        let key = keys.of(&row(&sealing_key, "id", "secret"), &sealing_key).unwrap();
        let printed = format!("{keys:?} {key:?}");
        assert!(printed.starts_with("ReadyKeys(…) ReadyKey { v1: Key(…), v3: Key(…), policy:"));
    }
}
