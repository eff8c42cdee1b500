//! The statements of the hot paths as text, for benchmarks: whoever measures the bare statement, or
//! the same work done otherwise, must run the very same one.

use super::facts::{READ_FACTS, READ_INSTANCES};
use super::histories::CARRY;
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
    /// What copies the history of an instance into its row: `$1` account, `$2` product. Not hot
    /// itself: data that is loaded has to look as if the service had written it.
    pub carry: &'static str,
}

/// The statements that this program runs.
#[must_use]
pub fn hot_statements() -> HotStatements {
    HotStatements { describe: READ_INSTANCES, facts: READ_FACTS, open: OPEN_INSTANCE, carry: CARRY }
}
