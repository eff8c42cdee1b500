//! `ChargeTypeChangeService`: changes to any charge type, at any future instant.

use tonic::Request;
use uuid::Uuid;

use super::repeat::{Ticket, request_id};
use super::{account_id, key_of, product, product_filter};
use crate::audit::states;
use crate::context::Context;
use crate::domain::event::{AnyChargeType, ChangeNotice};
use crate::domain::{AccountId, Product, Refusal, Requested, Time, scheduling};
use crate::error::{Error, both};
use crate::grpc::attempts::{Earlier, attempts};
use crate::grpc::{Actions, Reply, operate};
use crate::proto::billing::v1 as billing;
use crate::proto::convert::{
    requested_charge_type, requested_websocket_charge_type, time_of, timestamp,
};
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::charge_type_change_service_server::ChargeTypeChangeService;
use crate::proto::operator::v1::schedule_charge_type_change_request::ChargeType as Given;
use crate::storage::{AuditEntry, CancelledChange, RequestRecord, ScheduledChange, StoredChange};

#[tonic::async_trait]
impl ChargeTypeChangeService for Actions {
    async fn schedule_charge_type_change(
        &self,
        request: Request<wire::ScheduleChargeTypeChangeRequest>,
    ) -> Reply<wire::ScheduleChargeTypeChangeResponse> {
        operate("ScheduleChargeTypeChange", request, async |context, message| {
            context.service_name()?;
            let change = self.schedule(&context, &message).await?;
            let change = shown(&change, context.now);
            Ok(wire::ScheduleChargeTypeChangeResponse { charge_type_change: Some(change) })
        })
        .await
    }

    async fn cancel_charge_type_change(
        &self,
        request: Request<wire::CancelChargeTypeChangeRequest>,
    ) -> Reply<wire::CancelChargeTypeChangeResponse> {
        operate("CancelChargeTypeChange", request, async |context, message| {
            context.service_name()?;
            let change = self.cancel(&context, &message).await?;
            let change = shown(&change, context.now);
            Ok(wire::CancelChargeTypeChangeResponse { charge_type_change: Some(change) })
        })
        .await
    }

    async fn list_charge_type_changes(
        &self,
        request: Request<wire::ListChargeTypeChangesRequest>,
    ) -> Reply<wire::ListChargeTypeChangesResponse> {
        operate("ListChargeTypeChanges", request, async |context, message| {
            let caller = context.service_name()?;
            let list = format!("changes of {} {}", message.account_id, message.product);
            let page = self.page_tokens.page(caller, &list, message.page_size, &message.page_token);
            let checked = both(account_id(message.account_id), product_filter(message.product));
            let ((account_id, product), page) = both(checked, page)?;
            self.store.account(account_id).await?.ok_or(Error::AccountNotFound)?;
            let after = key_of(page.after.as_deref())?.unwrap_or(Uuid::nil());
            let size = page.read_size();
            let mut changes = self.store.changes_after(account_id, after, product, size).await?;
            let end = page.cut(&mut changes, |change| change.notice.change_id.to_string());
            Ok(wire::ListChargeTypeChangesResponse {
                charge_type_changes: changes
                    .iter()
                    .map(|change| shown(change, context.now))
                    .collect(),
                next_page_token: self.page_tokens.next(caller, &list, end),
            })
        })
        .await
    }
}

impl Actions {
    async fn existing_change(
        &self,
        account_id: AccountId,
        change_id: Uuid,
    ) -> Result<StoredChange, Error> {
        self.store.change(account_id, change_id).await?.ok_or(Error::ChangeNotFound)
    }

    async fn schedule(
        &self,
        context: &Context,
        message: &wire::ScheduleChargeTypeChangeRequest,
    ) -> Result<StoredChange, Error> {
        let named = both(account_id(message.account_id), product(message.product));
        let effective_time = message.effective_time.as_ref().map(effective_time).transpose();
        let asked = both(charge_type(message.charge_type), effective_time);
        let checked = both(both(named, asked), request_id(&message.request_id))?;
        let (((account_id, product), (charge_type, effective_time)), ()) = checked;
        let asked = Asked { change_id: context.new_id(), product, charge_type, effective_time };
        let write = async |ticket: Option<Ticket>| {
            let record = ticket.map(|ticket| ticket.about(&asked.change_id.to_string()));
            self.write_change(context, account_id, asked, record).await
        };
        let again =
            async |id: String| self.existing_change(account_id, self::change_id(&id)?).await;
        self.repeatable(context, "ScheduleChargeTypeChange", message, write, again).await
    }

    /// Schedules a change as a Modify does: read, decide, settle a due change, write. After an
    /// unknown outcome, a change with this id is the one that was written.
    async fn write_change(
        &self,
        context: &Context,
        account_id: AccountId,
        asked: Asked,
        record: Option<RequestRecord>,
    ) -> Result<StoredChange, Error> {
        let Asked { change_id, product, charge_type, effective_time } = asked;
        attempts(async |earlier| {
            if earlier == Earlier::Unknown
                && let Some(own) = self.store.change(account_id, change_id).await?
            {
                return Ok(Some(own));
            }
            let facts =
                self.store.facts(account_id, product).await?.ok_or(Error::AccountNotFound)?;
            let schedule =
                scheduling::decide(&facts, product, charge_type, effective_time, context.now)?;
            if let Some(due) = schedule.settle {
                self.settle(context, account_id, ChangeNotice::of(product, due)).await?;
                return Ok(None);
            }
            let effective_time = schedule.effective_time;
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
            let written = self.store.schedule_change(change, audit, record.clone()).await?;
            Ok(written.then(|| stored(change)))
        })
        .await
    }

    async fn cancel(
        &self,
        context: &Context,
        message: &wire::CancelChargeTypeChangeRequest,
    ) -> Result<StoredChange, Error> {
        let named = both(account_id(message.account_id), change_id(&message.change_id));
        let ((account_id, change_id), ()) = both(named, request_id(&message.request_id))?;
        let write = async |ticket: Option<Ticket>| {
            attempts(async |_| {
                let change = self.existing_change(account_id, change_id).await?;
                if change.cancelled_at.is_some() {
                    self.record_unwritten(ticket.as_ref(), &message.change_id).await?;
                    return Ok(Some(change));
                }
                if change.settled {
                    return Err(Error::ChangeInForce);
                }
                // Cancelling is refused only after the change is settled, because then an earlier
                // attempt that may still wait in the database cannot cancel it any more.
                if is_in_force(&change, context.now) {
                    self.settle(context, account_id, change.notice).await?;
                    return Ok(None);
                }
                let cancelled = CancelledChange {
                    account_id,
                    notice: change.notice,
                    cancelled_at: context.now,
                    event_id: context.new_id(),
                };
                let record = ticket.as_ref().map(|ticket| ticket.about(&message.change_id));
                let audit = self.audit_of_cancelling(context, &change).await?;
                let written = self.store.cancel_change(cancelled, audit, record).await?;
                let cancelled_at = Some(context.now);
                Ok(written.then_some(StoredChange { cancelled_at, ..change }))
            })
            .await
        };
        let again = async |_| self.existing_change(account_id, change_id).await;
        self.repeatable(context, "CancelChargeTypeChange", message, write, again).await
    }
}

impl Actions {
    /// Returns the audit record of cancelling a pending change. The charge type in force at the
    /// instant of the request stays the same while the change is pending.
    async fn audit_of_cancelling(
        &self,
        context: &Context,
        change: &StoredChange,
    ) -> Result<AuditEntry, Error> {
        let (account_id, notice) = (change.account_id, &change.notice);
        let instance = self.store.instance(account_id, notice.product).await?;
        let instance = instance.ok_or(Refusal::NotOpened(notice.product))?;
        let (after, before) = states::without_and_with(notice, &instance, context.now);
        let resource = format!("{} {}", notice.product.name(), notice.change_id);
        Ok(AuditEntry::of(context, resource, Some(before), Some(after)))
    }
}

/// A requested change.
#[derive(Clone, Copy)]
struct Asked {
    change_id: Uuid,
    product: Product,
    charge_type: AnyChargeType,
    /// `None` if the rule of the charge type in force decides.
    effective_time: Option<Time>,
}

/// Whether a change has taken effect: by the clock of this replica, or because another replica has
/// settled it.
fn is_in_force(change: &StoredChange, now: Time) -> bool {
    change.settled || change.notice.effective_time <= now
}

fn change_id(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| Error::field("change_id", "is not the id of a change"))
}

fn charge_type(given: Option<Given>) -> Result<AnyChargeType, Error> {
    let known = match given {
        None => return Err(Error::field("charge_type", "is required")),
        Some(Given::InternetChargeType(number)) => match requested_charge_type(number) {
            Requested::Known(charge_type) => Some(AnyChargeType::Internet(charge_type)),
            _ => None,
        },
        Some(Given::WebsocketChargeType(number)) => match requested_websocket_charge_type(number) {
            Requested::Known(charge_type) => Some(AnyChargeType::Websocket(charge_type)),
            _ => None,
        },
    };
    known.ok_or_else(|| Error::field("charge_type", "is not a charge type"))
}

fn effective_time(given: &prost_types::Timestamp) -> Result<Time, Error> {
    let time = time_of(given).filter(|time| time.timestamp_subsec_nanos() == 0);
    time.ok_or_else(|| Error::field("effective_time", "is not an instant in whole seconds"))
}

/// Returns the change as the statement stored it.
fn stored(change: ScheduledChange) -> StoredChange {
    StoredChange {
        account_id: change.account_id,
        notice: change.notice,
        submitted_at: change.submitted_at,
        cancelled_at: None,
        settled: false,
    }
}

fn shown(change: &StoredChange, now: Time) -> wire::ChargeTypeChange {
    use wire::charge_type_change::ChargeType;
    let notice = &change.notice;
    let state = if change.cancelled_at.is_some() {
        wire::ChargeTypeChangeState::Cancelled
    } else if is_in_force(change, now) {
        wire::ChargeTypeChangeState::InForce
    } else {
        wire::ChargeTypeChangeState::Pending
    };
    let charge_type = match notice.charge_type {
        AnyChargeType::Internet(charge_type) => {
            ChargeType::InternetChargeType(billing::ChargeType::from(charge_type).into())
        }
        AnyChargeType::Websocket(charge_type) => {
            ChargeType::WebsocketChargeType(billing::WebsocketChargeType::from(charge_type).into())
        }
    };
    wire::ChargeTypeChange {
        change_id: notice.change_id.to_string(),
        account_id: change.account_id.get(),
        product: billing::Product::from(notice.product).into(),
        charge_type: Some(charge_type),
        submit_time: Some(timestamp(change.submitted_at)),
        effective_time: Some(timestamp(notice.effective_time)),
        cancel_time: change.cancelled_at.map(timestamp),
        state: state.into(),
    }
}
