//! The results of the calls of one row. An answer is checked before it counts. Latencies are those
//! of calls that began within the window.

use std::time::{Duration, Instant};

use super::histogram::Histogram;

/// The counts while the row runs.
#[derive(Debug)]
pub struct Record {
    opened: Option<Instant>,
    closed: Option<Instant>,
    latencies: Histogram,
    in_window: u64,
    answered: u64,
    failed: u64,
    first_failure: Option<String>,
}

/// The counts at the end.
#[derive(Debug)]
pub struct Outcome {
    /// How long the window was.
    pub window: Duration,
    /// Right answers within the window.
    pub in_window: u64,
    /// Right answers, outside of the window too.
    pub answered: u64,
    /// Wrong, missing and refused answers, outside of the window too.
    pub failed: u64,
    /// A description of the first of them.
    pub first_failure: Option<String>,
    /// The latencies.
    pub latencies: Histogram,
}

impl Record {
    /// Returns a record without calls.
    pub fn new() -> Self {
        Self {
            opened: None,
            closed: None,
            latencies: Histogram::new(),
            in_window: 0,
            answered: 0,
            failed: 0,
            first_failure: None,
        }
    }

    /// Begins the window.
    pub fn open(&mut self, now: Instant) {
        self.opened = Some(now);
    }

    /// Ends the window.
    pub fn close(&mut self, now: Instant) {
        self.closed = Some(now);
    }

    /// Counts a right answer.
    pub fn right(&mut self, sent: Instant, now: Instant) {
        self.answered += 1;
        if let (Some(opened), None) = (self.opened, self.closed) {
            self.in_window += 1;
            if sent >= opened {
                self.latencies.record(now - sent);
            }
        }
    }

    /// Counts calls without a right answer.
    pub fn wrong(&mut self, count: u64, what: impl FnOnce() -> String) {
        if count > 0 {
            self.failed += count;
            self.first_failure.get_or_insert_with(what);
        }
    }

    /// Returns the counts.
    pub fn outcome(self) -> Outcome {
        let window = self.opened.zip(self.closed).map(|(opened, closed)| closed - opened);
        Outcome {
            window: window.unwrap_or_default(),
            in_window: self.in_window,
            answered: self.answered,
            failed: self.failed,
            first_failure: self.first_failure,
            latencies: self.latencies,
        }
    }
}
