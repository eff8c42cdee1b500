//! What CDN and DCDN share: opening, changing, and the facts of the account that a request is
//! about.

use super::Actions;
use crate::auth::secret::random_base32;
use crate::context::Context;
use crate::domain::account::{AccountId, Facts, Product};
use crate::domain::charge_type::{ChargeType, Requested};
use crate::domain::event::{AnyChargeType, Stamp};
use crate::domain::modifying::{self, Decision};
use crate::domain::opening;
use crate::domain::{Change, Instance};
use crate::error::Error;
use crate::storage::{Opening, ScheduledChange, SettledChange};

/// How often a decision is made again because others wrote in between.
const ATTEMPTS: u32 = 8;

impl Actions {
    /// The facts of the account that the request is about.
    pub(super) async fn facts(&self, context: &Context, product: Product) -> Result<Facts, Error> {
        self.store.facts(context.account()?, product).await?.ok_or(Error::AccountNotFound)
    }

    /// The opened instance that the request is about.
    pub(super) async fn instance(
        &self,
        context: &Context,
        product: Product,
    ) -> Result<Instance, Error> {
        self.facts(context, product).await?.instance.ok_or(Error::NotOpened(product))
    }

    /// Opens a product: read, decide, write; nothing written means that the account has changed or
    /// someone was faster, so read and decide again. Where the outcome of the write is unknown, the
    /// stored order tells whose opening it is.
    pub(super) async fn open(
        &self,
        context: &Context,
        request: opening::Request,
    ) -> Result<(), Error> {
        let product = match request {
            opening::Request::Cdn(_) => Product::Cdn,
            opening::Request::Dcdn(..) => Product::Dcdn,
        };
        let order_id = context.new_id();
        let mut unknown = None;
        for _ in 0..ATTEMPTS {
            let facts = self.facts(context, product).await?;
            if facts.instance.as_ref().is_some_and(|instance| instance.order_id == order_id) {
                return Ok(());
            }
            let terms = opening::decide(&facts, request, self.limits)?;
            let account_id = facts.account.account_id;
            let opening = Opening {
                account_id,
                account_version: facts.account.version,
                terms,
                instance_id: instance_id(product, account_id)?,
                order_id,
                opening_time: context.now,
                ordered_at: context.wire_now,
                stamp: Stamp::new(
                    context.new_id(),
                    context.wire_now,
                    Some(facts.newest_event_time()),
                ),
            };
            match self.store.open_instance(opening).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Error::OutcomeUnknown(cause)) => unknown = Some(cause),
                Err(error) => return Err(error),
            }
        }
        Err(unknown.map_or(Error::Contended, Error::OutcomeUnknown))
    }

    /// Submits another internet charge type, in the same manner; the id of the change tells whose
    /// it is.
    pub(super) async fn modify(
        &self,
        context: &Context,
        product: Product,
        requested: Requested<ChargeType>,
    ) -> Result<(), Error> {
        let change_id = context.new_id();
        let mut unknown = None;
        for _ in 0..ATTEMPTS {
            let facts = self.facts(context, product).await?;
            let decision = modifying::decide(&facts, product, requested, self.limits, context.now)?;
            let Decision::Schedule { charge_type, effective_time, settle } = decision else {
                return Ok(()); // nothing to do, or ours after an unknown outcome
            };
            let newest = match self.settle(context, product, &facts, settle).await {
                Ok(Some(newest)) => newest,
                Ok(None) => continue,
                Err(Error::OutcomeUnknown(cause)) => {
                    unknown = Some(cause);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let change = ScheduledChange {
                account_id: facts.account.account_id,
                account_version: facts.account.version,
                product,
                change_id,
                charge_type: AnyChargeType::Internet(charge_type),
                submitted_at: context.now,
                effective_time,
                stamp: Stamp::new(context.new_id(), context.wire_now, Some(newest)),
            };
            match self.store.schedule_change(change).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Error::OutcomeUnknown(cause)) => unknown = Some(cause),
                Err(error) => return Err(error),
            }
        }
        Err(unknown.map_or(Error::Contended, Error::OutcomeUnknown))
    }

    /// Writes the event of a change that has taken effect; the time of the newest event then.
    /// `None` where someone else has written it: what is newest has to be read again.
    async fn settle(
        &self,
        context: &Context,
        product: Product,
        facts: &Facts,
        settle: Option<Change<ChargeType>>,
    ) -> Result<Option<crate::domain::Time>, Error> {
        let newest = facts.newest_event_time();
        let Some(change) = settle else { return Ok(Some(newest)) };
        let stamp = Stamp::new(context.new_id(), context.wire_now, Some(newest));
        let settled = SettledChange {
            account_id: facts.account.account_id,
            product,
            change_id: change.change_id,
            charge_type: AnyChargeType::Internet(change.charge_type),
            effective_time: change.effective_time,
            stamp,
        };
        Ok(self.store.settle_change(settled).await?.then_some(stamp.time))
    }
}

/// The id of a new instance: CDN's is the account's, DCDN's is `FP-` and nine random characters.
fn instance_id(product: Product, account_id: AccountId) -> Result<String, Error> {
    match product {
        Product::Cdn => Ok(account_id.to_string()),
        Product::Dcdn => Ok(format!("FP-{}", random_base32(9)?)),
    }
}
