//! Puts together what the statements of `facts.rs` read: rows of four tables, each saying one fact
//! of an account. A row that the model does not know is a fault of its own account, and of no other
//! that was read with it.

use sqlx::postgres::PgRow;
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

/// One row. What its columns mean depends on the fact.
pub(super) struct FactRow {
    account_id: i64,
    event_time: Time,
    fact: Fact,
}

enum Fact {
    Account(AccountRow),
    Instance {
        order_id: Uuid,
        instance_id: String,
        internet: String,
        websocket: Option<String>,
        opening_time: Time,
    },
    Change {
        kind: String,
        charge_type: String,
        cancelled: bool,
        /// With whatever charge type: it is read from the name.
        change: Change<()>,
    },
    Lock {
        lifted: bool,
        lock: OperationLock,
    },
}

/// By position: names would be looked up for every column of every row, on the hottest path there is.
impl FromRow<'_, PgRow> for FactRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (account_id, event_time) = (row.try_get(1)?, row.try_get(2)?);
        let fact = match row.try_get(0)? {
            "account" => Fact::Account(AccountRow {
                account_id,
                event_time,
                site: row.try_get(4)?,
                created_at: row.try_get(7)?,
                updated_at: row.try_get(8)?,
                intl_allowed: row.try_get(11)?,
                bid_user: row.try_get(12)?,
                real_name_verified: row.try_get(13)?,
                profile_complete: row.try_get(14)?,
                payment_method_valid: row.try_get(15)?,
                orders_refused: row.try_get(16)?,
                balance: row.try_get(17)?,
                version: row.try_get(18)?,
            }),
            "instance" => Fact::Instance {
                order_id: row.try_get(3)?,
                instance_id: row.try_get(4)?,
                internet: row.try_get(5)?,
                websocket: row.try_get(6)?,
                opening_time: row.try_get(7)?,
            },
            "change" => Fact::Change {
                kind: row.try_get(4)?,
                charge_type: row.try_get(5)?,
                cancelled: row.try_get(9)?,
                change: Change {
                    change_id: row.try_get(3)?,
                    charge_type: (),
                    submitted_at: row.try_get(7)?,
                    effective_time: row.try_get(8)?,
                    settled: row.try_get(10)?,
                },
            },
            _ => Fact::Lock {
                lifted: row.try_get(9)?,
                lock: OperationLock {
                    lock_id: row.try_get(3)?,
                    reason: row.try_get(4)?,
                    locked_by: row.try_get(5)?,
                    locked_at: row.try_get(7)?,
                },
            },
        };
        Ok(Self { account_id, event_time, fact })
    }
}

/// The rows of accounts, sorted by account.
pub(super) struct Collected(Vec<FactRow>);

impl Collected {
    /// Collects rows in any order.
    pub fn new(mut rows: Vec<FactRow>) -> Self {
        rows.sort_by_key(|row| row.account_id);
        Self(rows)
    }

    fn rows(&self, account_id: AccountId) -> &[FactRow] {
        let from = self.0.partition_point(|row| row.account_id < account_id.get());
        let of_account = self.0[from..].iter().take_while(|row| row.account_id == account_id.get());
        let count = of_account.count();
        &self.0[from..from + count]
    }

    /// The facts of an account; `None` where there is none.
    pub fn facts(&self, account_id: AccountId) -> Result<Option<Facts>, Error> {
        let account = self.rows(account_id).iter().find_map(|row| match &row.fact {
            Fact::Account(account) => Some(account.clone()),
            _ => None,
        });
        let Some(account) = account else { return Ok(None) };
        Ok(Some(Facts { account: account.try_into()?, instance: self.instance(account_id)? }))
    }

    /// What an account has opened; `None` where that is nothing.
    pub fn instance(&self, account_id: AccountId) -> Result<Option<Instance>, Error> {
        let rows = self.rows(account_id);
        let instance = rows.iter().find_map(|row| match &row.fact {
            Fact::Instance { order_id, instance_id, internet, websocket, opening_time } => {
                Some((*order_id, instance_id, internet, websocket, *opening_time))
            }
            _ => None,
        });
        let Some((order_id, instance_id, internet, websocket, opening_time)) = instance else {
            return Ok(None);
        };
        let internet = charge_type::<ChargeType>("instances", account_id, internet)?;
        let internet = Timeline::new(internet, changes(account_id, rows)?);
        let websocket = match websocket {
            Some(name) => {
                let opening = charge_type::<WebsocketChargeType>("instances", account_id, name)?;
                Some(Timeline::new(opening, changes(account_id, rows)?))
            }
            None => None,
        };
        let of_instance = rows.iter().filter(|row| !matches!(row.fact, Fact::Account(_)));
        let newest = of_instance.map(|row| row.event_time).max();
        Ok(Some(Instance {
            instance_id: instance_id.clone(),
            opening_time,
            order_id,
            internet,
            websocket,
            locks: locks(rows),
            event_time: newest.unwrap_or(opening_time),
        }))
    }
}

/// The changes of one kind, but for cancelled ones.
fn changes<T: Charge>(account_id: AccountId, rows: &[FactRow]) -> Result<Vec<Change<T>>, Error> {
    let mut changes = Vec::new();
    for row in rows {
        let Fact::Change { kind, charge_type: name, cancelled: false, change } = &row.fact else {
            continue;
        };
        if kind != T::KIND.name() {
            continue;
        }
        let charge_type = charge_type("charge_type_changes", account_id, name)?;
        changes.push(change.map(|()| charge_type));
    }
    Ok(changes)
}

/// The locks that hold, oldest first.
fn locks(rows: &[FactRow]) -> Vec<OperationLock> {
    let mut locks: Vec<_> = rows
        .iter()
        .filter_map(|row| match &row.fact {
            Fact::Lock { lifted: false, lock } => Some(lock.clone()),
            _ => None,
        })
        .collect();
    locks.sort_by_key(|lock| (lock.locked_at, lock.lock_id));
    locks
}

fn charge_type<T: Charge>(table: &str, account_id: AccountId, name: &str) -> Result<T, Error> {
    let column = match T::KIND {
        ChargeKind::Internet => "internet charge type",
        ChargeKind::Websocket => "websocket charge type",
    };
    T::from_name(name).ok_or_else(|| failure::contradiction(table, column, account_id, name))
}
