//! The buckets of a process, by account and action or by calling service. They are in several
//! parts, each with a lock, so that cores rarely wait for each other.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashlink::LruCache;

use super::bucket::{Bucket, Counted, Limit, SharedCount};

/// Number of parts.
const PARTS: usize = 16;
/// Largest number of buckets in a part. If it is reached, the bucket that was not used for the
/// longest time is dropped.
const MOST_IN_PART: usize = 4096;

/// Whose calls a bucket counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The account, or 0 for a calling service.
    pub account_id: i64,
    /// The action, or `service:NAME`.
    pub name: Arc<str>,
}

/// A bucket and its limit.
#[derive(Debug)]
struct Limited {
    limit: Limit,
    bucket: Bucket,
}

/// What a bucket reports.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whose calls.
    pub subject: Subject,
    /// The limit.
    pub limit: Limit,
    /// The calls.
    pub counted: Counted,
    /// When the report was made.
    pub made: Instant,
}

/// The buckets.
pub struct Calls {
    parts: [Mutex<LruCache<Subject, Limited>>; PARTS],
    hasher: RandomState,
}

impl Default for Calls {
    fn default() -> Self {
        let part = |_| Mutex::new(LruCache::new(MOST_IN_PART));
        Self { parts: std::array::from_fn(part), hasher: RandomState::new() }
    }
}

impl Calls {
    /// Returns whether a call would be admitted or, as the error, how long it has to wait.
    pub fn look(&self, subject: &Subject, limit: Limit, now: Instant) -> Result<(), Duration> {
        self.with(subject, limit, now, |bucket| bucket.look(limit, now))
    }

    /// Admits a call.
    pub fn take(&self, subject: &Subject, limit: Limit, now: Instant) -> Result<(), Duration> {
        self.with(subject, limit, now, |bucket| bucket.take(limit, now))
    }

    fn with<T>(
        &self,
        subject: &Subject,
        limit: Limit,
        now: Instant,
        act: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let mut part = self.part(subject);
        if let Some(limited) = part.get_mut(subject) {
            limited.limit = limit;
            return act(&mut limited.bucket);
        }
        let mut bucket = Bucket::new(limit, now);
        let outcome = act(&mut bucket);
        part.insert(subject.clone(), Limited { limit, bucket });
        outcome
    }

    /// Returns what is to be reported, in the order of the subjects, and drops the buckets that are
    /// idle.
    pub fn reports(&self, now: Instant) -> Vec<Report> {
        let mut reports = Vec::new();
        for part in &self.parts {
            lock(part).retain(|subject, Limited { limit, bucket }| {
                if bucket.is_idle(*limit, now) {
                    return false;
                }
                let counted = bucket.report(*limit, now);
                reports.extend(counted.map(|counted| {
                    let (subject, limit) = (subject.clone(), *limit);
                    Report { subject, limit, counted, made: now }
                }));
                true
            });
        }
        reports.sort_by(|one, other| one.subject.cmp(&other.subject));
        reports
    }

    /// Corrects the bucket of a report by the answer, or forgets its counts if there is none.
    pub fn answered(&self, report: &Report, shared: Option<SharedCount>, now: Instant) {
        let Report { subject, limit, counted, made } = report;
        let mut part = self.part(subject);
        // It is not in use: its place in the order does not change.
        let Some(Limited { bucket, .. }) = part.peek_mut(subject) else { return };
        match shared {
            Some(shared) => bucket.answered(*limit, *counted, *made, shared, now),
            None => bucket.forget(*counted, *made),
        }
    }

    fn part(&self, subject: &Subject) -> MutexGuard<'_, LruCache<Subject, Limited>> {
        let hash = self.hasher.hash_one(subject);
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits choose the part")]
        let index = hash as usize % PARTS;
        lock(&self.parts[index])
    }
}

/// A poisoned lock can be used: a bucket that is half changed admits a call more or less.
fn lock<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Calls(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn subject(account_id: i64, name: &str) -> Subject {
        Subject { account_id, name: name.into() }
    }

    fn limit() -> Limit {
        let five = NonZeroU32::new(5).unwrap();
        Limit { per_second: five, burst: five }
    }

    #[test]
    fn each_account_and_action_has_a_bucket_of_its_own() {
        let (calls, now) = (Calls::default(), Instant::now());
        for subject in [subject(1, "Open"), subject(1, "Describe"), subject(2, "Open")] {
            for _ in 0..5 {
                calls.take(&subject, limit(), now).unwrap();
            }
            assert!(calls.look(&subject, limit(), now).is_err());
        }
        let reports = calls.reports(now + Duration::from_secs(1));
        let reported: Vec<_> = reports.iter().map(|report| report.subject.clone()).collect();
        assert_eq!(reported, [subject(1, "Describe"), subject(1, "Open"), subject(2, "Open")]);
        assert!(reports.iter().all(|report| report.counted.admitted == 5));
    }

    #[test]
    fn idle_buckets_are_dropped() {
        let (calls, start) = (Calls::default(), Instant::now());
        calls.take(&subject(1, "Open"), limit(), start).unwrap();
        for round in 1..4 {
            let now = start + Duration::from_secs(round);
            for report in calls.reports(now) {
                let shared = SharedCount { ahead: -0.8, asked: 1 };
                calls.answered(&report, Some(shared), now);
            }
        }
        assert!(calls.parts.iter().all(|part| lock(part).is_empty()));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let (calls, now) = (Calls::default(), Instant::now());
        for account_id in 0..70_000 {
            calls.look(&subject(account_id, "Open"), limit(), now).unwrap();
        }
        let kept: usize = calls.parts.iter().map(|part| lock(part).len()).sum();
        assert!(kept <= PARTS * MOST_IN_PART && kept > 60_000, "{kept}");
    }
}
