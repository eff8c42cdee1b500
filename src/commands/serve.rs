//! `serve`: serves on an existing database.

use anyhow::Context;

use super::{
    announce, database_url, hardening, open_callers, read_key_ring, settings, stop_requested,
};
use crate::auth::services::{ServiceDirectory, ServiceFiles};
use crate::clock::Clock;
use crate::config::{CallerSettings, ServeSettings};
use crate::logging::{self, Output};
use crate::server::{Addresses, Server};

/// One in so many successful calls is logged. A log line is a system call for one request, while
/// requests share all other system calls.
const LOG_ONE_IN: u32 = 100;

/// The version of the program, for its log lines.
const VERSION: &str = env!("CARGO_PKG_VERSION");

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
    let Addresses { grpc, rest, ops } = server.addresses()?;
    // The lines of the life of a process, which have the same fields.
    let life = move |what: &str| {
        tracing::info!(version = VERSION, %grpc, %rest, %ops, "{what}");
    };
    life("starting: the listeners are bound");
    let stop = async {
        if let Err(error) = stop_requested().await {
            tracing::error!(%error, "cannot receive signals");
        }
        life("draining: a stop was requested");
    };
    server
        .run(stop, move || {
            logging::say(Output::Stdout, &ready);
            logging::to_stdout();
            life("ready: all listeners answer");
        })
        .await?;
    life("stopped");
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
