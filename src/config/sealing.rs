//! The settings of `reseal`.

use std::path::PathBuf;

use clap::Args;

use super::DatabaseSettings;

/// Settings of `reseal`.
#[derive(Args, Debug)]
pub struct ResealSettings {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment would become the help of the command")]
    pub database: DatabaseSettings,
    /// File with the sealing keys, one a line: the first one encrypts, all of them decrypt.
    #[arg(long, env = "SEALING_KEY_FILE")]
    pub sealing_key_file: PathBuf,
}
