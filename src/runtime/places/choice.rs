//! Chooses the connection that is ended for a new one when all places are taken.

use tokio::time::Instant;

use super::{Full, PlaceLimits, SILENCE, Table, Taken};

impl Table {
    /// Returns the number of a connection without work, in this order:
    ///
    /// 1. the oldest silent one, if it is older than a second or many are silent;
    /// 2. the one that is idle longest, of those that were idle for a second;
    /// 3. the oldest silent one;
    /// 4. one that is idle now, and rather one that has not begun a call since the last check;
    /// 5. one whose request is incomplete.
    ///
    /// The times of calls are only known to a second, so that the one that is idle longest may be a
    /// caller that sends requests all the time: it comes after connections that have sent nothing.
    pub(super) fn dispensable(&self, now: Instant, limits: &PlaceLimits) -> Result<u64, Full> {
        let staying = || self.taken.iter().filter(|(_, taken)| !taken.is_ending());
        let mut silent = staying().filter(|(_, taken)| !taken.state.has_spoken());
        let oldest_silent = silent.next();
        if let Some((number, taken)) = oldest_silent {
            let age = now - taken.since;
            if age >= SILENCE {
                return Ok(*number);
            }
            if silent.count() + 1 > limits.places / 8 {
                // Without this wait, a crowd of new connections would end each other before any of
                // them could complete its handshake, or before its request was read.
                return if age >= limits.beginning { Ok(*number) } else { Err(Full::ForNow) };
            }
        }
        let idle = || staying().filter(|(_, taken)| taken.state.is_idle());
        let surely_idle = idle()
            .filter(|(_, taken)| taken.was_idle_for_a_second(now))
            .min_by_key(|(_, taken)| taken.seen.idle_since);
        let idle_now =
            || idle().min_by_key(|(_, taken)| (taken.has_begun(), taken.seen.idle_since));
        let arriving = || {
            let without_work = staying().filter(|(_, taken)| !taken.state.works());
            without_work.min_by_key(|(_, taken)| taken.seen.begun_since)
        };
        let chosen = surely_idle.or(oldest_silent).or_else(idle_now).or_else(arriving);
        chosen.map(|(number, _)| *number).ok_or(Full::Busy)
    }
}

impl Taken {
    /// Whether a call has begun since the last check.
    fn has_begun(&self) -> bool {
        self.state.begun() != self.seen.begun
    }

    fn was_idle_for_a_second(&self, now: Instant) -> bool {
        !self.has_begun() && now.saturating_duration_since(self.seen.idle_since) >= SILENCE
    }
}
