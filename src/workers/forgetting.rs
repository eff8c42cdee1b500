//! What has expired is forgotten: used nonces, and the ids of requests that may no longer be sent
//! again.

use std::time::Duration;

use uuid::Uuid;

use crate::context::Clock;
use crate::error::Error;
use crate::grpc::REQUEST_IDS_KEPT;
use crate::storage::{SLOT_SECONDS, Store, idle_slot};

/// How often each replica looks.
pub(super) const INTERVAL: Duration = Duration::from_mins(1);
/// Request ids that one statement forgets.
const BATCH: i64 = 1000;
const NONCES: &str = "nonces";

/// Empties the idle table of the nonce ring: once a slot, in its middle, by the database's clock,
/// by one replica.
pub async fn forget_nonces(store: &Store, clock: &Clock, holder: Uuid) -> Result<(), Error> {
    let Some(idle) = idle_slot(store.database_time().await?) else { return Ok(()) };
    if store.nonce_slot_is_empty(idle).await? {
        return Ok(());
    }
    let wire_now = clock.wire_now();
    // The rest of the middle third at the most: the lease is gone before the slot is in use again.
    let until = wire_now + chrono::Duration::seconds(SLOT_SECONDS / 3);
    if store.take_lease(NONCES, holder, wire_now, until).await? {
        store.empty_nonce_slot(idle).await?;
        tracing::debug!(slot = idle, "expired nonces were forgotten");
    }
    Ok(())
}

/// Forgets the ids of requests that may no longer be sent again. Two replicas at once are no harm.
pub async fn forget_requests(store: &Store, clock: &Clock) -> Result<(), Error> {
    let before = clock.wire_now() - REQUEST_IDS_KEPT;
    while store.forget_requests(before, BATCH).await? == BATCH.unsigned_abs() {}
    Ok(())
}
