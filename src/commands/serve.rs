//! `serve`: serves on an existing database.

use anyhow::anyhow;

use super::database::OpenedDatabase;
use super::stopping::follow_signals;
use super::{announce, hardening, open_callers, read_key_ring, settings};
use crate::auth::services::{ServiceDirectory, ServiceFiles};
use crate::clock::Clock;
use crate::config::{CallerSettings, ServeSettings, ServingCommand, named};
use crate::logging::{self, Output};
use crate::server::{Addresses, Server};

/// The version of the program, for its log lines.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the command.
pub async fn run(serve: ServeSettings) -> anyhow::Result<()> {
    hardening::forbid_dumps()?;
    let database = OpenedDatabase::open(serve.database.source())?;
    let sealing_key = serve.shared.sealing_key_file.as_deref();
    let sealing_key =
        sealing_key.ok_or_else(|| anyhow!("{} is not set", named("SEALING_KEY_FILE")))?;
    let key_ring = read_key_ring(sealing_key)?;
    let callers = callers(&serve.shared.callers)?;
    let computed = serve.shared.computed(ServingCommand::Serve);
    let (delay, timeout) = (computed.drain_delay, serve.shared.draining.drain_timeout);
    if let Some(warning) = serve.shared.grace.warning(delay, timeout) {
        tracing::warn!("{warning}");
    }
    let settings =
        settings(&serve.shared, &computed, database, key_ring, callers, Clock::system())?;
    logging::sample_calls(computed.log_one_in);
    let server = Server::bind(settings).await?;
    let ready = announce(&server)?;
    let Addresses { grpc, rest, ops } = server.addresses()?;
    // The lines of the life of a process, which have the same fields.
    let life = move |what: &str| {
        tracing::info!(version = VERSION, %grpc, %rest, %ops, "{what}");
    };
    life("starting: the listeners are bound");
    let asked = follow_signals(Some(delay + timeout))?;
    let stop = async move {
        asked.cancelled().await;
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
