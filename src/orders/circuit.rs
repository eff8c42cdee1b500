//! The circuit breaker before the commerce system: when it does not answer several times in a row,
//! openings are refused at once instead of each waiting for it, until a probe is answered. Pure:
//! the instants are arguments.

use std::time::{Duration, Instant};

/// So many calls in a row without an answer open the circuit.
pub(super) const FAILURES: u32 = 5;

/// Whether calls are let through.
#[derive(Debug)]
pub(super) struct Circuit {
    /// How long it stays open before a probe is let through, and how long that may take.
    pause: Duration,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Every call is let through; so many in a row were not answered.
    Closed { failures: u32 },
    /// No call is let through until then.
    Open { until: Instant },
    /// One call is under way as a probe. Should it never tell, the next may go then.
    HalfOpen { until: Instant },
}

/// What an outcome did to the circuit, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    Stayed,
    /// It has opened, or opened again.
    Opened,
    /// It has closed.
    Closed,
}

impl Circuit {
    /// A closed circuit.
    pub fn new(pause: Duration) -> Self {
        Self { pause, state: State::Closed { failures: 0 } }
    }

    /// Whether a call may go out. Where the circuit has been open for its pause, the one that asks
    /// first is the probe.
    pub fn admits(&mut self, now: Instant) -> bool {
        if self.is_open(now) {
            return false;
        }
        if !self.is_closed() {
            self.state = State::HalfOpen { until: now + self.pause };
        }
        true
    }

    /// Whether a call that asked now would not be let through.
    pub fn is_open(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until } | State::HalfOpen { until } => now < until,
        }
    }

    /// Whether a call that has failed may be repeated: a probe is not.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// The other side has answered, whatever it said.
    pub fn answered(&mut self) -> Turn {
        let turn = if self.is_closed() { Turn::Stayed } else { Turn::Closed };
        self.state = State::Closed { failures: 0 };
        turn
    }

    /// The other side has not answered. Calls that went out before the circuit opened do not
    /// prolong the pause.
    pub fn not_answered(&mut self, now: Instant) -> Turn {
        match self.state {
            State::Closed { failures } if failures + 1 < FAILURES => {
                self.state = State::Closed { failures: failures + 1 };
                Turn::Stayed
            }
            State::Closed { .. } | State::HalfOpen { .. } => {
                self.state = State::Open { until: now + self.pause };
                Turn::Opened
            }
            State::Open { .. } => Turn::Stayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(4);
    const ALMOST: Duration = Duration::from_millis(3999);

    fn open(now: Instant) -> Circuit {
        let mut circuit = Circuit::new(PAUSE);
        for _ in 1..FAILURES {
            assert_eq!(circuit.not_answered(now), Turn::Stayed);
            assert!(circuit.admits(now) && circuit.is_closed());
        }
        assert_eq!(circuit.not_answered(now), Turn::Opened);
        circuit
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let now = Instant::now();
        let mut circuit = Circuit::new(PAUSE);
        for _ in 0..3 {
            for _ in 1..FAILURES {
                circuit.not_answered(now);
            }
            assert_eq!(circuit.answered(), Turn::Stayed);
        }
        assert!(circuit.admits(now));
        assert!(!open(now).admits(now));
    }

    #[test]
    fn it_lets_one_probe_through_after_the_pause() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert!(!circuit.admits(now + ALMOST));
        assert!(circuit.admits(now + PAUSE));
        assert!(!circuit.admits(now + PAUSE), "a second probe");
        assert!(!circuit.is_closed());
    }

    #[test]
    fn the_probe_decides() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert!(circuit.admits(now + PAUSE));
        assert_eq!(circuit.not_answered(now + PAUSE), Turn::Opened);
        assert!(!circuit.admits(now + PAUSE + ALMOST));
        assert!(circuit.admits(now + PAUSE + PAUSE));
        assert_eq!(circuit.answered(), Turn::Closed);
        assert!(circuit.admits(now + PAUSE + PAUSE) && circuit.is_closed());
        assert_eq!(circuit.not_answered(now + PAUSE + PAUSE), Turn::Stayed, "it counts anew");
    }

    #[test]
    fn a_probe_that_never_tells_is_followed_by_another() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert!(circuit.admits(now + PAUSE));
        assert!(!circuit.admits(now + PAUSE + ALMOST));
        assert!(circuit.admits(now + PAUSE + PAUSE));
    }

    #[test]
    fn calls_that_were_under_way_neither_prolong_the_pause_nor_are_in_vain() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert_eq!(circuit.not_answered(now + ALMOST), Turn::Stayed);
        assert!(circuit.admits(now + PAUSE));
        let mut circuit = open(now);
        assert_eq!(circuit.answered(), Turn::Closed);
        assert!(circuit.admits(now));
    }
}
