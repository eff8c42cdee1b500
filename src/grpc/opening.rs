//! Opening: read, decide, write. Where a commerce system takes the orders, the order is placed
//! between decision and write; an intent, written before, sees to it that in the end there is an
//! instance with its order or neither, whatever breaks in between. That sequence runs in a task of
//! its own: who hangs up does not stop it half-way.

use chrono::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Actions;
use super::shared::{ATTEMPTS, still_unknown};
use crate::auth::secret::random_base32;
use crate::context::Context;
use crate::domain::opening::{self, Order, Terms};
use crate::domain::{AccountId, Facts, Product};
use crate::error::Error;
use crate::orders::{Commerce, Failure, Orders};
use crate::storage::Opening;

impl Actions {
    /// Opens a product for the account of the request.
    pub(super) async fn open(
        &self,
        context: &Context,
        request: opening::Request,
    ) -> Result<(), Error> {
        let opener = Opener {
            actions: self.clone(),
            context: context.clone(),
            request,
            order_id: context.new_id(),
        };
        let facts = opener.facts().await?;
        match &self.orders {
            Orders::Embedded => opener.write(facts, false).await,
            Orders::Commerce(commerce) => {
                let terms = opener.decide(&facts)?;
                let (reply, answer) = oneshot::channel();
                let commerce = commerce.clone();
                self.store.see_through(opener.order_and_write(commerce, facts, terms, reply));
                answer.await.map_err(Error::internal)?
            }
        }
    }
}

/// A request to open, and the order id that all its tries share.
struct Opener {
    actions: Actions,
    context: Context,
    request: opening::Request,
    order_id: Uuid,
}

/// What an opening that was not written leaves to be cleared away.
enum Left {
    /// Nothing; or it is the reconciler's.
    Nothing,
    /// An intent, of which nothing was ordered.
    AnIntent,
    /// An intent, and an order or the doubt whether there is one.
    AnOrder,
}

impl Opener {
    async fn facts(&self) -> Result<Facts, Error> {
        self.actions.facts(&self.context, self.request.product()).await
    }

    fn decide(&self, facts: &Facts) -> Result<Terms, Error> {
        opening::decide(facts, self.request, self.actions.limits)
    }

    /// Whether the account was opened by this very request: its order tells.
    fn is_ours(&self, facts: &Facts) -> bool {
        facts.instance.as_ref().is_some_and(|instance| instance.order_id == self.order_id)
    }

    /// Decides and writes; nothing written means that the account has changed or someone was
    /// faster, so read and decide again. Where the outcome of the write is unknown, the stored
    /// order tells whose opening it is; and where it is refused then, that write, should it still
    /// be waiting in the database, writes nothing, either: it meets what the refusal met.
    async fn write(&self, mut facts: Facts, has_intent: bool) -> Result<(), Error> {
        let mut unknown = None;
        for _ in 0..ATTEMPTS {
            let opening = self.opening(&facts, has_intent)?;
            match self.actions.store.open_instance(opening).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Error::OutcomeUnknown(cause)) => unknown = Some(cause),
                Err(error) => return Err(still_unknown(unknown, error)),
            }
            facts = match self.facts().await {
                Ok(facts) => facts,
                Err(error) => return Err(still_unknown(unknown, error)),
            };
            if self.is_ours(&facts) {
                return Ok(());
            }
        }
        Err(still_unknown(unknown, Error::Contended))
    }

    fn opening(&self, facts: &Facts, has_intent: bool) -> Result<Opening, Error> {
        let Self { context, order_id, .. } = self;
        let terms = self.decide(facts)?;
        let account_id = facts.account.account_id;
        Ok(Opening {
            account_id,
            account_version: facts.account.version,
            terms,
            instance_id: instance_id(terms.product, account_id)?,
            order_id: *order_id,
            opening_time: context.now,
            ordered_at: context.wire_now,
            event_id: context.new_id(),
            has_intent,
        })
    }

    /// Intent, order, opening, answer; and where nothing was opened the order is cancelled after
    /// the answer. What is not finished here, the reconciler finishes.
    async fn order_and_write(
        self,
        commerce: Commerce,
        facts: Facts,
        terms: Terms,
        reply: oneshot::Sender<Result<(), Error>>,
    ) {
        let account_id = facts.account.account_id;
        let outcome = match self.place(&commerce, account_id, terms).await {
            Ok(()) => self.write(facts, true).await.map_err(|error| (error, Left::AnOrder)),
            Err(left_over) => Err(left_over),
        };
        let (outcome, left) = match outcome {
            Ok(()) => (Ok(()), Left::Nothing),
            Err((error, Left::Nothing)) => (Err(error), Left::Nothing),
            Err((error, left)) => self.give_up(account_id, error, left).await,
        };
        reply.send(outcome).ok(); // whoever asked may have hung up
        self.clear_away(&commerce, account_id, left).await;
    }

    /// Writes the intent and places the order.
    async fn place(
        &self,
        commerce: &Commerce,
        account_id: AccountId,
        terms: Terms,
    ) -> Result<(), (Error, Left)> {
        let admission = commerce.admission().map_err(|failure| {
            self.log(&failure);
            (Error::OrderNotCreated, Left::Nothing)
        })?;
        let ordered_at = self.context.wire_now;
        let order = Order { order_id: self.order_id, account_id, terms, ordered_at };
        let due = Duration::from_std(commerce.reconcile_after()).unwrap_or(Duration::MAX);
        let written = self.actions.store.write_intent(order, ordered_at + due).await;
        written.map_err(|error| (error, Left::Nothing))?;
        match commerce.place(admission, &order).await {
            Ok(()) => Ok(()),
            Err(failure) => {
                let certain = matches!(failure, Failure::Refused(_) | Failure::NotAsked);
                let left = if certain { Left::AnIntent } else { Left::AnOrder };
                Err((self.not_placed(&failure).await, left))
            }
        }
    }

    /// Rule 9, unless a rule before it refuses by now: another request may have opened the account,
    /// and that be the reason why this order was not taken.
    async fn not_placed(&self, failure: &Failure) -> Error {
        self.log(failure);
        let Ok(facts) = self.facts().await else { return Error::OrderNotCreated };
        self.decide(&facts).err().unwrap_or(Error::OrderNotCreated)
    }

    fn log(&self, cause: &Failure) {
        let (request_id, order_id) = (&self.context.request_id, self.order_id);
        if let Failure::Refused(_) = cause {
            tracing::info!(%request_id, %order_id, %cause, "the order was not created");
        } else {
            tracing::warn!(%request_id, %order_id, %cause, "the order was not created");
        }
    }

    /// Gives the opening up: from then on nothing can be opened with this order, whatever is still
    /// under way in the database. Should it have been opened after all, that is the outcome. Says,
    /// too, what is left to be cleared away.
    async fn give_up(
        &self,
        account_id: AccountId,
        error: Error,
        left: Left,
    ) -> (Result<(), Error>, Left) {
        let store = &self.actions.store;
        match store.abandon_intent(account_id, self.order_id, self.context.wire_now).await {
            Ok(true) => match error {
                // Known by now: nothing was written.
                Error::OutcomeUnknown(cause) => (Err(Error::Unavailable(cause)), left),
                error => (Err(error), left),
            },
            Ok(false) => match self.facts().await {
                Ok(facts) if self.is_ours(&facts) => (Ok(()), Left::Nothing),
                _ => (Err(error), Left::Nothing),
            },
            Err(cause) => {
                self.log_left(&cause);
                (Err(error), Left::Nothing)
            }
        }
    }

    /// Cancels the order of an opening that was given up, and notes that.
    async fn clear_away(&self, commerce: &Commerce, account_id: AccountId, left: Left) {
        if let Left::Nothing = left {
            return;
        }
        if let Left::AnOrder = left {
            let cancelled = match commerce.admission() {
                Ok(admission) => commerce.cancel(admission, account_id, self.order_id).await,
                Err(failure) => Err(failure),
            };
            if let Err(cause) = cancelled {
                return self.log_left(&cause);
            }
        }
        let (store, at) = (&self.actions.store, self.context.wire_now);
        if let Err(cause) = store.settle_cancelled_intent(account_id, self.order_id, at).await {
            self.log_left(&cause);
        }
    }

    fn log_left(&self, cause: &impl std::fmt::Display) {
        let (request_id, order_id) = (&self.context.request_id, self.order_id);
        tracing::warn!(%request_id, %order_id, %cause, "the order is left to the reconciler");
    }
}

/// The id of a new instance: CDN's is the account's, DCDN's is `FP-` and nine random characters.
fn instance_id(product: Product, account_id: AccountId) -> Result<String, Error> {
    match product {
        Product::Cdn => Ok(account_id.to_string()),
        Product::Dcdn => Ok(format!("FP-{}", random_base32(9)?)),
    }
}
