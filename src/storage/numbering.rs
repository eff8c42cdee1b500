//! Numbering: events move from the outbox into the log and get their positions, without a gap, in
//! the order of their times. One lane at a time, by whoever gets its row: THE EXCEPTION to "one
//! function = one statement". It is one transaction, in a task of its own, so that nobody who goes
//! away leaves a connection in the middle of it.

use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

use super::listen::CHANNEL;
use super::{Store, failure};
use crate::domain::Time;
use crate::error::Error;

/// Most events that one transaction numbers.
pub const NUMBERED_AT_ONCE: i64 = 1000;

// No account is named: this is the poll of the outbox.
const WAITING_LANES: &str = "SELECT DISTINCT lane FROM event_outbox";

// An engine without it is polled.
const HAS_NOTIFY: &str = "SELECT EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'pg_notify')";

const LOCK_LANE: &str = "
    SELECT last_position
    FROM event_lanes
    WHERE lane = $1
    FOR UPDATE SKIP LOCKED";

#[derive(FromRow)]
struct WaitingRow {
    account_id: i64,
    event_id: Uuid,
}

const READ_WAITING: &str = "
    SELECT account_id, event_id
    FROM event_outbox
    WHERE lane = $1
    ORDER BY event_time, event_id
    LIMIT $2";

const MOVE: &str = "
    WITH taken AS (
        DELETE FROM event_outbox
        WHERE account_id = ANY($2) AND event_id = ANY($3)
        RETURNING account_id, event_id, event_time, type, data
    )
    INSERT INTO event_log (
        lane, position, event_id, account_id, type, event_time, data, numbered_at)
    SELECT
        $1,
        $4 + row_number() OVER (ORDER BY event_time, event_id),
        event_id,
        account_id,
        type,
        event_time,
        data,
        $5
    FROM taken";

const RAISE_LAST_POSITION: &str = "UPDATE event_lanes SET last_position = $2 WHERE lane = $1";

const NOTIFY: &str = "SELECT pg_notify($1, '')";

impl Store {
    /// The lanes in which events wait for their numbers.
    pub async fn waiting_lanes(&self) -> Result<Vec<i16>, Error> {
        self.read(|pool| async move { sqlx::query_scalar(WAITING_LANES).fetch_all(&pool).await })
            .await
    }

    /// Whether the engine can wake those who listen.
    pub async fn has_notify(&self) -> Result<bool, Error> {
        self.read(|pool| async move { sqlx::query_scalar(HAS_NOTIFY).fetch_one(&pool).await }).await
    }

    /// Numbers events of a lane, at most [`NUMBERED_AT_ONCE`]; how many. Nothing where another replica
    /// is at it. `notify` wakes those who listen.
    pub async fn number_events(&self, lane: i16, now: Time, notify: bool) -> Result<i64, Error> {
        let pool = self.pool.clone();
        let task = self.writes.spawn(async move { number(&pool, lane, now, notify).await });
        task.await.map_err(Error::internal)?.map_err(failure::of_write)
    }
}

async fn number(pool: &PgPool, lane: i16, now: Time, notify: bool) -> Result<i64, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let moved = move_waiting(&mut transaction, lane, now, notify).await?;
    if moved == 0 {
        transaction.rollback().await?;
    } else {
        transaction.commit().await?;
    }
    Ok(moved)
}

/// How many events of the lane were moved, within the transaction.
async fn move_waiting(
    connection: &mut PgConnection,
    lane: i16,
    now: Time,
    notify: bool,
) -> Result<i64, sqlx::Error> {
    let locked = sqlx::query_scalar::<_, i64>(LOCK_LANE).bind(lane);
    let Some(last_position) = locked.fetch_optional(&mut *connection).await? else { return Ok(0) };
    // A new snapshot, taken under the lock: it shows everything that the last holder left.
    let waiting = sqlx::query_as::<_, WaitingRow>(READ_WAITING).bind(lane).bind(NUMBERED_AT_ONCE);
    let waiting = waiting.fetch_all(&mut *connection).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let account_ids: Vec<i64> = waiting.iter().map(|row| row.account_id).collect();
    let event_ids: Vec<Uuid> = waiting.iter().map(|row| row.event_id).collect();
    let moved = sqlx::query(MOVE)
        .bind(lane)
        .bind(account_ids)
        .bind(event_ids)
        .bind(last_position)
        .bind(now)
        .execute(&mut *connection)
        .await?;
    let moved = i64::try_from(moved.rows_affected()).expect("at most a batch");
    let raise = sqlx::query(RAISE_LAST_POSITION).bind(lane).bind(last_position + moved);
    raise.execute(&mut *connection).await?;
    if notify {
        sqlx::query(NOTIFY).bind(CHANNEL).execute(&mut *connection).await?;
    }
    Ok(moved)
}
