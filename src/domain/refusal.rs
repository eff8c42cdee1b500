//! Why a decision refuses a request. The error table (`src/error/table.rs`) has the code, the status and the
//! message of each.

use super::Product;

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    // Opening (docs/behaviour.md, "Opening").
    /// The charge type in this parameter cannot be opened with.
    ValueNotSupported(&'static str),
    /// The charge type of a DCDN opening in this parameter cannot be opened with.
    InvalidComponent(&'static str),
    /// A bid user may not open by itself.
    BidUser,
    /// An account of the international site may not open.
    IntlNotAuthorized,
    /// The product has been opened already.
    AlreadyOpened(Product),
    /// Real-name authentication is missing.
    NoRealNameAuthentication,
    /// The user profile is incomplete.
    ProfileIncomplete(Product),
    /// There is no valid payment method.
    InvalidPaymentMethod,
    /// The balance is below the minimum, or payment is overdue.
    InsufficientBalance,
    /// The order was refused or could not be placed.
    OrderNotCreated,

    // The other actions.
    /// The product has not been opened.
    NotOpened(Product),
    /// The service is suspended by a lock.
    Suspended,
    /// Another change of the charge type has not taken effect yet.
    ChangePending,
    /// The largest number of operation locks holds on the instance.
    TooManyLocks,
    /// The parameter of this documented name is absent or empty.
    MissingParameter(&'static str),
    /// The value of the parameter of this name cannot be used.
    InvalidParameter(&'static str),
    /// A field of an operator's request is wrong.
    InvalidField {
        /// The field, as a path.
        field: &'static str,
        /// What is wrong with it.
        description: &'static str,
    },
}
