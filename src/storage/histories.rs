//! The history of an instance: its changes and locks. An instance's row carries a copy of what a
//! Describe shows of them, so that nobody has to look for it in two more tables. Whoever writes a
//! change or a lock begins with the row of the instance ([`touched`]): it drops the copy, and a
//! worker makes it anew ([`Store::carry_history`]).
//!
//! Rows are locked in this order, everywhere: account, instance, its changes and locks.

use sqlx::{Connection as _, PgConnection};

use super::connections::limited;
use super::{Store, failure};
use crate::domain::{AccountId, Product};
use crate::error::Error;

/// What is shown of changes, as a JSON array; NULL where there are none.
macro_rules! changes_as_json {
    () => {
        "json_agg(json_build_array(
                change_id, kind, charge_type, submitted_at, effective_time,
                in_force_event_at IS NOT NULL, cancelled_at IS NOT NULL, event_time))"
    };
}
pub(super) use changes_as_json;

/// The changes of the instance of an outer statement. `$and` may name the accounts once more.
macro_rules! from_changes {
    ($and:literal) => {
        concat!(
            "
            FROM charge_type_changes
            WHERE charge_type_changes.account_id = instances.account_id
                AND charge_type_changes.product = instances.product AND cancelled_at IS NULL",
            $and
        )
    };
}
pub(super) use from_changes;

/// Both.
macro_rules! shown_changes {
    ($and:literal) => {
        concat!("(\n            SELECT ", changes_as_json!(), from_changes!($and), ")")
    };
}
pub(super) use shown_changes;

/// The same of locks.
macro_rules! locks_as_json {
    () => {
        "json_agg(json_build_array(
                lock_id, reason, locked_by, locked_at, lifted_at IS NOT NULL, event_time))"
    };
}
pub(super) use locks_as_json;

macro_rules! from_locks {
    ($and:literal) => {
        concat!(
            "
            FROM operation_locks
            WHERE operation_locks.account_id = instances.account_id
                AND operation_locks.product = instances.product AND lifted_at IS NULL",
            $and
        )
    };
}
pub(super) use from_locks;

macro_rules! shown_locks {
    ($and:literal) => {
        concat!("(\n            SELECT ", locks_as_json!(), from_locks!($and), ")")
    };
}
pub(super) use shown_locks;

/// What a statement begins with that writes a change or a lock. It takes the row of the instance;
/// while it has that, other such statements of the instance wait. So each event is
/// later than the one before, and the last event says how things stand. The instance has a history
/// from then on, and does not carry it.
///
/// A statement that waits here goes on with the newest version of this row, but with what the
/// other tables were when it began. What it decided must therefore be guarded by a condition on a
/// row that it writes: in this one (`$and`), or of the change or lock itself. Where that one is not
/// written after all, the later event time and the dropped copy do no harm.
///
/// `$product` is the product's parameter; `$from` and `$and` narrow which row is taken.
macro_rules! touched {
    ($product:literal, $from:literal, $and:literal) => {
        concat!(
            "touched AS (
                UPDATE instances
                SET event_time = ",
            event_time_after!(
                "greatest(instances.event_time, (
                    SELECT accounts.event_time FROM accounts WHERE accounts.account_id = $1))"
            ),
            ",
                    has_history = true,
                    carried_changes = NULL,
                    carried_locks = NULL",
            $from,
            "
                WHERE instances.account_id = $1 AND instances.product = ",
            $product,
            $and,
            "
                RETURNING instances.account_id, instances.product, instances.event_time
            ), "
        )
    };
}
pub(super) use touched;

const UNCARRIED: &str = "
    SELECT account_id, product
    FROM instances
    WHERE has_history AND carried_locks IS NULL
    ORDER BY account_id, product
    LIMIT $1";

// Whoever is writing to the history has the row, or will wait for it. Skipped, it is found next time.
const TAKE_UNCARRIED: &str = "
    SELECT account_id
    FROM instances
    WHERE account_id = $1 AND product = $2 AND has_history AND carried_locks IS NULL
    FOR NO KEY UPDATE SKIP LOCKED";

// The sub-select is around the coalesce: Citus refuses it the other way round.
pub(super) const CARRY: &str = concat!(
    "UPDATE instances
    SET carried_changes = (
            SELECT coalesce(",
    changes_as_json!(),
    ", '[]')",
    from_changes!(" AND account_id = $1"),
    "),
        carried_locks = (
            SELECT coalesce(",
    locks_as_json!(),
    ", '[]')",
    from_locks!(" AND account_id = $1"),
    ")
    WHERE account_id = $1 AND product = $2"
);

impl Store {
    /// Instances that have a history and do not carry it.
    pub async fn uncarried(&self, at_most: i64) -> Result<Vec<(AccountId, Product)>, Error> {
        let rows: Vec<(i64, String)> =
            self.read(|pool| async move {
                sqlx::query_as(UNCARRIED).bind(at_most).fetch_all(&pool).await
            })
            .await?;
        rows.into_iter().map(|(account_id, product)| key(account_id, &product)).collect()
    }

    /// Copies the history of an instance into its row; false where that is done, or somebody is
    /// writing to it.
    pub async fn carry_history(
        &self,
        account_id: AccountId,
        product: Product,
    ) -> Result<bool, Error> {
        let connections = self.connections.clone();
        let task = self.writes.spawn(async move {
            let mut connection = connections.take().await?;
            match carry(&mut connection, account_id, product).await {
                Ok(carried) => connection.answered(Ok(carried)),
                Err(error) => Err(connection.failed(error)),
            }
        });
        task.await.map_err(Error::internal)?.map_err(|error| failure::of_write(&error))
    }
}

/// The snapshot of the copy is taken under the lock of the row: it shows everything that was written
/// by whoever had the row before.
async fn carry(
    connection: &mut PgConnection,
    account_id: AccountId,
    product: Product,
) -> Result<bool, sqlx::Error> {
    let mut transaction = limited(connection.begin()).await?;
    let taken = sqlx::query(TAKE_UNCARRIED).bind(account_id.get()).bind(product.name());
    let is_taken = limited(taken.fetch_optional(&mut *transaction)).await?.is_some();
    if is_taken {
        let carry = sqlx::query(CARRY).bind(account_id.get()).bind(product.name());
        limited(carry.execute(&mut *transaction)).await?;
    }
    limited(transaction.commit()).await?;
    Ok(is_taken)
}

/// An instance by the columns that name it.
pub(super) fn key(account_id: i64, product: &str) -> Result<(AccountId, Product), Error> {
    let key = AccountId::new(account_id).zip(Product::from_name(product));
    key.ok_or_else(|| failure::contradiction("instances", "key", account_id, product))
}
