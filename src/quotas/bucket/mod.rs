//! The bucket of one account and action, or of one calling service, in one process. It is pure: the
//! caller passes the instant.
//!
//! Each process admits calls by a bucket of its own, and adds once a second what it has admitted to
//! a row that all processes share. The row has an instant until which the admitted calls use up the
//! limit (`full_at`, the theoretical arrival time of GCRA). The answer to the report corrects the
//! bucket in two ways:
//!
//! * If that instant is further in the future than the burst allows, the bucket admits nothing
//!   until it is not. This bounds what all processes admit together.
//! * If that instant is in the future at all, the calls exceed the limit, and the bucket is filled
//!   at the share of the limit that the process had of all calls in the last second. So several
//!   processes under steady load admit steadily. Otherwise the bucket is filled at the whole limit,
//!   as in a process that is alone.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// Smallest share of the limit at which a bucket is filled.
const SMALLEST_SHARE: f64 = 1.0 / 16.0;
/// A bucket is reported when it has counted at least this part of a second's limit. A process that
/// has admitted less cannot exceed a limit together with a few others, and a row for each account
/// that calls once a minute would cost more than it is worth.
const REPORTED_PART: f64 = 1.0 / 16.0;
/// Longest time over which a report spreads its calls.
const LONGEST_SPREAD: Duration = Duration::from_mins(1);

/// How many calls are admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Calls per second in the long run.
    pub per_second: NonZeroU32,
    /// Calls at once.
    pub burst: NonZeroU32,
}

impl Limit {
    fn rate(self) -> f64 {
        f64::from(self.per_second.get())
    }

    /// Returns how long the burst lasts at the rate, in seconds.
    fn burst_seconds(self) -> f64 {
        f64::from(self.burst.get()) / self.rate()
    }
}

/// What a bucket has counted since its last report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    /// Calls that were admitted.
    pub admitted: u32,
    /// The same and calls that were refused, of which at most as many count as the limit has.
    pub asked: u32,
    /// The time over which the calls were made.
    pub over: Duration,
}

/// What the shared row says after a report was added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharedCount {
    /// For how many seconds from now on the calls that were admitted use up the limit. Negative if
    /// fewer calls were made than the limit allows.
    pub ahead: f64,
    /// All calls that all processes have ever asked for.
    pub asked: i64,
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    /// Until when tokens have been added. Another core may have read a later instant than the call
    /// that comes next, so this can be later than now.
    filled_until: Instant,
    /// Nothing is admitted before this instant.
    closed_until: Instant,
    /// The share of the limit at which tokens are added.
    share: f64,
    admitted: u32,
    refused: u32,
    counting_since: Instant,
    /// Whether a call was asked for since the last round.
    is_in_use: bool,
    /// `asked` of the last answer.
    asked_by_all: Option<i64>,
    /// When the calls that all processes are known to have admitted are paid for.
    paid_at: Instant,
}

impl Bucket {
    /// Returns a full bucket.
    #[must_use]
    pub fn new(limit: Limit, now: Instant) -> Self {
        Self {
            tokens: f64::from(limit.burst.get()),
            filled_until: now,
            closed_until: now,
            share: 1.0,
            admitted: 0,
            refused: 0,
            counting_since: now,
            is_in_use: true,
            asked_by_all: None,
            paid_at: now,
        }
    }

    /// Returns whether a call would be admitted now or, as the error, how long it has to wait.
    pub fn look(&mut self, limit: Limit, now: Instant) -> Result<(), Duration> {
        self.fill(limit, now);
        self.is_in_use = true;
        let pause = self.closed_until.saturating_duration_since(now);
        if self.tokens >= 1.0 && pause.is_zero() {
            return Ok(());
        }
        self.refused = self.refused.saturating_add(1);
        let missing = (1.0 - self.tokens).max(0.0) / (limit.rate() * self.share);
        Err(pause + Duration::from_secs_f64(missing))
    }

    /// Admits a call.
    pub fn take(&mut self, limit: Limit, now: Instant) -> Result<(), Duration> {
        self.look(limit, now)?;
        self.tokens -= 1.0;
        self.admitted = self.admitted.saturating_add(1);
        Ok(())
    }

    /// Takes a call that has been made already. The bucket may lack as many calls as it can have.
    pub fn charge(&mut self, limit: Limit, now: Instant) {
        self.fill(limit, now);
        self.tokens = (self.tokens - 1.0).max(-self.capacity(limit));
    }

    /// Returns what is to be reported, and begins the next round. The counts are kept until
    /// [`Bucket::answered`] or [`Bucket::forget`].
    pub fn report(&mut self, limit: Limit, now: Instant) -> Option<Counted> {
        self.is_in_use = false;
        let over = now.saturating_duration_since(self.counting_since);
        // A client that asks without end must not get the shares of all other processes.
        let most_refused = limit.rate() * over.as_secs_f64();
        let refused = f64::from(self.refused).min(most_refused.ceil());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative, and at most a u32"
        )]
        let asked = self.admitted.saturating_add(refused as u32);
        let is_worth_it = asked > 0 && f64::from(asked) >= limit.rate() * REPORTED_PART;
        let over = over.min(LONGEST_SPREAD);
        is_worth_it.then_some(Counted { admitted: self.admitted, asked, over })
    }

    /// Corrects the bucket by the answer to a report that was made at `reported`.
    pub fn answered(
        &mut self,
        limit: Limit,
        counted: Counted,
        reported: Instant,
        shared: SharedCount,
        now: Instant,
    ) {
        self.fill(limit, now);
        self.admitted = self.admitted.saturating_sub(counted.admitted);
        self.refused = 0;
        self.counting_since = reported;
        let before = self.asked_by_all.replace(shared.asked);
        let own = f64::from(counted.asked);
        let by_all = before.and_then(|before| u32::try_from(shared.asked - before).ok());
        if shared.ahead <= 0.0 {
            self.share = 1.0;
        } else if let Some(by_all) = by_all.map(f64::from).filter(|by_all| *by_all >= own) {
            self.share = (own / by_all).clamp(SMALLEST_SHARE, 1.0);
        }
        let ahead = Duration::from_secs_f64(shared.ahead.max(0.0));
        self.paid_at = now + ahead;
        let too_far = ahead.saturating_sub(Duration::from_secs_f64(limit.burst_seconds()));
        if too_far > Duration::ZERO {
            self.tokens = self.tokens.min(1.0);
            self.closed_until = now + too_far;
            self.filled_until = self.closed_until;
        }
    }

    /// Forgets the counts of a report that could not be added.
    pub fn forget(&mut self, counted: Counted, reported: Instant) {
        self.admitted = self.admitted.saturating_sub(counted.admitted);
        self.refused = 0;
        self.counting_since = reported;
    }

    /// Returns whether the bucket is as a new one would be, and was not used for a round.
    pub fn is_idle(&mut self, limit: Limit, now: Instant) -> bool {
        self.fill(limit, now);
        let is_full = self.tokens >= self.capacity(limit) && now >= self.closed_until;
        is_full && !self.is_in_use && now >= self.paid_at
    }

    fn fill(&mut self, limit: Limit, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_until);
        let added = passed.as_secs_f64() * limit.rate() * self.share;
        self.tokens = (self.tokens + added).min(self.capacity(limit));
        self.filled_until = self.filled_until.max(now);
    }

    /// Returns the largest number of tokens: the share of the burst, and a part of a call, so that
    /// a small share does not lose what is added while no call arrives.
    fn capacity(&self, limit: Limit) -> f64 {
        f64::from(limit.burst.get()) * self.share + (1.0 - self.share)
    }
}

#[cfg(test)]
mod tests;
