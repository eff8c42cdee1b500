//! What no request does: events get their numbers, expired nonces and old events are forgotten.
//! Replicas share the work by leases or by locks of rows; none of it is needed for an answer to be
//! right.

pub mod numbering;
pub mod retention;

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::context::{Clock, new_id};
use crate::error::Error;
use crate::storage::{SLOT_SECONDS, Store, idle_slot};

/// How often each replica looks.
const INTERVAL: Duration = Duration::from_mins(1);
const NONCES: &str = "nonces";

/// Runs the workers until `shutdown`. Events are kept for `event_retention`.
pub async fn run(
    store: Store,
    clock: Clock,
    event_retention: chrono::Duration,
    shutdown: CancellationToken,
) {
    tokio::join!(
        numbering::run(store.clone(), clock.clone(), shutdown.clone()),
        forget(&store, &clock, event_retention, &shutdown),
    );
}

async fn forget(
    store: &Store,
    clock: &Clock,
    event_retention: chrono::Duration,
    shutdown: &CancellationToken,
) {
    let holder = new_id();
    let mut nonces = Told::new("expired nonces are not forgotten");
    let mut events = Told::new("old events are not forgotten");
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        nonces.outcome(forget_nonces(store, clock, holder).await);
        let forgotten =
            retention::forget_events(store, clock, holder, event_retention, shutdown).await;
        events.outcome(forgotten);
    }
}

/// Tells of a failure once, when it begins and when it ends or changes, however often it is met.
pub(crate) struct Told {
    what: &'static str,
    last: Option<String>,
}

impl Told {
    /// `what` is what fails, as a sentence.
    pub fn new(what: &'static str) -> Self {
        Self { what, last: None }
    }

    /// Takes note of another try.
    pub fn outcome(&mut self, outcome: Result<(), Error>) {
        let what = self.what;
        let Err(error) = outcome else {
            if self.last.take().is_some() {
                tracing::info!("no longer: {what}");
            }
            return;
        };
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        if self.last.as_ref() != Some(&cause) {
            tracing::warn!(%error, cause, "{what}");
            self.last = Some(cause);
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
