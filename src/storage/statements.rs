//! The texts of statements: those of the hot paths for benchmarks, which must run the same
//! statements, and the lists for tests of how many rows they read.

use super::access_keys::LIST_ACCESS_KEYS;
use super::accounts::LIST_ACCOUNTS;
use super::audit::{LIST_AUDIT_RECORDS, LIST_AUDIT_RECORDS_OF_ACCOUNT};
use super::changes::lists::{LIST_CHANGES, LIST_CHANGES_OF_PRODUCT};
use super::events::numbering::WAITING_LANES;
use super::instances::facts::{READ_FACTS, READ_INSTANCES};
use super::instances::lists::{
    LIST_INSTANCES, LIST_INSTANCES_OF_ACCOUNT, LIST_INSTANCES_OF_BOTH, LIST_INSTANCES_OF_PRODUCT,
};
use super::locks::{
    LIST_LOCKS, LIST_LOCKS_OF_PRODUCT, LIST_LOCKS_OF_PRODUCT_THAT_HOLD, LIST_LOCKS_THAT_HOLD,
};
use super::openings::OPEN_INSTANCE;

/// The statements of a Describe and an Open.
#[derive(Clone, Copy, Debug)]
pub struct HotStatements {
    /// Reads the instances for a Describe: `$1` accounts, `$2` product.
    pub describe: &'static str,
    /// Reads the facts for an Open: `$1` accounts, `$2` product.
    pub facts: &'static str,
    /// Writes an Open of one account. `$1` account, `$2` event id, `$3` lane, `$4` event type, `$5`
    /// event data, `$6` audit id, `$7` time of the record, `$8` principal, `$9` address, `$10` action,
    /// `$11` resource, `$12` request id, `$13` correlation id, `$14` and `$15` states before and after,
    /// `$16` account version, `$17` product, `$18` instance id, `$19` and `$20` charge types, `$21`
    /// opening time, `$22` order id, `$23` time of the order.
    pub open: &'static str,
}

/// Returns the statements of the hot paths.
#[must_use]
pub fn hot_statements() -> HotStatements {
    HotStatements { describe: READ_INSTANCES, facts: READ_FACTS, open: OPEN_INSTANCE }
}

/// Returns the statements of operators' lists, each with the name of what it lists.
#[must_use]
pub fn list_statements() -> [(&'static str, &'static str); 14] {
    [
        ("accounts", LIST_ACCOUNTS),
        ("access keys", LIST_ACCESS_KEYS),
        ("instances", LIST_INSTANCES),
        ("instances of an account", LIST_INSTANCES_OF_ACCOUNT),
        ("instances of a product", LIST_INSTANCES_OF_PRODUCT),
        ("instances of both", LIST_INSTANCES_OF_BOTH),
        ("changes", LIST_CHANGES),
        ("changes of a product", LIST_CHANGES_OF_PRODUCT),
        ("locks", LIST_LOCKS),
        ("locks of a product", LIST_LOCKS_OF_PRODUCT),
        ("locks that hold", LIST_LOCKS_THAT_HOLD),
        ("locks of a product that hold", LIST_LOCKS_OF_PRODUCT_THAT_HOLD),
        ("audit records", LIST_AUDIT_RECORDS),
        ("audit records of an account", LIST_AUDIT_RECORDS_OF_ACCOUNT),
    ]
}

/// Returns the statement that finds the lanes with events that wait for their positions: `$1`
/// lanes, `$2` the time after which the events happened.
#[must_use]
pub fn waiting_lanes() -> &'static str {
    WAITING_LANES
}
