//! Limits what callers cause, such as lines about refusals: a token bucket that refills with time.

use std::sync::atomic::{AtomicU64, Ordering};

/// A token bucket. What changes is one number, so that threads share it without a lock.
#[derive(Debug)]
pub struct Limit {
    /// How long one token takes to refill, in microseconds.
    refill: u64,
    /// How long an empty bucket takes to be full, in microseconds.
    refill_of_all: u64,
    /// When the bucket is full again, in microseconds since an arbitrary start.
    full_at: AtomicU64,
}

impl Limit {
    /// Creates a full bucket: `burst` tokens can be taken at once, and `per_second` in the long
    /// term, which is not 0.
    #[must_use]
    pub const fn new(per_second: u64, burst: u64) -> Self {
        let refill = 1_000_000 / per_second;
        Self { refill, refill_of_all: burst * refill, full_at: AtomicU64::new(0) }
    }

    /// Takes a token if there is one. `now` is in microseconds since the same start.
    pub fn admits(&self, now: u64) -> bool {
        let take = |full_at: u64| {
            let full_at = full_at.max(now) + self.refill;
            (full_at <= now + self.refill_of_all).then_some(full_at)
        };
        self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn admitted(limit: &Limit, now: u64) -> usize {
        (0..1000).filter(|_| limit.admits(now)).count()
    }

    #[test]
    fn a_burst_is_admitted_and_then_as_many_as_refill() {
        let limit = Limit::new(50, 200);
        assert_eq!(admitted(&limit, 0), 200);
        assert_eq!(admitted(&limit, 0), 0);
        assert_eq!(admitted(&limit, SECOND), 50);
        assert_eq!(admitted(&limit, SECOND + SECOND / 2), 25);
        assert_eq!(admitted(&limit, 60 * SECOND), 200, "no more is saved than a burst");
        let slow = Limit::new(1, 100);
        assert_eq!((admitted(&slow, 0), admitted(&slow, 3 * SECOND)), (100, 3));
    }
}
