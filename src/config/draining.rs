//! The settings of the stop of the service.

use std::time::Duration;

use clap::Args;

use super::values::between;

/// How much longer than `DRAIN_DELAY` and `DRAIN_TIMEOUT` a stop may take. Then the process exits.
pub const STOP_SLACK: Duration = Duration::from_secs(1);

/// Settings of the stop of the service.
#[derive(Args, Clone, Debug)]
pub struct DrainSettings {
    /// Time from SIGTERM until the listeners close: 0s to 5m. During that time, requests are
    /// served, /readyz answers 503, and each answer over HTTP/1 closes its connection. Default: 5s;
    /// `dev`: 0s.
    #[arg(long, env = "DRAIN_DELAY", value_parser = between("0s", "5m"))]
    pub drain_delay: Option<Duration>,
    /// Time that running requests have to finish after DRAIN_DELAY: 0s to 5m. `dev` waits at most
    /// 3s.
    #[arg(long, env = "DRAIN_TIMEOUT", default_value = "25s", value_parser = between("0s", "5m"))]
    pub drain_timeout: Duration,
}
