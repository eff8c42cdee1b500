//! The time, for signatures and for the date of the results.

use chrono::{DateTime, Utc};

/// Returns the seconds since 1970.
pub fn second() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a program of its own, without the service's clock"
    )]
    let now = Utc::now();
    now.timestamp()
}

/// Returns a second in the format of signatures.
pub fn timestamp(second: i64) -> String {
    let time = DateTime::from_timestamp(second, 0).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
