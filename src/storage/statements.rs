//! Statements as text: those of the hot paths for benchmarks, which must run the very same ones, and
//! the lists for tests of how much they read.

use super::access_keys::LIST_ACCESS_KEYS;
use super::accounts::LIST_ACCOUNTS;
use super::change_history::{LIST_CHANGES, LIST_CHANGES_OF_PRODUCT};
use super::events::numbering::WAITING_LANES;
use super::facts::{READ_FACTS, READ_INSTANCES};
use super::instances::{
    LIST_INSTANCES, LIST_INSTANCES_OF_ACCOUNT, LIST_INSTANCES_OF_BOTH, LIST_INSTANCES_OF_PRODUCT,
};
use super::locks::{
    LIST_LOCKS, LIST_LOCKS_OF_PRODUCT, LIST_LOCKS_OF_PRODUCT_THAT_HOLD, LIST_LOCKS_THAT_HOLD,
};
use super::openings::OPEN_INSTANCE;

/// What a Describe and an Open run.
#[derive(Clone, Copy, Debug)]
pub struct HotStatements {
    /// A Describe: `$1` accounts, `$2` product.
    pub describe: &'static str,
    /// An Open before it decides: `$1` accounts, `$2` product.
    pub facts: &'static str,
    /// An Open that writes, of one account. `$1` account, `$2` event id, `$3` lane, `$4` event type,
    /// `$5` event data, `$6` account version, `$7` product, `$8` instance id, `$9` and `$10` charge
    /// types, `$11` opening time, `$12` order id, `$13` time of the order.
    pub open: &'static str,
}

/// The statements that this program runs.
#[must_use]
pub fn hot_statements() -> HotStatements {
    HotStatements { describe: READ_INSTANCES, facts: READ_FACTS, open: OPEN_INSTANCE }
}

/// The statements of operators' lists, by what they list.
#[must_use]
pub fn list_statements() -> [(&'static str, &'static str); 12] {
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
    ]
}

/// The statement that looks for events that wait for their numbers: `$1` lanes, `$2` after which time.
#[must_use]
pub fn waiting_lanes() -> &'static str {
    WAITING_LANES
}
