//! What a caller is told that calls too often.

use std::time::Duration;

/// The limit that a request has reached.
#[derive(Clone, Debug)]
pub struct FlowLimit(Box<FlowLimitText>);

#[derive(Clone, Debug)]
struct FlowLimitText {
    retry_after: Duration,
    subject: String,
    description: String,
}

impl FlowLimit {
    /// Returns the limit `description` of a caller, `account:42` for example. The caller can try
    /// again after a time.
    #[must_use]
    pub fn new(
        retry_after: Duration,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let (subject, description) = (subject.into(), description.into());
        // Clients read whole milliseconds, and only a number above 0.
        let milliseconds = retry_after.as_nanos().div_ceil(1_000_000).max(1);
        let retry_after =
            Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::from(u32::MAX)));
        Self(Box::new(FlowLimitText { retry_after, subject, description }))
    }

    /// Returns after how many whole milliseconds the caller can try again, at least one.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.0.retry_after
    }

    /// Returns which caller is limited.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Returns what is limited, with the largest number.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.0.description
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_told_to_wait_whole_milliseconds() {
        let told = |nanoseconds| {
            let wait = Duration::from_nanos(nanoseconds);
            FlowLimit::new(wait, "account:1", "calls").retry_after().as_millis()
        };
        assert_eq!([0, 1, 1_000_000, 1_000_001].map(told), [1, 1, 1, 2]);
    }
}
