//! Limits what callers cause, such as lines about refusals: a token bucket that refills with time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Tokens a second in the long term.
const TOKENS_PER_SECOND: u64 = 50;
/// Tokens that can be taken at once if none were taken for some time.
const BURST: u64 = 200;
/// How long one token takes to refill, in microseconds.
const REFILL: u64 = 1_000_000 / TOKENS_PER_SECOND;

/// A token bucket: 200 tokens at once, and 50 a second in the long term. It is one number, so that
/// threads share it without a lock.
#[derive(Debug)]
pub struct Limit {
    /// When the bucket is full again, in microseconds since an arbitrary start.
    full_at: AtomicU64,
}

impl Default for Limit {
    fn default() -> Self {
        Self::new()
    }
}

impl Limit {
    /// Creates a full bucket.
    #[must_use]
    pub const fn new() -> Self {
        Self { full_at: AtomicU64::new(0) }
    }

    /// Takes a token if there is one. `now` is in microseconds since the same start.
    pub fn admits(&self, now: u64) -> bool {
        let take = |full_at: u64| {
            let full_at = full_at.max(now) + REFILL;
            (full_at <= now + BURST * REFILL).then_some(full_at)
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
    fn a_burst_of_200_lines_is_admitted_and_then_50_in_a_second() {
        let limit = Limit::new();
        assert_eq!(admitted(&limit, 0), 200);
        assert_eq!(admitted(&limit, 0), 0);
        assert_eq!(admitted(&limit, SECOND), 50);
        assert_eq!(admitted(&limit, SECOND + SECOND / 2), 25);
        assert_eq!(admitted(&limit, 60 * SECOND), 200, "no more is saved than a burst");
    }
}
