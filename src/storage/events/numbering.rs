//! Numbers events: moves them from the outbox into the log and gives them their positions, without
//! gaps and in the order of their times, for each lane. The replica that locks the row of a lane
//! numbers its events. This is the only exception to the rule that one function runs one statement:
//! it is one transaction of several statements. It runs in a task of its own, so that a caller that
//! disconnects does not leave a connection inside the transaction.

use sqlx::{Connection as _, FromRow, PgConnection};

use super::generations::{origin, settings_of_numbering};
use super::listen::CHANNEL;
use crate::domain::Time;
use crate::domain::event::LANES;
use crate::error::Error;
use crate::storage::Store;
use crate::storage::engine::connections::limited;
use crate::storage::engine::failure;

/// How many events of a lane one transaction numbers. If the last ones have the same time, it
/// numbers a few more.
const NUMBERED_AT_ONCE: i64 = 256;

// No account is named here or below, because a lane has the events of many accounts. While a
// transaction keeps an old snapshot, the index entries of events that were moved remain. A scan
// from the beginning reads all of them; a scan from a recent time reads few.
pub(in crate::storage) const WAITING_LANES: &str = "
    SELECT DISTINCT lane
    FROM event_outbox
    WHERE lane = ANY($1) AND event_time > $2";

// If an engine has no notifications, followers poll.
const HAS_NOTIFY: &str = "SELECT EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'pg_notify')";

// If the table of generations is empty, `is_of_generation` is false, not NULL: a generation begins.
const LOCK_LANES: &str = concat!(
    "SELECT lane, last_position, (
            SELECT origin
            FROM event_generations
            ORDER BY number DESC
            LIMIT 1
        ) IS NOT DISTINCT FROM ",
    origin!(),
    " AS is_of_generation
    FROM event_lanes, ",
    settings_of_numbering!(),
    " WHERE lane = ANY($1)
    ORDER BY lane
    FOR UPDATE OF event_lanes SKIP LOCKED"
);

#[derive(FromRow)]
struct LaneRow {
    lane: i16,
    last_position: i64,
    /// Whether the newest generation is of this server.
    is_of_generation: bool,
}

// A range, not a list of ids: it is one scan of the index of the lane, even if the planner has the
// statistics of an empty table.
const MOVE: &str = "
    WITH taken AS (
        DELETE FROM event_outbox
        WHERE lane = $1 AND event_time > $5 AND event_time <= (
            SELECT max(event_time)
            FROM (
                SELECT event_time
                FROM event_outbox
                WHERE lane = $1 AND event_time > $5
                ORDER BY event_time, event_id
                LIMIT $2
            ) AS oldest
        )
        RETURNING account_id, event_id, event_time, type, data
    ), numbered AS (
        INSERT INTO event_log (
            lane, position, event_id, account_id, type, event_time, data, numbered_at)
        SELECT
            $1,
            $3 + row_number() OVER (ORDER BY event_time, event_id),
            event_id,
            account_id,
            type,
            event_time,
            data,
            $4
        FROM taken
        RETURNING position
    ), newest AS (
        SELECT max(position) AS position
        FROM numbered
    )
    UPDATE event_lanes
    SET last_position = newest.position
    FROM newest
    WHERE lane = $1 AND newest.position IS NOT NULL
    RETURNING last_position";

const NOTIFY: &str = "SELECT pg_notify($1, '')";

/// The result of a numbering transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberingRound {
    /// Number of events.
    pub events: i64,
    /// Whether another replica is numbering one of the lanes.
    pub left_to_another: bool,
    /// The lanes in which more events may wait.
    pub longer: Vec<i16>,
    /// Whether no event was numbered because the newest generation of the log is of another server.
    pub needs_generation: bool,
}

impl Store {
    /// Returns the lanes in which events with a later time than this one wait for their positions.
    pub async fn waiting_lanes(&self, after: Time) -> Result<Vec<i16>, Error> {
        self.read(|pool| async move {
            let all: Vec<i16> = (0..).take(LANES).collect();
            sqlx::query_scalar(WAITING_LANES).bind(all).bind(after).fetch_all(&pool).await
        })
        .await
    }

    /// Returns whether the engine can notify listeners.
    pub async fn has_notify(&self) -> Result<bool, Error> {
        self.read(|pool| async move { sqlx::query_scalar(HAS_NOTIFY).fetch_one(&pool).await }).await
    }

    /// Numbers events of these lanes whose time is after `after`, at most some hundreds of each
    /// lane. A lane that another replica is numbering is left out. If there is an error, no event
    /// is numbered. `notify` says whether listeners are notified.
    pub async fn number_events(
        &self,
        lanes: Vec<i16>,
        after: Time,
        now: Time,
        notify: bool,
    ) -> Result<NumberingRound, Error> {
        let connections = self.connections.named("number_events");
        let task = self.writes.spawn(async move {
            let mut connection = connections.take().await?;
            match number(&mut connection, lanes, after, now, notify).await {
                Ok(numbered) => connection.answered(Ok(numbered)),
                // The connection is closed, so its locks are released at once.
                Err(error) => Err(connection.failed(error)),
            }
        });
        task.await.map_err(Error::internal)?.map_err(|error| failure::of_write(&error))
    }
}

async fn number(
    connection: &mut PgConnection,
    lanes: Vec<i16>,
    after: Time,
    now: Time,
    notify: bool,
) -> Result<NumberingRound, sqlx::Error> {
    let mut transaction = limited(connection.begin()).await?;
    let asked = lanes.len();
    let locked = sqlx::query_as::<_, LaneRow>(LOCK_LANES).bind(lanes);
    let locked = limited(locked.fetch_all(&mut *transaction)).await?;
    let mut numbered =
        NumberingRound { left_to_another: locked.len() < asked, ..NumberingRound::default() };
    if locked.iter().any(|lane| !lane.is_of_generation) {
        limited(transaction.rollback()).await?;
        return Ok(NumberingRound { needs_generation: true, ..NumberingRound::default() });
    }
    for lane in locked {
        let moved = move_waiting(&mut transaction, &lane, after, now).await?;
        numbered.events += moved;
        if moved >= NUMBERED_AT_ONCE {
            numbered.longer.push(lane.lane);
        }
    }
    if numbered.events == 0 {
        limited(transaction.rollback()).await?;
        return Ok(numbered);
    }
    if notify {
        limited(sqlx::query(NOTIFY).bind(CHANNEL).execute(&mut *transaction)).await?;
    }
    limited(transaction.commit()).await?;
    Ok(numbered)
}

/// Moves the events that wait in a lane whose row is locked. Returns how many. The snapshot of the
/// statement is taken under the lock, so it contains everything that the last holder of the lock
/// has left.
async fn move_waiting(
    connection: &mut PgConnection,
    lane: &LaneRow,
    after: Time,
    now: Time,
) -> Result<i64, sqlx::Error> {
    let moved = sqlx::query_scalar::<_, i64>(MOVE)
        .bind(lane.lane)
        .bind(NUMBERED_AT_ONCE)
        .bind(lane.last_position)
        .bind(now)
        .bind(after);
    let newest = limited(moved.fetch_optional(connection)).await?;
    Ok(newest.map_or(0, |newest| newest - lane.last_position))
}
