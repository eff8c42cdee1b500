//! Instances. The row of each instance has a copy of the newest part of its history. The tables
//! `charge_type_changes` and `operation_locks` have the whole history. The row of the instance has
//! a copy of the part that decisions and a Describe need, so that they read one row. New instances
//! are written in `openings/`.
//!
//! The copy is bounded. Of the changes that are not cancelled, it has for each kind of traffic the
//! unsettled one and the two that were settled last. The older of these two is needed by a replica
//! whose clock is behind: for it, the newer one may not be in force yet. The copy also has the
//! locks that hold, at most [`MOST_LOCKS`].
//!
//! [`MOST_LOCKS`]: crate::domain::instance::MOST_LOCKS
//!
//! A statement that writes a change or a lock first updates the copy in the row of the instance
//! ([`touched`]), and computes it from that row alone. Until the statement commits, other such
//! statements wait for the row; then they continue with its newest version. So no statement
//! overwrites the update of another one.
//!
//! All statements lock rows in this order: account, instance, its changes and locks.

pub(super) mod facts;
pub(super) mod lists;
mod rows;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::Time;

/// Changes of an instance in its row, by id.
pub(super) type Changes = BTreeMap<Uuid, ChangeEntry>;
/// The locks of an instance in its row, by reason.
pub(super) type Locks = BTreeMap<String, LockEntry>;

/// A change that is not cancelled.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct ChangeEntry {
    pub kind: String,
    pub charge_type: String,
    pub submitted_at: Time,
    pub effective_time: Time,
    pub settled: bool,
}

/// A lock that holds.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct LockEntry {
    pub lock_id: Uuid,
    pub locked_by: String,
    pub locked_at: Time,
}

/// The first part of a statement that writes a change or a lock. It locks the row of the instance
/// and changes the copy of the history there. It also sets the time of the event, which is later
/// than the time of any event of the instance and of the account.
///
/// A statement that waits for the row continues with the newest version of the row, but sees the
/// other tables as they were when it began. So its condition (`$and`) reads the row of the
/// instance. If the condition is false, no row is updated, and nothing is written.
///
/// `$product` is the number of the product's parameter, `$copy` an assignment that updates the
/// copy, `$from` an optional FROM clause, and `$and` an optional condition that begins with AND.
macro_rules! touched {
    ($product:literal, $copy:literal, $from:literal, $and:literal) => {
        concat!(
            "touched AS (
                UPDATE instances
                SET event_time = ",
            event_time_after!(
                "greatest(instances.event_time, (
                    SELECT accounts.event_time FROM accounts WHERE accounts.account_id = $1))"
            ),
            ",
                    ",
            $copy,
            $from,
            "
                WHERE instances.account_id = $1 AND instances.product = ",
            $product,
            $and,
            "
                RETURNING instances.account_id, instances.product, instances.event_time,
                    instances.locks
            ), "
        )
    };
}
pub(super) use touched;
