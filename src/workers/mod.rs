//! The background workers: they number events, write the events of due changes, cancel orders
//! without an opening, delete what has expired, and count what waits. Replicas share the work by
//! compare-and-set, by leases or by row locks. No answer depends on a worker.

pub mod backlog;
mod due_changes;
mod forgetting;
pub mod numbering;
pub mod quotas;
pub mod reconciler;
pub mod retention;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub use due_changes::settle_due_changes;
pub use forgetting::{forget_nonces, forget_quota_counts, forget_requests};

use crate::clock::Clock;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::storage::Store;

/// How long rows are kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Numbered events.
    pub events: chrono::Duration,
    /// Audit records.
    pub audit_records: chrono::Duration,
}

/// Runs the workers until `shutdown`.
pub async fn run(
    store: Store,
    orders: Orders,
    clock: Clock,
    kept: Kept,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    tokio::join!(
        numbering::run(store.clone(), clock.clone(), &metrics, shutdown.clone()),
        reconciler::run(store.clone(), orders, clock.clone(), &metrics, shutdown.clone()),
        due_changes::run(&store, &clock, &metrics, &shutdown),
        forgetting::run(&store, &clock, kept, &metrics, &shutdown),
    );
}

/// How long a worker waits for a row that another transaction holds, before it continues with the
/// next row.
const PATIENCE: Duration = Duration::from_millis(250);

/// Returns the outcome of a write, or an error if its row was held for too long. A later turn finds
/// the row again, and the rows after it must not wait for it.
async fn patiently<T>(write: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, write).await.unwrap_or(Err(Error::Contended))
}

/// Waits for the next turn of a worker. Returns false at shutdown.
async fn next_turn(interval: Duration, shutdown: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(interval) => true,
        () = shutdown.cancelled() => false,
    }
}
