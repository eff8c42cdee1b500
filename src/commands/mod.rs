//! The commands of the program. Each reads its settings, and ends with an exit status and, if it
//! fails, with one sentence.

pub mod call;
mod database;
pub mod descriptors;
pub mod dev;
pub mod explain;
mod hardening;
mod listening;
pub mod migrate;
pub mod new_generation;
pub mod reseal;
pub mod serve;
mod stopping;
mod telemetry;
pub mod token;

use std::fmt::Display;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};

use self::database::OpenedDatabase;
use crate::auth::sealing::KeyRing;
use crate::auth::services::{ServiceDirectory, ServiceFileError, ServiceFiles};
use crate::clock::Clock;
use crate::config::{ComputedSettings, SharedSettings, named};
use crate::domain::opening::Limits;
use crate::error::Error;
use crate::explorer::ExplorerSettings;
use crate::server::descriptors::fit;
use crate::server::{Addresses, Bounds, Server, ServerSettings};
use crate::storage;

/// Returns the settings of a server. The parameters are those that `dev` and `serve` get in
/// different ways.
fn settings(
    shared: &SharedSettings,
    computed: &ComputedSettings,
    database: OpenedDatabase,
    key_ring: KeyRing,
    callers: ServiceDirectory,
    clock: Clock,
) -> anyhow::Result<ServerSettings> {
    let connections = computed.db_connections;
    let bounds = Bounds {
        grpc_connections: shared.grpc_connections.into(),
        rest_connections: shared.rest_connections.into(),
        keep_alive: shared.keep_alive,
        age: shared.connections.connection_age,
        keepalive_interval: shared.connections.grpc_keepalive_interval,
        keepalive_timeout: shared.connections.grpc_keepalive_timeout,
        streams: shared.connections.grpc_streams,
        ..Bounds::default()
    };
    Ok(ServerSettings {
        addresses: Addresses {
            grpc: shared.grpc_addr.clone(),
            rest: shared.rest_addr.clone(),
            ops: shared.ops_addr.clone(),
        },
        listening: listening::listening(&shared.listening)?,
        database: storage::StoreOptions {
            engine: shared.database_use.engine,
            ..storage::StoreOptions::new(database.url, connections)
        },
        database_file: database.file,
        orders: listening::orders(shared)?,
        key_ring,
        callers,
        reflection: shared.callers.reflection,
        timestamp_window: chrono::Duration::from_std(shared.timestamp_window)?,
        limits: Limits { minimum_balance: shared.minimum_balance },
        overdue_grace: chrono::Duration::from_std(shared.overdue_grace)?,
        event_retention: chrono::Duration::from_std(shared.event_retention)?,
        audit_retention: chrono::Duration::from_std(shared.audit.audit_retention)?,
        workers: shared.workers,
        cores: computed.cores.into(),
        bounds: fit(bounds, connections)?,
        drain_delay: computed.drain_delay,
        drain_timeout: shared.draining.drain_timeout,
        explorer: computed.explorer.then(ExplorerSettings::default),
        explorer_url: shared.explorer_url.clone(),
        quotas: computed.quotas.then(|| shared.quotas.options()),
        traces: telemetry::traces(&shared.telemetry)?,
        clock,
    })
}

/// Returns the line for standard output that says that all three listeners answer.
fn announce(server: &Server) -> anyhow::Result<String> {
    Ok(format!("ready {}\n", server.addresses()?))
}

/// Prints the result of a command, and waits until it is written. Only commands that do not serve
/// may use it.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")
}

/// Prints bytes, as [`print()`] prints a text.
fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context("cannot write to standard output")
}

/// Says what the database has answered.
fn explained(error: Error) -> anyhow::Error {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    anyhow::Error::from(error).context(cause.unwrap_or_else(|| "the database failed".to_owned()))
}

/// Reads the key ring, which then follows its file.
fn read_key_ring(path: &Path) -> anyhow::Result<KeyRing> {
    KeyRing::of_file(path)
        .map_err(|error| anyhow!("{}: {}", named("SEALING_KEY_FILE"), error.about(path)))
}

/// Reads the tokens and grants of calling services.
fn open_callers(files: ServiceFiles) -> anyhow::Result<ServiceDirectory> {
    ServiceDirectory::open(files).map_err(|error| {
        let setting = match error {
            ServiceFileError::Tokens(_) => "SERVICE_TOKEN_FILE",
            ServiceFileError::Grants(_) => "GRANTS_FILE",
        };
        anyhow!("{}: {error}", named(setting))
    })
}
