//! The settings of audit. The doc comments are the texts of `--help`.

use std::time::Duration;

use clap::Args;

use super::values::between;

/// Settings of audit.
#[derive(Args, Clone, Debug)]
pub struct AuditSettings {
    /// How long audit records are kept: 1d to 3650d.
    #[arg(long, env = "AUDIT_RETENTION", default_value = "400d", value_parser = between("1d", "3650d"))]
    pub audit_retention: Duration,
}
