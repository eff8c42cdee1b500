//! All SQL. Each function runs one statement and makes no business decision. A race ends at a named
//! constraint. Every time and every id is bound.
//!
//! `engine/` connects, runs statements, batches questions and classifies failures; it does not
//! depend on any table. `events/` has the outbox, the numbering and the log of events. Each other
//! file or directory has the statements of its tables. `tests/architecture/statements.sql` has
//! every statement as text.
//!
//! Every statement on a table that accounts own names the account. The exceptions are listed with
//! their reasons in `tests/architecture/statements.rs`. Only the numbering of events is a
//! transaction of several statements.

mod access_keys;
mod accounts;
mod audit;
mod backlog;
mod batches;
mod changes;
mod distributing;
mod engine;
mod events;
mod instances;
mod last_uses;
mod leases;
mod locks;
mod migrating;
mod migration_status;
mod nonces;
mod openings;
mod order_intents;
mod quotas;
mod readiness;
mod requests;
mod sealing;
mod statements;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

pub use access_keys::{MOST_ACCESS_KEYS, NewAccessKey, StoredAccessKey};
pub use accounts::AccountUpdate;
pub use audit::{AuditEntry, AuditFilter, RecordedCall, StoredAuditRecord};
pub use backlog::WaitingRows;
pub use changes::{CancelledChange, ScheduledChange, SettledChange, StoredChange};
pub use engine::{DatabaseUrl, Engine, StoreOptions, UrlError, create_database, try_to_connect};
pub use events::{
    BegunGeneration, EventListener, Generation, Lane, LogPage, LoggedEvent, NumberingRound,
};
pub use locks::{LiftedLock, NewLock, StoredLock};
pub use migrating::{Migrated, MigrationError, migrate, migrate_on, migrate_with};
pub use migration_status::{MigrationState, SchemaStatus, StateOfMigration, schema_status};
pub use nonces::{NonceUse, SLOT_SECONDS, idle_slot};
pub use openings::Opening;
pub use order_intents::DueIntent;
pub use quotas::{QuotaCount, QuotaRow};
pub use readiness::{GRANTS, NotReady};
pub use requests::{REQUEST_IDS_KEPT, RequestRecord};
pub use sealing::{ResealedSecret, SealedSecret, SealingCheck};
pub use statements::{HotStatements, hot_statements, list_statements, waiting_lanes};

use self::batches::Batches;
use self::engine::connections::{Connection, DatabaseConnections};
use self::engine::observed::name_of;
use self::engine::writing::Lanes;
use self::engine::{Detected, failure};
use crate::error::Error;
use crate::metrics::{DatabaseMetrics, PoolState};
use crate::traces;

/// The migrations that make the schema of this program.
pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!();

/// Largest number of attempts for a statement that lost against another one, or whose connection
/// was lost.
const ATTEMPTS: u32 = 5;
/// Longest time that a read waits for a table that another transaction holds.
const LONGEST_READ: Duration = Duration::from_secs(10);
/// Longest pause between two attempts, in milliseconds, without the random part.
const LONGEST_PAUSE: u64 = 200;

/// The database. Clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    connections: DatabaseConnections,
    /// Writes run in tasks of their own, so that a caller that disconnects neither leaves a write
    /// half done nor loses a connection.
    writes: TaskTracker,
    /// Notified after each write that has an event: there is an event to number.
    written: Arc<Notify>,
    /// Limits the concurrent writes.
    lanes: Arc<Lanes>,
    /// The queues of questions that several callers ask at the same time.
    batches: Arc<Batches>,
}

impl Store {
    fn new(connections: DatabaseConnections) -> Self {
        let lanes = Arc::new(Lanes::new(connections.most()));
        let (writes, written, batches) = (TaskTracker::new(), Arc::default(), Arc::default());
        Self { connections, writes, written, lanes, batches }
    }

    /// Returns the same store, whose statements are counted in `metrics`.
    #[must_use]
    pub fn counted(&self, metrics: DatabaseMetrics) -> Self {
        Self { connections: self.connections.counted(metrics), ..self.clone() }
    }

    /// Returns the engine of the database.
    fn engine(&self) -> &Detected {
        self.connections.hosts().engine()
    }

    /// Returns the name of the database, for the spans of statements.
    fn database_name(&self) -> Option<String> {
        self.connections.hosts().last().get_database().map(str::to_owned)
    }

    /// Runs a statement that changes nothing. Repeats it if its connection was lost, or if another
    /// transaction holds a table.
    async fn read<T, F>(
        &self,
        statement: impl Fn(DatabaseConnections) -> F + Send,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        self.read_as(name_of(&statement), statement).await
    }

    /// Runs a statement with this name in metrics that changes nothing, with the same rules.
    async fn read_as<T, F>(
        &self,
        name: &'static str,
        statement: impl Fn(DatabaseConnections) -> F + Send,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        let (started, mut attempt) = (Instant::now(), 1);
        loop {
            match statement(self.connections.named(name)).await {
                Ok(value) => return Ok(value),
                Err(error) if failure::met_a_held_row(&error) => {
                    if started.elapsed() >= LONGEST_READ {
                        return Err(failure::of_read(&error));
                    }
                }
                Err(error) if attempt < ATTEMPTS && failure::read_may_be_repeated(&error) => {}
                Err(error) => return Err(failure::of_read(&error)),
            }
            pause(attempt).await;
            attempt += 1;
        }
    }

    /// Runs a statement of a hot path that changes nothing, with the same rules.
    async fn read_warm<T, F>(
        &self,
        name: &'static str,
        statement: impl Fn(Connection) -> F + Send + Sync,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        let statement = &statement;
        let statement = |connections: DatabaseConnections| async move {
            statement(connections.take().await?).await
        };
        self.read_as(name, statement).await
    }

    /// Waits until this process has written an event since the last call.
    pub async fn written(&self) {
        self.written.notified().await;
    }

    /// Runs work of several steps in a task of its own, so that a caller that disconnects does not
    /// leave it half done. [`Store::close`] waits for it.
    pub fn finish_in_background<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.writes.spawn(traces::carried(work))
    }

    /// Returns the state of the connections, and of the queues of questions.
    #[must_use]
    pub fn pool_state(&self) -> PoolState {
        PoolState { questions: self.batches.waiting(), ..self.connections.state() }
    }

    /// Waits for the writes that run, then closes the connections.
    pub async fn close(&self) {
        self.writes.close();
        self.writes.wait().await;
        self.connections.close().await;
    }
}

/// Pauses before the next attempt. The pause becomes longer with each attempt and has a random
/// part.
async fn pause(attempt: u32) {
    let random = u64::from(crate::ids::new_id().as_bytes()[15]);
    let milliseconds = (u64::from(attempt) * 5).min(LONGEST_PAUSE) + random % 20;
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
