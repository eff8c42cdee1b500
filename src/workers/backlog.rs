//! Counts the rows that wait for a worker, for the metrics. Every replica counts them, also one
//! without workers, so that a backlog shows if no replica has workers.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::next_turn;
use crate::domain::Time;
use crate::error::Error;
use crate::metrics::{Backlog, Backlogs, Metrics};
use crate::storage::{Store, WaitingRows};

/// The pause between two counts.
const INTERVAL: Duration = Duration::from_secs(15);
/// The pause is also at least this many times as long as the count took, so that counting a long
/// backlog does not slow down the work on it.
const PAUSE_FACTOR: u32 = 20;
/// Longest pause. An alert fires if the age of the oldest event is too high for two minutes. With
/// this pause, a single count cannot be the cause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Runs until `shutdown`.
pub async fn run(store: Store, metrics: Metrics, shutdown: CancellationToken) {
    let mut turns = metrics.worker("backlog", "rows that wait are not counted");
    let backlogs = metrics.backlogs();
    loop {
        let started = Instant::now();
        turns.outcome(count(&store, &backlogs).await);
        if !next_turn(pause(started.elapsed()), &shutdown).await {
            return;
        }
    }
}

/// Returns the pause after a count that took this long.
fn pause(took: Duration) -> Duration {
    took.saturating_mul(PAUSE_FACTOR).clamp(INTERVAL, LONGEST_PAUSE)
}

/// Counts the events and the intents that wait. What cannot be counted is not shown any more: an old
/// number would look like a new one.
async fn count(store: &Store, backlogs: &Backlogs) -> Result<(), Error> {
    let outbox = with_age(store, store.waiting_events().await).await;
    let intents = with_age(store, store.open_intents().await).await;
    backlogs.outbox(outbox.as_ref().ok().copied());
    backlogs.intents(intents.as_ref().ok().copied());
    outbox.and(intents).map(drop)
}

/// Adds the age of the oldest row, by the clock of the database, which has written its time.
async fn with_age(store: &Store, counted: Result<WaitingRows, Error>) -> Result<Backlog, Error> {
    Ok(backlog(counted?, store.database_time().await?))
}

fn backlog(waiting: WaitingRows, now: Time) -> Backlog {
    let age = waiting.oldest.map(|oldest| (now - oldest).as_seconds_f64().max(0.0));
    Backlog { rows: waiting.rows, oldest_seconds: age.unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_the_time_of_a_count_up_to_the_longest() {
        let pauses = [0, 100, 750, 1_000, 2_500, 60_000].map(|took| {
            let pause = pause(Duration::from_millis(took));
            pause.as_secs()
        });
        assert_eq!(pauses, [15, 15, 15, 20, 50, 60]);
    }
}
