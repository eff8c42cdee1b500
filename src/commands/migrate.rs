//! `migrate`: brings the schema up to date, and ends.

use anyhow::Context;

use crate::config::MigrateSettings;
use crate::storage;

/// Runs the command.
pub async fn run(settings: MigrateSettings) -> anyhow::Result<()> {
    let url = settings.db_admin_url.or(settings.database_url).context("DATABASE_URL is not set")?;
    // The parser's error would repeat the URL, and the password in it.
    let url = url.parse().ok().context("DATABASE_URL is no postgres:// URL")?;
    storage::migrate(&url).await.context("the schema could not be brought up to date")?;
    tracing::info!("the schema is up to date");
    Ok(())
}
