//! What CDN and DCDN share: changing, and the facts of the account that a request is about.

use super::Actions;
use crate::context::Context;
use crate::domain::account::{Facts, Product};
use crate::domain::charge_type::{ChargeType, Requested};
use crate::domain::event::{AnyChargeType, ChangeNotice, Stamp};
use crate::domain::modifying::{self, Decision};
use crate::domain::{Change, Instance, Time};
use crate::error::Error;
use crate::storage::{ScheduledChange, SettledChange};

/// How often a decision is made again because others wrote in between.
pub(super) const ATTEMPTS: u32 = 8;

impl Actions {
    /// The facts of the account that the request is about.
    pub(super) async fn facts(&self, context: &Context, product: Product) -> Result<Facts, Error> {
        self.store.facts(context.account()?, product).await?.ok_or(Error::AccountNotFound)
    }

    /// The opened instance that the request is about. Only where there is none is the account of
    /// interest.
    pub(super) async fn instance(
        &self,
        context: &Context,
        product: Product,
    ) -> Result<Instance, Error> {
        if let Some(instance) = self.store.instance(context.account()?, product).await? {
            return Ok(instance);
        }
        self.facts(context, product).await?.instance.ok_or(Error::NotOpened(product))
    }

    /// Submits another internet charge type: read, decide, write; nothing written means that the
    /// account has changed or someone was faster, so read and decide again. The id of the change
    /// tells whose it is.
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
            let settle = settle.map(|change| change.map(AnyChargeType::Internet));
            let newest = match self.settle(context, product, &facts, settle).await {
                Ok(Some(newest)) => newest,
                Ok(None) => continue,
                Err(Error::OutcomeUnknown(cause)) => {
                    unknown = Some(cause);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let charge_type = AnyChargeType::Internet(charge_type);
            let change = ScheduledChange {
                account_id: facts.account.account_id,
                account_version: facts.account.version,
                notice: ChangeNotice { change_id, product, charge_type, effective_time },
                submitted_at: context.now,
                stamp: Stamp::new(context.new_id(), context.wire_now, Some(newest)),
            };
            match self.store.schedule_change(change, None).await {
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
    pub(super) async fn settle(
        &self,
        context: &Context,
        product: Product,
        facts: &Facts,
        settle: Option<Change<AnyChargeType>>,
    ) -> Result<Option<Time>, Error> {
        let newest = facts.newest_event_time();
        let Some(change) = settle else { return Ok(Some(newest)) };
        let stamp = Stamp::new(context.new_id(), context.wire_now, Some(newest));
        let settled = SettledChange {
            account_id: facts.account.account_id,
            notice: ChangeNotice {
                change_id: change.change_id,
                product,
                charge_type: change.charge_type,
                effective_time: change.effective_time,
            },
            stamp,
        };
        Ok(self.store.settle_change(settled).await?.then_some(stamp.time))
    }
}
