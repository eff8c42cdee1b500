//! The settings of `new-generation`.

use clap::Args;

use super::DatabaseSettings;

/// Settings of `new-generation`.
#[derive(Args, Debug)]
pub struct NewGenerationSettings {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub database: DatabaseSettings,
}
