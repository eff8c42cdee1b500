//! The settings of `reseal`.

use std::path::PathBuf;

use clap::Args;

/// Settings of `reseal`.
#[derive(Args, Debug)]
pub struct ResealSettings {
    /// URL of the database: postgres://user:password@host/name
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// File with the sealing keys, one a line: the first one encrypts, all of them decrypt.
    #[arg(long, env = "SEALING_KEY_FILE")]
    pub sealing_key_file: PathBuf,
}
