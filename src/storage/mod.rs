//! Steps 4 and 6: all SQL there is. One function = one statement; no function decides business; a
//! race ends in a named constraint; every time and id is bound. Every statement names the account,
//! but for these: access keys by id, nonces, leases, records of requests, operators' lists, due
//! changes, instances that do not carry their history, due and old intents, the poll of the outbox,
//! lanes and log of the events, the newest submission of all, and the version of the schema.
//! Numbering events and carrying a history are the transactions of several statements.

mod access_keys;
mod accounts;
mod batch;
mod batches;
mod change_history;
mod charge_type_changes;
mod connect;
mod event_log;
mod events;
mod fact_rows;
mod facts;
mod failure;
mod histories;
mod instances;
mod leases;
mod listen;
mod locks;
mod nonces;
mod numbering;
mod opening_groups;
mod openings;
mod order_intents;
mod requests;
mod statements;
mod warm;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::{PgPool, Row};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub use access_keys::{NewAccessKey, StoredAccessKey};
pub use accounts::AccountUpdate;
pub use change_history::{DueChange, StoredChange};
pub use charge_type_changes::{CancelledChange, ScheduledChange, SettledChange};
pub use connect::{Options, create_database, migrate};
pub use event_log::{Lane, LogPage, LoggedEvent};
pub use listen::Listener;
pub use locks::{LiftedLock, NewLock, StoredLock};
pub use nonces::{NonceUse, SLOT_SECONDS, idle_slot};
pub use numbering::Numbered;
pub use openings::Opening;
pub use order_intents::DueIntent;
pub use requests::RequestRecord;
pub use statements::{HotStatements, hot_statements};

use self::batches::Batches;
use self::warm::{Kept, Warm};
use crate::error::Error;

/// The schema that this program brings up and needs.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!();

/// How often a statement is tried that lost against another one or whose connection was gone.
const ATTEMPTS: u32 = 5;

/// The database. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    /// Writes run in tasks of their own, so that a caller who hangs up neither half-does one nor
    /// poisons a connection.
    writes: TaskTracker,
    /// Set after writes that come with an event: there is something to number.
    written: Arc<Notify>,
    /// All connections but one: writes that wait for somebody's locks must not keep reads waiting.
    may_write: Arc<Semaphore>,
    /// Connections of the hot paths.
    kept: Kept,
    /// What many callers ask at the same time.
    batches: Arc<Batches>,
}

impl Store {
    fn new(pool: PgPool) -> Self {
        let all = usize::try_from(pool.options().get_max_connections()).unwrap_or(usize::MAX);
        let may_write = Arc::new(Semaphore::new(all.saturating_sub(1).max(1)));
        let (writes, written, batches) = (TaskTracker::new(), Arc::default(), Arc::default());
        let kept = Kept::new(pool.clone());
        Self { pool, writes, written, may_write, kept, batches }
    }

    /// Waits for a connection that writes may use.
    async fn writer(&self) -> Result<SemaphorePermit<'_>, Error> {
        let permit = tokio::time::timeout(connect::ACQUIRE_TIMEOUT, self.may_write.acquire()).await;
        permit.map_err(Error::unavailable)?.map_err(Error::internal)
    }

    /// Runs a statement that changes nothing, again where its connection was lost.
    async fn read<T, F>(&self, statement: impl Fn(PgPool) -> F + Send) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        let mut attempt = 1;
        loop {
            match statement(self.pool.clone()).await {
                Ok(value) => return Ok(value),
                Err(error) if attempt < ATTEMPTS && failure::read_may_be_repeated(&error) => {
                    pause(attempt).await;
                }
                Err(error) => return Err(failure::of_read(error)),
            }
            attempt += 1;
        }
    }

    /// Runs a statement of a hot path that changes nothing, in the same manner.
    async fn read_warm<T, F>(&self, statement: impl Fn(Warm) -> F + Send + Sync) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        let statement = &statement;
        self.read(|_| async move { statement(self.kept.take().await?).await }).await
    }

    /// Runs a statement that writes an event with what it writes, in a task of its own, again where
    /// it was rolled back for another's sake.
    async fn write<T, F>(
        &self,
        statement: impl Fn(PgPool) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        let outcome = self.write_no_event(statement).await;
        if outcome.is_ok() {
            self.written.notify_one();
        }
        outcome
    }

    /// Waits until this process has written an event since this was asked last.
    pub async fn written(&self) {
        self.written.notified().await;
    }

    /// Runs a statement that writes, and no event, in the same manner.
    async fn write_no_event<T, F>(
        &self,
        statement: impl Fn(PgPool) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        let store = self.clone();
        // Boxed: a task is copied as often as its state changes.
        let task = self.writes.spawn(Box::pin(async move {
            let _permit = store.writer().await?;
            let mut attempt = 1;
            loop {
                match statement(store.pool.clone()).await {
                    Err(error) if attempt < ATTEMPTS && failure::write_may_be_repeated(&error) => {
                        pause(attempt).await;
                    }
                    outcome => return outcome.map_err(failure::of_write),
                }
                attempt += 1;
            }
        }));
        task.await.map_err(Error::internal)?
    }

    /// Runs work of several steps that a caller who hangs up must not leave half done, in a task of
    /// its own; [`Store::close`] waits for it.
    pub fn see_through<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.writes.spawn(work)
    }

    /// Whether the database answers and holds the schema that this program needs; the error says
    /// what is missing.
    pub async fn check_ready(&self) -> Result<(), String> {
        let needed = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        match self.schema_version().await {
            Ok(version) if version >= needed => Ok(()),
            Ok(version) => {
                Err(format!("the schema is at version {version}, needed is {needed}: run migrate"))
            }
            Err(error) if failure::is_undefined_table(&error) => {
                Err("the database has no schema yet: run migrate".to_owned())
            }
            Err(error) => Err(format!("the database does not answer: {error}")),
        }
    }

    async fn schema_version(&self) -> Result<i64, sqlx::Error> {
        // The version of the schema stands in the migrator's own table: no account is named. Not
        // prepared: a start has to wait for it, and this is one round trip.
        let applied =
            sqlx::raw_sql("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success");
        let mut connection = self.kept.take().await?;
        let version = applied.fetch_one(&mut *connection).await?.try_get(0)?;
        connection.keep();
        Ok(version)
    }

    /// How many connections are open, and how many of them are idle.
    #[must_use]
    pub fn connections(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle() + self.kept.count())
    }

    /// Waits for the writes that run, then closes the connections.
    pub async fn close(&self) {
        self.writes.close();
        self.writes.wait().await;
        let closed = self.pool.close();
        self.kept.clear();
        closed.await;
    }
}

/// A pause before the next attempt, longer each time and different for each caller.
async fn pause(attempt: u32) {
    let random = u64::from(crate::context::new_id().as_bytes()[15]);
    let milliseconds = (u64::from(attempt) * 5) + random % 20;
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
