//! How followers get their events. Each process has one feed, which follows the heads of the log
//! and keeps the newest events in a ring. Any number of followers read from the ring. A follower
//! that is behind the ring reads from the database; few of them do so at once. A follower has one
//! position in each lane and gets every event after it once, in order. Because positions have no
//! gaps and are assigned after the commit, no event is skipped.

pub mod cursor;
mod follow;
mod heads;
mod ring;
mod watch;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::{Semaphore, watch as latest};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::cursor::{Cursor, Cursors, Positions};
use self::heads::Heads;
pub use self::ring::FeedEvent;
use self::ring::{Held, Ring};
pub use self::watch::{Followed, Watched};
use crate::domain::AccountId;
use crate::domain::event::{LANES, lane};
use crate::error::Error;
use crate::storage::{Lane, LogPage, Store};

/// Largest number of pages that are read from the database at once: followers that are behind must
/// not take the connections of requests.
const PAGES_AT_ONCE: usize = 2;
/// How long the database may take for a page, retries of the statement included.
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// How long a call waits until the heads are read for the first time.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// The feed of a process. Clones share it.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<FeedState>,
    /// The store through which followers that are behind the ring read.
    store: Store,
}

#[derive(Debug)]
struct FeedState {
    ring: RwLock<Ring>,
    /// The heads of the lanes; `None` until they are read for the first time.
    heads: latest::Sender<Option<Heads>>,
    pages: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// Events that follow given positions in the lanes.
#[derive(Debug)]
pub struct EventPage {
    /// The events. Those of each lane are in order.
    pub events: Vec<Arc<FeedEvent>>,
    /// The cursor of a follower that has seen them.
    pub cursor: Cursor,
}

impl Feed {
    /// Creates a feed that ends its followers at `shutdown`. It follows the log while [`Feed::run`]
    /// runs.
    #[must_use]
    pub fn new(store: Store, shutdown: CancellationToken) -> Self {
        let shared = Arc::new(FeedState {
            ring: RwLock::default(),
            heads: latest::Sender::new(None),
            pages: Arc::new(Semaphore::new(PAGES_AT_ONCE)),
            shutdown,
        });
        Self { shared, store }
    }

    /// Returns the same feed for another core. Followers that are behind the ring read through that
    /// core's store.
    #[must_use]
    pub fn reading(&self, store: Store) -> Self {
        Self { shared: Arc::clone(&self.shared), store }
    }

    /// Returns how many followers are waiting for events.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.shared.heads.receiver_count()
    }

    /// Returns the heads of the log.
    async fn heads(&self) -> Result<Heads, Error> {
        self.heads_with(|_| true).await
    }

    /// Waits a moment for heads that fulfil a condition.
    async fn heads_with(&self, is_right: impl Fn(&Heads) -> bool) -> Result<Heads, Error> {
        let mut heads = self.shared.heads.subscribe();
        let right = heads.wait_for(|heads| heads.as_ref().is_some_and(&is_right));
        let known = timeout(FIRST_LOOK, right).await;
        let known = known.ok().and_then(Result::ok).and_then(|heads| heads.clone());
        known.ok_or_else(|| Error::unavailable("the heads of the event log are not known"))
    }

    /// Returns the cursor after the newest event of each lane.
    pub async fn newest(&self, account_id: Option<AccountId>) -> Result<Cursor, Error> {
        let heads = self.heads().await?;
        Ok(Cursor { account_id, generation: heads.generation(), positions: heads.positions })
    }

    /// Returns the cursor before the oldest event that is kept, in each lane.
    pub async fn oldest(&self, account_id: Option<AccountId>) -> Result<Cursor, Error> {
        let lanes = self.store.lanes().await?;
        let positions = positions(&lanes, |lane| lane.expired_position);
        Ok(Cursor { account_id, generation: generation(&lanes)?, positions })
    }

    /// Refuses a cursor that has seen events which the log does not have any more, because the
    /// database was restored for example. Returns it as one of the newest generation.
    pub async fn check(&self, cursor: &Cursor) -> Result<Cursor, Error> {
        let (cursor, heads) = self.carried(cursor).await?;
        let is_ahead = |heads: &Positions| {
            lanes_of(cursor.account_id).any(|lane| cursor.positions.0[lane] > heads.0[lane])
        };
        // The heads that this process knows may be older than the heads that another replica has
        // served.
        if !is_ahead(&heads.positions) {
            return Ok(cursor);
        }
        let lanes = self.store.lanes().await?;
        if is_ahead(&positions(&lanes, |lane| lane.last_position)) {
            return Err(Error::CursorExpired);
        }
        Ok(cursor)
    }

    /// Returns the cursor as one of the newest generation, and the heads of that generation.
    async fn carried(&self, cursor: &Cursor) -> Result<(Cursor, Heads), Error> {
        let mut heads = self.heads().await?;
        if !heads.knows(cursor.generation) {
            // Another replica may know a generation that began a moment ago. The generations of
            // another log are in no table.
            let generations = self.store.generations().await?;
            if !generations.iter().any(|known| known.id == cursor.generation) {
                return Err(Error::CursorExpired);
            }
            heads = self.heads_with(|heads| heads.knows(cursor.generation)).await?;
        }
        let carried = heads.carry(cursor)?.ok_or(Error::CursorExpired)?;
        Ok((carried, heads))
    }

    /// Reads at most `limit` events after the cursor; none if the follower has seen all. If several
    /// lanes have new events, each gets a share. The lane that is read first changes from page to
    /// page.
    pub async fn page(&self, cursor: &Cursor, limit: usize) -> Result<EventPage, Error> {
        let (cursor, heads) = self.carried(cursor).await?;
        let mut page = EventPage { events: Vec::new(), cursor };
        loop {
            let passed = page.cursor.positions;
            let behind = |lane: &usize| passed.0[*lane] < heads.positions.0[*lane];
            let mut waiting: Vec<usize> = lanes_of(cursor.account_id).filter(behind).collect();
            let room = limit - page.events.len();
            if waiting.is_empty() || room == 0 {
                return Ok(page);
            }
            let turn = passed.turn() % waiting.len();
            waiting.rotate_left(turn);
            let share = (room / waiting.len()).max(1);
            for lane in waiting.into_iter().take(room) {
                let held = self.lane_page(lane, &page.cursor, &heads, share).await?;
                page.events.extend(held.events);
                page.cursor.positions.0[lane] = held.passed;
            }
        }
    }

    /// Reads events of one lane after a cursor of the newest generation: from the ring, or from the
    /// database if the ring begins later.
    async fn lane_page(
        &self,
        lane: usize,
        cursor: &Cursor,
        heads: &Heads,
        limit: usize,
    ) -> Result<Held, Error> {
        let (after, newest) = (cursor.positions.0[lane], heads.positions.0[lane]);
        let Cursor { account_id, generation, .. } = *cursor;
        if let Some(held) = self.ring().after_in(generation, lane, after, limit, account_id) {
            return Ok(held);
        }
        let page = self.read_page(lane, after, limit, account_id).await?;
        require_same_log(&page, generation, newest)?;
        if page.expired_position > after {
            return Err(Error::CursorExpired);
        }
        let is_last = page.events.len() < limit;
        let last = page.events.last().map_or(after, |event| event.position);
        if account_id.is_none() {
            require_no_gap(lane, after, newest, limit, &page)?;
        }
        let events = page.events.into_iter().map(|e| Arc::new(FeedEvent::new(lane, e))).collect();
        // If one account has no more events, everything up to the newest position has been
        // searched.
        let passed = if is_last && account_id.is_some() { last.max(newest) } else { last };
        Ok(Held { events, passed })
    }

    /// Reads a page from the database in a task of its own, to its end. If the caller disconnects,
    /// no connection is left in the middle of a reply, and the permit is returned.
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
        let reading = self.store.finish_in_background(async move {
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

/// Returns the lanes that a follower reads. All events of an account are in one lane.
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

/// Returns the generation in which the lanes were read.
fn generation(lanes: &[Lane]) -> Result<Uuid, Error> {
    let first = lanes.first().ok_or_else(|| Error::internal("event_lanes is empty"))?;
    Ok(first.generation_id)
}

/// Refuses a page of a log that was set back since its heads were read. The caller tries again when
/// the heads are known.
fn require_same_log(page: &LogPage, generation: Uuid, newest: i64) -> Result<(), Error> {
    if page.generation_id == generation && page.last_position >= newest {
        return Ok(());
    }
    Err(Error::unavailable("the event log has another generation since its heads were read"))
}

fn lane_number(lane: usize) -> i16 {
    i16::try_from(lane).expect("there are 16 lanes")
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Checks that the log has no gap, on which followers rely: a page of at most `limit` events after
/// a position contains all events up to the newest, or is full.
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
