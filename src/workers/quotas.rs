//! Reports what this process has admitted to the rows that all processes share. Every process does
//! this for itself, also without the other workers.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::next_turn;
use crate::logging::FailureLog;
use crate::quotas::Quotas;
use crate::storage::Store;

/// How often the counts are reported.
const INTERVAL: Duration = Duration::from_secs(1);

/// Runs until `shutdown`.
pub async fn run(store: Store, quotas: Quotas, shutdown: CancellationToken) {
    let mut failure_log = FailureLog::new("quotas are not shared with other processes");
    while next_turn(INTERVAL, &shutdown).await {
        failure_log.outcome(quotas.report(&store).await);
    }
}
