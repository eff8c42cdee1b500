//! The code that the actions of CDN and of DCDN share: it reads the facts of the account of a
//! request, and submits charge-type changes.

use uuid::Uuid;

use super::Actions;
use super::attempts::attempts;
use crate::audit::states;
use crate::context::Context;
use crate::domain::account::{AccountId, Facts, Product};
use crate::domain::charge_type::{ChargeType, Requested};
use crate::domain::event::{AnyChargeType, ChangeNotice};
use crate::domain::modifying::{self, Decision};
use crate::domain::{Instance, Refusal};
use crate::error::Error;
use crate::storage::{AuditEntry, ScheduledChange, SettledChange};

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

    /// Submits a change to another internet charge type. All attempts use the same change id.
    pub(super) async fn modify(
        &self,
        context: &Context,
        product: Product,
        requested: Requested<ChargeType>,
    ) -> Result<(), Error> {
        let change_id = context.new_id();
        attempts(async |_| {
            let done = self.try_to_modify(context, product, requested, change_id).await?;
            Ok(done.then_some(()))
        })
        .await
    }

    /// Reads, decides and writes once. Returns false if the facts must be read again.
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
            return Ok(true); // the type is in force or pending, perhaps by an earlier attempt
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
        let (before, after) = states::without_and_with(&change.notice, instance, context.now);
        let audit = AuditEntry::of(context, product.name(), Some(before), Some(after));
        self.store.schedule_change(change, audit, None).await
    }

    /// Writes the event of a change that has taken effect, unless it is already written. The caller
    /// must read the instance again.
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
