//! Settings of quotas.

use std::time::Duration;

use clap::Args;

use super::values::between;
use crate::quotas::QuotaOptions;

/// Settings of quotas.
#[derive(Args, Clone, Debug)]
pub struct QuotaSettings {
    /// Whether the service limits how often an account calls an action of the RPC query format, how
    /// many requests a caller runs at the same time, and how many unknown access keys an address
    /// sends. Default: yes; `dev`: no.
    #[arg(long, env = "QUOTAS", action = clap::ArgAction::Set)]
    pub quotas: Option<bool>,
    /// How many seconds of its limit an account may use at once: 1s to 60s.
    #[arg(long, env = "QUOTA_BURST", default_value = "1s", value_parser = between("1s", "60s"))]
    pub quota_burst: Duration,
}

impl QuotaSettings {
    /// Returns the options of quotas.
    #[must_use]
    pub fn options(&self) -> QuotaOptions {
        QuotaOptions { burst: self.quota_burst }
    }
}
