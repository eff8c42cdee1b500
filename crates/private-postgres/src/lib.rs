//! A private `PostgreSQL`, run from the binaries of this machine: for development, tests and
//! benchmarks.
//!
//! It listens on a Unix socket only, in a directory that no other user can enter; this is its only
//! access control. It ends with its owner in every case, also when the owner is killed: see
//! `watchdog`. As root it runs as an unprivileged user: see `user`. All functions block.

mod binaries;
mod cluster;
mod directories;
mod error;
mod log;
#[cfg(test)]
mod tests;
mod user;
mod watchdog;

pub use directories::{DataDir, choose_data_dir};
pub use error::StartError;
pub use user::misleading_variables;

use binaries::Binaries;
use directories::{Directories, PORT};
use log::Log;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use user::ServerUser;
use watchdog::Watchdog;

/// How long a predecessor in the same directory may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server may take until it accepts connections. It is longer than a usual recovery.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How a private server is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory. The cluster is its subdirectory `postgres`.
    pub data_dir: PathBuf,
    /// Whether the data outlives the server.
    pub durability: Durability,
    /// The directory with `initdb` and `postgres` (`PG_BIN`); `None` looks for them.
    pub pg_bin: Option<PathBuf>,
}

/// Whether the data of a private server outlives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Commits are on disk, the server is stopped cleanly, and no data is ever deleted.
    Durable,
    /// Fast and not kept: nothing is synced, and the data directory, which must not exist before,
    /// is removed at the end by the server's user. It is kept if it contains another file. It is
    /// left empty if this process is killed and that user may not write to the directory above it.
    Throwaway,
}

/// A running private server. Dropping it, or [`PrivatePostgres::stop`], stops the server.
#[derive(Debug)]
pub struct PrivatePostgres {
    // The order matters: the server ends before its directories are removed.
    watchdog: Watchdog,
    directories: Directories,
}

impl PrivatePostgres {
    /// Starts a server and waits until it accepts connections. A cluster that does not exist is
    /// made; one that a killed server left is recovered.
    ///
    /// # Errors
    ///
    /// Every [`StartError`]: nothing usable is installed, the directory is in use or cannot be
    /// used, or `initdb` or the server failed. Nothing is left running.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        Self::start_patiently(options, PATIENCE)
    }

    /// As [`PrivatePostgres::start`], with the time a predecessor is given to end.
    fn start_patiently(options: &Options, patience: Duration) -> Result<Self, StartError> {
        let deadline = Instant::now() + patience;
        let data_dir = directories::absolute(&options.data_dir)?;
        let cluster = directories::cluster_in(&data_dir);
        let user = ServerUser::of_cluster(&cluster)?;
        let binaries = Binaries::find(options.pg_bin.as_deref(), &cluster)?;
        let directories = Directories::prepare(&data_dir, options.durability, &user)?;
        let cluster = directories.cluster();
        let log = Log::take(&directories.log(), directories.is_throwaway(), deadline)?;
        let log = log.ok_or_else(|| in_use(&directories))?;
        cluster::clear_dead_server(&cluster, deadline)?;
        directories.remove_stale_socket()?;
        let server = command_line(&binaries, &directories, options.durability);
        let mut watchdog = Watchdog::spawn(server, &directories, options.durability, &user, &log)?;
        cluster::make_if_missing(&directories, &binaries, &user, &log)?;
        watchdog.start_server()?;
        wait_until_ready(&mut watchdog, &cluster, &log)?;
        Ok(Self { watchdog, directories })
    }

    /// A connection URL for one of the server's databases, for sqlx and for libpq.
    ///
    /// It contains everything that a client would otherwise take from `PGPORT`, `PGUSER` or
    /// `PGSSLMODE`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let database = percent_encoded(database.as_bytes());
        let socket_dir = self.directories.socket_dir().as_os_str().as_encoded_bytes();
        let socket_dir = percent_encoded(socket_dir);
        format!(
            "postgres:///{database}?host={socket_dir}&port={PORT}&user=postgres&sslmode=disable"
        )
    }

    /// The directory that holds the server's data, from the root on and without links.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.directories.data_dir()
    }

    /// Returns whether the server has ended without a request to stop.
    pub fn has_died(&mut self) -> bool {
        self.watchdog.has_ended()
    }

    /// Returns the error for a server that has died.
    #[must_use]
    pub fn died(&self) -> StartError {
        let (directory, log) = (self.directories.data_dir().to_owned(), self.directories.log());
        StartError::Died { directory, log }
    }

    /// Stops the server and waits until it has ended, as dropping it does.
    pub fn stop(self) {
        let Self { watchdog, directories } = self;
        drop(watchdog);
        drop(directories);
    }
}

/// Returns the error for a data directory whose lock is held.
fn in_use(directories: &Directories) -> StartError {
    let server = cluster::recorded_server(&directories.cluster().join("postmaster.pid"));
    let process = server.map_or_else(String::new, |pid| format!(" (process {pid})"));
    StartError::InUse { directory: directories.data_dir().to_owned(), process }
}

/// Returns the server's program and arguments. These settings override `postgresql.conf`.
fn command_line(
    binaries: &Binaries,
    directories: &Directories,
    durability: Durability,
) -> impl Iterator<Item = OsString> {
    let synced = match durability {
        Durability::Durable => "on",
        Durability::Throwaway => "off",
    };
    let mut socket_dir = OsString::from("unix_socket_directories=");
    socket_dir.push(directories.socket_dir());
    let settings = [
        "listen_addresses=".to_owned(),
        format!("port={PORT}"),
        "max_connections=200".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "logging_collector=off".to_owned(),
        format!("fsync={synced}"),
        format!("synchronous_commit={synced}"),
        format!("full_page_writes={synced}"),
    ];
    let settings = settings.into_iter().map(OsString::from).chain([socket_dir]);
    let program = binaries.program("postgres").into_os_string();
    let start = [program, "-D".into(), directories.cluster().into_os_string()];
    start.into_iter().chain(settings.flat_map(|setting| ["-c".into(), setting]))
}

/// Waits until the server accepts connections.
fn wait_until_ready(watchdog: &mut Watchdog, cluster: &Path, log: &Log) -> Result<(), StartError> {
    let deadline = Instant::now() + READY_WITHIN;
    while !cluster::is_ready(cluster) {
        if watchdog.has_ended() {
            return Err(StartError::Ended { log: log.tail() });
        }
        if Instant::now() >= deadline {
            return Err(StartError::NotReady { seconds: READY_WITHIN.as_secs(), log: log.tail() });
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Encodes every byte that is neither an unreserved character of a URL nor a slash.
fn percent_encoded(text: &[u8]) -> String {
    text.iter().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(*byte));
            }
            _ => write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
        encoded
    })
}
