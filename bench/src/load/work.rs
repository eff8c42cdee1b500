//! The state that the callers of a row share: which account is next, whether calling goes on, and
//! the record of the answers.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;

use super::accounts::Source;
use super::record::{Outcome, Record};

/// The shared state. All callers run in one thread.
pub struct Work<'a> {
    source: RefCell<Source<'a>>,
    record: RefCell<Record>,
    goes_on: Cell<bool>,
    begun: Cell<u64>,
    ended: Cell<u64>,
    warm_up_calls: u64,
    warm: Notify,
    exhausted: Notify,
}

impl<'a> Work<'a> {
    /// Takes accounts from `source`; the warm-up ends after `warm_up_calls` at the latest.
    pub fn new(source: Source<'a>, warm_up_calls: u64) -> Self {
        Self {
            source: RefCell::new(source),
            record: RefCell::new(Record::new()),
            goes_on: Cell::new(true),
            begun: Cell::new(0),
            ended: Cell::new(0),
            warm_up_calls,
            warm: Notify::new(),
            exhausted: Notify::new(),
        }
    }

    /// Returns the account of the next call, or `None` if the caller shall stop.
    pub fn next_account(&self) -> Option<u64> {
        let next = || self.source.borrow_mut().next();
        let Some(account) = self.goes_on.get().then(next).flatten() else {
            self.stop();
            return None;
        };
        self.begun.set(self.begun.get() + 1);
        if self.begun.get() >= self.warm_up_calls {
            self.warm.notify_one();
        }
        Some(account)
    }

    /// Counts the answer to a call that was sent at `sent`.
    pub fn answered(&self, account: u64, sent: Instant, answer: anyhow::Result<()>) {
        self.ended.set(self.ended.get() + 1);
        match answer {
            Ok(()) => self.record.borrow_mut().right(sent, Instant::now()),
            Err(why) => {
                self.record.borrow_mut().wrong(1, || format!("account {account}: {why:#}"));
            }
        }
    }

    /// Counts calls without a right answer.
    pub fn wrong(&self, count: u64, what: impl FnOnce() -> String) {
        self.record.borrow_mut().wrong(count, what);
    }

    /// Lets the callers send no further call.
    pub fn stop(&self) {
        self.goes_on.set(false);
        self.warm.notify_one();
        self.exhausted.notify_one();
    }

    /// Waits until the warm-up is over.
    pub async fn until_warm(&self, longest: Duration) {
        timeout(longest, self.warm.notified()).await.ok();
    }

    /// Waits until there is no further account, or a connection has ended.
    pub async fn until_exhausted(&self) {
        self.exhausted.notified().await;
    }

    /// Opens the window.
    pub fn open(&self, now: Instant) {
        self.record.borrow_mut().open(now);
    }

    /// Closes the window. No further call is sent.
    pub fn close(&self, now: Instant) {
        self.record.borrow_mut().close(now);
        self.stop();
    }

    /// Returns the number of calls without an answer.
    pub fn waiting(&self) -> u64 {
        self.begun.get() - self.ended.get()
    }

    /// Returns the counts at the end.
    pub fn outcome(self) -> Outcome {
        self.record.into_inner().outcome()
    }
}
