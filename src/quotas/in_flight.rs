//! How many requests of one caller run at the same time. A caller that sends hundreds at once
//! cannot fill the queues that all callers share.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The running requests of each caller.
#[derive(Debug)]
pub struct InFlight<K> {
    running: Mutex<HashMap<K, usize>>,
    /// Largest number of running requests of one caller.
    most: usize,
}

impl<K: Hash + Eq> InFlight<K> {
    /// Counts up to `most` running requests of each caller.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { running: Mutex::default(), most }
    }

    /// Returns the largest number of running requests of one caller.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Counts a request that begins. Returns false if too many run.
    #[must_use]
    pub fn enter(&self, caller: K) -> bool {
        let mut running = self.running();
        let count = running.entry(caller).or_default();
        let has_room = *count < self.most;
        *count += usize::from(has_room);
        has_room
    }

    /// Counts a request that has ended.
    pub fn leave(&self, caller: K) {
        if let Entry::Occupied(mut count) = self.running().entry(caller) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_so_many_running_requests_and_others_have_theirs() {
        let in_flight = InFlight::new(2);
        assert!(in_flight.enter(1) && in_flight.enter(1) && !in_flight.enter(1));
        assert!(in_flight.enter(2));
        in_flight.leave(1);
        assert!(in_flight.enter(1) && !in_flight.enter(1));
    }

    #[test]
    fn a_caller_without_running_requests_takes_no_memory() {
        let in_flight = InFlight::new(2);
        for caller in 0..100 {
            assert!(in_flight.enter(caller));
            in_flight.leave(caller);
        }
        assert!(in_flight.running().is_empty());
    }
}
