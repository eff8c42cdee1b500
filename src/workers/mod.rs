//! What a clock causes, and no request: due changes become events, orders that were left over are
//! cancelled, expired nonces and request ids are forgotten. Replicas share the work by
//! compare-and-set or by leases; none of it is needed for an answer to be right.

pub mod reconciler;

mod due_changes;
mod forgetting;

use tokio_util::sync::CancellationToken;

pub use due_changes::settle_due_changes;
pub use forgetting::{forget_nonces, forget_requests};

use crate::context::{Clock, new_id};
use crate::error::Error;
use crate::storage::Store;

/// Runs the workers until `shutdown`.
pub async fn run(store: Store, clock: Clock, shutdown: CancellationToken) {
    let holder = new_id();
    let every = |interval| {
        let shutdown = shutdown.clone();
        async move {
            tokio::select! {
                () = tokio::time::sleep(interval) => true,
                () = shutdown.cancelled() => false,
            }
        }
    };
    let due = async {
        while every(due_changes::INTERVAL).await {
            log("due changes were not settled", settle_due_changes(&store, &clock).await);
        }
    };
    let forgetting = async {
        while every(forgetting::INTERVAL).await {
            log("nonces were not forgotten", forget_nonces(&store, &clock, holder).await);
            log("request ids were not forgotten", forget_requests(&store, &clock).await);
        }
    };
    tokio::join!(due, forgetting);
}

/// A worker that fails says so and tries again at its next turn.
fn log(what: &str, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        let cause = std::error::Error::source(&error).map(tracing::field::display);
        tracing::warn!(%error, cause, "{what}");
    }
}
