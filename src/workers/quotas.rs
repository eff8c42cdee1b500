//! Reports what this process has admitted to the rows that all processes share. Every process does
//! this for itself, also without the other workers.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::next_turn;
use crate::metrics::WorkerTurns;
use crate::quotas::Quotas;
use crate::storage::Store;

/// How often the counts are reported.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs until `shutdown`.
pub async fn run(
    store: Store,
    quotas: Quotas,
    mut turns: WorkerTurns,
    shutdown: CancellationToken,
) {
    while next_turn(INTERVAL, &shutdown).await {
        turns.outcome(quotas.report(&store).await);
    }
}
