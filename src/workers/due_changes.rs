//! Settles due changes. The in-force event is the only event that a clock causes. Every replica
//! looks for changes that have taken effect. If several replicas find the same change,
//! compare-and-set lets one of them write its event.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{next_turn, patiently};
use crate::clock::Clock;
use crate::error::Error;
use crate::ids::new_id;
use crate::metrics::Metrics;
use crate::storage::{SettledChange, Store};

/// How often each replica looks for due changes.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many due changes are read at once. At midnight there may be many.
const BATCH: i64 = 500;

/// Runs until `shutdown`.
pub(super) async fn run(
    store: &Store,
    clock: &Clock,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) {
    let failure = "changes that have taken effect are not settled";
    let mut turns = metrics.worker("due_changes", failure);
    while next_turn(INTERVAL, shutdown).await {
        turns.outcome(settle_due_changes(store, clock).await);
    }
}

/// Writes the events of the changes that have taken effect by now.
pub async fn settle_due_changes(store: &Store, clock: &Clock) -> Result<(), Error> {
    loop {
        let due = store.due_changes(clock.now(), BATCH).await?;
        let (mut settled, mut outcome) = (0, Ok(()));
        for change in &due {
            let (account_id, notice, event_id) = (change.account_id, change.notice, new_id());
            let settled_change = SettledChange { account_id, notice, event_id };
            // A change that fails does not delay the others.
            match patiently(store.settle_change(settled_change)).await {
                Ok(written) => settled += usize::from(written),
                Err(error) => outcome = Err(error),
            }
        }
        // If this replica settled none of a batch, other replicas are settling it.
        if due.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) || settled == 0 {
            return outcome;
        }
    }
}
