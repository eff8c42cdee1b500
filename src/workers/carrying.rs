//! An instance's row carries its history, until somebody adds to it. What is shown is the same with
//! the copy and without; with it, a Describe costs the database a quarter less.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Told, next_turn};
use crate::error::Error;
use crate::storage::Store;

/// How often each replica looks.
const INTERVAL: Duration = Duration::from_secs(5);
/// How many are looked for at once.
const BATCH: i64 = 500;

/// Runs until `shutdown`. Nothing is copied before `after`: until then there may be programs that do
/// not know of copies, and leave them as they are when they write.
pub(super) async fn run(store: &Store, after: Duration, shutdown: &CancellationToken) {
    let mut told = Told::new("histories are not copied into the rows of their instances");
    if !next_turn(after, shutdown).await {
        return;
    }
    while next_turn(INTERVAL, shutdown).await {
        told.outcome(carry_histories(store).await);
    }
}

/// Copies the history of every instance that does not carry it into the instance's row.
pub async fn carry_histories(store: &Store) -> Result<(), Error> {
    loop {
        let uncarried = store.uncarried(BATCH).await?;
        let mut carried = 0;
        for (account_id, product) in &uncarried {
            carried += usize::from(store.carry_history(*account_id, *product).await?);
        }
        // A batch of which nothing was ours is being copied, or written to, by others.
        if uncarried.len() < usize::try_from(BATCH).unwrap_or(usize::MAX) || carried == 0 {
            return Ok(());
        }
    }
}
