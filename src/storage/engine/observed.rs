//! What is counted about the connections of a store and their statements. A statement has the name
//! of the function of the store that runs it.

use std::any::type_name;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sqlx::Error as SqlxError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connect::ACQUIRE_TIMEOUT;
use super::connections::DatabaseConnections;
use crate::metrics::DatabaseMetrics;

/// The name of a statement that no function of the store runs by its own name, such as those of
/// the readiness check.
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

    /// Counts a statement that has ended, and that had its connection since `taken_at`.
    pub fn ended(&self, taken_at: Instant, failed: bool) {
        self.metrics.statement(self.statement, taken_at.elapsed(), failed);
    }

    /// Counts a batched statement that begins.
    pub fn batch(&self, batch: &'static str, questions: usize) {
        self.metrics.batch(batch, questions);
    }

    /// Returns how many statements wait for a connection, and how many waits ended without one.
    pub fn waits(&self) -> (u64, u64) {
        let ConnectionWaits { waiting, timeouts } = &*self.waits;
        (waiting.load(Ordering::Relaxed), timeouts.load(Ordering::Relaxed))
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
        assert_eq!(observed.waits(), (0, 0));
        let (other, none) = (observed.clone(), Arc::clone(&free));
        let waiting = tokio::spawn(async move { other.permit(&none).await.map(drop) });
        tokio::task::yield_now().await;
        assert_eq!(observed.waits(), (1, 0));
        let refused = waiting.await.unwrap().unwrap_err();
        assert!(matches!(refused, SqlxError::PoolTimedOut));
        assert_eq!(observed.waits(), (0, 1));
        drop(held);
        free.close();
        assert!(matches!(observed.permit(&free).await, Err(SqlxError::PoolClosed)));
    }
}
