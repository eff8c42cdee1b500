//! The log of numbered events: the heads of its lanes, its pages, and the deletion of old events.

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::{AccountId, Time};
use crate::error::Error;
use crate::storage::Store;

/// The positions of a lane: up to which events were numbered, and up to which they were deleted.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct Lane {
    /// The number of the lane.
    pub lane: i16,
    /// The newest position of the lane.
    pub last_position: i64,
    /// The newest position whose event was deleted.
    pub expired_position: i64,
    /// The generation of the log, which is the same in all lanes.
    pub generation_id: Uuid,
}

/// A numbered event.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// Its position in the lane.
    pub position: i64,
    /// Its id.
    pub event_id: Uuid,
    /// The account that it is about.
    pub account_id: i64,
    /// The CloudEvents type.
    pub type_name: String,
    /// When it happened.
    pub time: Time,
    /// The encoded payload.
    pub data: Vec<u8>,
}

/// Consecutive events of a lane, from one snapshot.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The newest position of the lane.
    pub last_position: i64,
    /// The newest position whose event was deleted.
    pub expired_position: i64,
    /// The generation of the log.
    pub generation_id: Uuid,
    /// The events, in order.
    pub events: Vec<LoggedEvent>,
}

macro_rules! newest_generation {
    () => {
        "(SELECT generation_id FROM event_generations ORDER BY number DESC LIMIT 1)
            AS generation_id"
    };
}

// No account is named, because the lanes and the log do not belong to accounts.
const READ_LANES: &str = concat!(
    "SELECT lane, last_position, expired_position, ",
    newest_generation!(),
    " FROM event_lanes
    ORDER BY lane"
);

#[derive(FromRow)]
struct PageRow {
    last_position: i64,
    expired_position: i64,
    generation_id: Uuid,
    position: Option<i64>,
    event_id: Option<Uuid>,
    account_id: Option<i64>,
    r#type: Option<String>,
    event_time: Option<Time>,
    data: Option<Vec<u8>>,
}

/// Reads a page: the generation of the log, the positions of the lane, and its events after `$2`. It is one statement, so that all come from one snapshot: if the page skips a position above the expired one, there
/// was never such an event. `$account` adds a filter for one account.
macro_rules! read_page {
    ($account:literal) => {
        concat!(
            "SELECT
                l.last_position,
                l.expired_position, ",
            newest_generation!(),
            ",
                e.position,
                e.event_id,
                e.account_id,
                e.type,
                e.event_time,
                e.data
            FROM event_lanes l
            LEFT JOIN (
                SELECT lane, position, event_id, account_id, type, event_time, data
                FROM event_log
                WHERE lane = $1 AND position > $2",
            $account,
            "   ORDER BY position
                LIMIT $3
            ) e ON e.lane = l.lane
            WHERE l.lane = $1
            ORDER BY e.position"
        )
    };
}

const READ_PAGE: &str = read_page!(" ");
const READ_PAGE_OF_ACCOUNT: &str = read_page!(" AND account_id = $4 ");

// Deletes only the oldest events, up to the first that is young enough, so that the remaining
// events have no gap. The expired position rises in the same statement.
const EXPIRE: &str = "
    WITH oldest AS (
        SELECT position, numbered_at
        FROM event_log
        WHERE lane = $1 AND position > $2
        ORDER BY position
        LIMIT $4
    ), expired AS (
        DELETE FROM event_log
        WHERE lane = $1 AND position > $2 AND position < coalesce(
            (SELECT min(position) FROM oldest WHERE numbered_at >= $3),
            (SELECT max(position) + 1 FROM oldest))
        RETURNING position
    ), raised AS (
        UPDATE event_lanes
        SET expired_position = greatest(expired_position, (SELECT max(position) FROM expired))
        WHERE lane = $1 AND EXISTS (SELECT 1 FROM expired)
    )
    SELECT count(*) FROM expired";

impl Store {
    /// Returns the positions of all lanes, in the order of the lanes.
    pub async fn lanes(&self) -> Result<Vec<Lane>, Error> {
        self.read(|pool| async move { sqlx::query_as(READ_LANES).fetch_all(&pool).await }).await
    }

    /// Returns at most `limit` events of a lane after a position, of all accounts or of one.
    pub async fn log_page(
        &self,
        lane: i16,
        after: i64,
        limit: i64,
        account_id: Option<AccountId>,
    ) -> Result<LogPage, Error> {
        let rows = self.read(|pool| async move {
            let statement = account_id.map_or(READ_PAGE, |_| READ_PAGE_OF_ACCOUNT);
            let page = sqlx::query_as::<_, PageRow>(statement).bind(lane).bind(after).bind(limit);
            match account_id {
                Some(account_id) => page.bind(account_id.get()).fetch_all(&pool).await,
                None => page.fetch_all(&pool).await,
            }
        });
        let rows = rows.await?;
        let Some(first) = rows.first() else {
            return Err(Error::internal(format!("event_lanes has no row of lane {lane}")));
        };
        let PageRow { last_position, expired_position, generation_id, .. } = *first;
        let events = rows.into_iter().filter_map(PageRow::event).collect();
        Ok(LogPage { last_position, expired_position, generation_id, events })
    }

    /// Deletes at most `limit` events of a lane that were numbered before an instant, the oldest
    /// first. Returns how many. `after` is the newest position whose event is known to be deleted.
    pub async fn expire_events(
        &self,
        lane: i16,
        after: i64,
        before: Time,
        limit: i64,
    ) -> Result<i64, Error> {
        self.write_no_event(move |pool| async move {
            let expire = sqlx::query_scalar(EXPIRE).bind(lane).bind(after).bind(before).bind(limit);
            expire.fetch_one(&pool).await
        })
        .await
    }
}

impl PageRow {
    /// Returns the event; `None` in the one row of a page without events.
    fn event(self) -> Option<LoggedEvent> {
        Some(LoggedEvent {
            position: self.position?,
            event_id: self.event_id?,
            account_id: self.account_id?,
            type_name: self.r#type?,
            time: self.event_time?,
            data: self.data?,
        })
    }
}
