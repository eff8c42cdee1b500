//! Opens a product: reads the facts, decides, writes the instance. If a commerce system takes the
//! orders, the order is placed between the decision and the write. An intent is written before the
//! order is placed. So if a step fails, the reconciler finds the intent and cancels the order: in
//! the end there is either an instance with its order, or neither of them. With a commerce system,
//! these steps run in a task of their own, so a caller that disconnects does not stop them.

use chrono::Duration;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::Actions;
use super::attempts::attempts;
use crate::audit::states;
use crate::auth::secret::random_base32;
use crate::context::Context;
use crate::domain::opening::{self, Order, Terms};
use crate::domain::{AccountId, Facts, Product, Refusal};
use crate::error::Error;
use crate::orders::{Commerce, Failure, Orders};
use crate::storage::{AuditEntry, Opening};

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
        match &self.orders {
            Orders::Embedded => opener.write(false).await,
            Orders::Commerce(commerce) => {
                let terms = opener.decide(&opener.facts().await?)?;
                let account_id = context.account()?;
                let (reply, answer) = oneshot::channel();
                let commerce = commerce.clone();
                self.store.finish_in_background(
                    opener.order_and_write(commerce, account_id, terms, reply),
                );
                answer.await.map_err(Error::internal)?
            }
        }
    }
}

/// A request to open, and the order id that all its attempts share.
struct Opener {
    actions: Actions,
    context: Context,
    request: opening::Request,
    order_id: Uuid,
}

/// What must be cleaned up after an opening that was not written.
enum Left {
    /// Nothing, or the reconciler cleans up.
    Nothing,
    /// An intent without an order.
    AnIntent,
    /// An intent, and an order that exists or may exist.
    AnOrder,
}

impl Opener {
    async fn facts(&self) -> Result<Facts, Error> {
        self.actions.facts(&self.context, self.request.product()).await
    }

    fn decide(&self, facts: &Facts) -> Result<Terms, Refusal> {
        opening::decide(facts, self.request, self.actions.limits)
    }

    /// Whether this request opened the product: then the instance has the order id of the request.
    fn is_ours(&self, facts: &Facts) -> bool {
        facts.instance.as_ref().is_some_and(|instance| instance.order_id == self.order_id)
    }

    /// Reads, decides and writes. If the outcome of an earlier attempt is unknown, the order id of
    /// the stored instance shows whether that attempt opened the product.
    async fn write(&self, has_intent: bool) -> Result<(), Error> {
        attempts(async |_| {
            let facts = self.facts().await?;
            if self.is_ours(&facts) {
                return Ok(Some(()));
            }
            let opening = self.opening(&facts, has_intent)?;
            Ok(self.actions.store.open_instance(opening).await?.then_some(()))
        })
        .await
    }

    /// Decides, and returns the opening to write.
    fn opening(&self, facts: &Facts, has_intent: bool) -> Result<Opening, Error> {
        let Self { context, order_id, .. } = self;
        let terms = self.decide(facts)?;
        let account_id = facts.account.account_id;
        let instance_id = instance_id(terms.product, account_id)?;
        let after = states::opened(terms, &instance_id);
        Ok(Opening {
            account_id,
            account_version: facts.account.version,
            terms,
            instance_id,
            order_id: *order_id,
            opening_time: context.now,
            ordered_at: context.wire_now,
            event_id: context.new_id(),
            audit: AuditEntry::of(context, terms.product.name(), None, Some(after)),
            has_intent,
        })
    }

    /// Writes the intent, places the order, writes the opening, and answers. If nothing was opened,
    /// the order is cancelled after the answer. If a step of the cancellation fails, the reconciler
    /// does it later.
    async fn order_and_write(
        self,
        commerce: Commerce,
        account_id: AccountId,
        terms: Terms,
        reply: oneshot::Sender<Result<(), Error>>,
    ) {
        let outcome = match self.place(&commerce, account_id, terms).await {
            Ok(()) => self.write(true).await.map_err(|error| (error, Left::AnOrder)),
            Err(left_over) => Err(left_over),
        };
        let (outcome, left) = match outcome {
            Ok(()) => (Ok(()), Left::Nothing),
            Err((error, Left::Nothing)) => (Err(error), Left::Nothing),
            Err((error, left)) => self.give_up(account_id, error, left).await,
        };
        reply.send(outcome).ok(); // the caller may have disconnected
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
            (Refusal::OrderNotCreated.into(), Left::Nothing)
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

    /// Returns the error after an order that was not placed: `OrderNotCreated`, which is the last
    /// rule of the opening table, or the refusal of an earlier rule if one refuses now. The order
    /// may have been refused because another request has opened the product.
    async fn not_placed(&self, failure: &Failure) -> Error {
        self.log(failure);
        let Ok(facts) = self.facts().await else { return Refusal::OrderNotCreated.into() };
        self.decide(&facts).err().unwrap_or(Refusal::OrderNotCreated).into()
    }

    fn log(&self, cause: &Failure) {
        let (request_id, order_id) = (&self.context.request_id, self.order_id);
        if let Failure::Refused(_) = cause {
            tracing::info!(%request_id, %order_id, %cause, "the order was not created");
        } else {
            tracing::warn!(%request_id, %order_id, %cause, "the order was not created");
        }
    }

    /// Abandons the intent. After that, a statement that still runs in the database cannot open the
    /// product with this order. If the opening was already written, the outcome is success. Returns
    /// the outcome and what must be cleaned up.
    async fn give_up(
        &self,
        account_id: AccountId,
        error: Error,
        left: Left,
    ) -> (Result<(), Error>, Left) {
        let store = &self.actions.store;
        match store.abandon_intent(account_id, self.order_id, self.context.wire_now).await {
            Ok(true) => match error {
                // The intent was not opened, so it is known now that nothing was written.
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

    /// Cancels the order of an abandoned opening, and records that.
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

/// Returns the id of a new instance. For CDN, it is the account id; for DCDN, it is `FP-` and nine
/// random characters.
fn instance_id(product: Product, account_id: AccountId) -> Result<String, Error> {
    match product {
        Product::Cdn => Ok(account_id.to_string()),
        Product::Dcdn => Ok(format!("FP-{}", random_base32(9)?)),
    }
}
