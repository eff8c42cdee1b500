//! Gives events their positions. Every replica does it, all lanes at once: a lane that another replica
//! has taken is left to it. Woken by this process's own writes, and by a timer for those of others.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::Time;
use crate::error::Error;
use crate::logging::FailureLog;
use crate::storage::{Numbered, Store};

/// How often the outbox is read when this process writes nothing.
const POLL: Duration = Duration::from_millis(200);
/// After failures the next try waits longer each time, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A pause after a write for those that come with it: they are numbered together.
const GATHER: Duration = Duration::from_millis(5);
/// The same while so many come at once that the statements, one for each lane, would cost more than
/// what they move.
const GATHER_MANY: (i64, Duration) = (64, Duration::from_millis(100));
/// How long a write may take from the time of its event to its commit. One that takes longer was not
/// acknowledged: its connection was given up before.
const LONGEST_WRITE: chrono::Duration = chrono::Duration::seconds(10);
/// All of the outbox is read at most so often, for events of writes that took longer still; and a
/// fiftieth of the time at the most.
const WHOLE_EVERY: Duration = Duration::from_secs(2);
const WHOLE_SHARE: u32 = 50;

/// Numbers events until shutdown.
pub async fn run(store: Store, clock: Clock, shutdown: CancellationToken) {
    let mut told = FailureLog::new("events are not numbered");
    let mut worker = Worker { store, clock, notify: None, numbered_until: None, next_whole: None };
    let mut failures = 0;
    loop {
        let numbered = worker.turn(&shutdown).await;
        failures = if numbered.is_ok() { 0 } else { failures + 1 };
        let many = numbered.as_ref().is_ok_and(|count| *count >= GATHER_MANY.0);
        let gather = if many { GATHER_MANY.1 } else { GATHER };
        told.outcome(numbered.map(drop));
        tokio::select! {
            () = worker.store.written(), if failures == 0 => tokio::time::sleep(gather).await,
            () = tokio::time::sleep(pause(failures)) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// How long to wait for the next turn after so many failures in a row.
fn pause(failures: u32) -> Duration {
    (POLL * 2_u32.pow(failures.min(10))).min(LONGEST_PAUSE)
}

struct Worker {
    store: Store,
    clock: Clock,
    /// Whether the engine can wake those who listen; asked once.
    notify: Option<bool>,
    /// When the last turn began that left nothing behind, by the database's clock.
    numbered_until: Option<Time>,
    /// When all of the outbox is read again.
    next_whole: Option<Instant>,
}

impl Worker {
    /// Numbers what waits; how many events.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<i64, Error> {
        let (began, started) = (self.store.database_time().await?, Instant::now());
        let whole = self.next_whole.is_none_or(|next| started >= next);
        let recent = self.numbered_until.map(|until| until - LONGEST_WRITE);
        let after = recent.filter(|_| !whole).unwrap_or(Time::UNIX_EPOCH);
        let lanes = self.store.waiting_lanes(after).await?;
        if whole {
            let pause = WHOLE_EVERY.max(started.elapsed() * WHOLE_SHARE);
            self.next_whole = Some(Instant::now() + pause);
        }
        let (count, all) = self.number(lanes, after, shutdown).await?;
        if all {
            self.numbered_until = Some(began);
        }
        Ok(count)
    }

    /// Numbers events of these lanes, in turns: no lane waits for another that is longer. How many, and
    /// whether that was all.
    async fn number(
        &mut self,
        mut lanes: Vec<i16>,
        after: Time,
        shutdown: &CancellationToken,
    ) -> Result<(i64, bool), Error> {
        if lanes.is_empty() {
            return Ok((0, true));
        }
        let notify = match self.notify {
            Some(known) => known,
            None => *self.notify.insert(self.store.has_notify().await?),
        };
        let (mut count, mut all, mut outcome) = (0, true, Ok(()));
        while !lanes.is_empty() && !shutdown.is_cancelled() {
            let now = self.clock.wire_now();
            let together = self.store.number_events(lanes.clone(), after, now, notify).await;
            let Numbered { events, longer, left_to_another } = match together {
                Ok(numbered) => numbered,
                Err(error) => {
                    outcome = Err(error);
                    self.one_by_one(lanes, after, notify).await
                }
            };
            count += events;
            all &= !left_to_another;
            lanes = longer;
        }
        outcome.map(|()| (count, all && lanes.is_empty()))
    }

    /// A lane that fails does not hold up the others. What that lane's error is was told before.
    async fn one_by_one(&self, lanes: Vec<i16>, after: Time, notify: bool) -> Numbered {
        let mut all = Numbered::default();
        for lane in lanes {
            let now = self.clock.wire_now();
            if let Ok(one) = self.store.number_events(vec![lane], after, now, notify).await {
                all.events += one.events;
                all.longer.extend(one.longer);
                all.left_to_another |= one.left_to_another;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persistent_failure_is_met_less_and_less_often() {
        let pauses = [0, 1, 2, 5, 6, u32::MAX].map(|failures| pause(failures).as_millis());
        assert_eq!(pauses, [200, 400, 800, 6_400, 10_000, 10_000]);
    }
}
