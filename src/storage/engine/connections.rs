//! The connections of a store. All statements of the store go through this module. Each wait for
//! the database has a limit: the wait for a free connection, for a new connection, and for the
//! answer to a statement. The pool of sqlx has no such limits: it pings each connection that is
//! returned to it. If the network drops all packets to the database, that ping never ends, and the
//! slot of the connection is lost.
//!
//! A connection is kept for the next statement if the database has answered the last one. Otherwise
//! it is closed: the caller was dropped during a statement, or the database did not answer.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::{Connection as _, Error as SqlxError, PgConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connect::STATEMENT_TIMEOUT;
use super::failure;
use super::hosts::Hosts;
use super::observed::Observed;
use crate::metrics::PoolState;

/// Longest wait for the answer to a statement. The database cancels the statement earlier. If this
/// limit is reached, the path to the database is broken.
const STATEMENT_LIMIT: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(2));
/// Longest wait for the answer to a ping.
const PING_LIMIT: Duration = Duration::from_secs(2);
/// How long closing a connection may take.
const CLOSE_LIMIT: Duration = Duration::from_millis(200);
/// A connection that was idle for this long is pinged before it is used, because the server may
/// have closed it.
const IDLE_UNTIL_PINGED: Duration = Duration::from_secs(1);
/// A connection is replaced when it reaches this age, and closed when it was unused for this long.
const LONGEST_KEPT: Duration = Duration::from_mins(5);

/// The connections of a store. Clones share them.
#[derive(Clone, Debug)]
pub(in crate::storage) struct DatabaseConnections {
    hosts: Hosts,
    /// Largest number of open connections.
    most: u32,
    /// One permit for each connection that may be in use.
    free: Arc<Semaphore>,
    /// Idle connections. The last one was used most recently.
    idle: Arc<Mutex<Vec<Idle>>>,
    distrust: Distrust,
    /// What is counted.
    pub(super) observed: Observed,
}

/// Which connections must not be used again. Clones share it. All stores of a process share it,
/// because they have the same path to the database and the same tables.
#[derive(Clone, Debug, Default)]
pub(in crate::storage) struct Distrust(Arc<Mutex<Distrusted>>);

#[derive(Debug, Default)]
struct Distrusted {
    /// Connections that have not answered since this instant are not trusted: a statement that was
    /// sent at this instant was never answered.
    silent_since: Option<Instant>,
    /// Connections that are older than this are not trusted: their prepared statements do not fit
    /// the tables any more, or their server does not accept writes any more.
    stale_before: Option<Instant>,
}

/// An idle connection.
#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    made_at: Instant,
    unused_since: Instant,
}

/// A connection in use. If it is dropped without [`Connection::answered`], it is closed.
pub(in crate::storage) struct Connection {
    /// `None` after the connection was returned.
    inner: Option<PgConnection>,
    made_at: Instant,
    /// When the connection could be used for its statement.
    taken_at: Instant,
    home: DatabaseConnections,
    /// `None` after the permit was passed on to another connection.
    permit: Option<OwnedSemaphorePermit>,
}

impl Distrust {
    /// Records that a statement or ping that was sent at this instant was never answered.
    fn add_silent_since(&self, sent_at: Instant) {
        let mut distrusted = unpoisoned(&self.0);
        distrusted.silent_since = distrusted.silent_since.max(Some(sent_at));
    }

    /// Records that the connections that exist now must not be used again.
    fn add_stale(&self) {
        unpoisoned(&self.0).stale_before = Some(Instant::now());
    }

    /// Whether a connection must not be used again.
    fn covers(&self, made_at: Instant, answered_at: Instant) -> bool {
        let distrusted = unpoisoned(&self.0);
        distrusted.silent_since.is_some_and(|since| answered_at <= since)
            || distrusted.stale_before.is_some_and(|before| made_at <= before)
    }
}

impl DatabaseConnections {
    pub fn new(hosts: Hosts, most: u32, distrust: Distrust) -> Self {
        let free =
            Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { hosts, most, free, idle: Arc::default(), distrust, observed: Observed::default() }
    }

    /// Returns the state that other stores of the process share.
    pub fn distrust(&self) -> Distrust {
        self.distrust.clone()
    }

    /// Returns the largest number of open connections.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// Returns the hosts of the database.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Returns the idle connection that was used most recently, or a new one.
    pub async fn take(&self) -> Result<Connection, SqlxError> {
        let mut held = self.observed.permit(&self.free).await?;
        loop {
            // A separate `let` ends the lock on the idle connections before the ping.
            let last = self.idle().pop();
            let Some(last) = last else {
                // Boxed: otherwise every future that takes a connection would reserve space for
                // this rare case.
                let connection = Box::pin(self.hosts.connect()).await;
                let connection = connection.inspect_err(|_| self.observed.not_connected())?;
                return Ok(self.in_use(connection, Instant::now(), held));
            };
            let unused = last.unused_since;
            let connection = self.in_use(last.connection, last.made_at, held);
            match connection.if_usable(unused).await {
                Ok(connection) => return Ok(connection),
                Err(permit) => held = permit,
            }
        }
    }

    fn in_use(
        &self,
        connection: PgConnection,
        made_at: Instant,
        permit: OwnedSemaphorePermit,
    ) -> Connection {
        let (inner, home, taken_at) = (Some(connection), self.clone(), Instant::now());
        Connection { inner, made_at, taken_at, home, permit: Some(permit) }
    }

    /// Returns the state of the connections.
    pub fn state(&self) -> PoolState {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (most, [waiting, timeouts, failures]) = (u64::from(self.most), self.observed.waits());
        let used = most.saturating_sub(number(self.free.available_permits()));
        let (idle, questions) = (number(self.idle().len()), Vec::new());
        PoolState { used, idle, most, waiting, timeouts, failures, questions }
    }

    /// Waits for the connections in use, then closes all.
    pub async fn close(&self) {
        let all = self.free.acquire_many(self.most).await;
        self.free.close();
        drop(all);
        let idle = std::mem::take(&mut *self.idle());
        join_all(idle.into_iter().map(Idle::close)).await;
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        unpoisoned(&self.idle)
    }
}

impl Idle {
    /// Tells the server that the connection ends, so that the server does not have to detect it.
    async fn close(self) {
        timeout(CLOSE_LIMIT, self.connection.close()).await.ok();
    }
}

impl Connection {
    /// Returns the connection if it can be used. Otherwise returns its permit, for another
    /// connection.
    async fn if_usable(mut self, unused_since: Instant) -> Result<Self, OwnedSemaphorePermit> {
        let is_usable = if self.made_at.elapsed() >= LONGEST_KEPT {
            self.close().await;
            false
        } else if self.home.distrust.covers(self.made_at, unused_since) {
            false
        } else {
            unused_since.elapsed() < IDLE_UNTIL_PINGED || self.answers_ping().await
        };
        match self.permit.take_if(|_| !is_usable) {
            Some(permit) => Err(permit),
            None => Ok(self),
        }
    }

    /// Returns whether the server answers a ping.
    async fn answers_ping(&mut self) -> bool {
        let answer = timeout(PING_LIMIT, self.ping()).await;
        if answer.is_err() {
            self.home.distrust.add_silent_since(self.taken_at);
        }
        self.taken_at = Instant::now(); // the time of the statement is without that of the ping
        matches!(answer, Ok(Ok(())))
    }

    /// Tells the server that the connection ends, so that the server does not have to detect it.
    async fn close(&mut self) {
        if let Some(connection) = self.inner.take() {
            timeout(CLOSE_LIMIT, connection.close()).await.ok();
        }
    }

    /// Ends the use of the connection, and returns the outcome of its statement. The connection is
    /// kept if the server has answered, even with an error.
    pub fn answered<T>(mut self, outcome: Result<T, SqlxError>) -> Result<T, SqlxError> {
        match outcome {
            Err(error) if !failure::leaves_connection(&error) => Err(self.failed(error)),
            outcome => {
                self.home.observed.ended(self.taken_at, outcome.as_ref().err());
                self.keep();
                outcome
            }
        }
    }

    /// Closes the connection after this error. The error may mean that other connections cannot be
    /// trusted either.
    pub fn failed(self, error: SqlxError) -> SqlxError {
        self.home.observed.ended(self.taken_at, Some(&error));
        if failure::was_silent(&error) {
            self.home.distrust.add_silent_since(self.taken_at);
        } else if failure::is_of_old_connections(&error) {
            self.home.distrust.add_stale();
        }
        error
    }

    fn keep(&mut self) {
        let now = Instant::now();
        let is_trusted = !self.home.distrust.covers(self.made_at, now);
        let Some(connection) = self.inner.take_if(|_| is_trusted) else { return };
        let mut idle = self.home.idle();
        idle.push(Idle { connection, made_at: self.made_at, unused_since: now });
        // The first one is unused for the longest time. After a burst of requests, more connections
        // are open than are needed; this closes one of them at a time.
        if idle[0].unused_since.elapsed() >= LONGEST_KEPT {
            drop(idle.remove(0));
        }
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.inner.as_ref().expect("a connection is returned at the end of its use")
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.inner.as_mut().expect("a connection is returned at the end of its use")
    }
}

/// Waits for the answer to a statement, a BEGIN or a COMMIT, within the limit.
pub(in crate::storage) async fn limited<T>(
    statement: impl Future<Output = Result<T, SqlxError>>,
) -> Result<T, SqlxError> {
    timeout(STATEMENT_LIMIT, statement).await.unwrap_or_else(|_| Err(failure::silence()))
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
