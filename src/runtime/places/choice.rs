//! Chooses the connection that is ended for a new one when all places are taken.

use tokio::time::Instant;

use super::{Full, PlaceLimits, SILENCE, Table, Taken};

impl Table {
    /// Returns the number of a connection without work, in this order:
    ///
    /// 1. the oldest silent one that has had its time to begin, if it is older than a second or if
    ///    many are silent;
    /// 2. the one that is idle longest, of those that were idle for a second;
    /// 3. the one whose request is incomplete longest, of those that began none for a second;
    /// 4. the oldest silent one that has had its time to begin;
    /// 5. one that is idle now, and rather one that has not begun a call since the last check;
    /// 6. one whose request is incomplete;
    /// 7. the oldest silent one.
    ///
    /// The times of calls are only known to a second, so that the one that is idle longest may be a
    /// caller that sends requests all the time: it comes after connections that have sent nothing.
    pub(super) fn dispensable(&self, now: Instant, limits: &PlaceLimits) -> Result<u64, Full> {
        let staying = || self.taken.iter().filter(|(_, taken)| !taken.is_ending());
        let silent = || staying().filter(|(_, taken)| !taken.state.has_spoken());
        let is_crowd = silent().count() > limits.places.div_ceil(8);
        let late = silent().find(|(_, taken)| taken.has_had_its_time(now, limits));
        if let Some((number, taken)) = late
            && (is_crowd || now - taken.since >= SILENCE)
        {
            return Ok(*number);
        }
        // Silent ones are not idle: they are in their time to begin.
        let spoken = || staying().filter(|(_, taken)| taken.state.has_spoken());
        let idle = || spoken().filter(|(_, taken)| taken.state.is_idle());
        let without_work = || spoken().filter(|(_, taken)| !taken.state.works());
        let surely_idle = || {
            let long = idle().filter(|(_, taken)| taken.was_idle_for_a_second(now));
            long.min_by_key(|(_, taken)| taken.seen.idle_since)
        };
        let stuck = || {
            let arriving = without_work().filter(|(_, taken)| !taken.state.is_idle());
            let long = arriving.filter(|(_, taken)| taken.began_nothing_for_a_second(now));
            long.min_by_key(|(_, taken)| taken.seen.begun_since)
        };
        let idle_now =
            || idle().min_by_key(|(_, taken)| (taken.has_begun(), taken.seen.idle_since));
        let arriving = || without_work().min_by_key(|(_, taken)| taken.seen.begun_since);
        let unused = surely_idle().or_else(stuck);
        if unused.is_none() && is_crowd {
            // Without this wait, a crowd of new connections would end each other before any of
            // them could complete its handshake, or before its request was read.
            return Err(Full::ForNow);
        }
        let used = || idle_now().or_else(arriving).or_else(|| silent().next());
        let chosen = unused.or(late).or_else(used);
        chosen.map(|(number, _)| *number).ok_or(Full::Busy)
    }
}

impl Taken {
    /// Whether a silent connection has had its time to begin.
    fn has_had_its_time(&self, now: Instant, limits: &PlaceLimits) -> bool {
        let has_sent = self.state.is_entering() || self.state.begun() > 0;
        let time =
            if has_sent { limits.beginning } else { limits.beginning.min(limits.first_bytes) };
        now - self.since >= time
    }

    /// Whether a call has begun since the last check.
    fn has_begun(&self) -> bool {
        self.state.begun() != self.seen.begun
    }

    fn was_idle_for_a_second(&self, now: Instant) -> bool {
        !self.has_begun() && now.saturating_duration_since(self.seen.idle_since) >= SILENCE
    }

    fn began_nothing_for_a_second(&self, now: Instant) -> bool {
        !self.has_begun() && now.saturating_duration_since(self.seen.begun_since) >= SILENCE
    }
}
