//! Records on which day access keys were used last. A request only notes the use; a task of the
//! process writes what was noted, so no request waits for it. The row that each request reads says
//! which day is recorded, so a key is noted until its day is written and not again on that day.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::NaiveDate;
use tokio_util::sync::CancellationToken;

use crate::domain::Time;
use crate::error::Error;
use crate::metrics::WorkerTurns;
use crate::storage::{Store, StoredAccessKey};

/// How often what was noted is written.
const WRITE_EVERY: Duration = Duration::from_secs(5);
/// Largest number of keys that are noted at the same time. The next use of a key for which there is
/// no room notes it again.
const MOST_NOTED: usize = 10_000;
/// How many keys one statement writes.
const BATCH: usize = 500;

/// The uses that are not written yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LastUses(Arc<Mutex<HashMap<String, NaiveDate>>>);

impl LastUses {
    /// Notes that a key is used now, unless the day is recorded.
    pub fn note(&self, key: &StoredAccessKey, wire_now: Time) {
        let today = wire_now.date_naive();
        if key.last_used_on.is_some_and(|recorded| recorded >= today) {
            return;
        }
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(day) = noted.get_mut(&key.access_key_id) {
            *day = today;
        } else if noted.len() < MOST_NOTED {
            noted.insert(key.access_key_id.clone(), today);
        }
    }

    /// Writes what is noted, every 5 s until `shutdown`, and then once more. The caller limits how
    /// long the last write may take; a use that is lost is noted again with the next use of the key.
    pub async fn run(self, store: Store, mut turns: WorkerTurns, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(WRITE_EVERY) => {}
                () = shutdown.cancelled() => {}
            }
            turns.outcome(self.write(&store).await);
        }
    }

    async fn write(&self, store: &Store) -> Result<(), Error> {
        for (day, access_key_ids) in self.take() {
            for batch in access_key_ids.chunks(BATCH) {
                store.record_last_uses(batch.to_vec(), day).await?;
            }
        }
        Ok(())
    }

    /// Takes what is noted, by day.
    fn take(&self) -> BTreeMap<NaiveDate, Vec<String>> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_day: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (access_key_id, day) in noted.drain() {
            by_day.entry(day).or_default().push(access_key_id);
        }
        by_day
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::AccountId;

    fn key(id: &str, last_used_on: Option<NaiveDate>) -> StoredAccessKey {
        StoredAccessKey {
            access_key_id: id.to_owned(),
            account_id: AccountId::new(7).unwrap(),
            secret_sealed: Vec::new(),
            policy: String::new(),
            disabled: false,
            version: 1,
            created_at: Time::UNIX_EPOCH,
            updated_at: Time::UNIX_EPOCH,
            last_used_on,
        }
    }

    #[test]
    fn a_key_is_noted_once_and_not_if_its_day_is_recorded() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let (today, yesterday) = (now.date_naive(), now.date_naive().pred_opt());
        let uses = LastUses::default();
        uses.note(&key("recorded", Some(today)), now);
        uses.note(&key("ahead", today.succ_opt()), now);
        for _ in 0..3 {
            uses.note(&key("new", None), now);
            uses.note(&key("yesterday", yesterday), now);
        }
        let mut noted = uses.take();
        noted.entry(today).or_default().sort();
        let expected = ["new".to_owned(), "yesterday".to_owned()].to_vec();
        assert_eq!(noted, BTreeMap::from([(today, expected)]));
        assert!(uses.take().is_empty());
    }

    #[test]
    fn the_number_of_noted_keys_is_bounded() {
        let uses = LastUses::default();
        for number in 0..MOST_NOTED + 10 {
            uses.note(&key(&number.to_string(), None), Time::UNIX_EPOCH);
        }
        assert_eq!(uses.take().values().map(Vec::len).sum::<usize>(), MOST_NOTED);
    }
}
