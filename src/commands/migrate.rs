//! `migrate`: brings the schema up to date, or prints its state, and exits.

use std::process::ExitCode;

use anyhow::Context;

use super::database::OpenedDatabase;
use super::print;
use crate::config::MigrateSettings;
use crate::storage::{self, Migrated};

/// Runs the command.
pub async fn run(settings: MigrateSettings) -> anyhow::Result<ExitCode> {
    let url = OpenedDatabase::open(settings.source())?.url;
    if settings.status {
        let status = storage::schema_status(&url).await;
        let status = status.context("the state of the schema could not be read")?;
        print(&status)?;
        return Ok(if status.is_up_to_date() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let migrated = storage::migrate_on(&url, settings.engine).await;
    match migrated.context("the schema could not be brought up to date")? {
        Migrated::UpToDate => tracing::info!("the schema is up to date"),
        Migrated::Newer(version) => {
            tracing::info!(version, "the schema is newer than this program; nothing was changed");
        }
    }
    Ok(ExitCode::SUCCESS)
}
