//! Cancels orders without an opening. Such an order remains if a replica stops between the order
//! and the opening, or if the commerce system does not answer. Every replica looks for them. A
//! replica that takes an intent has it alone for some time. After the reconciler has processed an
//! intent, there is either an opened instance with its order, or neither of the two.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::patiently;
use crate::clock::Clock;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::orders::{Commerce, Orders};
use crate::storage::{DueIntent, Store};

/// Shortest and longest time between two looks for due intents.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));
/// Longest time between two attempts to cancel one order.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// How many intents are taken at once.
const MOST_AT_ONCE: i64 = 100;
/// How long settled intents are kept. Until then, operators can compare the orders with those of
/// the commerce system.
const KEPT: chrono::Duration = chrono::Duration::days(30);

/// Runs until `shutdown`. Without a commerce system, there is nothing to do.
pub async fn run(
    store: Store,
    orders: Orders,
    clock: Clock,
    metrics: &Metrics,
    shutdown: CancellationToken,
) {
    let Orders::Commerce(commerce) = orders else { return };
    let mut turns = metrics.worker("reconciler", "intents are not reconciled");
    let interval = (commerce.reconcile_after() / 4).clamp(INTERVALS.0, INTERVALS.1);
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = shutdown.cancelled() => return,
        }
        // An intent that is interrupted here becomes due again later.
        let outcome = tokio::select! {
            outcome = reconcile(&store, &commerce, &clock) => outcome,
            () = shutdown.cancelled() => return,
        };
        turns.outcome(outcome);
    }
}

/// Reconciles the due intents, and deletes those that were settled long ago.
async fn reconcile(store: &Store, commerce: &Commerce, clock: &Clock) -> Result<(), Error> {
    let mut outcome = Ok(());
    for intent in store.due_intents(clock.wire_now(), MOST_AT_ONCE).await? {
        // While the commerce system does not answer, an attempt is useless, and it would delay the
        // next one.
        if commerce.is_shut_off() {
            break;
        }
        // An intent that fails does not delay the others.
        outcome = settle(store, commerce, clock, intent).await.and(outcome);
    }
    store.forget_settled_intents(clock.wire_now() - KEPT, MOST_AT_ONCE).await?;
    outcome
}

/// Abandons an intent, cancels its order, and records that. An intent whose instance was opened is
/// never due, because the statement that opened it also settled the intent.
async fn settle(
    store: &Store,
    commerce: &Commerce,
    clock: &Clock,
    intent: DueIntent,
) -> Result<(), Error> {
    let DueIntent { account_id, order_id, attempts, .. } = intent;
    let account = account_id.get();
    let now = clock.wire_now();
    let until = now + pause(commerce, attempts);
    if !patiently(store.take_due_intent(intent, now, until)).await? {
        return Ok(()); // another replica has it, or it was settled in between
    }
    let cancelled = match commerce.admission() {
        Ok(admission) => commerce.cancel(admission, account_id, order_id).await,
        Err(failure) => Err(failure),
    };
    match cancelled {
        Ok(()) => {
            let at = clock.wire_now();
            patiently(store.settle_cancelled_intent(account_id, order_id, at)).await?;
            tracing::info!(account_id = account, %order_id, attempts, "cancelled an order without an opening");
        }
        Err(cause) => {
            tracing::warn!(account_id = account, %order_id, attempts, %cause, "could not cancel an order without an opening");
        }
    }
    Ok(())
}

/// Returns how long a replica has an intent alone. It is longer than an attempt takes, and grows
/// with each attempt.
fn pause(commerce: &Commerce, attempts: u32) -> chrono::Duration {
    let first = commerce.reconcile_after().max(2 * commerce.timeout());
    let pause = first.saturating_mul(1 << attempts.min(16)).min(LONGEST_PAUSE.max(first));
    chrono::Duration::from_std(pause).unwrap_or(chrono::Duration::MAX)
}
