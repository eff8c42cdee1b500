//! Gives events their positions. Every replica does this for all lanes; a replica skips a lane that
//! another replica is numbering. The worker is woken by the writes of its own process, and by a
//! timer for the writes of other processes.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::Time;
use crate::error::Error;
use crate::ids::new_id;
use crate::metrics::{Backlogs, Metrics};
use crate::storage::{NumberingRound, Store};

/// How often the outbox is read if this process writes nothing.
const POLL: Duration = Duration::from_millis(200);
/// Longest pause after failures. Each failure in a row doubles the pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The pause after a write. Events that are written during the pause are numbered together.
const GATHER: Duration = Duration::from_millis(5);
/// The pause after a turn that numbered at least this many events. A turn runs statements for each
/// lane. Without the pause, each statement would move few events, and would cost more than they.
const GATHER_MANY: (i64, Duration) = (64, Duration::from_millis(100));
/// How long a write may take from the time of its event to its commit. A write that takes longer
/// was not acknowledged, because its connection was closed before.
const LONGEST_WRITE: chrono::Duration = chrono::Duration::seconds(10);
/// Shortest pause between two reads of the whole outbox. Such a read finds the events of writes
/// that took longer than [`LONGEST_WRITE`].
const WHOLE_EVERY: Duration = Duration::from_secs(2);
/// The pause is also at least this many times as long as the read took.
const WHOLE_PAUSE_FACTOR: u32 = 50;

/// Numbers events until shutdown.
pub async fn run(store: Store, clock: Clock, metrics: &Metrics, shutdown: CancellationToken) {
    let mut turns = metrics.worker("numbering", "events are not numbered");
    let mut worker = Worker {
        store,
        clock,
        backlogs: metrics.backlogs(),
        notify: None,
        numbered_until: None,
        next_whole: None,
    };
    let mut failures = 0;
    loop {
        let numbered = worker.turn(&shutdown).await;
        failures = if numbered.is_ok() { 0 } else { failures + 1 };
        let many = numbered.as_ref().is_ok_and(|count| *count >= GATHER_MANY.0);
        let gather = if many { GATHER_MANY.1 } else { GATHER };
        turns.outcome(numbered.map(drop));
        tokio::select! {
            () = worker.store.written(), if failures == 0 => tokio::time::sleep(gather).await,
            () = tokio::time::sleep(pause(failures)) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Returns the pause before the next turn after this number of failures in a row.
fn pause(failures: u32) -> Duration {
    (POLL * 2_u32.pow(failures.min(10))).min(LONGEST_PAUSE)
}

struct Worker {
    store: Store,
    clock: Clock,
    /// Where the numbered events are counted, also those of a turn that fails.
    backlogs: Backlogs,
    /// Whether the database has NOTIFY. `None` until the first query for it.
    notify: Option<bool>,
    /// When the last turn began that numbered all events that it was to number, by the clock of the
    /// database.
    numbered_until: Option<Time>,
    /// When the whole outbox is read again.
    next_whole: Option<Instant>,
}

impl Worker {
    /// Numbers the events that wait. Returns how many.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Result<i64, Error> {
        let (began, started) = (self.store.database_time().await?, Instant::now());
        let whole = self.next_whole.is_none_or(|next| started >= next);
        let recent = self.numbered_until.map(|until| until - LONGEST_WRITE);
        let after = recent.filter(|_| !whole).unwrap_or(Time::UNIX_EPOCH);
        let lanes = self.store.waiting_lanes(after).await?;
        if whole {
            let pause = WHOLE_EVERY.max(started.elapsed() * WHOLE_PAUSE_FACTOR);
            self.next_whole = Some(Instant::now() + pause);
        }
        let (count, all) = self.number(lanes, after, shutdown).await?;
        if all {
            self.numbered_until = Some(began);
        }
        Ok(count)
    }

    /// Numbers events of these lanes. Each round numbers some events of every lane, so that a lane
    /// with few events does not wait for a lane with many. Returns how many, and whether no event
    /// is left.
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
        let mut has_generation = false;
        while !lanes.is_empty() && !shutdown.is_cancelled() {
            let now = self.clock.wire_now();
            let together = self.store.number_events(lanes.clone(), after, now, notify).await;
            let NumberingRound { events, longer, left_to_another, .. } = match together {
                Ok(NumberingRound { needs_generation: true, .. }) => {
                    if has_generation {
                        return Ok((count, false)); // the server changed again: the next turn numbers
                    }
                    self.begin_generation().await?;
                    has_generation = true;
                    continue;
                }
                Ok(numbered) => numbered,
                Err(error) => {
                    outcome = Err(error);
                    self.one_by_one(lanes, after, notify).await
                }
            };
            self.backlogs.numbered(events);
            count += events;
            all &= !left_to_another;
            lanes = longer;
        }
        outcome.map(|()| (count, all && lanes.is_empty()))
    }

    /// Begins a generation of the log, because the server was started, promoted or restored after the
    /// last event was numbered.
    async fn begin_generation(&self) -> Result<(), Error> {
        let now = self.clock.wire_now();
        let Some(begun) = self.store.begin_generation_of_server(new_id(), now).await? else {
            return Ok(()); // another process has begun it
        };
        let (generation, earlier) =
            (begun.generation_id, begun.earlier_id.map(tracing::field::display));
        tracing::info!(%generation, earlier, "a generation of the event log began");
        Ok(())
    }

    /// Numbers the lanes one by one, so that a lane that fails does not delay the others. Errors
    /// are not returned: the caller has the error of the first attempt.
    async fn one_by_one(&self, lanes: Vec<i16>, after: Time, notify: bool) -> NumberingRound {
        let mut all = NumberingRound::default();
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
    fn the_pause_grows_with_each_failure_up_to_the_longest() {
        let pauses = [0, 1, 2, 5, 6, u32::MAX].map(|failures| pause(failures).as_millis());
        assert_eq!(pauses, [200, 400, 800, 6_400, 10_000, 10_000]);
    }
}
