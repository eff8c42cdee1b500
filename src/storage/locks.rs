//! Operation locks: one that holds per instance and reason, held by
//! `operation_locks_one_per_reason`.

use uuid::Uuid;

use super::Store;
use super::events::{EventRow, with_event};
use crate::domain::event::{Event, Stamp};
use crate::domain::{AccountId, Product, Time};
use crate::error::Error;

/// A lock to set.
#[derive(Clone, Debug)]
pub struct NewLock {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// The product of the instance.
    pub product: Product,
    /// Id of the lock.
    pub lock_id: Uuid,
    /// Why.
    pub reason: String,
    /// Who sets it.
    pub locked_by: String,
    /// Since when.
    pub locked_at: Time,
    /// The place of its event.
    pub stamp: Stamp,
}

/// A lock to lift.
#[derive(Clone, Debug)]
pub struct LiftedLock {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// The product of the instance.
    pub product: Product,
    /// The reason it was set with.
    pub reason: String,
    /// When.
    pub lifted_at: Time,
    /// The place of its event.
    pub stamp: Stamp,
}

const LOCK: &str = with_event!(
    "done AS (
        INSERT INTO operation_locks (
            account_id, lock_id, product, reason, locked_by, locked_at, event_time)
        SELECT account_id, $8, product, $9, $10, $11, $4
        FROM instances
        WHERE account_id = $1 AND product = $7
        ON CONFLICT (account_id, product, reason) WHERE lifted_at IS NULL DO NOTHING
        RETURNING account_id
    )"
);

const UNLOCK: &str = with_event!(
    "done AS (
        UPDATE operation_locks
        SET lifted_at = $9, event_time = $4
        WHERE account_id = $1 AND product = $7 AND reason = $8 AND lifted_at IS NULL
        RETURNING account_id
    )"
);

impl Store {
    /// Sets a lock with its event; false where one with this reason holds, or the product is not
    /// open.
    pub async fn lock(&self, lock: NewLock) -> Result<bool, Error> {
        let event = Event::OperationLocked {
            product: lock.product,
            reason: lock.reason.clone(),
            locked_by: lock.locked_by.clone(),
        };
        let event = EventRow::new(lock.account_id, lock.stamp, &event);
        let locked = self.write(move |pool| {
            let set = event
                .query(LOCK)
                .bind(lock.product.name())
                .bind(lock.lock_id)
                .bind(lock.reason.clone())
                .bind(lock.locked_by.clone())
                .bind(lock.locked_at);
            async move { set.fetch_one(&pool).await }
        });
        Ok(locked.await? == 1)
    }

    /// Lifts a lock with its event; false where none with this reason holds.
    pub async fn unlock(&self, lock: LiftedLock) -> Result<bool, Error> {
        let event = Event::OperationUnlocked { product: lock.product, reason: lock.reason.clone() };
        let event = EventRow::new(lock.account_id, lock.stamp, &event);
        let lifted = self.write(move |pool| {
            let lift = event
                .query(UNLOCK)
                .bind(lock.product.name())
                .bind(lock.reason.clone())
                .bind(lock.lifted_at);
            async move { lift.fetch_one(&pool).await }
        });
        Ok(lifted.await? == 1)
    }
}
