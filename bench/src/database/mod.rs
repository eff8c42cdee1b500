//! The PostgreSQL of a run: a private server that keeps its data between runs, is as durable as in
//! production, and has settings for the size of the data.

mod base;
mod keys;
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use private_postgres::{Durability, Options, PrivatePostgres, StartError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::runtime::Runtime;

pub use keys::Keys;

/// Where the data is when the server's user cannot reach the build directory: as for `dev`.
const FALLBACK: &str = "/var/lib/cdn-activation/bench";
/// The database that a run works on.
const RUN: &str = "run";
/// From this number of accounts on, the server gets more shared memory.
const MANY_ACCOUNTS: u64 = 5_000_000;

/// The server.
pub struct Database {
    server: Option<PrivatePostgres>,
    options: Options,
    runtime: Runtime,
}

impl Database {
    /// Starts the server with settings for this number of accounts.
    pub fn start(work_dir: &Path, pg_bin: Option<PathBuf>, accounts: u64) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut options =
            Options { data_dir: work_dir.join("data"), durability: Durability::Durable, pg_bin };
        let server = match PrivatePostgres::start(&options) {
            Err(StartError::Unreachable { .. }) => {
                options.data_dir = FALLBACK.into();
                println!(
                    "the data is in {FALLBACK}: PostgreSQL's user cannot reach the usual place"
                );
                PrivatePostgres::start(&options)?
            }
            started => started?,
        };
        let mut database = Self { server: Some(server), options, runtime };
        database.set(accounts)?;
        Ok(database)
    }

    /// Changes settings, and restarts the server if one has changed.
    fn set(&mut self, accounts: u64) -> anyhow::Result<()> {
        let settings = [
            ("shared_buffers", if accounts >= MANY_ACCOUNTS { "2GB" } else { "1GB" }),
            // The results would depend on whether the machine has set huge pages aside.
            ("huge_pages", "off"),
            // A checkpoint within a row would be part of its CPU time.
            ("max_wal_size", "16GB"),
            ("checkpoint_timeout", "1h"),
        ];
        let mut changed = false;
        for (name, value) in settings {
            if self.value::<String>("postgres", &format!("SHOW {name}"))? != value {
                self.execute("postgres", &format!("ALTER SYSTEM SET {name} = '{value}'"))?;
                changed = true;
            }
        }
        if changed { self.restart() } else { Ok(()) }
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        if let Some(server) = self.server.take() {
            server.stop();
        }
        self.server = Some(PrivatePostgres::start(&self.options)?);
        Ok(())
    }

    /// Returns the directory of the data.
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Returns the URL of the database of the run.
    pub fn run_url(&self) -> anyhow::Result<String> {
        self.url(RUN)
    }

    /// Returns the process id of the server's first process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let path = self.options.data_dir.join("postgres/postmaster.pid");
        let text = fs::read_to_string(&path).context("the server is not running")?;
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        pid.with_context(|| format!("{} holds no process number", path.display()))
    }

    /// Returns the path of a program of the server's version.
    pub fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let server = fs::read_link(format!("/proc/{}/exe", self.pid()?))?;
        let program = server.with_file_name(name);
        anyhow::ensure!(program.is_file(), "{} is missing", program.display());
        Ok(program)
    }

    /// Returns the server's version.
    pub fn version(&self) -> anyhow::Result<String> {
        let version: String = self.value("postgres", "SHOW server_version")?;
        Ok(version.split(' ').next().unwrap_or_default().to_owned())
    }

    fn url(&self, database: &str) -> anyhow::Result<String> {
        Ok(self.server.as_ref().context("the server is stopped")?.url(database))
    }

    fn options(&self, database: &str) -> anyhow::Result<PgConnectOptions> {
        Ok(PgConnectOptions::from_str(&self.url(database)?)?.disable_statement_logging())
    }

    /// Runs `work` on a new connection.
    fn with<T>(
        &self,
        database: &str,
        work: impl AsyncFnOnce(&mut PgConnection) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let options = self.options(database)?;
        self.runtime.block_on(async {
            let mut connection = options.connect().await?;
            let result = work(&mut connection).await;
            connection.close().await?;
            result
        })
    }

    /// Runs statements.
    fn execute(&self, database: &str, statements: &str) -> anyhow::Result<()> {
        let statements = AssertSqlSafe(statements.to_owned());
        self.with(database, async |connection| {
            sqlx::raw_sql(statements).execute(connection).await?;
            Ok(())
        })
    }

    /// Returns the one value of a query.
    fn value<T>(&self, database: &str, query: &str) -> anyhow::Result<T>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let query = AssertSqlSafe(query.to_owned());
        self.with(database, async |connection| {
            Ok(sqlx::query_scalar(query).fetch_one(connection).await?)
        })
    }
}
