//! The rows that the statements of `facts.rs` read, one for each account, and their conversion to
//! facts. If a row has a value that this version does not know, only the caller that asked for its
//! account gets an error, and not the callers of the other accounts of the statement.

use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::types::{Json, JsonRawValue};
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::{ChangeEntry, Changes, LockEntry, Locks};
use crate::domain::instance::OperationLock;
use crate::domain::{Change, Charge, ChargeKind, Facts, Instance, Time, Timeline};
use crate::error::Error;
use crate::storage::accounts::AccountRow;
use crate::storage::failure;

/// A row that is about one account.
pub(super) trait OfAccount {
    fn account_id(&self) -> i64;
}

/// An instance with its changes and locks.
#[derive(FromRow)]
pub(super) struct InstanceRow {
    account_id: i64,
    instance_id: String,
    internet_charge_type: String,
    websocket_charge_type: Option<String>,
    opening_time: Time,
    order_id: Uuid,
    event_time: Time,
    /// Parsed in [`Self::instance`] and not by sqlx: an error of sqlx would affect all accounts of
    /// the statement.
    changes: Json<Box<JsonRawValue>>,
    locks: Json<Box<JsonRawValue>>,
}

/// An account, with its instance if it has one.
pub(super) struct FactsRow {
    account: AccountRow,
    instance: Option<InstanceRow>,
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

impl InstanceRow {
    /// Converts the row to an instance.
    pub fn instance(&self) -> Result<Instance, Error> {
        let internet = self.known("instances", &self.internet_charge_type)?;
        let changes: Changes = self.parsed("changes", &self.changes)?;
        let websocket = self.websocket_charge_type.as_ref().map(|websocket| {
            let websocket = self.known("instances", websocket)?;
            Ok::<_, Error>(Timeline::new(websocket, self.changes(&changes)?))
        });
        Ok(Instance {
            instance_id: self.instance_id.clone(),
            opening_time: self.opening_time,
            order_id: self.order_id,
            internet: Timeline::new(internet, self.changes(&changes)?),
            websocket: websocket.transpose()?,
            locks: locks(&self.parsed("locks", &self.locks)?),
            event_time: self.event_time,
        })
    }

    /// Returns the changes of one kind.
    fn changes<T: Charge>(&self, changes: &Changes) -> Result<Vec<Change<T>>, Error> {
        let of_kind = |(_, change): &(&Uuid, &ChangeEntry)| change.kind == T::KIND.name();
        let change = |(change_id, change): (&Uuid, &ChangeEntry)| {
            Ok(Change {
                change_id: *change_id,
                charge_type: self.known("charge_type_changes", &change.charge_type)?,
                submitted_at: change.submitted_at,
                effective_time: change.effective_time,
                settled: change.settled,
            })
        };
        changes.iter().filter(of_kind).map(change).collect()
    }

    /// Converts the name of a charge type. An error names the table, the kind and the account.
    fn known<T: Charge>(&self, table: &str, name: &str) -> Result<T, Error> {
        let column = match T::KIND {
            ChargeKind::Internet => "internet charge type",
            ChargeKind::Websocket => "websocket charge type",
        };
        let unknown = || failure::contradiction(table, column, self.account_id, name);
        T::from_name(name).ok_or_else(unknown)
    }

    /// Parses a column. An error names the column and the account.
    fn parsed<T: DeserializeOwned>(
        &self,
        column: &str,
        json: &Json<Box<JsonRawValue>>,
    ) -> Result<T, Error> {
        let unknown = |_| failure::contradiction("instances", column, self.account_id, json.get());
        serde_json::from_str(json.get()).map_err(unknown)
    }
}

/// Returns the locks that hold, oldest first.
fn locks(locks: &Locks) -> Vec<OperationLock> {
    let lock = |(reason, lock): (&String, &LockEntry)| OperationLock {
        lock_id: lock.lock_id,
        reason: reason.clone(),
        locked_by: lock.locked_by.clone(),
        locked_at: lock.locked_at,
    };
    let mut locks: Vec<_> = locks.iter().map(lock).collect();
    locks.sort_by_key(|lock| (lock.locked_at, lock.lock_id));
    locks
}

impl FromRow<'_, PgRow> for FactsRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let instance_id: Option<&str> = row.try_get("instance_id")?;
        let instance = instance_id.map(|_| InstanceRow::from_row(row)).transpose()?;
        Ok(Self { account: AccountRow::from_row(row)?, instance })
    }
}

impl FactsRow {
    /// Converts the row to facts.
    pub fn facts(&self) -> Result<Facts, Error> {
        let instance = self.instance.as_ref().map(InstanceRow::instance);
        Ok(Facts { account: self.account.clone().try_into()?, instance: instance.transpose()? })
    }
}
