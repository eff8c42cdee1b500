//! Whether each core still turns its loop. A task on each core counts up once a second, which costs
//! nothing that could be measured. A task of the process looks once a second whether each count has
//! changed. Both stand still while the whole process is stopped, so a pause of the machine is not
//! taken for a blocked core.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

/// Interval between two counts, and between two looks.
const BEAT: Duration = Duration::from_secs(1);
/// Number of looks in a row without a change after which a core counts as blocked.
const MISSED: u32 = 10;
/// The count of a core whose work has ended.
const ENDED: u64 = u64::MAX;

/// The count of one core.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// Counts until it is dropped. Runs on the core.
    pub(super) async fn beat(self: Arc<Self>) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            self.count();
        }
    }

    fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Records that the work of the core has ended in good order.
    pub(super) fn end(&self) {
        self.0.store(ENDED, Relaxed);
    }
}

/// What is known about the pulses of all cores. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Pulses(Arc<Mutex<Vec<WatchedCore>>>);

#[derive(Debug)]
struct WatchedCore {
    name: String,
    pulse: Arc<Pulse>,
    seen: u64,
    missed: u32,
}

impl Pulses {
    /// Adds the pulse of a core.
    pub fn add(&self, name: &str, pulse: Arc<Pulse>) {
        self.all().push(WatchedCore { name: name.to_owned(), pulse, seen: 0, missed: 0 });
    }

    /// Looks at the pulses until it is dropped.
    pub async fn watch(self) {
        let mut looks = interval(BEAT);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.look();
        }
    }

    fn look(&self) {
        for core in self.all().iter_mut() {
            let count = core.pulse.0.load(Relaxed);
            let stands = count == core.seen && count != ENDED;
            core.missed = if stands { core.missed + 1 } else { 0 };
            core.seen = count;
        }
    }

    /// Returns the name of a core that has not turned its loop for ten seconds, and for how many
    /// seconds.
    #[must_use]
    pub fn blocked(&self) -> Option<(String, u32)> {
        let all = self.all();
        let core = all.iter().find(|core| core.missed >= MISSED)?;
        Some((core.name.clone(), core.missed))
    }

    fn all(&self) -> MutexGuard<'_, Vec<WatchedCore>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cores whose loops have turned at least once.
    fn two_cores() -> (Pulses, [Arc<Pulse>; 2]) {
        let (pulses, cores) = (Pulses::default(), [Arc::default(), Arc::default()]);
        for (name, core) in ["core-0", "core-1"].into_iter().zip(&cores) {
            let core: &Arc<Pulse> = core;
            pulses.add(name, Arc::clone(core));
            core.count();
        }
        pulses.look();
        (pulses, cores)
    }

    #[test]
    fn a_core_that_does_not_turn_for_ten_looks_is_blocked_until_it_turns_again() {
        let (pulses, [first, second]) = two_cores();
        for _ in 0..9 {
            first.count();
            pulses.look();
            assert_eq!(pulses.blocked(), None);
        }
        first.count();
        pulses.look();
        assert_eq!(pulses.blocked(), Some(("core-1".to_owned(), 10)));
        second.count();
        pulses.look();
        assert_eq!(pulses.blocked(), None);
    }

    #[test]
    fn a_core_whose_work_has_ended_is_not_blocked() {
        let (pulses, [first, second]) = two_cores();
        first.end();
        for _ in 0..20 {
            second.count();
            pulses.look();
        }
        assert_eq!(pulses.blocked(), None);
    }

    #[test]
    fn a_core_that_never_turned_is_blocked() {
        let pulses = Pulses::default();
        pulses.add("core-0", Arc::default());
        for _ in 0..MISSED {
            pulses.look();
        }
        assert_eq!(pulses.blocked(), Some(("core-0".to_owned(), MISSED)));
    }
}
