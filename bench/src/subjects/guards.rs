//! What our service does for each call besides its work: quotas, TLS, and traces.

use std::path::Path;
use std::process::Command;

use crate::callers::write_secret;
use crate::servers::collector;
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
    /// No quotas, but traces of one call in a hundred.
    Traces,
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
            Self::Traces => "traces.log",
        }
    }

    /// Tells them to the service; returns its certificate if it takes TLS only.
    pub(super) fn set(
        self,
        command: &mut Command,
        directory: &Path,
    ) -> anyhow::Result<Option<Certificate>> {
        let has_quotas = matches!(self, Self::Quotas | Self::QuotasAndTls);
        command.env("QUOTAS", has_quotas.to_string());
        if self == Self::Traces {
            let collector = collector::start()?;
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}"));
            // The callers name a trace that they do not record, which this sampler does not follow.
            command.env("OTEL_TRACES_SAMPLER", "traceidratio");
            command.env("OTEL_TRACES_SAMPLER_ARG", "0.01");
        }
        if !has_quotas {
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
