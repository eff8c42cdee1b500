//! What a clock causes, and no request: expired nonces are forgotten, orders that were left over are
//! cancelled. Replicas share the work by leases; none of it is needed for an answer to be right.

pub mod reconciler;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::context::{Clock, new_id};
use crate::error::Error;
use crate::storage::{SLOT_SECONDS, Store, idle_slot};

/// How often each replica looks.
const INTERVAL: Duration = Duration::from_mins(1);
const NONCES: &str = "nonces";

/// Runs the workers until `shutdown`.
pub async fn run(store: Store, clock: Clock, shutdown: CancellationToken) {
    let holder = new_id();
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = forget_nonces(&store, &clock, holder).await {
            let cause = std::error::Error::source(&error).map(tracing::field::display);
            tracing::warn!(%error, cause, "expired nonces were not forgotten");
        }
    }
}

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
