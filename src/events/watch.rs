//! A follower that waits for more. It holds one page at most and reads the next when that has been
//! taken: whoever reads slowly slows nobody else, and costs no memory but its page.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Cursor, Feed, Numbered, Positions};
use crate::error::Error;

/// Events that are read at once.
const PAGE: usize = 128;
/// A follower is told where it stands at least this often.
const PROGRESS: Duration = Duration::from_secs(2);

/// A follower.
#[derive(Debug)]
pub struct Watcher {
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
    #[must_use]
    pub fn new(feed: Feed, cursor: Cursor) -> Self {
        let heads = feed.shared.heads.subscribe();
        let (page, progress_at) = (VecDeque::new(), Instant::now());
        Self { feed, cursor, page, passed: cursor.positions, heads, progress_at }
    }

    /// Waits for the next event, or until it is time to tell where it stands. Ends with the feed.
    pub async fn next(&mut self) -> Result<Watched, Error> {
        let shutdown = self.feed.shared.shutdown.clone();
        loop {
            if shutdown.is_cancelled() {
                return Err(Error::Draining);
            }
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
                biased;
                () = shutdown.cancelled() => {}
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
