//! `serve`: serves on an existing database.

use anyhow::Context;

use super::stopping::follow_signals;
use super::{announce, database_url, hardening, open_callers, read_key_ring, settings};
use crate::auth::services::{ServiceDirectory, ServiceFiles};
use crate::clock::Clock;
use crate::config::{CallerSettings, ServeSettings};
use crate::logging::{self, Output};
use crate::server::Server;

/// One in so many successful calls is logged. A log line is a system call for one request, while
/// requests share all other system calls.
const LOG_ONE_IN: u32 = 100;

/// Runs the command.
pub async fn run(serve: ServeSettings) -> anyhow::Result<()> {
    hardening::forbid_dumps()?;
    let database = database_url("DATABASE_URL", &serve.database_url)?;
    let sealing_key =
        serve.shared.sealing_key_file.as_deref().context("SEALING_KEY_FILE is not set")?;
    let key_ring = read_key_ring(sealing_key)?;
    let callers = callers(&serve.shared.callers)?;
    let settings = settings(&serve.shared, database, key_ring, callers, Clock::system())?;
    logging::sample_calls(serve.shared.log_one_in.unwrap_or(LOG_ONE_IN));
    let server = Server::bind(settings).await?;
    let ready = announce(&server)?;
    let draining = &serve.shared.draining;
    let stop = follow_signals(Some(draining.delay() + draining.drain_timeout))?;
    server
        .run(stop.cancelled_owned(), move || {
            logging::say(Output::Stdout, &ready);
            logging::to_stdout();
        })
        .await?;
    Ok(())
}

/// Reads the tokens and grants of calling services, and warns if a file is not set.
fn callers(settings: &CallerSettings) -> anyhow::Result<ServiceDirectory> {
    let CallerSettings { service_token_file, grants_file, .. } = settings.clone();
    if service_token_file.is_none() {
        tracing::warn!("SERVICE_TOKEN_FILE is not set: no token of a calling service is valid");
    }
    if grants_file.is_none() {
        tracing::warn!("GRANTS_FILE is not set: calling services are granted nothing");
    }
    open_callers(ServiceFiles {
        tokens: service_token_file,
        grants: grants_file,
        development: false,
    })
}
