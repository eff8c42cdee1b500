//! `migrate`: brings the schema up to date, and exits.

use anyhow::Context;

use super::database_url;
use crate::config::MigrateSettings;
use crate::storage::{self, Migrated};

/// Runs the command.
pub async fn run(settings: MigrateSettings) -> anyhow::Result<()> {
    let admin = settings.db_admin_url.map(|url| ("DB_ADMIN_URL", url));
    let url = admin.or(settings.database_url.map(|url| ("DATABASE_URL", url)));
    let (name, url) = url.context("DATABASE_URL is not set")?;
    let url = database_url(name, &url)?;
    let migrated = storage::migrate_on(&url, settings.engine).await;
    match migrated.context("the schema could not be brought up to date")? {
        Migrated::UpToDate => tracing::info!("the schema is up to date"),
        Migrated::Newer(version) => {
            tracing::info!(version, "the schema is newer than this program; nothing was changed");
        }
    }
    Ok(())
}
