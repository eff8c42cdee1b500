//! The circuit breaker of the commerce system. If the commerce system does not answer several times
//! in a row, openings are refused at once instead of waiting for it, until a probe is answered. The
//! code is pure: instants are arguments.

use std::time::{Duration, Instant};

/// Number of unanswered calls in a row that open the circuit.
pub(super) const FAILURES: u32 = 5;

/// Decides whether calls are sent.
#[derive(Debug)]
pub(super) struct Circuit {
    /// How long the circuit stays open before a probe is sent, and how long the probe may take.
    pause: Duration,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Every call is sent. `failures` is the number of unanswered calls in a row.
    Closed { failures: u32 },
    /// No call is sent before `until`.
    Open { until: Instant },
    /// One call is under way as a probe. If it has no outcome, the next call may be sent at
    /// `until`.
    HalfOpen { until: Instant },
}

/// The effect of an outcome on the circuit, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// No change.
    Stayed,
    /// The circuit opened, or opened again.
    Opened,
    /// The circuit closed.
    Closed,
}

impl Circuit {
    /// Creates a closed circuit.
    pub fn new(pause: Duration) -> Self {
        Self { pause, state: State::Closed { failures: 0 } }
    }

    /// Whether a call may be sent. After the circuit was open for its pause, the first call is the
    /// probe.
    pub fn admits(&mut self, now: Instant) -> bool {
        if self.is_open(now) {
            return false;
        }
        if !self.is_closed() {
            self.state = State::HalfOpen { until: now + self.pause };
        }
        true
    }

    /// Whether a call would be refused now.
    pub fn is_open(&self, now: Instant) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until } | State::HalfOpen { until } => now < until,
        }
    }

    /// Whether a failed call may be retried. A probe may not.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Records an answer of the commerce system, whatever it says.
    pub fn answered(&mut self) -> Turn {
        let turn = if self.is_closed() { Turn::Stayed } else { Turn::Closed };
        self.state = State::Closed { failures: 0 };
        turn
    }

    /// Records that the commerce system did not answer. Calls that were sent before the circuit
    /// opened do not prolong the pause.
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
    fn the_circuit_opens_only_after_failures_in_a_row() {
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
    fn one_probe_is_sent_after_the_pause() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert!(!circuit.admits(now + ALMOST));
        assert!(circuit.admits(now + PAUSE));
        assert!(!circuit.admits(now + PAUSE), "a second probe");
        assert!(!circuit.is_closed());
    }

    #[test]
    fn the_outcome_of_the_probe_closes_or_reopens_the_circuit() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert!(circuit.admits(now + PAUSE));
        assert_eq!(circuit.not_answered(now + PAUSE), Turn::Opened);
        assert!(!circuit.admits(now + PAUSE + ALMOST));
        assert!(circuit.admits(now + PAUSE + PAUSE));
        assert_eq!(circuit.answered(), Turn::Closed);
        assert!(circuit.admits(now + PAUSE + PAUSE) && circuit.is_closed());
        assert_eq!(
            circuit.not_answered(now + PAUSE + PAUSE),
            Turn::Stayed,
            "failures are counted from zero again"
        );
    }

    #[test]
    fn a_probe_without_an_outcome_is_followed_by_another() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert!(circuit.admits(now + PAUSE));
        assert!(!circuit.admits(now + PAUSE + ALMOST));
        assert!(circuit.admits(now + PAUSE + PAUSE));
    }

    #[test]
    fn earlier_calls_do_not_prolong_the_pause_and_can_close_the_circuit() {
        let now = Instant::now();
        let mut circuit = open(now);
        assert_eq!(circuit.not_answered(now + ALMOST), Turn::Stayed);
        assert!(circuit.admits(now + PAUSE));
        let mut circuit = open(now);
        assert_eq!(circuit.answered(), Turn::Closed);
        assert!(circuit.admits(now));
    }
}
