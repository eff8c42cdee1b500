//! What our service does for each call besides its work: quotas, and TLS.

use std::path::Path;
use std::process::Command;

use crate::callers::write_secret;
use crate::tls::Certificate;

/// The guards that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guards {
    /// None.
    Fewest,
    /// Quotas that refuse nothing.
    Quotas,
    /// The same, and TLS.
    QuotasAndTls,
}

/// The load is one of several calling services, and has a quota that it cannot reach.
const GRANTS: &str = r#"[[identity]]
name = "bench"
actions = ["*"]
calls_per_second = 1000000
burst = 1000000

[[identity]]
name = "shop"
actions = ["*"]
accounts = [10000000, 10000001, 10000002]
calls_per_second = 100

[[identity]]
name = "console"
operators = ["*/Get*", "*/List*", "*/Watch*"]
"#;

impl Guards {
    /// Returns the name of the log.
    pub(super) fn log(self) -> &'static str {
        match self {
            Self::Fewest => "ours.log",
            Self::Quotas => "quotas.log",
            Self::QuotasAndTls => "tls.log",
        }
    }

    /// Tells them to the service; returns its certificate if it takes TLS only.
    pub(super) fn set(
        self,
        command: &mut Command,
        directory: &Path,
    ) -> anyhow::Result<Option<Certificate>> {
        command.env("QUOTAS", (self != Self::Fewest).to_string());
        if self == Self::Fewest {
            return Ok(None);
        }
        let grants = directory.join("grants.toml");
        write_secret(&grants, GRANTS)?;
        command.env("GRANTS_FILE", grants);
        if self == Self::Quotas {
            return Ok(None);
        }
        let certificate = Certificate::make(directory)?;
        command.envs(certificate.settings());
        Ok(Some(certificate))
    }
}
