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

    /// Counts a request that begins. If too many run, the error is the largest number.
    pub fn enter(&self, caller: K) -> Result<(), usize> {
        let mut running = self.running();
        let count = running.entry(caller).or_default();
        if *count >= self.most {
            return Err(self.most);
        }
        *count += 1;
        Ok(())
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
        let entered = || [1, 1, 1].map(|caller| in_flight.enter(caller));
        assert_eq!(entered(), [Ok(()), Ok(()), Err(2)]);
        in_flight.enter(2).unwrap();
        in_flight.leave(1);
        assert_eq!(entered(), [Ok(()), Err(2), Err(2)]);
    }

    #[test]
    fn a_caller_without_running_requests_takes_no_memory() {
        let in_flight = InFlight::new(2);
        for caller in 0..100 {
            in_flight.enter(caller).unwrap();
            in_flight.leave(caller);
        }
        assert!(in_flight.running().is_empty());
    }
}
