//! Operation locks. The index `operation_locks_one_per_reason` allows one lock that holds for each
//! instance and reason.

use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::events::outbox::{
    EventRow, audited, event_time_after, with_event, with_event_and_record_of,
};
use super::instances::{LockEntry, Locks, touched};
use super::{AuditEntry, RequestRecord, Store};
use crate::domain::event::Event;
use crate::domain::instance::{MOST_LOCKS, OperationLock};
use crate::domain::{AccountId, Product, Time};
use crate::error::Error;

/// A lock to set.
#[derive(Clone, Debug)]
pub struct NewLock {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// The product of the instance.
    pub product: Product,
    /// The lock.
    pub lock: OperationLock,
    /// Id of its event.
    pub event_id: Uuid,
}

/// A lock to lift.
#[derive(Clone, Debug)]
pub struct LiftedLock {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// The product of the instance.
    pub product: Product,
    /// Its id. Another lock that was set later for the same reason is not lifted.
    pub lock_id: Uuid,
    /// The reason for which it was set.
    pub reason: String,
    /// When it is lifted.
    pub lifted_at: Time,
    /// Id of its event.
    pub event_id: Uuid,
}

/// The state in the audit record: the given object, and the reasons of the locks that hold. The
/// reasons come from the row of the instance, because locks of other reasons may have been set or
/// lifted since the decision.
macro_rules! locks_of {
    ($state:literal, $locks:literal) => {
        concat!(
            "(
                    SELECT ",
            $state,
            "::jsonb || jsonb_build_object('locks', ARRAY(
                        SELECT jsonb_object_keys(",
            $locks,
            ") AS reason
                        ORDER BY reason))
                    FROM touched
                )"
        )
    };
}

const LOCK: &str = with_event_and_record_of!(
    concat!(
        touched!(
            "$21",
            "locks = instances.locks || $26",
            "",
            "
                    AND NOT instances.locks ? $23
                    AND (SELECT count(*) FROM jsonb_object_keys(instances.locks)) < $27"
        ),
        "done AS (
            INSERT INTO operation_locks (
                account_id, lock_id, product, reason, locked_by, locked_at, event_time)
            SELECT account_id, $22, product, $23, $24, $25, event_time
            FROM touched
            RETURNING account_id, event_time
        )"
    ),
    locks_of!("$14", "locks - $23"),
    locks_of!("$15", "locks")
);

const UNLOCK: &str = with_event_and_record_of!(
    concat!(
        touched!(
            "$21",
            "locks = instances.locks - $24",
            "",
            "
                    AND instances.locks #>> ARRAY[$24, 'lock_id'] = $25"
        ),
        "done AS (
            UPDATE operation_locks
            SET lifted_at = $23, event_time = touched.event_time
            FROM touched
            WHERE operation_locks.account_id = $1
                AND operation_locks.account_id = touched.account_id
                AND lock_id = $22
            RETURNING operation_locks.account_id, operation_locks.event_time
        )"
    ),
    locks_of!("$14", "locks || jsonb_build_object($24, $22)"),
    locks_of!("$15", "locks")
);

/// A lock as it is stored.
#[derive(Clone, Debug, FromRow)]
pub struct StoredLock {
    /// Its id. Ids are in the order in which locks were set.
    pub lock_id: Uuid,
    /// The product of the instance.
    pub product: String,
    /// The reason of the lock.
    pub reason: String,
    /// The service or person that set it.
    pub locked_by: String,
    /// When it was set.
    pub locked_at: Time,
    /// When it was lifted, if it was.
    pub lifted_at: Option<Time>,
}

/// Selects the columns of a [`StoredLock`], of the locks that `$which` selects.
macro_rules! select_locks {
    ($which:literal) => {
        concat!(
            "SELECT lock_id, product, reason, locked_by, locked_at, lifted_at
            FROM operation_locks
            WHERE account_id = $1 AND ",
            $which
        )
    };
}

const READ_LOCK: &str = select_locks!("lock_id = $2");

// There is one statement for each set of filters, because PostgreSQL cannot choose an index for a
// filter that may be absent.
pub(super) const LIST_LOCKS: &str = select_locks!("lock_id > $2 ORDER BY lock_id LIMIT $3");
pub(super) const LIST_LOCKS_OF_PRODUCT: &str =
    select_locks!("lock_id > $2 AND product = $4 ORDER BY lock_id LIMIT $3");
pub(super) const LIST_LOCKS_THAT_HOLD: &str =
    select_locks!("lock_id > $2 AND lifted_at IS NULL ORDER BY lock_id LIMIT $3");
pub(super) const LIST_LOCKS_OF_PRODUCT_THAT_HOLD: &str =
    select_locks!("lock_id > $2 AND product = $4 AND lifted_at IS NULL ORDER BY lock_id LIMIT $3");

impl Store {
    /// Returns a lock of an account; `None` if there is none with this id.
    pub async fn stored_lock(
        &self,
        account_id: AccountId,
        lock_id: Uuid,
    ) -> Result<Option<StoredLock>, Error> {
        self.read(|pool| async move {
            let read = sqlx::query_as(READ_LOCK).bind(account_id.get()).bind(lock_id);
            read.fetch_optional(&pool).await
        })
        .await
    }

    /// Returns locks of an account that were set after this one, in the order in which they were
    /// set.
    pub async fn locks_after(
        &self,
        account_id: AccountId,
        lock_id: Uuid,
        product: Option<Product>,
        lifted_too: bool,
        at_most: i64,
    ) -> Result<Vec<StoredLock>, Error> {
        self.read(|pool| async move {
            let list = |statement| {
                sqlx::query_as(statement).bind(account_id.get()).bind(lock_id).bind(at_most)
            };
            let list = match (product.map(Product::name), lifted_too) {
                (None, true) => list(LIST_LOCKS),
                (None, false) => list(LIST_LOCKS_THAT_HOLD),
                (Some(product), true) => list(LIST_LOCKS_OF_PRODUCT).bind(product),
                (Some(product), false) => list(LIST_LOCKS_OF_PRODUCT_THAT_HOLD).bind(product),
            };
            list.fetch_all(&pool).await
        })
        .await
    }

    /// Sets a lock, with its event. Returns false if a lock with this reason holds, the largest
    /// number of locks holds, or the product is not open.
    pub async fn lock(
        &self,
        new: NewLock,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = Event::OperationLocked {
            product: new.product,
            reason: new.lock.reason.clone(),
            locked_by: new.lock.locked_by.clone(),
        };
        let event = EventRow::new(new.account_id, new.event_id, &event);
        let entry = LockEntry {
            lock_id: new.lock.lock_id,
            locked_by: new.lock.locked_by.clone(),
            locked_at: new.lock.locked_at,
        };
        let copy = Locks::from([(new.lock.reason.clone(), entry)]);
        self.write_event(new.account_id, move || {
            event
                .query_recorded(LOCK, &audit, record.as_ref())
                .bind(new.product.name())
                .bind(new.lock.lock_id)
                .bind(new.lock.reason.clone())
                .bind(new.lock.locked_by.clone())
                .bind(new.lock.locked_at)
                .bind(Json(copy.clone()))
                .bind(MOST_LOCKS)
        })
        .await
    }

    /// Lifts a lock, with its event. Returns false if it was lifted before.
    pub async fn unlock(
        &self,
        lock: LiftedLock,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = Event::OperationUnlocked { product: lock.product, reason: lock.reason.clone() };
        let event = EventRow::new(lock.account_id, lock.event_id, &event);
        self.write_event(lock.account_id, move || {
            event
                .query_recorded(UNLOCK, &audit, record.as_ref())
                .bind(lock.product.name())
                .bind(lock.lock_id)
                .bind(lock.lifted_at)
                .bind(lock.reason.clone())
                .bind(lock.lock_id.to_string())
        })
        .await
    }
}
