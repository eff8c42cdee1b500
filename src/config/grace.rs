//! The setting that says when the process is killed.
#![expect(clippy::doc_markdown, reason = "these comments are shown as plain text in a terminal")]

use std::time::Duration;

use clap::Args;

use super::draining::STOP_SLACK;
use super::values::between;

/// Settings of what the service manager does.
#[derive(Args, Clone, Debug)]
pub struct GraceSettings {
    /// Time from SIGTERM until the service manager kills the process, in Kubernetes
    /// terminationGracePeriodSeconds: 1s to 1h. It is used only for a check: `serve` logs a warning
    /// at the start if a stop can take that long, which is DRAIN_DELAY, DRAIN_TIMEOUT and 1s.
    #[arg(long, env = "TERMINATION_GRACE_PERIOD", value_parser = between("1s", "1h"))]
    pub termination_grace_period: Option<Duration>,
}

impl GraceSettings {
    /// Returns the warning if a stop with this drain may be cut off by the service manager.
    #[must_use]
    pub fn warning(&self, delay: Duration, timeout: Duration) -> Option<String> {
        let (grace, stop) = (self.termination_grace_period?, delay + timeout + STOP_SLACK);
        (stop >= grace).then(|| {
            format!(
                "the process may be killed while it stops: a stop takes up to {stop:?}, which is \
                 DRAIN_DELAY, DRAIN_TIMEOUT and {STOP_SLACK:?}, and TERMINATION_GRACE_PERIOD is \
                 {grace:?}; make the first two shorter"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_that_is_not_shorter_than_the_grace_period_has_a_warning() {
        let seconds = Duration::from_secs;
        let warning = |grace: Option<u64>| {
            let termination_grace_period = grace.map(seconds);
            GraceSettings { termination_grace_period }.warning(seconds(5), seconds(25))
        };
        assert_eq!((warning(None), warning(Some(32))), (None, None));
        let expected = "the process may be killed while it stops: a stop takes up to 31s, which is \
                        DRAIN_DELAY, DRAIN_TIMEOUT and 1s, and TERMINATION_GRACE_PERIOD is 31s; \
                        make the first two shorter";
        assert_eq!(warning(Some(31)).as_deref(), Some(expected));
        assert!(warning(Some(10)).is_some());
    }
}
