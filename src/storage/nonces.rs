//! Used nonces, in a ring of four tables. The signed timestamp chooses the table, so a replay
//! always reaches the same one.
//!
//! The timestamp window is at most one slot in either direction. So the tables of the slots before,
//! at and after the current time are in use. The fourth table is idle and may be emptied.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Store;
use super::engine::batch::{Asked, answering};
use super::engine::connections::limited;
use super::engine::writing::WriteLane;
use crate::domain::Time;
use crate::error::Error;

/// Length of a slot of the ring in seconds. It is also the largest timestamp window.
pub const SLOT_SECONDS: i64 = 900;

// The insert is logged, but its commit does not wait for the disk. A crash of the database loses
// the nonces of at most its last half second, and allows only a replay of those requests: a write
// that a request makes is durable with its own commit, which is later in the log than the nonce.
// The setting applies to this statement only. Rows are written in the order of their key, so that
// two statements cannot deadlock.
macro_rules! use_nonces {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (digest)
            SELECT digest
            FROM unnest($1::uuid[]) AS used (digest),
                (SELECT set_config('synchronous_commit', 'off', true)) AS unsynced
            ORDER BY digest
            ON CONFLICT (digest) DO NOTHING
            RETURNING digest"
        )
    };
}

/// Marks the nonces that are new as used, and returns them.
const USE: [&str; 4] = [
    use_nonces!("used_nonces_0"),
    use_nonces!("used_nonces_1"),
    use_nonces!("used_nonces_2"),
    use_nonces!("used_nonces_3"),
];
const IS_EMPTY: [&str; 4] = [
    "SELECT NOT EXISTS (SELECT 1 FROM used_nonces_0)",
    "SELECT NOT EXISTS (SELECT 1 FROM used_nonces_1)",
    "SELECT NOT EXISTS (SELECT 1 FROM used_nonces_2)",
    "SELECT NOT EXISTS (SELECT 1 FROM used_nonces_3)",
];
const TRUNCATE: [&str; 4] = [
    "TRUNCATE used_nonces_0",
    "TRUNCATE used_nonces_1",
    "TRUNCATE used_nonces_2",
    "TRUNCATE used_nonces_3",
];

/// The use of a nonce by a request with a valid signature.
#[derive(Clone, Copy, Debug)]
pub struct NonceUse<'a> {
    /// The access key that signed the request.
    pub access_key_id: &'a str,
    /// The nonce.
    pub nonce: &'a str,
    /// The signed timestamp.
    pub timestamp: Time,
}

/// Returns the slot of the ring that a timestamp belongs to.
fn slot(timestamp: Time) -> usize {
    let slot = timestamp.timestamp().div_euclid(SLOT_SECONDS).rem_euclid(4);
    usize::try_from(slot).expect("a remainder of four is not negative")
}

/// Returns the slot that no acceptable timestamp can belong to, if `now` is in the middle third of
/// a slot. In that third, replicas whose clocks differ by minutes still agree on the slot.
#[must_use]
pub fn idle_slot(now: Time) -> Option<usize> {
    let third = SLOT_SECONDS / 3;
    let within = now.timestamp().rem_euclid(SLOT_SECONDS);
    (third..2 * third).contains(&within).then(|| (slot(now) + 2) % 4)
}

impl NonceUse<'_> {
    /// Returns the digest that is stored: 16 bytes for any nonce. The id of a key has no zero byte,
    /// which the database would refuse, so no two pairs of id and nonce make the same text.
    fn digest(&self) -> Uuid {
        let digest = Sha256::new().chain_update(self.access_key_id).chain_update([0]);
        let digest = digest.chain_update(self.nonce).finalize();
        Uuid::from_bytes(*digest.first_chunk().expect("SHA-256 has 32 bytes"))
    }
}

impl Store {
    /// Marks a nonce as used. Returns false if it was used before.
    pub async fn use_nonce(&self, nonce: NonceUse<'_>) -> Result<bool, Error> {
        let slot = slot(nonce.timestamp);
        let nonces = &self.batches.nonces[slot];
        nonces.ask(nonce.digest(), self, move |store, asked| store.answer_nonces(slot, asked)).await
    }

    /// Marks the nonces of all callers as used. If two callers have the same nonce, only the first
    /// one gets the answer that it is new.
    async fn answer_nonces(self, slot: usize, asked: Vec<Asked<Uuid, bool>>) {
        let digests: HashSet<_> = asked.iter().map(|asked| asked.question).collect();
        let using = self.use_all(slot, digests.into_iter().collect());
        let mut new = answering(&asked, &self, using).await;
        for asked in asked {
            let answer = match &mut new {
                Ok(new) => Ok(new.remove(&asked.question)),
                Err(error) => Err(error.clone()),
            };
            asked.answer(answer);
        }
    }

    /// Marks nonces as used. Returns those that were new.
    async fn use_all(&self, slot: usize, digests: Vec<Uuid>) -> Result<HashSet<Uuid>, Error> {
        let new = self.write_in("nonces", WriteLane::Nonces, None, move |connections| {
            let insert = sqlx::query_scalar(USE[slot]).bind(digests.clone());
            async move {
                let mut connection = connections.take().await?;
                let new = limited(insert.fetch_all(&mut *connection)).await;
                connection.answered(new)
            }
        });
        Ok(new.await?.into_iter().collect())
    }

    /// Returns whether a slot of the ring is empty.
    pub async fn nonce_slot_is_empty(&self, slot: usize) -> Result<bool, Error> {
        let statement = IS_EMPTY[slot % 4];
        self.read(|pool| async move { sqlx::query_scalar(statement).fetch_one(&pool).await }).await
    }

    /// Empties a slot of the ring. This is fast for any number of rows, and only statements on the
    /// same slot wait for it.
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
    fn a_digest_depends_on_key_nonce_and_the_boundary_between_them() {
        let digest = |access_key_id, nonce| {
            NonceUse { access_key_id, nonce, timestamp: Time::UNIX_EPOCH }.digest()
        };
        let digests =
            [("id", "nonce"), ("idn", "once"), ("i", "dnonce"), ("id", ""), ("id", "Nonce")];
        let different: HashSet<_> = digests.map(|(id, nonce)| digest(id, nonce)).into();
        assert_eq!(different.len(), digests.len());
        // Computed by `sha256sum` from the text that the migration describes.
        let expected = "105930b3a1d857271ff7cf47ead45d00";
        assert_eq!(digest("testid", "nonce").simple().to_string(), expected);
    }

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
