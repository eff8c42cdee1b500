//! A follower that waits for new events. It reads in a task of its own, which holds at most one
//! page and reads the next one when the client has taken it. Its responses go through a channel
//! with little room. The receiver of the channel waits for nothing else, so a client that does not
//! read holds neither a connection to the database nor a permit. It costs one page and the
//! responses in the channel, until its deadline.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::heads::Heads;
use super::{Cursor, Feed, FeedEvent};
use crate::error::Error;

/// Events that are read at once.
const PAGE: usize = 128;
/// Largest number of responses that wait for the client. With room for one, each event would be a
/// frame and a write of its own, and a backlog would take three times as long.
const TOLD_AHEAD: usize = 32;
/// A follower gets its cursor at least this often.
const PROGRESS: Duration = Duration::from_secs(2);

/// The responses to a follower, for as long as its task runs.
#[derive(Debug)]
pub struct Followed {
    told: mpsc::Receiver<Watched>,
    /// The task. It returns the reason why the responses end; `None` after that was returned.
    task: Option<JoinHandle<Error>>,
}

impl Followed {
    /// Follows from a cursor until an instant, until shutdown, or until this value is dropped.
    #[must_use]
    pub fn start(feed: Feed, cursor: Cursor, until: Instant) -> Self {
        let (tell, told) = mpsc::channel(TOLD_AHEAD);
        let task = tokio::spawn(Watcher::new(feed, cursor).tell(tell, until));
        Self { told, task: Some(task) }
    }

    /// Waits for the next response. An error is the last one.
    pub async fn next(&mut self) -> Option<Result<Watched, Error>> {
        if let Some(told) = self.told.recv().await {
            return Some(Ok(told));
        }
        let ended = self.task.take()?.await;
        Some(Err(ended.unwrap_or_else(Error::internal)))
    }
}

/// A follower.
#[derive(Debug)]
struct Watcher {
    feed: Feed,
    cursor: Cursor,
    /// Events that were read and not yet sent.
    page: VecDeque<Arc<FeedEvent>>,
    /// The cursor of the follower after these events.
    passed: Cursor,
    heads: watch::Receiver<Option<Heads>>,
    /// When the follower gets its cursor if no event is sent before.
    progress_at: Instant,
}

/// One response to a follower.
#[derive(Debug)]
pub struct Watched {
    /// The event; `None` if the response only has the cursor.
    pub event: Option<Arc<FeedEvent>>,
    /// The cursor of the follower after this response.
    pub cursor: Cursor,
}

impl Watcher {
    /// Follows from a cursor. The first response is due at once.
    fn new(feed: Feed, cursor: Cursor) -> Self {
        let heads = feed.shared.heads.subscribe();
        let (page, progress_at) = (VecDeque::new(), Instant::now());
        Self { feed, cursor, page, passed: cursor, heads, progress_at }
    }

    /// Sends the responses one after another, each when the channel has room. Returns why they
    /// ended.
    async fn tell(mut self, told: mpsc::Sender<Watched>, until: Instant) -> Error {
        let shutdown = self.feed.shared.shutdown.clone();
        let telling = async {
            // Reserve room first, so that what was read waits in the channel only.
            while let Ok(room) = told.reserve().await {
                match self.next().await {
                    Ok(watched) => room.send(watched),
                    Err(error) => return error,
                }
            }
            Error::Draining // the receiver is gone
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => Error::Draining,
            () = sleep_until(until) => Error::DeadlineExceeded,
            () = told.closed() => Error::Draining, // the receiver is gone
            error = telling => error,
        }
    }

    /// Waits for the next event, or until the cursor is due.
    async fn next(&mut self) -> Result<Watched, Error> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.cursor.positions.0[event.lane] = event.position;
                return Ok(self.watched(Some(event)));
            }
            self.cursor = self.passed;
            if Instant::now() >= self.progress_at {
                return Ok(self.watched(None));
            }
            self.heads.borrow_and_update(); // a later head counts as a change
            let page = self.feed.page(&self.cursor, PAGE).await?;
            self.page = page.events.into();
            self.passed = page.cursor;
            self.cursor.generation = page.cursor.generation;
            if !self.page.is_empty() || self.passed != self.cursor {
                continue;
            }
            tokio::select! {
                changed = self.heads.changed() => changed.map_err(Error::internal)?,
                () = sleep_until(self.progress_at) => {}
            }
        }
    }

    fn watched(&mut self, event: Option<Arc<FeedEvent>>) -> Watched {
        self.progress_at = Instant::now() + PROGRESS;
        Watched { event, cursor: self.cursor }
    }
}
