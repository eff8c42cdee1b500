//! Counts the rows that wait for a worker, for the metrics. Every replica counts them, also one
//! without workers, so that a backlog shows if no replica has workers.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::next_turn;
use crate::domain::Time;
use crate::error::Error;
use crate::metrics::{Backlog, Backlogs, Metrics};
use crate::storage::{Store, WaitingRows};

/// How often the rows are counted.
const INTERVAL: Duration = Duration::from_secs(15);

/// Runs until `shutdown`.
pub async fn run(store: Store, metrics: Metrics, shutdown: CancellationToken) {
    let mut turns = metrics.worker("backlog", "rows that wait are not counted");
    let backlogs = metrics.backlogs();
    loop {
        turns.outcome(count(&store, &backlogs).await);
        if !next_turn(INTERVAL, &shutdown).await {
            return;
        }
    }
}

/// Counts the events and the intents that wait. Their ages are those by the clock of the database,
/// which has written their times.
async fn count(store: &Store, backlogs: &Backlogs) -> Result<(), Error> {
    let (outbox, intents) = (store.waiting_events().await?, store.open_intents().await?);
    let now = store.database_time().await?;
    backlogs.outbox(backlog(outbox, now));
    backlogs.intents(backlog(intents, now));
    Ok(())
}

fn backlog(waiting: WaitingRows, now: Time) -> Backlog {
    let age = waiting.oldest.map(|oldest| (now - oldest).as_seconds_f64().max(0.0));
    Backlog { rows: waiting.rows, oldest_seconds: age.unwrap_or_default() }
}
