//! Deletes events and audit records that have been kept for long enough. One replica does this at a time, in batches,
//! the oldest first. So the remaining events have no gap, and the position of the oldest one
//! is known.

use chrono::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::Time;
use crate::error::Error;
use crate::storage::Store;

const LEASE: &str = "event-retention";
const AUDIT_LEASE: &str = "audit-retention";
/// How long the lease is held. A batch takes much less time.
const LEASE_SECONDS: i64 = 60;
/// Largest number of rows that one statement deletes.
const BATCH: i64 = 1000;

/// Deletes the events that were numbered longer than `retention` ago, unless another replica is
/// doing this. Returns early at shutdown.
pub async fn forget_events(
    store: &Store,
    clock: &Clock,
    holder: Uuid,
    retention: Duration,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    for lane in store.lanes().await? {
        let mut after = lane.expired_position;
        loop {
            let wire_now = clock.wire_now();
            let until = wire_now + Duration::seconds(LEASE_SECONDS);
            if shutdown.is_cancelled() || !store.take_lease(LEASE, holder, wire_now, until).await? {
                return Ok(());
            }
            let Some(before) = oldest_kept(store, wire_now, retention).await? else {
                return Ok(());
            };
            let deleted = store.expire_events(lane.lane, after, before, BATCH).await?;
            after += deleted;
            if deleted < BATCH {
                break;
            }
        }
    }
    Ok(())
}

/// Deletes the audit records that are older than `retention`, unless another replica is doing this.
/// Returns early at shutdown.
pub async fn forget_audit_records(
    store: &Store,
    clock: &Clock,
    holder: Uuid,
    retention: Duration,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let mut deleted = BATCH.unsigned_abs();
    while deleted == BATCH.unsigned_abs() {
        let wire_now = clock.wire_now();
        let until = wire_now + Duration::seconds(LEASE_SECONDS);
        if shutdown.is_cancelled()
            || !store.take_lease(AUDIT_LEASE, holder, wire_now, until).await?
        {
            return Ok(());
        }
        let Some(before) = oldest_kept(store, wire_now, retention).await? else { return Ok(()) };
        deleted = store.forget_audit_records(before, BATCH).await?;
    }
    Ok(())
}

/// Returns the instant from which on rows are kept. A replica whose clock is fast must not delete
/// rows that are still needed.
async fn oldest_kept(
    store: &Store,
    wire_now: Time,
    retention: Duration,
) -> Result<Option<Time>, Error> {
    Ok(wire_now.min(store.database_time().await?).checked_sub_signed(retention))
}
