//! Many concurrent callers, one statement. Callers put what they ask into a queue; whoever finds
//! nobody at work starts the driver, which lets everybody enqueue who is about to, takes what waits
//! and runs one statement for all of it, again and again until the queue is empty. There is no
//! timer to linger for: a lone caller's statement leaves at once.
//!
//! A statement begins after everything that it answers was asked: nothing stale is ever served. A
//! slow one does not hold the next ones up: when it takes longer than usual, another one starts
//! beside it. Who hangs up before his turn costs nothing; whose statement runs is not missed by it.
//!
//! Batchers of short statements take turns: while one's statement runs, the callers of the others
//! gather, and the callers that it answers go on to the next kind of question together. Three
//! statements for thirty callers cost the database half of what ten times three do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Store;
use crate::error::Error;

/// The most callers that wait; who comes then is refused at once, and may try again.
const MOST_WAITING: usize = 8192;
/// The most statements of one batcher that run at once.
const MOST_AT_ONCE: usize = 4;
/// A statement that runs for twice the usual time is late. Bounds of that: below the first it is
/// noise, and above the second it waits for a disk or a lock, be that usual or not.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(20));

/// One question, and whoever waits for its answer.
pub(super) struct Asked<Q, A> {
    pub question: Q,
    reply: oneshot::Sender<Result<A, Error>>,
}

impl<Q, A> Asked<Q, A> {
    /// Answers. Whoever asked may have hung up.
    pub fn answer(self, answer: Result<A, Error>) {
        self.reply.send(answer).ok();
    }
}

/// Asks many questions of one kind in few statements.
pub(super) struct Batcher<Q, A>(Arc<Shared<Q, A>>);

struct Shared<Q, A> {
    queue: Mutex<Queue<Q, A>>,
    /// Wakes a driver that listens.
    called: Notify,
    /// The most questions of one statement.
    most: usize,
    turns: Option<Turns>,
    /// What a statement takes as a rule, in microseconds.
    usual: AtomicU64,
}

struct Queue<Q, A> {
    waiting: VecDeque<Asked<Q, A>>,
    driver: Driver,
}

/// What the driver does while somebody enqueues.
enum Driver {
    /// There is none.
    Absent,
    /// It will look into the queue without being called.
    Busy,
    /// It wants to be called.
    Listens,
}

/// Shared by batchers of which one at a time has a statement that is not late. Clones share it.
#[derive(Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Turns {
    /// Waits for a turn, first come, first served. Who has waited lets everybody ask who was answered
    /// by the statement before.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(turn) = Arc::clone(&self.0).try_acquire_owned() {
            return Some(turn);
        }
        let turn = Arc::clone(&self.0).acquire_owned().await.ok();
        tokio::task::yield_now().await;
        turn
    }
}

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Asks at most so many questions at once, whenever there are some.
    pub fn new(most: usize) -> Self {
        Self::with(most, None)
    }

    /// Asks at most so many questions at once, in turns with others.
    pub fn in_turns(most: usize, turns: &Turns) -> Self {
        Self::with(most, Some(turns.clone()))
    }

    fn with(most: usize, turns: Option<Turns>) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), driver: Driver::Absent });
        let (called, usual) = (Notify::new(), AtomicU64::new(0));
        Self(Arc::new(Shared { queue, called, most, turns, usual }))
    }

    /// Asks, and waits for the answer. `statement` runs one statement for all that it gets and
    /// answers each of them; it is the same for all who ask this batcher.
    pub async fn ask<S, F>(&self, question: Q, store: &Store, statement: S) -> Result<A, Error>
    where
        S: Fn(Store, Vec<Asked<Q, A>>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        match self.0.enqueue(Asked { question, reply })? {
            // Shutdown waits for what it has begun.
            Driver::Absent => {
                drop(store.writes.spawn(drive(Arc::clone(&self.0), store.clone(), statement)));
            }
            Driver::Busy => {}
            Driver::Listens => self.0.called.notify_one(),
        }
        answer.await.unwrap_or_else(|_| Err(Error::internal("a statement gave no answer")))
    }
}

impl<Q, A> Shared<Q, A> {
    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a question into the queue; what the driver did, who is busy from now on.
    fn enqueue(&self, asked: Asked<Q, A>) -> Result<Driver, Error> {
        let mut queue = self.queue();
        if queue.waiting.len() >= MOST_WAITING {
            return Err(Error::unavailable("too many requests wait for the database"));
        }
        queue.waiting.push_back(asked);
        Ok(std::mem::replace(&mut queue.driver, Driver::Busy))
    }

    /// Whether nobody waits; then `otherwise` is what the driver does from now on.
    fn is_idle(&self, otherwise: Driver) -> bool {
        let mut queue = self.queue();
        let is_idle = queue.waiting.is_empty();
        if is_idle {
            queue.driver = otherwise;
        }
        is_idle
    }

    /// The next questions, oldest first, without those that nobody waits for any more.
    fn take(&self) -> Vec<Asked<Q, A>> {
        let mut queue = self.queue();
        let mut taken = Vec::with_capacity(queue.waiting.len().min(self.most));
        while taken.len() < self.most {
            let Some(asked) = queue.waiting.pop_front() else { break };
            if !asked.reply.is_closed() {
                taken.push(asked);
            }
        }
        taken
    }

    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.as_ref()?.take().await
    }

    fn patience(&self) -> Duration {
        let twice = Duration::from_micros(2 * self.usual.load(Ordering::Relaxed));
        twice.clamp(PATIENCE.0, PATIENCE.1)
    }

    /// Takes note of how long a statement took; the last eight or so count.
    fn took(&self, time: Duration) {
        let (usual, time) = (self.usual.load(Ordering::Relaxed), time.as_micros());
        let time = u64::try_from(time).unwrap_or(u64::MAX / 8);
        self.usual.store((usual * 7 + time) / 8, Ordering::Relaxed);
    }
}

/// Takes the driver's place in the queue away when it ends, also by a panic: those who wait then
/// hear of it, and the next caller starts another.
struct Place<Q, A>(Arc<Shared<Q, A>>);

impl<Q, A> Drop for Place<Q, A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.queue();
            queue.waiting.clear();
            queue.driver = Driver::Absent;
        }
    }
}

/// The statement that was started last, while it is not late. Then the next may start, of this
/// batcher or of another in turn.
struct Newest {
    started: Instant,
    late_at: Instant,
    _turn: Option<OwnedSemaphorePermit>,
}

/// Runs statements until nobody waits.
async fn drive<Q, A, S, F>(shared: Arc<Shared<Q, A>>, store: Store, statement: S)
where
    S: Fn(Store, Vec<Asked<Q, A>>) -> F,
    F: Future<Output = ()>,
{
    let place = Place(shared);
    let shared = &*place.0;
    let mut running = FuturesUnordered::new();
    let mut newest: Option<Newest> = None;
    loop {
        // Whoever is about to ask does so first.
        tokio::task::yield_now().await;
        let mut listens = false;
        if newest.is_none() && running.len() < MOST_AT_ONCE {
            let idle = if running.is_empty() { Driver::Absent } else { Driver::Listens };
            listens = shared.is_idle(idle);
            if listens && running.is_empty() {
                return;
            }
            if !listens {
                let turn = tokio::select! {
                    biased;
                    Some(started) = running.next() => {
                        shared.took(Instant::elapsed(&started));
                        continue;
                    }
                    turn = shared.turn() => turn,
                };
                let taken = shared.take();
                if taken.is_empty() {
                    continue; // all have hung up
                }
                let started = Instant::now();
                running.push(timed(statement(store.clone(), taken), started));
                let late_at = started + shared.patience();
                newest = Some(Newest { started, late_at, _turn: turn });
            }
        }
        let ended = match &newest {
            Some(newest) => timeout_at(newest.late_at, running.next()).await.ok().flatten(),
            None if listens => tokio::select! {
                biased;
                ended = running.next() => ended,
                () = shared.called.notified() => None,
            },
            None => running.next().await,
        };
        if let Some(started) = ended {
            shared.took(started.elapsed());
        }
        // What has ended, or is late, makes room; what ended late has done so before.
        if ended.is_none() || newest.as_ref().is_some_and(|newest| Some(newest.started) == ended) {
            newest = None;
        }
    }
}

/// A statement, and when it was started.
async fn timed(statement: impl Future<Output = ()>, started: Instant) -> Instant {
    statement.await;
    started
}

#[cfg(test)]
mod tests;
