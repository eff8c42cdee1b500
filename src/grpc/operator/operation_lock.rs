//! `OperationLockService`: locks on the operations of an instance, each with a reason.

use tonic::Request;
use uuid::Uuid;

use super::names::lock_resource;
use super::repeat::{Ticket, request_id};
use super::{account_id, key_of, product, product_filter};
use crate::audit::states;
use crate::context::Context;
use crate::domain::instance::OperationLock;
use crate::domain::{AccountId, Facts, Product, Refusal};
use crate::error::{Error, both};
use crate::grpc::attempts::{Earlier, attempts};
use crate::grpc::{Actions, Reply, operate};
use crate::proto::billing::v1 as billing;
use crate::proto::convert::timestamp;
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::operation_lock_service_server::OperationLockService;
use crate::storage::{AuditEntry, LiftedLock, NewLock, StoredLock};

/// Longest reason and longest `locked_by`, in characters.
const LONGEST: usize = 64;
/// The resource in the record of an `Unlock`, which says whether a lock held.
const LIFTED: &str = "lifted";
const NONE_HELD: &str = "none held";
/// The `locked_by` of a request that gives none.
const NOBODY_NAMED: &str = "operator";

#[tonic::async_trait]
impl OperationLockService for Actions {
    async fn lock(&self, request: Request<wire::LockRequest>) -> Reply<wire::LockResponse> {
        operate("Lock", request, async |context, message| {
            context.service_name()?;
            let operation_lock = self.set_lock(&context, &message).await?;
            Ok(wire::LockResponse { operation_lock: Some(operation_lock) })
        })
        .await
    }

    async fn unlock(&self, request: Request<wire::UnlockRequest>) -> Reply<wire::UnlockResponse> {
        operate("Unlock", request, async |context, message| {
            context.service_name()?;
            let lifted = self.lift_lock(&context, &message).await?;
            Ok(wire::UnlockResponse { lifted })
        })
        .await
    }

    async fn list_operation_locks(
        &self,
        request: Request<wire::ListOperationLocksRequest>,
    ) -> Reply<wire::ListOperationLocksResponse> {
        operate("ListOperationLocks", request, async |context, message| {
            let caller = context.service_name()?;
            let (account, of, lifted_too) =
                (message.account_id, message.product, message.show_lifted);
            let list = format!("locks of {account} {of} {lifted_too}");
            let page = self.page_tokens.page(caller, &list, message.page_size, &message.page_token);
            let checked = both(account_id(account), product_filter(of));
            let ((account_id, product), page) = both(checked, page)?;
            self.store.account(account_id).await?.ok_or(Error::AccountNotFound)?;
            let after = key_of(page.after.as_deref())?.unwrap_or(Uuid::nil());
            let size = page.read_size();
            let mut locks =
                self.store.locks_after(account_id, after, product, lifted_too, size).await?;
            let end = page.cut(&mut locks, |lock| lock.lock_id.to_string());
            Ok(wire::ListOperationLocksResponse {
                operation_locks: locks.into_iter().map(|lock| shown(account_id, lock)).collect(),
                next_page_token: self.page_tokens.next(caller, &list, end),
            })
        })
        .await
    }
}

impl Actions {
    async fn set_lock(
        &self,
        context: &Context,
        message: &wire::LockRequest,
    ) -> Result<wire::OperationLock, Error> {
        let named = both(account_id(message.account_id), product(message.product));
        let lock = both(reason(&message.reason), locked_by(&message.locked_by));
        let checked = both(both(named, lock), request_id(&message.request_id))?;
        let (((account_id, product), (reason, locked_by)), ()) = checked;
        let write = async |ticket: Option<Ticket>| {
            attempts(async |_| {
                let facts = self.facts_of(account_id, product).await?;
                let instance = facts.instance.as_ref().ok_or(Refusal::NotOpened(product))?;
                if let Some(lock) = instance.lock(reason) {
                    self.record_unwritten(ticket.as_ref(), &lock.lock_id.to_string()).await?;
                    return Ok(Some(reply(account_id, product, lock)));
                }
                instance.admit_lock()?;
                let lock = OperationLock {
                    lock_id: context.new_id(),
                    reason: reason.to_owned(),
                    locked_by: locked_by.to_owned(),
                    locked_at: context.now,
                };
                let (lock_id, event_id) = (lock.lock_id.to_string(), context.new_id());
                let new = NewLock { account_id, product, lock: lock.clone(), event_id };
                let record = ticket.as_ref().map(|ticket| ticket.about(&lock_id));
                let (before, after) = states::unlocked_and_locked(product, &lock);
                let resource = lock_resource(product.name(), reason);
                let audit = AuditEntry::of(context, resource, Some(before), Some(after));
                let written = self.store.lock(new, audit, record).await?;
                Ok(written.then(|| reply(account_id, product, &lock)))
            })
            .await
        };
        let again = async |lock_id: String| self.lock_again(account_id, &lock_id).await;
        self.repeatable(context, "Lock", message, write, again).await
    }

    async fn lock_again(
        &self,
        account_id: AccountId,
        lock_id: &str,
    ) -> Result<wire::OperationLock, Error> {
        let lock_id = Uuid::try_parse(lock_id).map_err(Error::internal)?;
        let lock = self.store.stored_lock(account_id, lock_id).await?;
        let lock =
            lock.ok_or_else(|| Error::internal("the lock of a recorded request does not exist"))?;
        Ok(shown(account_id, lock))
    }

    async fn lift_lock(
        &self,
        context: &Context,
        message: &wire::UnlockRequest,
    ) -> Result<bool, Error> {
        let named = both(account_id(message.account_id), product(message.product));
        let checked = both(both(named, reason(&message.reason)), request_id(&message.request_id))?;
        let (((account_id, product), reason), ()) = checked;
        let write = async |ticket: Option<Ticket>| {
            attempts(async |earlier| {
                let facts = self.facts_of(account_id, product).await?;
                let instance = facts.instance.as_ref().ok_or(Refusal::NotOpened(product))?;
                let Some(lock) = instance.lock(reason) else {
                    if earlier == Earlier::Unknown {
                        return Err(Error::outcome_unknown(
                            "an earlier attempt may have lifted it",
                        ));
                    }
                    self.record_unwritten(ticket.as_ref(), NONE_HELD).await?;
                    return Ok(Some(false));
                };
                let lifted = LiftedLock {
                    account_id,
                    product,
                    lock_id: lock.lock_id,
                    reason: reason.to_owned(),
                    lifted_at: context.now,
                    event_id: context.new_id(),
                };
                let record = ticket.as_ref().map(|ticket| ticket.about(LIFTED));
                let (after, before) = states::unlocked_and_locked(product, lock);
                let resource = lock_resource(product.name(), reason);
                let audit = AuditEntry::of(context, resource, Some(before), Some(after));
                Ok(self.store.unlock(lifted, audit, record).await?.then_some(true))
            })
            .await
        };
        let again = async |outcome: String| Ok(outcome == LIFTED);
        self.repeatable(context, "Unlock", message, write, again).await
    }

    async fn facts_of(&self, account_id: AccountId, product: Product) -> Result<Facts, Error> {
        self.store.facts(account_id, product).await?.ok_or(Error::AccountNotFound)
    }
}

/// Checks that a reason is a lower-case token, as the CHECK constraint of the table demands.
fn reason(text: &str) -> Result<&str, Error> {
    let token = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let begins_with_letter = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if begins_with_letter && text.len() <= LONGEST && text.bytes().all(token) {
        return Ok(text);
    }
    let rule = "is a lower-case token of letters, digits, \"_\" and \"-\", at most 64, beginning with a letter";
    Err(Error::field("reason", rule))
}

fn locked_by(text: &str) -> Result<&str, Error> {
    if text.is_empty() {
        return Ok(NOBODY_NAMED);
    }
    if text.chars().count() > LONGEST || text.chars().any(char::is_control) {
        return Err(Error::field(
            "locked_by",
            "is at most 64 characters without control characters",
        ));
    }
    Ok(text)
}

fn reply(account_id: AccountId, product: Product, lock: &OperationLock) -> wire::OperationLock {
    wire::OperationLock {
        account_id: account_id.get(),
        product: billing::Product::from(product).into(),
        reason: lock.reason.clone(),
        locked_by: lock.locked_by.clone(),
        lock_time: Some(timestamp(lock.locked_at)),
        lift_time: None,
    }
}

fn shown(account_id: AccountId, lock: StoredLock) -> wire::OperationLock {
    let product = Product::from_name(&lock.product).map(billing::Product::from);
    wire::OperationLock {
        account_id: account_id.get(),
        product: product.unwrap_or_default().into(),
        reason: lock.reason,
        locked_by: lock.locked_by,
        lock_time: Some(timestamp(lock.locked_at)),
        lift_time: lock.lifted_at.map(timestamp),
    }
}
