//! The task behind the feed. It follows the heads of the log, reads new events into the ring while
//! there are followers, and notifies the followers. The database wakes it if it can send
//! notifications; a timer wakes it in any case.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::heads::Heads;
use super::ring::FeedEvent;
use super::{Feed, generation, lane_number, positions, require_no_gap, require_same_log, rows};
use crate::domain::event::LANES;
use crate::error::Error;
use crate::logging::FailureLog;
use crate::metrics::WorkerTurns;
use crate::storage::Store;

/// How often the heads are read if no notification arrives.
const POLL: Duration = Duration::from_millis(400);
/// How long to wait before the listening connection is opened again.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// Largest number of a lane's newest events that are read into the ring. A follower that is further
/// behind reads from the database.
const FURTHEST: i64 = 8192;
/// Events that one query reads.
const BATCH: usize = 512;
/// The ring is kept up to date for this long after the last follower has left, so that a follower
/// that reconnects finds in it what it missed. After that, reading every event into the ring would
/// be work without a reader.
const REMEMBERED: Duration = Duration::from_secs(30);

impl Feed {
    /// Follows the log until shutdown.
    pub async fn run(self, turns: WorkerTurns) {
        let shutdown = self.shared.shutdown.clone();
        let called = Arc::new(Notify::new());
        tokio::select! {
            () = self.follow(&called, turns) => {}
            () = listen(&self.store, &called) => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn follow(&self, called: &Notify, mut turns: WorkerTurns) {
        let mut followed_at = None;
        loop {
            if self.shared.heads.receiver_count() > 0 {
                followed_at = Some(Instant::now());
            }
            let is_followed = followed_at.is_some_and(|at| at.elapsed() < REMEMBERED);
            turns.outcome(self.catch_up(is_followed).await);
            tokio::select! {
                () = called.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Reads new events into the ring if there are followers, then publishes the heads.
    async fn catch_up(&self, is_followed: bool) -> Result<(), Error> {
        let known = self.shared.heads.borrow().clone();
        let heads = self.read_heads(known.as_ref()).await?;
        let is_same_log = known.as_ref().is_some_and(|k| k.generation() == heads.generation());
        if !is_followed {
            self.ring_mut().begin_after(&heads);
        } else if !is_same_log {
            self.ring_mut().change_generation(&heads);
        }
        if known.as_ref() == Some(&heads) {
            return Ok(());
        }
        for lane in 0..LANES {
            let (reached, newest) = (self.ring().head(lane), heads.positions.0[lane]);
            if newest < reached {
                self.ring_mut().restart(lane, newest);
            } else if newest - reached > FURTHEST {
                self.ring_mut().restart(lane, newest - FURTHEST);
            }
            self.fill(lane, &heads).await?;
        }
        self.shared.heads.send_replace(Some(heads));
        Ok(())
    }

    /// Reads the heads, and the generations if there is a new one.
    async fn read_heads(&self, known: Option<&Heads>) -> Result<Heads, Error> {
        let lanes = self.store.lanes().await?;
        let generation = generation(&lanes)?;
        let positions = positions(&lanes, |lane| lane.last_position);
        if let Some(known) = known.filter(|known| known.generation() == generation) {
            return Ok(known.moved_to(positions));
        }
        let heads = Heads::new(positions, generation, &self.store.generations().await?);
        heads.ok_or_else(|| Error::unavailable("the generations of the event log changed"))
    }

    /// Reads a lane into the ring up to its head.
    async fn fill(&self, lane: usize, heads: &Heads) -> Result<(), Error> {
        let newest = heads.positions.0[lane];
        let mut reached = self.ring().head(lane);
        while reached < newest {
            let page = self.store.log_page(lane_number(lane), reached, rows(BATCH), None).await?;
            require_same_log(&page, heads.generation(), newest)?;
            if page.expired_position > reached {
                // The database tells the followers that need the deleted events.
                self.ring_mut().restart(lane, newest);
                return Ok(());
            }
            require_no_gap(lane, reached, newest, BATCH, &page)?;
            let events = page.events.into_iter().take_while(|event| event.position <= newest);
            let events: Vec<_> = events.map(|event| FeedEvent::new(lane, event)).collect();
            let mut ring = self.ring_mut();
            for event in events {
                ring.push(event);
            }
            reached = ring.head(lane);
        }
        Ok(())
    }

    fn ring_mut(&self) -> std::sync::RwLockWriteGuard<'_, super::Ring> {
        self.shared.ring.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes notifications of the database on until it is dropped.
async fn listen(store: &Store, called: &Notify) {
    let mut failure_log =
        FailureLog::new("no notifications about events, which are polled instead");
    loop {
        match store.listen().await {
            Ok(mut listener) => {
                failure_log.outcome(Ok(()));
                called.notify_one(); // notifications may have been sent before
                while listener.called().await {
                    called.notify_one();
                }
            }
            Err(error) => failure_log.outcome(Err(error)),
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}
