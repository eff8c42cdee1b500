//! Used nonces: a ring of four tables, chosen by the *signed* timestamp so that a replay always
//! meets the same one.
//!
//! With a window of at most one slot either way, the tables of the slots before, at and after now
//! are live; the fourth is idle and may be emptied.

use sha2::{Digest, Sha256};

use super::Store;
use crate::domain::Time;
use crate::error::Error;

/// How long a slot of the ring is, in seconds; also the largest timestamp window.
pub const SLOT_SECONDS: i64 = 900;

const INSERT: [&str; 4] = [
    "INSERT INTO nonces_0 (access_key_id, nonce_digest) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    "INSERT INTO nonces_1 (access_key_id, nonce_digest) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    "INSERT INTO nonces_2 (access_key_id, nonce_digest) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    "INSERT INTO nonces_3 (access_key_id, nonce_digest) VALUES ($1, $2) ON CONFLICT DO NOTHING",
];
const IS_EMPTY: [&str; 4] = [
    "SELECT NOT EXISTS (SELECT 1 FROM nonces_0)",
    "SELECT NOT EXISTS (SELECT 1 FROM nonces_1)",
    "SELECT NOT EXISTS (SELECT 1 FROM nonces_2)",
    "SELECT NOT EXISTS (SELECT 1 FROM nonces_3)",
];
const TRUNCATE: [&str; 4] =
    ["TRUNCATE nonces_0", "TRUNCATE nonces_1", "TRUNCATE nonces_2", "TRUNCATE nonces_3"];

/// The use of a nonce by a request whose signature holds.
#[derive(Clone, Copy, Debug)]
pub struct NonceUse<'a> {
    /// The key that signed.
    pub access_key_id: &'a str,
    /// The nonce.
    pub nonce: &'a str,
    /// The signed timestamp.
    pub timestamp: Time,
}

/// The slot of the ring that a timestamp belongs to.
fn slot(timestamp: Time) -> usize {
    let slot = timestamp.timestamp().div_euclid(SLOT_SECONDS).rem_euclid(4);
    usize::try_from(slot).expect("a remainder of four is not negative")
}

/// The slot that no acceptable timestamp can belong to, where `now` is in the middle third of a
/// slot: there, clocks of replicas that differ by minutes still agree on it.
#[must_use]
pub fn idle_slot(now: Time) -> Option<usize> {
    let third = SLOT_SECONDS / 3;
    let within = now.timestamp().rem_euclid(SLOT_SECONDS);
    (third..2 * third).contains(&within).then(|| (slot(now) + 2) % 4)
}

impl Store {
    /// Uses a nonce up; false where it was used before.
    pub async fn use_nonce(&self, nonce: NonceUse<'_>) -> Result<bool, Error> {
        let statement = INSERT[slot(nonce.timestamp)];
        let access_key_id = nonce.access_key_id.to_owned();
        let digest = Sha256::digest(nonce.nonce)[..16].to_vec(); // any nonce fits an index row
        let rows = self.write_no_event(move |pool| {
            let (access_key_id, digest) = (access_key_id.clone(), digest.clone());
            async move {
                let done =
                    sqlx::query(statement).bind(access_key_id).bind(digest).execute(&pool).await?;
                Ok(done.rows_affected())
            }
        });
        Ok(rows.await? == 1)
    }

    /// Whether a slot of the ring holds nothing.
    pub async fn nonce_slot_is_empty(&self, slot: usize) -> Result<bool, Error> {
        let statement = IS_EMPTY[slot % 4];
        self.read(|pool| async move { sqlx::query_scalar(statement).fetch_one(&pool).await }).await
    }

    /// Empties a slot of the ring. Instant, whatever it holds, and nobody waits for it but users of
    /// the slot.
    pub async fn empty_nonce_slot(&self, slot: usize) -> Result<(), Error> {
        let statement = TRUNCATE[slot % 4];
        let done = self
            .write_no_event(move |pool| async move { sqlx::query(statement).execute(&pool).await });
        done.await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_acceptable_timestamp_belongs_to_the_idle_slot() {
        for second in 0..4 * SLOT_SECONDS {
            let now = Time::from_timestamp(1_800_000_000 + second, 0).unwrap();
            let Some(idle) = idle_slot(now) else { continue };
            for skew in [-SLOT_SECONDS, -SLOT_SECONDS / 2, 0, SLOT_SECONDS / 2, SLOT_SECONDS] {
                for replica in [-299, 0, 299] {
                    let timestamp = now + chrono::Duration::seconds(skew + replica);
                    assert_ne!(slot(timestamp), idle, "at {now}, timestamp {timestamp}");
                }
            }
        }
    }
}
