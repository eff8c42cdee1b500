//! Orders that were left over are cancelled: by a replica that died between order and opening, or
//! because the commerce system did not answer. Every replica looks; whoever takes an intent in hand
//! has it alone for a while. After it ran there is an opened instance with its order, or neither.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::patiently;
use crate::clock::Clock;
use crate::error::Error;
use crate::orders::{Commerce, Orders};
use crate::storage::{DueIntent, Store};

/// Bounds of the time between two looks.
const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));
/// The longest time between two tries to cancel one order.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// How many intents one look takes on.
const MOST_AT_ONCE: i64 = 100;
/// How long settled intents are kept, for whoever compares our orders with the commerce system's.
const KEPT: chrono::Duration = chrono::Duration::days(30);

/// Runs until `shutdown`; without a commerce system there is nothing to do.
pub async fn run(store: Store, orders: Orders, clock: Clock, shutdown: CancellationToken) {
    let Orders::Commerce(commerce) = orders else { return };
    let interval = (commerce.reconcile_after() / 4).clamp(INTERVALS.0, INTERVALS.1);
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = shutdown.cancelled() => return,
        }
        // Whatever is cut off here is due again later.
        let outcome = tokio::select! {
            outcome = reconcile(&store, &commerce, &clock) => outcome,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = outcome {
            let cause = std::error::Error::source(&error).map(tracing::field::display);
            tracing::warn!(%error, cause, "intents were not reconciled");
        }
    }
}

/// Takes on what is due, and forgets what was settled long ago.
async fn reconcile(store: &Store, commerce: &Commerce, clock: &Clock) -> Result<(), Error> {
    let mut outcome = Ok(());
    for intent in store.due_intents(clock.wire_now(), MOST_AT_ONCE).await? {
        // In vain as long as nobody answers; and each try puts the next one off.
        if commerce.is_shut_off() {
            break;
        }
        // One that fails does not hold up the others.
        outcome = settle(store, commerce, clock, intent).await.and(outcome);
    }
    store.forget_settled_intents(clock.wire_now() - KEPT, MOST_AT_ONCE).await?;
    outcome
}

/// Abandons an intent, cancels its order, and notes that. An intent whose instance was opened is
/// never due: it was settled by the statement that opened.
async fn settle(
    store: &Store,
    commerce: &Commerce,
    clock: &Clock,
    intent: DueIntent,
) -> Result<(), Error> {
    let DueIntent { account_id, order_id, attempts, .. } = intent;
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
            tracing::info!(%account_id, %order_id, attempts, "an order that was left over is cancelled");
        }
        Err(cause) => {
            tracing::warn!(%account_id, %order_id, attempts, %cause, "an order that was left over is not cancelled yet");
        }
    }
    Ok(())
}

/// How long an intent is in hand: longer than a try takes, and longer with each.
fn pause(commerce: &Commerce, attempts: u32) -> chrono::Duration {
    let first = commerce.reconcile_after().max(2 * commerce.timeout());
    let pause = first.saturating_mul(1 << attempts.min(16)).min(LONGEST_PAUSE.max(first));
    chrono::Duration::from_std(pause).unwrap_or(chrono::Duration::MAX)
}
