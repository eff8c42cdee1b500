//! What is counted about the connections of a store and their statements. A statement has the name
//! of the function of the store that runs it.

use std::any::type_name;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sqlx::Error as SqlxError;
use sqlx::error::DatabaseError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connect::ACQUIRE_TIMEOUT;
use super::connections::DatabaseConnections;
use super::failure;
use crate::metrics::{DatabaseMetrics, StatementOutcome};

/// The name of all statements that have no name of their own: those of the readiness check, for
/// example, run on connections that no function of the store has named.
const OTHER: &str = "other";

/// Counts the statements of a store, and the waits for its connections. Clones share the counts.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Observed {
    metrics: DatabaseMetrics,
    waits: Arc<ConnectionWaits>,
    /// The name of the statement that runs on the connections.
    statement: &'static str,
}

/// The waits for a free connection.
#[derive(Debug, Default)]
struct ConnectionWaits {
    waiting: AtomicU64,
    timeouts: AtomicU64,
    /// Attempts to open a connection that failed.
    failures: AtomicU64,
}

/// A statement that waits.
struct WaitingStatement<'w>(&'w ConnectionWaits);

impl<'w> WaitingStatement<'w> {
    fn new(waits: &'w ConnectionWaits) -> Self {
        waits.waiting.fetch_add(1, Ordering::Relaxed);
        Self(waits)
    }
}

impl Drop for WaitingStatement<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Observed {
    fn default() -> Self {
        Self::new(DatabaseMetrics::default())
    }
}

impl Observed {
    /// Counts statements in `metrics`.
    pub fn new(metrics: DatabaseMetrics) -> Self {
        Self { metrics, waits: Arc::default(), statement: OTHER }
    }

    /// Waits for the permit of a connection.
    pub async fn permit(&self, free: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, SqlxError> {
        if let Ok(permit) = Arc::clone(free).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = WaitingStatement::new(&self.waits);
        let Ok(permit) = timeout(ACQUIRE_TIMEOUT, Arc::clone(free).acquire_owned()).await else {
            self.waits.timeouts.fetch_add(1, Ordering::Relaxed);
            return Err(SqlxError::PoolTimedOut);
        };
        permit.map_err(|_| SqlxError::PoolClosed)
    }

    /// Counts a new connection that could not be opened.
    pub fn not_connected(&self) {
        self.waits.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a statement that was sent at `sent_at` and has ended, with this error if it failed.
    pub fn ended(&self, sent_at: Instant, error: Option<&SqlxError>) {
        let outcome = error.map_or(StatementOutcome::Done, outcome_of);
        self.metrics.statement(self.statement, sent_at.elapsed(), outcome);
    }

    /// Counts a batched statement that begins.
    pub fn batch(&self, batch: &'static str, questions: usize) {
        self.metrics.batch(batch, questions);
    }

    /// Returns how many statements wait for a connection, how many waits ended without one, and how
    /// many new connections could not be opened.
    pub fn waits(&self) -> [u64; 3] {
        let ConnectionWaits { waiting, timeouts, failures } = &*self.waits;
        [waiting, timeouts, failures].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Returns how a statement with this error counts. A held row and a key that exists already are
/// answers that the callers of the statement expect.
fn outcome_of(error: &SqlxError) -> StatementOutcome {
    let exists = error.as_database_error().is_some_and(DatabaseError::is_unique_violation);
    if exists || failure::met_a_held_row(error) {
        StatementOutcome::Conflict
    } else {
        StatementOutcome::Failed
    }
}

impl DatabaseConnections {
    /// Returns the same connections, whose statements are counted in `metrics`.
    pub fn counted(&self, metrics: DatabaseMetrics) -> Self {
        let mut counted = self.clone();
        counted.observed = Observed::new(metrics);
        counted
    }

    /// Returns the same connections for a statement with this name.
    pub fn named(&self, statement: &'static str) -> Self {
        let mut named = self.clone();
        named.observed.statement = statement;
        named
    }
}

/// Returns the name of the function that contains this closure. The compiler knows it, so no function
/// can forget to give its statement a name, or give it another one.
pub(in crate::storage) fn name_of<F>(_: &F) -> &'static str {
    let segments = type_name::<F>().split("::").filter(|segment| !segment.starts_with('{'));
    segments.last().unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reads_rows() -> &'static str {
        tokio::task::yield_now().await;
        name_of(&|| async { "a closure in an async function" })
    }

    fn writes_a_row() -> &'static str {
        name_of(&move |_: u8| "a closure in a function")
    }

    #[tokio::test]
    async fn a_statement_has_the_name_of_its_function() {
        assert_eq!(reads_rows().await, "reads_rows");
        assert_eq!(writes_a_row(), "writes_a_row");
    }

    #[tokio::test]
    async fn a_wait_for_a_connection_is_counted_while_it_lasts_and_if_it_is_in_vain() {
        let (observed, free) = (Observed::default(), Arc::new(Semaphore::new(1)));
        let held = observed.permit(&free).await.unwrap();
        assert_eq!(observed.waits(), [0, 0, 0]);
        let (other, none) = (observed.clone(), Arc::clone(&free));
        let waiting = tokio::spawn(async move { other.permit(&none).await.map(drop) });
        tokio::task::yield_now().await;
        assert_eq!(observed.waits(), [1, 0, 0]);
        let refused = waiting.await.unwrap().unwrap_err();
        assert!(matches!(refused, SqlxError::PoolTimedOut));
        assert_eq!(observed.waits(), [0, 1, 0]);
        drop(held);
        free.close();
        assert!(matches!(observed.permit(&free).await, Err(SqlxError::PoolClosed)));
    }
}
