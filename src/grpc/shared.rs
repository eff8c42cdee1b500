//! What CDN and DCDN share: charge-type changes, and the facts of the account of a request.

use uuid::Uuid;

use super::Actions;
use crate::context::Context;
use crate::domain::account::{AccountId, Facts, Product};
use crate::domain::charge_type::{ChargeType, Requested};
use crate::domain::event::{AnyChargeType, ChangeNotice};
use crate::domain::modifying::{self, Decision};
use crate::domain::{Instance, Refusal};
use crate::error::{Cause, Error};
use crate::storage::{ScheduledChange, SettledChange};

/// Number of attempts to decide and write if other writes come in between.
pub(super) const ATTEMPTS: u32 = 8;

impl Actions {
    /// Returns the facts of the account of the request.
    pub(super) async fn facts(&self, context: &Context, product: Product) -> Result<Facts, Error> {
        self.store.facts(context.account()?, product).await?.ok_or(Error::AccountNotFound)
    }

    /// Returns the opened instance of the request. The account is read only if there is none.
    pub(super) async fn instance(
        &self,
        context: &Context,
        product: Product,
    ) -> Result<Instance, Error> {
        if let Some(instance) = self.store.instance(context.account()?, product).await? {
            return Ok(instance);
        }
        self.facts(context, product).await?.instance.ok_or(Refusal::NotOpened(product).into())
    }

    /// Submits another internet charge type: read, decide, write. If nothing was written, the
    /// account or the instance has changed, and the steps are repeated. The change id shows whether
    /// a change is that of this request.
    ///
    /// A write whose outcome is unknown may still wait in the database. It cannot contradict a
    /// refusal: what changed the decision also makes this write fail.
    pub(super) async fn modify(
        &self,
        context: &Context,
        product: Product,
        requested: Requested<ChargeType>,
    ) -> Result<(), Error> {
        let change_id = context.new_id();
        let mut unknown = None;
        for _ in 0..ATTEMPTS {
            match self.try_to_modify(context, product, requested, change_id).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Error::OutcomeUnknown(cause)) => unknown = Some(cause),
                Err(error) => return Err(still_unknown(unknown, error)),
            }
        }
        Err(still_unknown(unknown, Error::Contended))
    }

    /// Returns false if the decision must be made again.
    async fn try_to_modify(
        &self,
        context: &Context,
        product: Product,
        requested: Requested<ChargeType>,
        change_id: Uuid,
    ) -> Result<bool, Error> {
        let facts = self.facts(context, product).await?;
        let account_id = facts.account.account_id;
        let decision = modifying::decide(&facts, product, requested, self.limits, context.now)?;
        let Decision::Schedule { charge_type, effective_time, settle } = decision else {
            return Ok(true); // nothing to do, or done by an earlier write of this request
        };
        if let Some(due) = settle {
            let due = ChangeNotice::of(product, due.map(AnyChargeType::Internet));
            self.settle(context, account_id, due).await?;
            return Ok(false);
        }
        let charge_type = AnyChargeType::Internet(charge_type);
        let instance = facts.instance.as_ref().ok_or(Refusal::NotOpened(product))?;
        let change = ScheduledChange {
            account_id,
            account_version: facts.account.version,
            instance_event_time: instance.event_time,
            notice: ChangeNotice { change_id, product, charge_type, effective_time },
            submitted_at: context.now,
            event_id: context.new_id(),
        };
        self.store.schedule_change(change, None).await
    }

    /// Writes the event of a change that has taken effect, unless it is written. The instance must
    /// be read again afterwards.
    pub(super) async fn settle(
        &self,
        context: &Context,
        account_id: AccountId,
        notice: ChangeNotice,
    ) -> Result<(), Error> {
        let settled = SettledChange { account_id, notice, event_id: context.new_id() };
        self.store.settle_change(settled).await.map(drop)
    }
}

/// Returns the error of a request that fails after a write whose outcome is `unknown`. A fault does
/// not show whether that write took effect; a refusal shows that it did not.
pub(super) fn still_unknown(unknown: Option<Cause>, error: Error) -> Error {
    match unknown {
        Some(cause) if error.is_our_fault() => Error::OutcomeUnknown(cause),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_unknown_outcome_a_fault_stays_unknown_and_a_refusal_is_returned() {
        let Error::OutcomeUnknown(cause) = Error::outcome_unknown("cut off") else {
            panic!("an unknown outcome");
        };
        let after = |error| still_unknown(Some(cause.clone()), error);
        assert!(matches!(after(Error::unavailable("gone")), Error::OutcomeUnknown(_)));
        assert!(matches!(after(Error::Contended), Error::OutcomeUnknown(_)));
        assert!(matches!(after(Refusal::Suspended.into()), Error::Refused(Refusal::Suspended)));
        assert!(matches!(still_unknown(None, Error::Contended), Error::Contended));
    }
}
