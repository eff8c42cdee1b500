//! Checks all connections of a listener once a second, and tells those to end that are silent, do
//! not read, are idle or are old.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::places::{PlaceLimits, Places, Reason, Taken};
use super::state::Signal;

impl Places {
    /// Checks the connections until `shutdown`. Then tells all of them to leave, and returns when
    /// the last one has ended.
    pub async fn look_after(self: Arc<Self>, shutdown: CancellationToken) {
        let mut round = tokio::time::interval(self.limits.round);
        while !shutdown.is_cancelled() {
            tokio::select! {
                _ = round.tick() => self.look(Instant::now()),
                () = shutdown.cancelled() => {}
            }
        }
        self.close();
        loop {
            let freed = self.freed.notified(); // before the check, so that no notification is missed
            if self.table().taken.is_empty() {
                return;
            }
            tokio::select! {
                _ = round.tick() => self.look(Instant::now()),
                () = freed => {}
            }
        }
    }

    pub(super) fn look(&self, now: Instant) {
        let mut table = self.table();
        let mut over = Vec::new();
        for (number, taken) in &mut table.taken {
            over.extend(taken.over(&self.limits, now).map(|reason| (*number, reason)));
        }
        for (number, reason) in over {
            table.end(number, reason);
        }
    }

    /// Refuses further connections and asks the others to finish their calls. A connection that has
    /// not sent anything yet has no calls and is ended.
    fn close(&self) {
        let mut table = self.table();
        table.is_closed = true;
        let mut silent = Vec::new();
        for (number, taken) in &mut table.taken {
            if taken.state.has_spoken() {
                if !taken.is_ending() {
                    taken.reason = Reason::Drained;
                    taken.state.tell(Signal::Leave);
                }
            } else {
                silent.push(*number);
            }
        }
        for number in silent {
            table.end(number, Reason::Drained);
        }
    }
}

impl Taken {
    /// Returns the reason why the connection must end now, if there is one.
    fn over(&mut self, limits: &PlaceLimits, now: Instant) -> Option<Reason> {
        let lived = now - self.since;
        if lived >= self.age && !self.state.is_old() {
            self.state.grew_old();
            self.ask(Reason::Age, limits);
        }
        if self.write_stalled(limits, now) {
            return Some(Reason::Stalled);
        }
        if !self.state.has_spoken() {
            return (lived >= limits.greeting).then_some(Reason::Silent);
        }
        let begun = self.state.begun();
        if begun != self.seen.begun {
            self.seen.begun_since = now;
        }
        if begun != self.seen.begun || !self.state.is_idle() {
            self.seen.begun = begun;
            self.seen.idle_since = now;
        }
        let idle = now - self.seen.idle_since;
        if idle >= limits.idle {
            if !limits.can_be_asked || idle >= limits.idle + limits.cut_off {
                return Some(Reason::Idle);
            }
            self.ask(Reason::Idle, limits); // not ended at once: the next call may be on its way
        }
        (lived >= self.age + limits.cut_off).then_some(Reason::Age)
    }

    /// Asks the connection to end, if it can be asked.
    fn ask(&mut self, reason: Reason, limits: &PlaceLimits) {
        if self.state.order() == Signal::Stay {
            self.reason = reason;
            if limits.can_be_asked {
                self.state.tell(Signal::Leave);
            }
        }
    }

    fn write_stalled(&mut self, limits: &PlaceLimits, now: Instant) -> bool {
        let (waits, written) = self.state.writing();
        if !waits {
            self.seen.waits_since = None;
            return false;
        }
        if written != self.seen.written || self.seen.waits_since.is_none() {
            self.seen.written = written;
            self.seen.waits_since = Some(now);
        }
        self.seen.waits_since.is_some_and(|since| now - since >= limits.write)
    }
}
