//! How a statement that writes is run: in a task of its own, so that a caller that hangs up neither
//! half-does it nor loses a connection; with a permit, so that writes which wait for each other
//! leave connections to everybody else; and again where it was rolled back for another's sake.
//!
//! A row that another transaction holds is waited for in turns. The session's lock timeout is short;
//! a write that meets it gives its permit back and joins the waiting ones, which have a permit of
//! their own between them. So does every further write about the same account while its rows are
//! held. The turns end when the caller has gone: a request that is past its deadline has.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use super::connect::ACQUIRE_TIMEOUT;
use super::connections::Connections;
use super::failure;
use crate::domain::AccountId;
use crate::error::Error;
use crate::storage::{ATTEMPTS, Store, pause};

/// The longest that a write takes its turns, also for a caller that has no deadline.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// For so long after a write met a held row, others about the account join the waiting ones.
const HELD_FOR: Duration = Duration::from_secs(5);

/// Which writes share the permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Lane {
    /// Nonces: signed requests of all accounts need one.
    Nonces,
    /// Every other write.
    Writes,
    /// Writes whose rows are held.
    Waiting,
}

/// How many statements of each lane may run at once. Together they leave a connection to reads.
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
    lane: Lane,
    account: Option<AccountId>,
    started: Instant,
    /// How many it has had.
    taken: u32,
}

impl Turns {
    fn new(lane: Lane, account: Option<AccountId>) -> Self {
        Self { lane, account, started: Instant::now(), taken: 0 }
    }
}

impl Lanes {
    /// The lanes of a store with so many connections.
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

    /// Waits for a permit of a lane. The waiting ones have patience.
    pub async fn permit(&self, lane: Lane) -> Result<SemaphorePermit<'_>, Error> {
        let permits = match lane {
            Lane::Nonces => &self.nonces,
            Lane::Writes => &self.writes,
            Lane::Waiting => return self.waiting.acquire().await.map_err(Error::internal),
        };
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, permits.acquire()).await;
        permit.map_err(Error::unavailable)?.map_err(Error::internal)
    }

    /// Waits for the next turn of a write.
    async fn turn(&self, turns: &mut Turns) -> Result<SemaphorePermit<'_>, Error> {
        loop {
            if self.is_held(turns.account) {
                turns.lane = Lane::Waiting;
            }
            let permit = self.permit(turns.lane).await?;
            // Another write may have met a held row meanwhile.
            if turns.lane == Lane::Waiting || !self.is_held(turns.account) {
                return Ok(permit);
            }
        }
    }

    /// Whether a write that ended in this error may have another turn.
    fn goes_on(&self, turns: &mut Turns, error: &sqlx::Error) -> bool {
        turns.taken += 1;
        if !failure::met_a_held_row(error) {
            return turns.taken < ATTEMPTS && failure::write_may_be_repeated(error);
        }
        // Nonces are of all accounts: none of them waits behind a held row.
        if turns.lane != Lane::Nonces {
            turns.lane = Lane::Waiting;
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
    /// Runs a statement about an account that writes an event with what it writes.
    pub(in crate::storage) async fn write<T, F>(
        &self,
        account: AccountId,
        statement: impl Fn(Connections) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        let outcome = self.write_in(Lane::Writes, Some(account), statement).await;
        if outcome.is_ok() {
            self.written.notify_one();
        }
        outcome
    }

    /// Runs a statement that writes, and no event.
    pub(in crate::storage) async fn write_no_event<T, F>(
        &self,
        statement: impl Fn(Connections) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        self.write_in(Lane::Writes, None, statement).await
    }

    /// Runs a statement that writes, beginning in this lane.
    pub(in crate::storage) async fn write_in<T, F>(
        &self,
        lane: Lane,
        account: Option<AccountId>,
        statement: impl Fn(Connections) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (store, turns) = (self.clone(), Turns::new(lane, account));
        // Boxed: a task is copied as often as its state changes.
        drop(self.writes.spawn(Box::pin(store.take_turns(turns, statement, reply))));
        answer.await.map_err(Error::internal)?
    }

    /// Runs the statement, again and again where that may help, until the caller has gone.
    async fn take_turns<T, F>(
        self,
        mut turns: Turns,
        statement: impl Fn(Connections) -> F + Send + 'static,
        mut reply: oneshot::Sender<Result<T, Error>>,
    ) where
        T: Send,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        loop {
            let permit = tokio::select! {
                biased; // nothing is written for a caller that has gone
                () = reply.closed() => return,
                permit = self.lanes.turn(&mut turns) => permit,
            };
            let permit = match permit {
                Ok(permit) => permit,
                Err(error) => return drop(reply.send(Err(error))),
            };
            let outcome = statement(self.connections.clone()).await;
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
    fn the_lanes_leave_a_connection_to_reads() {
        for connections in 4..100 {
            let (nonces, writes, waiting) = permits(connections);
            assert_eq!(nonces + writes + waiting + 1, connections as usize);
        }
        assert_eq!(permits(1), (1, 1, 1));
    }

    #[tokio::test]
    async fn a_write_that_meets_a_held_row_waits_with_all_others_about_its_account() {
        let (lanes, account) = (Lanes::new(6), AccountId::new(7));
        let held_row = || sqlx::Error::from(std::io::Error::other("no lock"));
        let mut turns = Turns::new(Lane::Writes, account);
        let permit = lanes.turn(&mut turns).await.unwrap();
        assert_eq!(turns.lane, Lane::Writes);
        assert!(!lanes.goes_on(&mut turns, &held_row()), "that is no held row");
        drop(permit);
        lanes.held().insert(account.unwrap(), Instant::now());
        let mut other = Turns::new(Lane::Writes, account);
        drop(lanes.turn(&mut other).await.unwrap());
        let mut of_another = Turns::new(Lane::Writes, AccountId::new(8));
        drop(lanes.turn(&mut of_another).await.unwrap());
        assert_eq!((other.lane, of_another.lane), (Lane::Waiting, Lane::Writes));
        lanes.ended(&turns);
        assert!(!lanes.is_held(account));
    }
}
