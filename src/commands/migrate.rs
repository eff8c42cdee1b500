//! `migrate`: brings the schema up to date, and ends.

use anyhow::Context;

use super::database_url;
use crate::config::MigrateSettings;
use crate::storage;

/// Runs the command.
pub async fn run(settings: MigrateSettings) -> anyhow::Result<()> {
    let admin = settings.db_admin_url.map(|url| ("DB_ADMIN_URL", url));
    let url = admin.or(settings.database_url.map(|url| ("DATABASE_URL", url)));
    let (name, url) = url.context("DATABASE_URL is not set")?;
    let url = database_url(name, &url)?;
    storage::migrate(&url).await.context("the schema could not be brought up to date")?;
    tracing::info!("the schema is up to date");
    Ok(())
}
