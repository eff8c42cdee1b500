//! `OperationLockService`: holds on an instance, each with a reason.

use tonic::Request;

use super::{account_id, product, stamp};
use crate::context::Context;
use crate::domain::instance::OperationLock;
use crate::domain::{AccountId, Facts, Product};
use crate::error::Error;
use crate::grpc::{Actions, Reply, act};
use crate::proto::billing::v1 as billing;
use crate::proto::convert::timestamp;
use crate::proto::operator::v1 as wire;
use crate::proto::operator::v1::operation_lock_service_server::OperationLockService;
use crate::storage::{LiftedLock, NewLock};

/// How often a lock is set again because others set and lifted in between.
const ATTEMPTS: u32 = 16;
/// The longest reason and the longest name of who sets a lock, in characters.
const LONGEST: usize = 64;
/// Who sets a lock that names nobody.
const NOBODY_NAMED: &str = "operator";

#[tonic::async_trait]
impl OperationLockService for Actions {
    async fn lock(&self, request: Request<wire::LockRequest>) -> Reply<wire::LockResponse> {
        act("Lock", request, async |context, message| {
            context.service()?;
            let operation_lock = self.set_lock(&context, message).await?;
            Ok(wire::LockResponse { operation_lock: Some(operation_lock) })
        })
        .await
    }

    async fn unlock(&self, request: Request<wire::UnlockRequest>) -> Reply<wire::UnlockResponse> {
        act("Unlock", request, async |context, message| {
            context.service()?;
            let lifted = self.lift_lock(&context, message).await?;
            Ok(wire::UnlockResponse { lifted })
        })
        .await
    }
}

impl Actions {
    async fn set_lock(
        &self,
        context: &Context,
        message: wire::LockRequest,
    ) -> Result<wire::OperationLock, Error> {
        let account_id = account_id(message.account_id)?;
        let product = product(message.product)?;
        let reason = reason(message.reason)?;
        let locked_by = locked_by(message.locked_by)?;
        for _ in 0..ATTEMPTS {
            let facts = self.facts_of(account_id, product).await?;
            let instance = facts.instance.as_ref().ok_or(Error::NotOpened(product))?;
            if let Some(lock) = instance.lock(&reason) {
                return Ok(reply(account_id, product, lock));
            }
            let lock = OperationLock {
                reason: reason.clone(),
                locked_by: locked_by.clone(),
                locked_at: context.now,
            };
            let new = NewLock {
                account_id,
                product,
                lock_id: context.new_id(),
                reason: reason.clone(),
                locked_by: locked_by.clone(),
                locked_at: context.now,
                stamp: stamp(context, Some(facts.newest_event_time())),
            };
            if self.store.lock(new).await? {
                return Ok(reply(account_id, product, &lock));
            }
        }
        Err(Error::Contended)
    }

    async fn lift_lock(
        &self,
        context: &Context,
        message: wire::UnlockRequest,
    ) -> Result<bool, Error> {
        let account_id = account_id(message.account_id)?;
        let product = product(message.product)?;
        let reason = reason(message.reason)?;
        let facts = self.facts_of(account_id, product).await?;
        if facts.instance.as_ref().ok_or(Error::NotOpened(product))?.lock(&reason).is_none() {
            return Ok(false);
        }
        let stamp = stamp(context, Some(facts.newest_event_time()));
        let lifted = LiftedLock { account_id, product, reason, lifted_at: context.now, stamp };
        self.store.unlock(lifted).await
    }

    async fn facts_of(&self, account_id: AccountId, product: Product) -> Result<Facts, Error> {
        self.store.facts(account_id, product).await?.ok_or(Error::AccountNotFound)
    }
}

/// A lower-case token, as the table's CHECK demands it.
fn reason(text: String) -> Result<String, Error> {
    let token = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    let begins_with_letter = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if begins_with_letter && text.len() <= LONGEST && text.bytes().all(token) {
        return Ok(text);
    }
    let rule = "is a lower-case token of letters, digits, \"_\" and \"-\", at most 64, beginning with a letter";
    Err(Error::field("reason", rule))
}

fn locked_by(text: String) -> Result<String, Error> {
    if text.is_empty() {
        return Ok(NOBODY_NAMED.to_owned());
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
    }
}
