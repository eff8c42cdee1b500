//! Access keys that are ready to check signatures: the secret is decrypted, the states of both
//! message authentication codes are computed, and the policy is parsed.
//!
//! Ready keys are cached. Every request reads the row of its key, and a cached key is used only if
//! the row has not changed since. So the first request after a key was disabled, deleted or created
//! again sees the change.
//!
//! Temporary credentials are cached likewise, each under its own id, with the row of its parent.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

use super::sealing::{KeyRing, SealingKeyId};
use super::signature::{v1, v3};
use super::temporary::OpenedToken;
use crate::domain::policy::Policy;
use crate::error::Error;
use crate::storage::StoredAccessKey;

/// Largest number of cached keys.
const MOST_KEYS: usize = 1_000;

/// An access key, or a temporary credential, ready to check signatures and permissions. The secret
/// itself is not kept.
#[derive(Debug)]
pub struct ReadyKey {
    /// The secret as the key of signature V1.
    pub v1: v1::Key,
    /// The secret as the key of signature V3.
    pub v3: v3::Key,
    /// What the key may do.
    pub policy: Policy,
    /// What a temporary credential may do of that; `None` if everything.
    pub session_policy: Option<Policy>,
    made_of: MadeOf,
}

/// The columns of a row that a [`ReadyKey`] depends on, and the version of the row. The version
/// alone is not enough: a key that is deleted and created again starts at version 1 again. Its
/// sealed bytes always differ, because they contain a random nonce. They also differ after `reseal`,
/// which does not change the version.
#[derive(Debug, PartialEq, Eq)]
struct MadeOf {
    version: i64,
    secret_sealed: Vec<u8>,
    policy: String,
    /// What a temporary credential depends on beside the row of its parent: the sealing key from
    /// which its secret is derived together with that of the parent, and its session policy.
    token: Option<(SealingKeyId, Option<String>)>,
}

impl ReadyKey {
    fn new(
        row: &StoredAccessKey,
        token: Option<&OpenedToken>,
        ring: &KeyRing,
    ) -> Result<Self, Error> {
        let of_row = ring.open_secret(&row.access_key_id, row.account_id, &row.secret_sealed)?;
        let secret = match token {
            Some(token) => token.secret(&of_row),
            None => of_row,
        };
        let session_policy = token.and_then(|token| token.policy.as_deref());
        Ok(Self {
            v1: v1::Key::new(&secret),
            v3: v3::Key::new(&secret),
            policy: readable(&row.access_key_id, &row.policy),
            session_policy: session_policy.map(|policy| readable(&row.access_key_id, policy)),
            made_of: MadeOf {
                version: row.version,
                secret_sealed: row.secret_sealed.clone(),
                policy: row.policy.clone(),
                token: token.map(|token| (token.sealing_key_id(), token.policy.clone())),
            },
        })
    }

    fn is_made_of(&self, row: &StoredAccessKey, given: Option<&OpenedToken>) -> bool {
        let MadeOf { version, secret_sealed, policy, token } = &self.made_of;
        let is_same_token = match (token, given) {
            (None, None) => true,
            (Some((key_id, policy)), Some(given)) => {
                *key_id == given.sealing_key_id() && *policy == given.policy
            }
            _ => false,
        };
        is_same_token
            && *version == row.version
            && *secret_sealed == row.secret_sealed
            && *policy == row.policy
    }
}

/// Parses a policy that was checked when it was given. If it cannot be read any more, it denies
/// everything.
fn readable(access_key_id: &str, policy: &str) -> Policy {
    Policy::parse(policy).unwrap_or_else(|wrong| {
        tracing::warn!(
            access_key_id,
            wrong,
            "the policy of an access key cannot be read and denies everything"
        );
        Policy::nothing()
    })
}

/// The keys that were used recently. Clones share them.
#[derive(Clone)]
pub struct ReadyKeys(Arc<Mutex<LruCache<String, Arc<ReadyKey>>>>);

impl ReadyKeys {
    /// Returns the ready key of a row, or the ready credential whose parent has the row. What is
    /// kept is returned if nothing has changed since.
    pub fn of(
        &self,
        row: &StoredAccessKey,
        token: Option<&OpenedToken>,
        ring: &KeyRing,
    ) -> Result<Arc<ReadyKey>, Error> {
        let id = token.map_or(&row.access_key_id, |token| &token.id);
        let kept = self.lock().get(id).cloned();
        if let Some(key) = kept.filter(|key| key.is_made_of(row, token)) {
            return Ok(key);
        }
        let key = Arc::new(ReadyKey::new(row, token, ring)?);
        self.lock().insert(id.clone(), Arc::clone(&key));
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
    use crate::auth::sealing::SealingKey;
    use crate::auth::secret::Secret;
    use crate::auth::temporary;
    use crate::domain::policy::Permission;
    use crate::domain::{AccountId, Time, policy};

    fn row(ring: &KeyRing, id: &str, secret: &str) -> StoredAccessKey {
        let secret = Secret::new(secret.to_owned());
        let account_id = AccountId::new(1).unwrap();
        StoredAccessKey {
            access_key_id: id.to_owned(),
            account_id,
            secret_sealed: ring.first().seal_secret(id, account_id, &secret).unwrap(),
            policy: policy::EVERYTHING.to_owned(),
            disabled: false,
            version: 1,
            created_at: Time::UNIX_EPOCH,
            updated_at: Time::UNIX_EPOCH,
            last_used_on: None,
        }
    }

    fn ring() -> KeyRing {
        KeyRing::parse(&SealingKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_key_is_kept_for_as_long_as_its_row_is_the_same() {
        let (keys, ring) = (ReadyKeys::default(), ring());
        let row = row(&ring, "id", "secret");
        let kept = keys.of(&row, None, &ring).unwrap();
        assert!(Arc::ptr_eq(&kept, &keys.of(&row, None, &ring).unwrap()));
        let changed = StoredAccessKey { version: 2, ..row.clone() };
        assert!(!Arc::ptr_eq(&kept, &keys.of(&changed, None, &ring).unwrap()));
        let narrowed = StoredAccessKey {
            policy: r#"{"Version":"1","Statement":[]}"#.to_owned(),
            ..row.clone()
        };
        let narrowed = keys.of(&narrowed, None, &ring).unwrap();
        let permission = narrowed.policy.decide("cdn:OpenCdnService", row.account_id);
        assert_eq!(permission, Permission::DeniedImplicitly);
        assert_eq!(narrowed.v1.sign("text"), kept.v1.sign("text"));
    }

    #[test]
    fn a_key_that_is_created_again_with_the_same_id_is_not_reused() {
        let (keys, ring) = (ReadyKeys::default(), ring());
        let first = keys.of(&row(&ring, "id", "first"), None, &ring).unwrap();
        let second = keys.of(&row(&ring, "id", "second"), None, &ring).unwrap();
        assert_ne!(first.v1.sign("text"), second.v1.sign("text"));
        assert_ne!(first.v3.sign("text"), second.v3.sign("text"));
        let again = keys.of(&row(&ring, "id", "first"), None, &ring).unwrap();
        assert_eq!(first.v1.sign("text"), again.v1.sign("text"));
    }

    #[test]
    fn a_credential_is_kept_under_its_own_id_for_as_long_as_the_row_of_its_parent_is_the_same() {
        let (keys, ring) = (ReadyKeys::default(), ring());
        let row = row(&ring, "id", "secret");
        let parent = keys.of(&row, None, &ring).unwrap();
        let narrow = r#"{"Version":"1","Statement":[]}"#.to_owned();
        let issued = temporary::issue(&ring, &row, Some(narrow), Time::UNIX_EPOCH).unwrap();
        let token = OpenedToken::open(&ring, issued.security_token.expose()).unwrap();
        let kept = keys.of(&row, Some(&token), &ring).unwrap();
        assert!(Arc::ptr_eq(&kept, &keys.of(&row, Some(&token), &ring).unwrap()));
        assert!(Arc::ptr_eq(&parent, &keys.of(&row, None, &ring).unwrap()));
        assert_eq!(kept.v1.sign("text"), v1::Key::new(&issued.secret).sign("text"));
        assert_ne!(kept.v1.sign("text"), parent.v1.sign("text"));
        let decide = |policy: &Policy| policy.decide("cdn:OpenCdnService", row.account_id);
        assert_eq!(decide(&kept.policy), Permission::Allowed);
        assert_eq!(decide(kept.session_policy.as_ref().unwrap()), Permission::DeniedImplicitly);
        let changed = StoredAccessKey { version: 2, ..row };
        assert!(!Arc::ptr_eq(&kept, &keys.of(&changed, Some(&token), &ring).unwrap()));
        let again = self::row(&ring, "id", "another");
        let again = keys.of(&again, Some(&token), &ring).unwrap();
        assert_ne!(again.v1.sign("text"), kept.v1.sign("text"));
    }

    #[test]
    fn a_secret_that_cannot_be_decrypted_is_not_kept() {
        let (keys, ring) = (ReadyKeys::default(), ring());
        let mut row = row(&ring, "id", "secret");
        row.secret_sealed.pop();
        assert!(keys.of(&row, None, &ring).is_err() && keys.of(&row, None, &ring).is_err());
    }

    #[test]
    fn the_number_of_kept_keys_is_bounded_and_used_keys_stay() {
        let (keys, ring) = (ReadyKeys::default(), ring());
        let used = row(&ring, "used", "secret");
        let kept = keys.of(&used, None, &ring).unwrap();
        for number in 0..MOST_KEYS + 10 {
            keys.of(&row(&ring, &number.to_string(), "secret"), None, &ring).unwrap();
            assert!(Arc::ptr_eq(&kept, &keys.of(&used, None, &ring).unwrap()), "{number}");
            assert!(keys.lock().len() <= MOST_KEYS);
        }
        assert!(!keys.lock().contains_key("0") && keys.lock().contains_key("100"));
    }

    #[test]
    fn debug_output_does_not_contain_a_secret() {
        let (keys, ring) = (ReadyKeys::default(), ring());
        let key = keys.of(&row(&ring, "id", "secret"), None, &ring).unwrap();
        let printed = format!("{keys:?} {key:?}");
        assert!(printed.starts_with("ReadyKeys(…) ReadyKey { v1: Key(…), v3: Key(…), policy:"));
    }
}
