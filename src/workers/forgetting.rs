//! Deletes what has expired: used nonces, the ids of requests that may no longer be sent again, the
//! counts of quotas, old events and old audit records.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Kept, next_turn, retention};
use crate::clock::Clock;
use crate::error::Error;
use crate::ids::new_id;
use crate::metrics::Metrics;
use crate::storage::{REQUEST_IDS_KEPT, SLOT_SECONDS, Store, idle_slot};

/// How often each replica looks for expired rows.
const INTERVAL: Duration = Duration::from_mins(1);
/// How many request ids one statement deletes.
const BATCH: i64 = 1000;
const NONCES: &str = "nonces";
/// How long the counts of a quota are kept after they have become of no use.
const QUOTA_COUNTS_KEPT: chrono::Duration = chrono::Duration::minutes(10);

/// Runs until `shutdown`.
pub(super) async fn run(
    store: &Store,
    clock: &Clock,
    kept: Kept,
    metrics: &Metrics,
    shutdown: &CancellationToken,
) {
    let holder = new_id();
    let mut nonces = metrics.worker("nonces", "expired nonces are not forgotten");
    let mut requests = metrics.worker("request_ids", "expired request ids are not forgotten");
    let mut counts = metrics.worker("quota_counts", "counts of quotas are not forgotten");
    let mut events = metrics.worker("event_retention", "old events are not forgotten");
    let mut audit_records =
        metrics.worker("audit_retention", "old audit records are not forgotten");
    while next_turn(INTERVAL, shutdown).await {
        nonces.outcome(forget_nonces(store, clock, holder).await);
        requests.outcome(forget_requests(store, clock).await);
        counts.outcome(forget_quota_counts(store).await);
        events.outcome(retention::forget_events(store, clock, holder, kept.events, shutdown).await);
        let forgotten =
            retention::forget_audit_records(store, clock, holder, kept.audit_records, shutdown);
        audit_records.outcome(forgotten.await);
    }
}

/// Empties the idle table of the nonce ring. One replica does so once in each slot, in the middle
/// of the slot by the clock of the database.
pub async fn forget_nonces(store: &Store, clock: &Clock, holder: Uuid) -> Result<(), Error> {
    let Some(idle) = idle_slot(store.database_time().await?) else { return Ok(()) };
    if store.nonce_slot_is_empty(idle).await? {
        return Ok(());
    }
    let wire_now = clock.wire_now();
    // At most the rest of the middle third: the lease expires before the slot is in use again.
    let until = wire_now + chrono::Duration::seconds(SLOT_SECONDS / 3);
    if store.take_lease(NONCES, holder, wire_now, until).await? {
        store.empty_nonce_slot(idle).await?;
        tracing::debug!(slot = idle, "expired nonces were forgotten");
    }
    Ok(())
}

/// Deletes the ids of requests that may no longer be sent again. Two replicas may do this at the
/// same time.
pub async fn forget_requests(store: &Store, clock: &Clock) -> Result<(), Error> {
    let before = clock.wire_now() - REQUEST_IDS_KEPT;
    while store.forget_requests(before, BATCH).await? == BATCH.unsigned_abs() {}
    Ok(())
}

/// Deletes the counts of quotas that are of no use any more, by the clock of the database.
pub async fn forget_quota_counts(store: &Store) -> Result<(), Error> {
    let before = store.database_time().await? - QUOTA_COUNTS_KEPT;
    while store.forget_quota_counts(before, BATCH).await? == BATCH.unsigned_abs() {}
    Ok(())
}
