//! Many concurrent callers, one statement. Callers put what they ask into a queue; whoever finds
//! nobody at work starts the driver, which lets everybody enqueue who is about to, takes what waits
//! and runs one statement for all of it, again and again until the queue is empty. There is no
//! timer to linger for: a lone caller's statement leaves at once.
//!
//! A statement begins after everything that it answers was asked: nothing stale is ever served. A
//! slow one does not hold the next ones up: when it takes longer than usual, another one starts
//! beside it; and where reads wait for a disk, questions are spread over several that wait side by
//! side. Who hangs up before his turn costs nothing; whose statement runs is not missed by it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::Store;
use crate::error::Error;

mod pace;

use pace::Pace;

/// The most callers that wait; who comes then is refused at once, and may try again.
const MOST_WAITING: usize = 8192;
/// The most statements of one batcher that run at once.
const MOST_AT_ONCE: usize = 4;
/// One question, and whoever waits for its answer.
pub(super) struct Asked<Q, A> {
    pub question: Q,
    reply: oneshot::Sender<Result<A, Error>>,
}

impl<Q, A> Asked<Q, A> {
    /// Waits until nobody waits for the answer any more.
    pub async fn gone(&mut self) {
        self.reply.closed().await;
    }

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
    /// Whether several statements are faster than one where they wait for a disk. Each reads its rows
    /// one after the other: reads are. Writes share a commit.
    may_spread: bool,
    /// Of the driver, who is one at a time.
    pace: Mutex<Pace>,
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

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Reads at most so many rows at once.
    pub fn reading(most: usize) -> Self {
        Self::new(most, true)
    }

    /// Writes at most so many rows at once.
    pub fn writing(most: usize) -> Self {
        Self::new(most, false)
    }

    fn new(most: usize, may_spread: bool) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), driver: Driver::Absent });
        let (called, pace) = (Notify::new(), Mutex::default());
        Self(Arc::new(Shared { queue, called, most, may_spread, pace }))
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

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spreads(&self) -> bool {
        self.may_spread && self.pace().waits_for_disk()
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

    /// Lets everybody ask who is about to; and again, for as long as that brings more.
    async fn gather(&self) {
        let mut waiting = self.queue().waiting.len();
        loop {
            tokio::task::yield_now().await;
            let before = std::mem::replace(&mut waiting, self.queue().waiting.len());
            if waiting <= before || waiting >= self.most {
                return;
            }
        }
    }

    /// The next questions, oldest first, without those that nobody waits for any more: the first of
    /// the parts of what waits, so many of them at the most. Where there are none, `otherwise` is what
    /// the driver does from now on.
    fn take(&self, most_parts: usize, otherwise: Driver) -> Vec<Asked<Q, A>> {
        let mut queue = self.queue();
        let waiting = queue.waiting.len();
        let parts = (waiting / pace::FEWEST).clamp(1, most_parts);
        let most = waiting.div_ceil(parts).min(self.most);
        let mut taken = Vec::with_capacity(most);
        while taken.len() < most {
            let Some(asked) = queue.waiting.pop_front() else { break };
            if !asked.reply.is_closed() {
                taken.push(asked);
            }
        }
        queue.driver = if taken.is_empty() { otherwise } else { Driver::Busy };
        taken
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

/// A statement that has ended.
struct Ended {
    started: Instant,
    questions: usize,
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
    // The newest statement: since when it runs and when it is late. None where it is late already, or
    // holds nobody up.
    let mut newest: Option<(Instant, Instant)> = None;
    loop {
        shared.gather().await;
        let mut listens = false;
        if newest.is_none() && running.len() < MOST_AT_ONCE {
            let spreads = shared.spreads();
            let parts = if spreads { MOST_AT_ONCE - running.len() } else { 1 };
            let idle = if running.is_empty() { Driver::Absent } else { Driver::Listens };
            let taken = shared.take(parts, idle);
            if taken.is_empty() && running.is_empty() {
                return;
            }
            listens = taken.is_empty();
            if !listens {
                let (started, questions) = (Instant::now(), taken.len());
                // Boxed, because it is moved.
                let statement = Box::pin(statement(store.clone(), taken));
                running.push(timed(statement, started, questions));
                if spreads {
                    continue;
                }
                newest = Some((started, started + shared.pace().patience()));
            }
        }
        let ended = match newest {
            Some((_, late_at)) => timeout_at(late_at, running.next()).await.ok().flatten(),
            None if listens => tokio::select! {
                biased;
                ended = running.next() => ended,
                () = shared.called.notified() => None,
            },
            None => running.next().await,
        };
        if let Some(Ended { started, questions }) = &ended {
            shared.pace().took(started.elapsed(), *questions);
        }
        // What has ended, or is late, makes room; what ended late has done so before.
        let started = ended.map(|ended| ended.started);
        if started.is_none() || newest.is_some_and(|(newest, _)| Some(newest) == started) {
            newest = None;
        }
    }
}

/// A statement, and what there is to know of it when it has ended.
async fn timed(statement: impl Future<Output = ()>, started: Instant, questions: usize) -> Ended {
    statement.await;
    Ended { started, questions }
}

#[cfg(test)]
mod tests;
