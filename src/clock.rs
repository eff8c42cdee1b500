//! The clocks. No other code reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use chrono::{DateTime, SubsecRound, Utc};

use crate::domain::Time;

/// The business clock and the wire clock. Clones share both, so that a test or `dev --at` can set
/// the business clock of a running server.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    business: Arc<Hand>,
    wire: Arc<Hand>,
}

/// The value of [`Hand::stands_at`] for a hand that runs.
const RUNS: i64 = i64::MIN;

#[derive(Debug)]
struct Hand {
    /// Microseconds by which a running hand is ahead of the system's clock.
    ahead: AtomicI64,
    /// The instant at which the hand is stopped, in microseconds, or [`RUNS`].
    stands_at: AtomicI64,
}

impl Default for Hand {
    fn default() -> Self {
        Self { ahead: AtomicI64::new(0), stands_at: AtomicI64::new(RUNS) }
    }
}

impl Hand {
    /// Returns the time of the hand when the system's clock shows `system` microseconds.
    fn read(&self, system: i64) -> Time {
        let micros = match self.stands_at.load(Ordering::Relaxed) {
            RUNS => system + self.ahead.load(Ordering::Relaxed),
            stands_at => stands_at,
        };
        DateTime::from_timestamp_micros(micros)
            .expect("a clock stays within the calendar of chrono")
    }
}

impl Clock {
    /// Returns a clock whose hands both show the system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Returns a clock whose business hand starts at `start` and runs. Its wire hand shows the
    /// system's time.
    #[must_use]
    pub fn starting_at(start: Time) -> Self {
        let clock = Self::default();
        clock.business.ahead.store(start.timestamp_micros() - system_micros(), Ordering::Relaxed);
        clock
    }

    /// Returns the instant of the business clock, in whole seconds, as both wires show it.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now_at(system_micros())
    }

    fn now_at(&self, system: i64) -> Time {
        self.business.read(system).trunc_subsecs(0)
    }

    /// Returns the instant of the wire clock.
    #[must_use]
    pub fn wire_now(&self) -> Time {
        self.wire.read(system_micros())
    }

    /// Stops the business clock at an instant.
    pub fn set_now(&self, at: Time) {
        self.business.stands_at.store(at.timestamp_micros(), Ordering::Relaxed);
    }

    /// Stops the wire clock at an instant.
    pub fn set_wire_now(&self, at: Time) {
        self.wire.stands_at.store(at.timestamp_micros(), Ordering::Relaxed);
    }

    /// Runs the wire clock ahead of the system's clock, or behind it if `by` is negative.
    pub fn run_wire_ahead(&self, by: chrono::Duration) {
        self.wire.ahead.store(by.num_microseconds().unwrap_or_default(), Ordering::Relaxed);
        self.wire.stands_at.store(RUNS, Ordering::Relaxed);
    }

    /// Returns the instants of both clocks, of one reading of the system's clock.
    #[must_use]
    pub fn both(&self) -> (Time, Time) {
        let system = system_micros();
        (self.now_at(system), self.wire.read(system))
    }
}

/// Returns the system's time for spans, which other programs compare with their own clocks. Nothing is
/// decided by it.
#[must_use]
pub fn time_of_span() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now();
    now
}

fn system_micros() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = Utc::now();
    now.timestamp_micros()
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    #[test]
    fn clones_of_a_clock_share_their_hands() {
        let clock = Clock::system();
        let clone = clock.clone();
        let at = DateTime::from_timestamp(1_000_000, 0).unwrap();
        clock.set_now(at);
        assert_eq!(clone.now(), at);
        assert!(clone.wire_now() > at);
    }

    #[test]
    fn a_clock_that_starts_at_another_time_runs() {
        let at = DateTime::from_timestamp(1_521_504_000, 0).unwrap();
        let clock = Clock::starting_at(at);
        let first = clock.now();
        assert!(first >= at && first < at + Duration::minutes(1));
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert!(clock.now() > first);
        assert_eq!(clock.now().timestamp_subsec_nanos(), 0);
    }
}
