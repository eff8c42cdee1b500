//! Runs a statement that writes. It runs in a task of its own, so that a caller that disconnects
//! neither leaves the write half done nor loses a connection. It needs a permit, so that writes
//! that wait for each other leave connections for all other statements. It is repeated if another
//! transaction caused its rollback.
//!
//! A write waits in turns for a row that another transaction holds. The lock timeout of the session
//! is short. A write that reaches it returns its permit and moves to the lane [`WriteLane::Waiting`],
//! which has one permit. Every further write about the same account uses that lane, too, while the
//! rows are held. The turns end when the caller has disconnected, as a caller does whose request is
//! past its deadline.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::connect::ACQUIRE_TIMEOUT;
use super::connections::DatabaseConnections;
use super::failure;
use super::observed::name_of;
use crate::domain::AccountId;
use crate::error::Error;
use crate::storage::{ATTEMPTS, Store, pause};
use crate::traces;

/// Longest time that a write waits in turns, even if the caller has no deadline.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// After a write met a held row, other writes about the account use [`WriteLane::Waiting`] for this
/// long.
const HELD_FOR: Duration = Duration::from_secs(5);

/// Which writes share the permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum WriteLane {
    /// Nonces. Signed requests of all accounts need them.
    Nonces,
    /// Every other write.
    Writes,
    /// Writes that wait for held rows.
    Waiting,
}

/// The permits of each lane. Together they leave one connection for reads.
#[derive(Debug)]
pub(in crate::storage) struct Lanes {
    nonces: Semaphore,
    writes: Semaphore,
    waiting: Semaphore,
    /// When a write about an account met a held row.
    held: Mutex<HashMap<AccountId, Instant>>,
}

/// The turns of one write.
#[derive(Debug)]
struct Turns {
    /// The name of the statement in metrics.
    name: &'static str,
    lane: WriteLane,
    account: Option<AccountId>,
    started: Instant,
    /// Number of turns so far.
    taken: u32,
}

impl Turns {
    fn new(name: &'static str, lane: WriteLane, account: Option<AccountId>) -> Self {
        Self { name, lane, account, started: Instant::now(), taken: 0 }
    }
}

impl Lanes {
    /// Creates the lanes of a store with this number of connections.
    pub fn new(connections: u32) -> Self {
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        let nonces = (connections / 3).max(1);
        let writes = connections.saturating_sub(nonces + 2).max(1);
        let semaphore = |permits: usize| Semaphore::new(permits.min(Semaphore::MAX_PERMITS));
        Self {
            nonces: semaphore(nonces),
            writes: semaphore(writes),
            waiting: Semaphore::new(1),
            held: Mutex::default(),
        }
    }

    /// Waits for a permit of a lane. In [`WriteLane::Waiting`], this wait has no time limit.
    pub async fn permit(&self, lane: WriteLane) -> Result<SemaphorePermit<'_>, Error> {
        let permits = match lane {
            WriteLane::Nonces => &self.nonces,
            WriteLane::Writes => &self.writes,
            WriteLane::Waiting => return self.waiting.acquire().await.map_err(Error::internal),
        };
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, permits.acquire()).await;
        let permit = permit.inspect_err(|_| traces::note_failure(|| None));
        permit.map_err(Error::unavailable)?.map_err(Error::internal)
    }

    /// Waits for the next turn of a write.
    async fn turn(&self, turns: &mut Turns) -> Result<SemaphorePermit<'_>, Error> {
        loop {
            if self.is_held(turns.account) {
                turns.lane = WriteLane::Waiting;
            }
            let permit = self.permit(turns.lane).await?;
            // Another write may have met a held row in the meantime.
            if turns.lane == WriteLane::Waiting || !self.is_held(turns.account) {
                return Ok(permit);
            }
        }
    }

    /// Returns whether a write that ended with this error gets another turn.
    fn goes_on(&self, turns: &mut Turns, error: &sqlx::Error) -> bool {
        turns.taken += 1;
        if !failure::met_a_held_row(error) {
            return turns.taken < ATTEMPTS && failure::write_may_be_repeated(error);
        }
        // Nonces belong to requests of all accounts: none of them waits behind a held row.
        if turns.lane != WriteLane::Nonces {
            turns.lane = WriteLane::Waiting;
        }
        if let Some(account) = turns.account {
            let mut held = self.held();
            held.retain(|_, met| met.elapsed() < HELD_FOR);
            held.insert(account, Instant::now());
        }
        turns.started.elapsed() < LONGEST_WAIT
    }

    fn ended(&self, turns: &Turns) {
        if let Some(account) = turns.account.filter(|_| turns.taken > 0) {
            self.held().remove(&account);
        }
    }

    fn is_held(&self, account: Option<AccountId>) -> bool {
        let met = account.and_then(|account| self.held().get(&account).copied());
        met.is_some_and(|met| met.elapsed() < HELD_FOR)
    }

    fn held(&self) -> MutexGuard<'_, HashMap<AccountId, Instant>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Runs a statement about an account, with this name in metrics, that writes data and an event.
    pub(in crate::storage) async fn write<T, F>(
        &self,
        name: &'static str,
        account: AccountId,
        statement: impl Fn(DatabaseConnections) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        let outcome = self.write_in(name, WriteLane::Writes, Some(account), statement).await;
        if outcome.is_ok() {
            self.written.notify_one();
        }
        outcome
    }

    /// Runs a statement that writes data and no event.
    pub(in crate::storage) async fn write_no_event<T, F>(
        &self,
        statement: impl Fn(DatabaseConnections) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        self.write_in(name_of(&statement), WriteLane::Writes, None, statement).await
    }

    /// Runs a statement with this name in metrics that writes, at first in this lane.
    pub(in crate::storage) async fn write_in<T, F>(
        &self,
        name: &'static str,
        lane: WriteLane,
        account: Option<AccountId>,
        statement: impl Fn(DatabaseConnections) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (store, turns) = (self.clone(), Turns::new(name, lane, account));
        // Boxed: a task is copied whenever its state changes.
        let turns = traces::carried(store.take_turns(turns, statement, reply));
        drop(self.writes.spawn(Box::pin(turns)));
        answer.await.map_err(Error::internal)?
    }

    /// Runs the statement, and repeats it while that can help and the caller waits.
    async fn take_turns<T, F>(
        self,
        mut turns: Turns,
        statement: impl Fn(DatabaseConnections) -> F + Send + 'static,
        mut reply: oneshot::Sender<Result<T, Error>>,
    ) where
        T: Send,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        loop {
            let permit = tokio::select! {
                biased; // nothing is written for a caller that has disconnected
                () = reply.closed() => return,
                permit = self.lanes.turn(&mut turns) => permit,
            };
            let permit = match permit {
                Ok(permit) => permit,
                Err(error) => return drop(reply.send(Err(error))),
            };
            let outcome = statement(self.connections.named(turns.name)).await;
            drop(permit);
            match outcome {
                Err(error) if self.lanes.goes_on(&mut turns, &error) && !reply.is_closed() => {
                    pause(turns.taken).await;
                }
                outcome => {
                    self.lanes.ended(&turns);
                    return drop(reply.send(outcome.map_err(|error| failure::of_write(&error))));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(connections: u32) -> (usize, usize, usize) {
        let lanes = Lanes::new(connections);
        let permits = [&lanes.nonces, &lanes.writes, &lanes.waiting];
        let [nonces, writes, waiting] = permits.map(Semaphore::available_permits);
        (nonces, writes, waiting)
    }

    #[test]
    fn the_lanes_leave_a_connection_for_reads() {
        for connections in 4..100 {
            let (nonces, writes, waiting) = permits(connections);
            assert_eq!(nonces + writes + waiting + 1, connections as usize);
        }
        assert_eq!(permits(1), (1, 1, 1));
    }

    #[tokio::test]
    async fn writes_about_an_account_with_a_held_row_share_the_waiting_lane() {
        let (lanes, account) = (Lanes::new(6), AccountId::new(7));
        let held_row = || sqlx::Error::from(std::io::Error::other("no lock"));
        let mut turns = Turns::new("test", WriteLane::Writes, account);
        let permit = lanes.turn(&mut turns).await.unwrap();
        assert_eq!(turns.lane, WriteLane::Writes);
        assert!(!lanes.goes_on(&mut turns, &held_row()), "this error does not mean a held row");
        drop(permit);
        lanes.held().insert(account.unwrap(), Instant::now());
        let mut other = Turns::new("test", WriteLane::Writes, account);
        drop(lanes.turn(&mut other).await.unwrap());
        let mut of_another = Turns::new("test", WriteLane::Writes, AccountId::new(8));
        drop(lanes.turn(&mut of_another).await.unwrap());
        assert_eq!((other.lane, of_another.lane), (WriteLane::Waiting, WriteLane::Writes));
        lanes.ended(&turns);
        assert!(!lanes.is_held(account));
    }
}
