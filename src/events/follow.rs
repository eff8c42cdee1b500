//! The task behind the feed: it follows the heads of the log, brings what is new into the ring and
//! tells the followers. Woken by the database where that can wake, and by a timer in any case.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::ring::Numbered;
use super::{Feed, Positions, lane_number, positions};
use crate::domain::event::LANES;
use crate::error::Error;
use crate::storage::Store;
use crate::workers::Told;

/// How often the heads are read when nobody calls.
const POLL: Duration = Duration::from_millis(400);
/// A pause before the connection that listens is made again.
const LISTEN_AGAIN: Duration = Duration::from_secs(2);
/// How far the heads may run ahead of the ring for the ring to be filled up to them; what is
/// further behind, followers read from the database.
const FURTHEST: i64 = 4096;
/// Events that are read at once.
const BATCH: i64 = 512;

impl Feed {
    /// Follows the log until shutdown.
    pub async fn run(self) {
        let shutdown = self.0.shutdown.clone();
        let called = Arc::new(Notify::new());
        tokio::select! {
            () = self.follow(&called) => {}
            () = listen(&self.0.store, &called) => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn follow(&self, called: &Notify) {
        let mut told = Told::new("the event log is not read");
        loop {
            told.outcome(self.catch_up().await);
            tokio::select! {
                () = called.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Reads what is new into the ring, then tells where the heads are.
    async fn catch_up(&self) -> Result<(), Error> {
        let lanes = self.0.store.lanes().await?;
        let heads = positions(&lanes, |lane| lane.last_position);
        if *self.0.heads.borrow() == Some(heads) {
            return Ok(());
        }
        let is_first = self.0.heads.borrow().is_none();
        for lane in 0..LANES {
            let (held, head) = (self.ring().head(lane), heads.0[lane]);
            if is_first || head - held > FURTHEST || head < held {
                self.ring_mut().restart(lane, head);
            } else if held < head {
                self.fill(lane, held, head).await?;
            }
        }
        self.publish(heads);
        Ok(())
    }

    /// Brings a lane of the ring from a position up to its head.
    async fn fill(&self, lane: usize, mut held: i64, head: i64) -> Result<(), Error> {
        while held < head {
            let page = self.0.store.log_page(lane_number(lane), held, BATCH, None).await?;
            let events = page.events.into_iter().take_while(|event| event.position <= head);
            let events: Vec<_> = events.map(|event| Numbered::new(lane, event)).collect();
            if events.first().is_none_or(|event| event.position != held + 1) {
                // Expired before they were read: those who need them are told so by the database.
                self.ring_mut().restart(lane, head);
                return Ok(());
            }
            let mut ring = self.ring_mut();
            for event in events {
                if event.position != held + 1 {
                    return Err(Error::internal(format!("lane {lane} has a gap after {held}")));
                }
                held = event.position;
                ring.push(event);
            }
        }
        Ok(())
    }

    fn publish(&self, heads: Positions) {
        self.0.heads.send_replace(Some(heads));
    }

    fn ring_mut(&self) -> std::sync::RwLockWriteGuard<'_, super::Ring> {
        self.0.ring.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes calls of the database on, for ever.
async fn listen(store: &Store, called: &Notify) {
    let mut told = Told::new("no wake-up calls for events, which are polled instead");
    loop {
        match store.listen().await {
            Ok(mut listener) => {
                told.outcome(Ok(()));
                called.notify_one(); // there may have been calls before
                while listener.called().await {
                    called.notify_one();
                }
            }
            Err(error) => told.outcome(Err(error)),
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}
