//! The settings of `new-generation`.

use clap::Args;

/// Settings of `new-generation`.
#[derive(Args, Debug)]
pub struct NewGenerationSettings {
    /// URL of the database: postgres://user:password@host/name
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
}
