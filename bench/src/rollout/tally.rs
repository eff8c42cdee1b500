//! What became of the calls of a client.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The calls of one kind of client.
#[derive(Clone, Debug)]
pub struct Tally {
    pub name: String,
    pub calls: u64,
    pub failed: u64,
    /// When the first failure was, and what it was.
    pub first_failure: Option<String>,
}

/// A tally that the callers of a kind share.
#[derive(Clone, Debug)]
pub struct SharedTally(Arc<Mutex<Tally>>, Instant);

impl SharedTally {
    pub fn new(name: &str) -> Self {
        let tally = Tally { name: name.to_owned(), calls: 0, failed: 0, first_failure: None };
        Self(Arc::new(Mutex::new(tally)), Instant::now())
    }

    /// Counts a call.
    pub fn ended(&self, outcome: anyhow::Result<()>) {
        let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tally.calls += 1;
        if let Err(error) = outcome {
            tally.failed += 1;
            let after = self.1.elapsed().as_secs_f64();
            tally.first_failure.get_or_insert_with(|| format!("after {after:.1} s: {error:#}"));
        }
    }

    pub fn total(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
