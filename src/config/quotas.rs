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
    /// Returns the options of quotas, or `None` if there are no quotas.
    #[must_use]
    pub fn options(&self) -> Option<QuotaOptions> {
        self.quotas.unwrap_or(true).then_some(QuotaOptions { burst: self.quota_burst })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::{Cli, Command};

    fn quotas(arguments: &[&str]) -> Option<QuotaOptions> {
        let command = ["cdn-activation", "serve", "--database-url", "postgres://h/d"];
        let cli = Cli::try_parse_from([&command[..], arguments].concat()).unwrap();
        let Command::Serve(serve) = cli.command else { panic!("another command") };
        serve.shared.quotas.options()
    }

    #[test]
    fn quotas_are_on_unless_they_are_switched_off() {
        assert_eq!(quotas(&[]), Some(QuotaOptions { burst: Duration::from_secs(1) }));
        let longer = Some(QuotaOptions { burst: Duration::from_secs(5) });
        assert_eq!(quotas(&["--quota-burst", "5s"]), longer);
        assert_eq!(quotas(&["--quotas", "false"]), None);
    }
}
