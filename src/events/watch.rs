//! A follower that waits for more. It reads in a task of its own, which holds one page at most and
//! reads the next when that has been taken; what it tells goes through a channel with little room.
//! The other end of the channel waits for nothing else: a client that does not read has neither a
//! connection to the database nor a permit, and what it costs is one page and what the channel has
//! room for, until its deadline.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::{Cursor, Feed, Numbered, Positions};
use crate::error::Error;

/// Events that are read at once.
const PAGE: usize = 128;
/// Responses that wait for the client. With room for one only, each event would be a frame and a
/// write of its own, and a backlog would take three times as long.
const TOLD_AHEAD: usize = 32;
/// A follower is told where it stands at least this often.
const PROGRESS: Duration = Duration::from_secs(2);

/// What a follower is told, for as long as its task runs.
#[derive(Debug)]
pub struct Followed {
    told: mpsc::Receiver<Watched>,
    /// Ends with the reason why nothing more is told; `None` when that has been said.
    task: Option<JoinHandle<Error>>,
}

impl Followed {
    /// Follows from a cursor on, until an instant, shutdown, or the end of this value.
    #[must_use]
    pub fn start(feed: Feed, cursor: Cursor, until: Instant) -> Self {
        let (tell, told) = mpsc::channel(TOLD_AHEAD);
        let task = tokio::spawn(Watcher::new(feed, cursor).tell(tell, until));
        Self { told, task: Some(task) }
    }

    /// Waits for what is told next. An error is the end.
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
    /// What has been read and not been taken.
    page: VecDeque<Arc<Numbered>>,
    /// Where it stands when that has been taken.
    passed: Positions,
    heads: watch::Receiver<Option<Positions>>,
    /// When it is next told where it stands, if no event does.
    progress_at: Instant,
}

/// What a follower gets.
#[derive(Debug)]
pub struct Watched {
    /// The event; none where it is only told where it stands.
    pub event: Option<Arc<Numbered>>,
    /// Where it stands after that.
    pub cursor: Cursor,
}

impl Watcher {
    /// Follows from a cursor on. It is told where it stands at once.
    fn new(feed: Feed, cursor: Cursor) -> Self {
        let heads = feed.shared.heads.subscribe();
        let (page, progress_at) = (VecDeque::new(), Instant::now());
        Self { feed, cursor, page, passed: cursor.positions, heads, progress_at }
    }

    /// Tells one after the other, each when there is room for it; why it ended.
    async fn tell(mut self, told: mpsc::Sender<Watched>, until: Instant) -> Error {
        let shutdown = self.feed.shared.shutdown.clone();
        let telling = async {
            // Room first: what is read waits in the channel and nowhere else.
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
            () = told.closed() => Error::Draining, // likewise
            error = telling => error,
        }
    }

    /// Waits for the next event, or until it is time to tell where it stands.
    async fn next(&mut self) -> Result<Watched, Error> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.cursor.positions.0[event.lane] = event.position;
                return Ok(self.watched(Some(event)));
            }
            self.cursor.positions = self.passed;
            if Instant::now() >= self.progress_at {
                return Ok(self.watched(None));
            }
            self.heads.borrow_and_update(); // what comes after this look is a change
            let page = self.feed.page(&self.cursor, PAGE).await?;
            self.page = page.events.into();
            self.passed = page.passed;
            if !self.page.is_empty() || self.passed != self.cursor.positions {
                continue;
            }
            tokio::select! {
                changed = self.heads.changed() => changed.map_err(Error::internal)?,
                () = sleep_until(self.progress_at) => {}
            }
        }
    }

    fn watched(&mut self, event: Option<Arc<Numbered>>) -> Watched {
        self.progress_at = Instant::now() + PROGRESS;
        Watched { event, cursor: self.cursor }
    }
}
