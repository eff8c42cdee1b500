//! How many refused attempts are recorded, by the kind of their caller.

use super::{Principal, Refused};
use crate::error::Error;
use crate::logging::Limit;

/// The limits of the attempts that are recorded.
pub(super) struct Limits {
    /// Of calling services.
    services: Limit,
    /// Of access keys.
    keys: Limit,
    /// Of all others, and of repeated and throttled requests.
    others: Limit,
}

impl Limits {
    /// Returns the limits. The table is kept for more than a year, and callers without a token or a
    /// signature must not fill it, so their rate is the lowest.
    pub const fn new() -> Self {
        let (services, keys) = (Limit::new(50, 200), Limit::new(50, 200));
        Self { services, keys, others: Limit::new(1, 100) }
    }

    /// Returns the limit with which an attempt counts.
    pub fn of(&self, refused: &Refused<'_>) -> &Limit {
        use Error::{NonceUsed, Throttled, ThrottledUser};
        match (&refused.principal, refused.error) {
            (_, NonceUsed | ThrottledUser(_) | Throttled(_))
            | (Principal::UnverifiedKey(_) | Principal::Unknown, _) => &self.others,
            (Principal::Verified(name), _) if name.starts_with("service:") => &self.services,
            (Principal::Verified(_), _) => &self.keys,
        }
    }
}
