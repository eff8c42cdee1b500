//! Used nonces: a ring of four tables, chosen by the *signed* timestamp so that a replay always
//! meets the same one.
//!
//! With a window of at most one slot either way, the tables of the slots before, at and after now
//! are live; the fourth is idle and may be emptied.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::Store;
use super::batch::Asked;
use crate::domain::Time;
use crate::error::Error;

/// How long a slot of the ring is, in seconds; also the largest timestamp window.
pub const SLOT_SECONDS: i64 = 900;

// A nonce is logged, but its commit does not wait for the disk: a crash of the database forgets those
// of its last half second at the most, and a replay in that gap is all there is to lose. A write that
// the request makes is durable with its own commit, which is later in the log than the nonce. The
// setting holds for this statement alone. Rows are written in the order of their key, so that two
// statements that meet wait for each other one way round.
macro_rules! use_nonces {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (access_key_id, nonce_digest)
            SELECT access_key_id, nonce_digest
            FROM unnest($1::text[], $2::bytea[]) AS used (access_key_id, nonce_digest),
                (SELECT set_config('synchronous_commit', 'off', true)) AS unsynced
            ORDER BY access_key_id, nonce_digest
            ON CONFLICT DO NOTHING
            RETURNING access_key_id, nonce_digest"
        )
    };
}

const USE_NONCES: [&str; 4] = [
    use_nonces!("nonces_0"),
    use_nonces!("nonces_1"),
    use_nonces!("nonces_2"),
    use_nonces!("nonces_3"),
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

/// A nonce as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UsedNonce {
    access_key_id: String,
    /// The first 16 bytes of SHA-256.
    digest: [u8; 16],
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
        let digest = Sha256::digest(nonce.nonce);
        let digest = *digest.first_chunk().expect("SHA-256 has 32 bytes"); // any nonce fits an index row
        let used = UsedNonce { access_key_id: nonce.access_key_id.to_owned(), digest };
        let slot = slot(nonce.timestamp);
        let nonces = &self.batches.nonces[slot];
        nonces.ask(used, self, move |store, asked| store.answer_nonces(slot, asked)).await
    }

    /// Uses up the nonces of everybody who asks. Of two that are the same the first is answered that
    /// it is new, where it is.
    async fn answer_nonces(self, slot: usize, asked: Vec<Asked<UsedNonce, bool>>) {
        let mut used: Vec<_> = asked.iter().map(|asked| asked.question.clone()).collect();
        used.sort_unstable();
        used.dedup();
        let (access_key_ids, digests): (Vec<_>, Vec<_>) =
            used.into_iter().map(|used| (used.access_key_id, used.digest.to_vec())).unzip();
        let written = self.write_no_event(move |pool| {
            let insert = sqlx::query_as::<_, (String, Vec<u8>)>(USE_NONCES[slot]);
            let insert = insert.bind(access_key_ids.clone()).bind(digests.clone());
            async move { insert.fetch_all(&pool).await }
        });
        let mut written: Result<HashSet<_>, _> =
            written.await.map(|rows| rows.into_iter().collect());
        for asked in asked {
            let answer = match &mut written {
                Ok(rows) => {
                    let UsedNonce { access_key_id, digest } = &asked.question;
                    Ok(rows.remove(&(access_key_id.clone(), digest.to_vec())))
                }
                Err(error) => Err(error.clone()),
            };
            asked.answer(answer);
        }
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
