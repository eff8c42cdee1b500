//! Answers many concurrent callers with one statement. A caller puts its question, the id of an
//! account for example, into a queue. If no driver runs, the caller starts one. The driver is a
//! task: it yields until no more questions arrive, takes them from the queue, and runs one
//! statement for them. It repeats this until the queue is empty. No timer delays the statement, so
//! the question of a single caller is sent at once.
//!
//! A statement starts after all of its questions were asked, so no answer is stale. If a statement
//! is late, the driver starts the next one while the late one runs. A caller that disconnects while
//! queued is skipped; one that disconnects later does not affect the statement.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Duration, Instant, timeout_at};

use crate::error::Error;
use crate::storage::Store;
use crate::traces::{self, Asking, Position};

/// Largest number of callers in a queue. If the queue is full, a new caller is refused at once and
/// can retry.
const MOST_WAITING: usize = 8192;
/// Largest number of statements of one batcher that run at the same time.
const MOST_AT_ONCE: usize = 4;
/// A statement that runs for longer than this is late: it waits for a disk or for a lock.
const LATE: Duration = Duration::from_millis(10);

/// One question, and the caller that waits for its answer.
pub(in crate::storage) struct Asked<Q, A> {
    pub question: Q,
    reply: oneshot::Sender<Result<A, Error>>,
    /// The call of the caller, if it is sampled.
    asking: Option<Box<Asking>>,
}

impl<Q, A> Asked<Q, A> {
    /// Waits until the caller has disconnected.
    pub async fn gone(&mut self) {
        self.reply.closed().await;
    }

    /// Returns the position of the call in its trace if it is sampled, for a statement that answers
    /// this question alone.
    pub fn position(&self) -> Option<Position> {
        self.asking.as_ref().map(|asking| asking.position())
    }

    /// Answers. The caller may have disconnected.
    pub fn answer(self, answer: Result<A, Error>) {
        self.reply.send(answer).ok();
    }
}

/// Asks many questions of one kind in few statements.
pub(in crate::storage) struct Batcher<Q, A>(Arc<BatcherState<Q, A>>);

struct BatcherState<Q, A> {
    queue: Mutex<Queue<Q, A>>,
    /// Wakes a driver that waits for a notification.
    called: Notify,
    /// The operation and the table of its statements, in the spans of sampled calls.
    summary: [&'static str; 2],
    /// Largest number of questions in one statement.
    most: usize,
    /// The name in metrics.
    name: &'static str,
}

struct Queue<Q, A> {
    waiting: VecDeque<Asked<Q, A>>,
    driver: Driver,
}

/// What the driver is doing, which decides whether a caller starts or notifies it.
enum Driver {
    /// There is no driver.
    Absent,
    /// It reads the queue again without a notification.
    Busy,
    /// It waits for a notification.
    Listens,
}

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Creates a batcher with this name in metrics, whose statements have at most `most` questions.
    /// `summary` is their operation and the table.
    pub fn new(name: &'static str, summary: [&'static str; 2], most: usize) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), driver: Driver::Absent });
        Self(Arc::new(BatcherState { queue, called: Notify::new(), summary, most, name }))
    }

    /// Returns the name, and how many questions wait for a statement.
    pub fn waiting(&self) -> (&'static str, usize) {
        (self.0.name, self.0.queue().waiting.len())
    }

    /// Asks the question and waits for the answer. `statement` runs one statement for all questions
    /// that it gets, within [`answering`], and answers each of them. All callers of a batcher pass the
    /// same `statement`.
    pub async fn ask<S, F>(&self, question: Q, store: &Store, statement: S) -> Result<A, Error>
    where
        S: Fn(Store, Vec<Asked<Q, A>>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (waiting, asking) = traces::of_questions(self.0.summary).unzip();
        match self.0.enqueue(Asked { question, reply, asking })? {
            // Shutdown waits for the statements that the driver has started.
            Driver::Absent => {
                drop(store.writes.spawn(drive(Arc::clone(&self.0), store.clone(), statement)));
            }
            Driver::Busy => {}
            Driver::Listens => self.0.called.notify_one(),
        }
        let answer = answer.await;
        drop(waiting); // the span of a sampled call
        answer.unwrap_or_else(|_| Err(Error::internal("a statement gave no answer")))
    }
}

impl<Q, A> BatcherState<Q, A> {
    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a question into the queue and marks the driver as busy. Returns what the driver was
    /// doing before.
    fn enqueue(&self, asked: Asked<Q, A>) -> Result<Driver, Error> {
        let mut queue = self.queue();
        if queue.waiting.len() >= MOST_WAITING {
            return Err(Error::unavailable("too many requests wait for the database"));
        }
        queue.waiting.push_back(asked);
        Ok(std::mem::replace(&mut queue.driver, Driver::Busy))
    }

    /// Yields to the runtime until no more questions arrive.
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

    /// Takes the next questions, oldest first, without those whose caller has disconnected. Marks
    /// the driver as busy, or as `otherwise` if there are no questions.
    fn take(&self, otherwise: Driver) -> Vec<Asked<Q, A>> {
        let mut queue = self.queue();
        let mut taken = Vec::with_capacity(queue.waiting.len().min(self.most));
        while taken.len() < self.most {
            let Some(asked) = queue.waiting.pop_front() else { break };
            if !asked.reply.is_closed() {
                taken.push(asked);
            }
        }
        queue.driver = if taken.is_empty() { otherwise } else { Driver::Busy };
        taken
    }
}

/// Runs a statement that answers all of these questions, in a span if one of the calls is sampled.
pub(in crate::storage) fn answering<Q, A, F: Future>(
    asked: &[Asked<Q, A>],
    store: &Store,
    statement: F,
) -> impl Future<Output = F::Output> + use<Q, A, F> {
    let asking = asked.iter().filter_map(|asked| asked.asking.as_deref());
    let span = traces::of_statement(asking, || store.database_name(), asked.len());
    traces::spanned(span, statement)
}

/// Removes the driver from the queue if it panics. The callers that wait get an error, and the next
/// caller starts another driver.
struct DriverGuard<Q, A>(Arc<BatcherState<Q, A>>);

impl<Q, A> Drop for DriverGuard<Q, A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.queue();
            queue.waiting.clear();
            queue.driver = Driver::Absent;
        }
    }
}

/// Runs statements until no caller waits.
async fn drive<Q, A, S, F>(shared: Arc<BatcherState<Q, A>>, store: Store, statement: S)
where
    S: Fn(Store, Vec<Asked<Q, A>>) -> F,
    F: Future<Output = ()>,
{
    let guard = DriverGuard(shared);
    let shared = &*guard.0;
    let mut running = FuturesUnordered::new();
    let mut newest = 0;
    // The instant from which the newest statement is late. `None` if it has ended or is late
    // already.
    let mut late_at = None;
    loop {
        shared.gather().await;
        let mut listens = false;
        if late_at.is_none() && running.len() < MOST_AT_ONCE {
            let idle = if running.is_empty() { Driver::Absent } else { Driver::Listens };
            let taken = shared.take(idle);
            if taken.is_empty() && running.is_empty() {
                return;
            }
            listens = taken.is_empty();
            if !listens {
                newest += 1;
                store.connections.observed.batch(shared.name, taken.len());
                late_at = Some(Instant::now() + LATE);
                // Boxed, because it is moved.
                running.push(numbered(newest, Box::pin(statement(store.clone(), taken))));
            }
        }
        let ended = match late_at {
            Some(late_at) => timeout_at(late_at, running.next()).await.ok().flatten(),
            None if listens => tokio::select! {
                biased;
                ended = running.next() => ended,
                () = shared.called.notified() => None,
            },
            None => running.next().await,
        };
        if ended.is_none_or(|number| number == newest) {
            late_at = None;
        }
    }
}

/// Runs a statement and returns its number.
async fn numbered(number: u64, statement: impl Future<Output = ()>) -> u64 {
    statement.await;
    number
}

#[cfg(test)]
mod tests;
