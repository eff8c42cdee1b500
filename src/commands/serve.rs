//! `serve`: serves on an existing database.

use anyhow::Context;

use super::{announce, database_url, read_key_ring, read_service_token, settings, stop_requested};
use crate::clock::Clock;
use crate::config::ServeSettings;
use crate::logging::{self, Output};
use crate::server::Server;

/// One in so many successful calls is logged. A log line is a system call for one request, while
/// requests share all other system calls.
const LOG_ONE_IN: u32 = 100;

/// Runs the command.
pub async fn run(serve: ServeSettings) -> anyhow::Result<()> {
    let database = database_url("DATABASE_URL", &serve.database_url)?;
    let sealing_key =
        serve.shared.sealing_key_file.as_deref().context("SEALING_KEY_FILE is not set")?;
    let key_ring = read_key_ring(sealing_key)?;
    let token = serve.shared.service_token_file.as_deref().map(read_service_token).transpose()?;
    if token.is_none() {
        tracing::warn!("SERVICE_TOKEN_FILE is not set: gRPC answers health checks only");
    }
    let settings = settings(&serve.shared, database, key_ring, token, Clock::system())?;
    logging::sample_calls(serve.shared.log_one_in.unwrap_or(LOG_ONE_IN));
    let server = Server::bind(settings).await?;
    let ready = announce(&server)?;
    let stop = async {
        if let Err(error) = stop_requested().await {
            tracing::error!(%error, "cannot receive signals");
        }
    };
    server
        .run(stop, move || {
            logging::say(Output::Stdout, &ready);
            logging::to_stdout();
        })
        .await?;
    Ok(())
}
