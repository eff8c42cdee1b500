//! How many rows wait for a worker, for the metrics. The numbers are bounded, so that counting a
//! long backlog does not make it longer.

use sqlx::FromRow;

use super::Store;
use crate::domain::Time;
use crate::error::Error;

/// Largest number of rows that are counted.
const MOST_COUNTED: i64 = 100_000;

// The index of the outbox begins with the lane: this reads the whole index up to the bound.
const WAITING_EVENTS: &str = "
    SELECT count(*) AS rows, min(event_time) AS oldest
    FROM (SELECT event_time FROM event_outbox LIMIT $1) AS waiting";

const OPEN_INTENTS: &str = "
    SELECT count(*) AS rows, min(created_at) AS oldest
    FROM (
        SELECT created_at
        FROM order_intents
        WHERE opened_at IS NULL AND cancelled_at IS NULL
        LIMIT $1
    ) AS open";

/// Rows that wait.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct WaitingRows {
    /// How many rows wait, at most 100,000.
    pub rows: i64,
    /// The time of the oldest of the counted rows.
    pub oldest: Option<Time>,
}

impl Store {
    /// Counts the events that wait for their position.
    pub async fn waiting_events(&self) -> Result<WaitingRows, Error> {
        self.read(|pool| async move {
            sqlx::query_as(WAITING_EVENTS).bind(MOST_COUNTED).fetch_one(&pool).await
        })
        .await
    }

    /// Counts the intents of orders that are neither opened nor cancelled.
    pub async fn open_intents(&self) -> Result<WaitingRows, Error> {
        self.read(|pool| async move {
            sqlx::query_as(OPEN_INTENTS).bind(MOST_COUNTED).fetch_one(&pool).await
        })
        .await
    }
}
