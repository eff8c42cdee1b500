//! How followers get their events. One feed per process follows the heads of the log and keeps the
//! newest events in a ring; any number of followers read from the ring, and from the database, a
//! few at a time, where they are behind it. A follower stands at one position in each lane and
//! passes every event after it, in order, once: since positions have no gap and are given after the
//! commit, none is skipped.

pub mod cursor;
mod follow;
mod ring;
mod watch;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, watch as latest};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use self::cursor::{Cursor, CursorKey, Positions};
pub use self::ring::Numbered;
use self::ring::{Held, Ring};
pub use self::watch::{Followed, Watched};
use crate::domain::AccountId;
use crate::domain::event::{LANES, lane};
use crate::error::Error;
use crate::storage::{Lane, LogPage, Store};

/// How many pages may be read from the database at once: followers that are behind must not take
/// the connections of the requests.
const PAGES_AT_ONCE: usize = 2;
/// The longest that the database may take for a page, its statement being tried again included.
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// The longest that a call waits for the first look at the heads.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// The feed of a process. Clones share it.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    /// Where those read who are behind the ring.
    store: Store,
}

#[derive(Debug)]
struct Shared {
    ring: RwLock<Ring>,
    /// The heads of the lanes; `None` until they were read for the first time.
    heads: latest::Sender<Option<Positions>>,
    pages: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// Events that follow a set of positions.
#[derive(Debug)]
pub struct Page {
    /// The events, each lane in order.
    pub events: Vec<Arc<Numbered>>,
    /// Where a follower stands when it has seen them.
    pub passed: Positions,
}

impl Feed {
    /// A feed that ends its followers at `shutdown`. [`Feed::run`] must run for it to move.
    #[must_use]
    pub fn new(store: Store, shutdown: CancellationToken) -> Self {
        let shared = Arc::new(Shared {
            ring: RwLock::default(),
            heads: latest::Sender::new(None),
            pages: Arc::new(Semaphore::new(PAGES_AT_ONCE)),
            shutdown,
        });
        Self { shared, store }
    }

    /// The same feed for another core: who is behind reads through that core's store.
    #[must_use]
    pub fn reading(&self, store: Store) -> Self {
        Self { shared: Arc::clone(&self.shared), store }
    }

    /// Where the newest event is, in each lane.
    pub async fn newest(&self) -> Result<Positions, Error> {
        let mut heads = self.shared.heads.subscribe();
        let known = timeout(FIRST_LOOK, heads.wait_for(Option::is_some)).await;
        let known = known.ok().and_then(Result::ok).and_then(|heads| *heads);
        known.ok_or_else(|| Error::unavailable("the heads of the event log are not known"))
    }

    /// Before the oldest event that is kept, in each lane.
    pub async fn oldest(&self) -> Result<Positions, Error> {
        let lanes = self.store.lanes().await?;
        Ok(positions(&lanes, |lane| lane.expired_position))
    }

    /// Refuses a cursor that stands after events that do not exist: the log is another one, or was
    /// set back.
    pub async fn check(&self, cursor: &Cursor) -> Result<(), Error> {
        let is_ahead = |heads: &Positions| {
            lanes_of(cursor.account_id).any(|lane| cursor.positions.0[lane] > heads.0[lane])
        };
        // What this process knows may be older than what the cursor has seen elsewhere.
        if !is_ahead(&self.newest().await?) {
            return Ok(());
        }
        let lanes = self.store.lanes().await?;
        if is_ahead(&positions(&lanes, |lane| lane.last_position)) {
            return Err(Error::CursorExpired);
        }
        Ok(())
    }

    /// At most `limit` events after the cursor; none when it has seen everything. Where several
    /// lanes have news, each gets a share, and the first turn changes from page to page.
    pub async fn page(&self, cursor: &Cursor, limit: usize) -> Result<Page, Error> {
        let heads = self.newest().await?;
        let mut page = Page { events: Vec::new(), passed: cursor.positions };
        loop {
            let behind = |lane: &usize| page.passed.0[*lane] < heads.0[*lane];
            let mut waiting: Vec<usize> = lanes_of(cursor.account_id).filter(behind).collect();
            let room = limit - page.events.len();
            if waiting.is_empty() || room == 0 {
                return Ok(page);
            }
            let turn = page.passed.turn() % waiting.len();
            waiting.rotate_left(turn);
            let share = (room / waiting.len()).max(1);
            for lane in waiting.into_iter().take(room) {
                let (after, newest) = (page.passed.0[lane], heads.0[lane]);
                let held = self.lane_page(lane, after, newest, share, cursor.account_id).await?;
                page.events.extend(held.events);
                page.passed.0[lane] = held.passed;
            }
        }
    }

    /// Events of one lane after a position: from the ring, or where that begins later from the
    /// database.
    async fn lane_page(
        &self,
        lane: usize,
        after: i64,
        newest: i64,
        limit: usize,
        account_id: Option<AccountId>,
    ) -> Result<Held, Error> {
        if let Some(held) = self.ring().after(lane, after, limit, account_id) {
            return Ok(held);
        }
        let page = self.read_page(lane, after, limit, account_id).await?;
        if page.expired_position > after {
            return Err(Error::CursorExpired);
        }
        let is_last = page.events.len() < limit;
        let last = page.events.last().map_or(after, |event| event.position);
        if account_id.is_none() {
            require_no_gap(lane, after, newest, limit, &page)?;
        }
        let events = page.events.into_iter().map(|e| Arc::new(Numbered::new(lane, e))).collect();
        // Of one account: when there are no more, everything up to the newest has been looked at.
        let passed = if is_last && account_id.is_some() { last.max(newest) } else { last };
        Ok(Held { events, passed })
    }

    /// A page from the database, read to its end in a task of its own: a caller who goes away leaves
    /// neither a connection in the middle of a reply nor a permit with nobody to give it back.
    async fn read_page(
        &self,
        lane: usize,
        after: i64,
        limit: usize,
        account_id: Option<AccountId>,
    ) -> Result<LogPage, Error> {
        let permit = Arc::clone(&self.shared.pages).acquire_owned().await;
        let permit = permit.map_err(Error::internal)?;
        let store = self.store.clone();
        let reading = self.store.see_through(async move {
            let page = store.log_page(lane_number(lane), after, rows(limit), account_id);
            let page = timeout(PAGE_WITHIN, page).await;
            drop(permit);
            page.unwrap_or_else(|late| Err(Error::unavailable(late)))
        });
        reading.await.map_err(Error::internal)?
    }

    fn ring(&self) -> std::sync::RwLockReadGuard<'_, Ring> {
        self.shared.ring.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The lanes that a follower looks at: an account has its events in one.
fn lanes_of(account_id: Option<AccountId>) -> impl Iterator<Item = usize> {
    let only = account_id.map(|account_id| usize::try_from(lane(account_id)).unwrap_or_default());
    (0..LANES).filter(move |lane| only.is_none_or(|only| only == *lane))
}

fn positions(lanes: &[Lane], position: impl Fn(&Lane) -> i64) -> Positions {
    let mut positions = Positions::default();
    for lane in lanes {
        let index = usize::try_from(lane.lane).ok();
        if let Some(slot) = index.and_then(|index| positions.0.get_mut(index)) {
            *slot = position(lane);
        }
    }
    positions
}

fn lane_number(lane: usize) -> i16 {
    i16::try_from(lane).expect("there are 16 lanes")
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Holds the log to its promise, by which nobody is skipped: a page of at most `limit` events after
/// a position has them all up to the newest.
fn require_no_gap(
    lane: usize,
    after: i64,
    newest: i64,
    limit: usize,
    page: &LogPage,
) -> Result<(), Error> {
    let in_order = page.events.iter().zip(after + 1..).all(|(event, due)| event.position == due);
    let reached = after + rows(page.events.len());
    if in_order && (reached >= newest || page.events.len() >= limit) {
        return Ok(());
    }
    Err(Error::internal(format!("lane {lane} of event_log has a gap after position {after}")))
}
