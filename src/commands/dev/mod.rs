//! `dev`: a private PostgreSQL in the data directory, the demo accounts, and the service on them.
//! One process starts and stops all of them.

mod demo;
mod files;

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use private_postgres::{Durability, Options, PrivatePostgres, misleading_variables};
use tokio_util::sync::CancellationToken;

use super::call::{AccessKey, signed_url};
use super::database::OpenedDatabase;
use super::stopping::follow_signals;
use super::{announce, open_callers, read_key_ring, settings};
use crate::auth::secret::Secret;
use crate::auth::services::ServiceFiles;
use crate::clock::Clock;
use crate::config::{DevSettings, ServingCommand};
use crate::domain::{Time, time};
use crate::logging::{self, Output};
use crate::server::Server;
use crate::storage::{self, DatabaseUrl, Store};

const DATABASE: &str = "cdn_activation";
/// Longest drain. `dev` ends within seconds, even if its clients keep connections open.
const LONGEST_DRAIN: Duration = Duration::from_secs(3);
/// Interval between checks whether PostgreSQL still runs.
const LOOK_AT_POSTGRES: Duration = Duration::from_millis(500);

/// Runs the command.
pub async fn run(mut dev: DevSettings) -> anyhow::Result<()> {
    start_without(&misleading_variables().collect::<Vec<_>>())?;
    let data_dir = files::data_dir(dev.data_dir.take())?;
    let options = Options {
        data_dir: data_dir.clone(),
        durability: Durability::Durable,
        pg_bin: dev.pg_bin.take(),
    };
    // A request to stop while the database starts must stop the database, too.
    let stop = follow_signals(None)?;
    let start = move || PrivatePostgres::start(&options);
    let mut postgres = tokio::task::spawn_blocking(start).await??;
    let served = serve(dev, &data_dir, &mut postgres, stop).await;
    tokio::task::spawn_blocking(move || postgres.stop()).await?;
    served
}

/// If there are such variables, starts this program again without them, as the same process. The
/// driver of the database uses them as defaults of every connection, and a process cannot safely
/// remove variables from its own environment.
fn start_without(variables: &[OsString]) -> anyhow::Result<()> {
    if variables.is_empty() {
        return Ok(());
    }
    let mut again = Command::new(std::env::current_exe()?);
    again.args(std::env::args_os().skip(1));
    for variable in variables {
        again.env_remove(variable);
    }
    let error = again.exec(); // returns only if it fails
    Err(error).with_context(|| format!("cannot start again without {variables:?}; unset them"))
}

async fn serve(
    dev: DevSettings,
    data_dir: &std::path::Path,
    postgres: &mut PrivatePostgres,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let admin = postgres.url("postgres").parse()?;
    storage::create_database(&admin, DATABASE).await.context("cannot create the database")?;
    let database: DatabaseUrl = postgres.url(DATABASE).parse()?;
    storage::migrate_on(&database, dev.shared.database_use.engine)
        .await
        .context("the schema could not be brought up to date")?;

    let keys = files::Keys::make(data_dir, &dev.shared)?;
    let key_ring = read_key_ring(&keys.sealing_key)?;
    let callers = open_callers(ServiceFiles {
        tokens: Some(keys.service_token.clone()),
        grants: dev.shared.callers.grants_file.clone(),
        development: true,
    })?;
    let clock = dev.at.map_or_else(Clock::system, Clock::starting_at);
    let mut shared = dev.shared;
    let computed = shared.computed(ServingCommand::Dev);
    logging::sample_calls(computed.log_one_in);
    shared.draining.drain_timeout = shared.draining.drain_timeout.min(LONGEST_DRAIN);
    let database = OpenedDatabase { url: database, file: None };
    let mut settings =
        settings(&shared, &computed, database, key_ring.clone(), callers, clock.clone())?;
    if let Some(explorer) = &mut settings.explorer {
        explorer.accounts = demo::accounts();
    }
    let mut server = Server::bind(settings).await?;
    let explorer = if computed.explorer { Some(server.point_to_own_explorer()?) } else { None };
    demo::create(server.store(), &key_ring, clock.wire_now()).await?;
    if let Some(at) = dev.at {
        warn_of_the_future(server.store(), at).await?;
    }

    let ready = announce(&server)?;
    let paste = paste_lines(&server, &keys, explorer.as_deref())?;
    let died = Cell::new(false);
    let stop = async {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = until_death_of(postgres) => died.set(true),
        }
    };
    server
        .run(stop, move || {
            logging::say(Output::Stdout, &ready);
            logging::say(Output::Stderr, &paste);
        })
        .await?;
    if died.get() { Err(postgres.died().into()) } else { Ok(()) }
}

/// Returns when PostgreSQL has ended. `dev` does not start it again: the cause should be noticed,
/// and `dev` can be started again with one command.
async fn until_death_of(postgres: &mut PrivatePostgres) {
    while !postgres.has_died() {
        tokio::time::sleep(LOOK_AT_POSTGRES).await;
    }
}

/// Warns if the business clock starts before something that is stored. Openings and changes would
/// be shown that have not happened yet.
async fn warn_of_the_future(store: &Store, at: Time) -> anyhow::Result<()> {
    if let Some(latest) = store.latest_submission().await?.filter(|latest| *latest > at) {
        let (at, latest) = (time::format(at), time::format(latest));
        tracing::warn!(
            "--at {at} is earlier than what is stored: something was submitted at {latest}"
        );
    }
    Ok(())
}

/// Returns commands to paste into another terminal.
fn paste_lines(
    server: &Server,
    keys: &files::Keys,
    explorer: Option<&str>,
) -> anyhow::Result<String> {
    let addresses = server.addresses()?;
    let key = AccessKey {
        id: demo::OPENED.to_owned(),
        secret: Secret::new(demo::SECRET.to_owned()),
        security_token: None,
    };
    let (curl, grpcurl) = match server.scheme() {
        "https" => ("curl --cacert CA_FILE", "grpcurl -cacert CA_FILE"),
        _ => ("curl", "grpcurl -plaintext"),
    };
    let endpoint = format!("{}://{}", server.scheme(), addresses.rest);
    let url = signed_url(&endpoint, "DescribeDcdnService", "2018-01-15", "JSON", &[], &key)?;
    let explorer = explorer
        .map(|address| format!("\nExplorer and error center: {address}\n"))
        .unwrap_or_default();
    Ok(format!(
        "{explorer}\nPaste into another terminal (the signed URL is good for one request within 15 minutes):\n  \
         {curl} '{url}'\n  \
         {grpcurl} -H \"authorization: Bearer $(cat {token})\" -H 'x-account-id: {account}' \
         {grpc} activation.dcdn.v1.DcdnService/DescribeDcdnService\n\n",
        token = keys.service_token.display(),
        account = demo::OPENED_ACCOUNT,
        grpc = addresses.grpc,
    ))
}
