//! What the statements of `facts.rs` read: one row for an account, and what it means. A row that the
//! model does not know is a fault of its own account, and of no other that was read with it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::accounts::AccountRow;
use super::failure;
use crate::domain::instance::OperationLock;
use crate::domain::{
    AccountId, Change, Charge, ChargeKind, ChargeType, Facts, Instance, Time, Timeline,
    WebsocketChargeType,
};
use crate::error::Error;

/// What a name stands for, or the name itself where the model does not know it.
type Named<T> = Result<T, String>;

/// A row that is about one account.
pub(super) trait OfAccount {
    fn account_id(&self) -> i64;
}

/// An instance with its changes and locks.
pub(super) struct InstanceRow {
    account_id: i64,
    instance_id: String,
    internet: Named<ChargeType>,
    websocket: Option<Named<WebsocketChargeType>>,
    opening_time: Time,
    order_id: Uuid,
    event_time: Time,
    changes: Vec<ChangeRow>,
    locks: Vec<LockRow>,
    /// There are changes or locks that it says nothing of.
    is_uncarried: bool,
}

/// An account, with its instance where it has one.
pub(super) struct FactsRow {
    account: AccountRow,
    instance: Option<InstanceRow>,
}

/// A change as it stands in the JSON of an instance: an array, in this order. What begins with `_` is
/// of no use here: cancelled changes are not in it.
#[derive(Deserialize)]
struct ChangeRow {
    change_id: Uuid,
    kind: String,
    charge_type: String,
    submitted_at: Time,
    effective_time: Time,
    settled: bool,
    _cancelled: IgnoredAny,
    _event_time: IgnoredAny,
}

/// A lock, likewise.
#[derive(Deserialize)]
struct LockRow {
    lock_id: Uuid,
    reason: String,
    locked_by: String,
    locked_at: Time,
    _lifted: IgnoredAny,
    _event_time: IgnoredAny,
}

impl OfAccount for InstanceRow {
    fn account_id(&self) -> i64 {
        self.account_id
    }
}

impl OfAccount for FactsRow {
    fn account_id(&self) -> i64 {
        self.account.account_id
    }
}

/// By position, here and below: names would be looked up for every column of every row, on the
/// hottest path there is.
impl FromRow<'_, PgRow> for InstanceRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { is_uncarried: row.try_get(9)?, ..Self::at(row, 0)? })
    }
}

impl InstanceRow {
    /// A complete one whose first column is this one.
    fn at(row: &PgRow, first: usize) -> Result<Self, sqlx::Error> {
        let changes: Option<Json<Vec<ChangeRow>>> = row.try_get(first + 7)?;
        let locks: Option<Json<Vec<LockRow>>> = row.try_get(first + 8)?;
        let websocket: Option<&str> = row.try_get(first + 3)?;
        Ok(Self {
            account_id: row.try_get(first)?,
            instance_id: row.try_get(first + 1)?,
            internet: named(row.try_get(first + 2)?),
            websocket: websocket.map(named),
            opening_time: row.try_get(first + 4)?,
            order_id: row.try_get(first + 5)?,
            event_time: row.try_get(first + 6)?,
            changes: changes.map(|Json(changes)| changes).unwrap_or_default(),
            locks: locks.map(|Json(locks)| locks).unwrap_or_default(),
            is_uncarried: false,
        })
    }

    /// What it says.
    pub fn instance(&self) -> Result<Instance, Error> {
        let internet = self.known("instances", &self.internet)?;
        let websocket = self.websocket.as_ref().map(|websocket| {
            let websocket = self.known("instances", websocket)?;
            Ok(Timeline::new(websocket, self.changes()?))
        });
        Ok(Instance {
            instance_id: self.instance_id.clone(),
            opening_time: self.opening_time,
            order_id: self.order_id,
            internet: Timeline::new(internet, self.changes()?),
            websocket: websocket.transpose()?,
            locks: self.locks(),
            event_time: self.event_time,
        })
    }

    /// The changes of one kind.
    fn changes<T: Charge>(&self) -> Result<Vec<Change<T>>, Error> {
        let of_kind = |change: &&ChangeRow| change.kind == T::KIND.name();
        let change = |change: &ChangeRow| {
            Ok(Change {
                change_id: change.change_id,
                charge_type: self.known("charge_type_changes", &named(&change.charge_type))?,
                submitted_at: change.submitted_at,
                effective_time: change.effective_time,
                settled: change.settled,
            })
        };
        self.changes.iter().filter(of_kind).map(change).collect()
    }

    /// A charge type that a table has for this account, or what is wrong with it.
    fn known<T: Charge>(&self, table: &str, charge_type: &Named<T>) -> Result<T, Error> {
        let column = match T::KIND {
            ChargeKind::Internet => "internet charge type",
            ChargeKind::Websocket => "websocket charge type",
        };
        let unknown = |name: &String| failure::contradiction(table, column, self.account_id, name);
        charge_type.as_ref().copied().map_err(unknown)
    }

    /// The locks that hold, oldest first.
    fn locks(&self) -> Vec<OperationLock> {
        let lock = |lock: &LockRow| OperationLock {
            lock_id: lock.lock_id,
            reason: lock.reason.clone(),
            locked_by: lock.locked_by.clone(),
            locked_at: lock.locked_at,
        };
        let mut locks: Vec<_> = self.locks.iter().map(lock).collect();
        locks.sort_by_key(|lock| (lock.locked_at, lock.lock_id));
        locks
    }
}

impl FromRow<'_, PgRow> for FactsRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let account = AccountRow {
            account_id: row.try_get(0)?,
            site: row.try_get(1)?,
            intl_allowed: row.try_get(2)?,
            bid_user: row.try_get(3)?,
            real_name_verified: row.try_get(4)?,
            profile_complete: row.try_get(5)?,
            payment_method_valid: row.try_get(6)?,
            balance: row.try_get(7)?,
            orders_refused: row.try_get(8)?,
            version: row.try_get(9)?,
            created_at: row.try_get(10)?,
            updated_at: row.try_get(11)?,
        };
        let opened: Option<i64> = row.try_get(12)?;
        let instance = opened.map(|_| InstanceRow::at(row, 12)).transpose()?;
        Ok(Self { account, instance })
    }
}

impl FactsRow {
    /// What it says.
    pub fn facts(&self) -> Result<Facts, Error> {
        let instance = self.instance.as_ref().map(InstanceRow::instance);
        Ok(Facts { account: self.account.clone().try_into()?, instance: instance.transpose()? })
    }
}

fn named<T: Charge>(name: &str) -> Named<T> {
    T::from_name(name).ok_or_else(|| name.to_owned())
}

/// Rows of accounts, at most one of each.
pub(super) struct Rows<R>(Vec<R>);

impl<R: OfAccount> Rows<R> {
    /// Rows in any order.
    pub fn new(mut rows: Vec<R>) -> Self {
        rows.sort_unstable_by_key(OfAccount::account_id);
        Self(rows)
    }

    /// The row of an account; `None` where there is none.
    pub fn of(&self, account_id: AccountId) -> Option<&R> {
        let found = self.0.binary_search_by_key(&account_id.get(), OfAccount::account_id);
        found.ok().map(|index| &self.0[index])
    }
}

impl Rows<InstanceRow> {
    /// Takes out the rows that do not say all; of which accounts they are.
    pub fn take_uncarried(&mut self) -> Vec<AccountId> {
        let uncarried = self.0.extract_if(.., |row| row.is_uncarried);
        uncarried.filter_map(|row| AccountId::new(row.account_id)).collect()
    }

    /// Adds rows of other accounts.
    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
        self.0.sort_unstable_by_key(OfAccount::account_id);
    }
}
