//! The setting that says when the process is killed.
#![expect(clippy::doc_markdown, reason = "these comments are shown as plain text in a terminal")]

use std::time::Duration;

use clap::Args;

use super::values::between;

/// Settings of what the service manager does.
#[derive(Args, Clone, Debug)]
pub struct GraceSettings {
    /// Time from SIGTERM until the service manager kills the process, in Kubernetes
    /// terminationGracePeriodSeconds: 1s to 1h. It changes nothing: `serve` logs a warning if
    /// DRAIN_DELAY and DRAIN_TIMEOUT together are not shorter.
    #[arg(long, env = "TERMINATION_GRACE_PERIOD", value_parser = between("1s", "1h"))]
    pub termination_grace_period: Option<Duration>,
}

impl GraceSettings {
    /// Returns the warning if a drain of this length may be cut off by the service manager.
    #[must_use]
    pub fn warning(&self, delay: Duration, timeout: Duration) -> Option<String> {
        let (grace, drain) = (self.termination_grace_period?, delay + timeout);
        (drain >= grace).then(|| {
            format!(
                "the process may be killed while it drains: DRAIN_DELAY and DRAIN_TIMEOUT together are \
                 {drain:?}, and TERMINATION_GRACE_PERIOD is {grace:?}; make the first two shorter"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_that_is_not_shorter_than_the_grace_period_has_a_warning() {
        let seconds = Duration::from_secs;
        let warning = |grace: Option<u64>| {
            let termination_grace_period = grace.map(seconds);
            GraceSettings { termination_grace_period }.warning(seconds(5), seconds(25))
        };
        assert_eq!((warning(None), warning(Some(31))), (None, None));
        let expected = "the process may be killed while it drains: DRAIN_DELAY and DRAIN_TIMEOUT \
                        together are 30s, and TERMINATION_GRACE_PERIOD is 30s; make the first two \
                        shorter";
        assert_eq!(warning(Some(30)).as_deref(), Some(expected));
        assert!(warning(Some(10)).is_some());
    }
}
