//! Checks all connections of a listener once a second, and tells those to end that are silent, do
//! not read, are idle or are old.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::places::{PlaceLimits, Places, Reason, Taken};
use super::state::Signal;

/// How long, during the drain, a connection without a running call may take to end after it was
/// asked to, and a connection that is new or has just entered may take to send its first request.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

impl Places {
    /// Checks the connections until `shutdown` and, after `close` was called, until the last one has
    /// ended.
    pub async fn look_after(self: Arc<Self>, shutdown: CancellationToken) {
        let mut round = tokio::time::interval(self.limits.round);
        while !shutdown.is_cancelled() {
            tokio::select! {
                _ = round.tick() => self.look(Instant::now()),
                () = shutdown.cancelled() => {}
            }
        }
        loop {
            let freed = self.freed.notified(); // before the check, so that no notification is missed
            if self.is_empty_and_closed() {
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

    fn is_empty_and_closed(&self) -> bool {
        let table = self.table();
        table.is_closed && table.taken.is_empty()
    }

    /// Makes every connection old, also those that will be accepted: over HTTP/1, the next answer
    /// closes it, so that clients and proxies that keep connections open the next one elsewhere.
    pub fn retire(&self) {
        let mut table = self.table();
        table.is_retired = true;
        for taken in table.taken.values() {
            taken.state.grew_old();
        }
    }

    /// Refuses further connections and asks the others to finish their calls. A connection that has
    /// not sent anything for a while has no calls and is ended. A PROXY header or TLS handshake that
    /// has begun is not interrupted, because a request follows.
    pub(super) fn close(&self, now: Instant) {
        let mut table = self.table();
        table.is_closed = true;
        let mut silent = Vec::new();
        for (number, taken) in &mut table.taken {
            let is_silent = !taken.state.has_spoken() && !taken.state.is_entering();
            if is_silent && now - taken.since >= LEAVES_WITHIN {
                silent.push(*number);
            } else if !taken.is_ending() {
                taken.reason = Reason::Drained;
                taken.seen.idle_since = now;
                taken.state.tell(Signal::Leave);
            }
        }
        for number in silent {
            table.end(number, Reason::Drained);
        }
        drop(table);
        self.freed.notify_waiters();
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
        let begun = self.state.begun();
        if begun != self.seen.begun {
            self.seen.begun_since = now;
        }
        if begun != self.seen.begun || !self.state.is_idle() || self.state.is_entering() {
            self.seen.begun = begun;
            self.seen.idle_since = now;
        }
        let idle = now - self.seen.idle_since;
        if self.reason == Reason::Drained && idle >= LEAVES_WITHIN && !self.state.writing().0 {
            return Some(Reason::Drained);
        }
        if !self.state.has_spoken() {
            return (lived >= limits.greeting).then_some(Reason::Silent);
        }
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

#[cfg(test)]
mod tests;
