//! Generations of the log. Positions are given again if the database is restored to an earlier
//! state, or if a standby is promoted that lacks the newest events. Each of these starts a server or
//! a timeline, or makes the tables again. So each generation has an *origin*: the server, timeline
//! and tables that numbered its events. Before an event is numbered, the origin of the newest
//! generation is compared with that of the statement. If they differ, a new generation begins first.
//! It keeps the positions that the log has then. Cursors of earlier generations are valid up to these
//! positions, because the events up to there are the same.

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::Time;
use crate::domain::event::LANES;
use crate::error::Error;
use crate::storage::Store;

/// The origin of events that the statement numbers: when the server was started, its timeline, and
/// the ids of the table and of the database. The timeline is not read from the control file, which
/// has it only after the first checkpoint of a promoted server.
macro_rules! origin {
    () => {
        "concat_ws(
            ' ',
            extract(epoch FROM pg_postmaster_start_time()),
            left(pg_walfile_name(pg_current_wal_lsn()), 8),
            'event_generations'::regclass::oid,
            (SELECT oid FROM pg_database WHERE datname = current_database()))"
    };
}
pub(super) use origin;

/// The settings of a transaction that locks lanes, as a row of the FROM clause. A COMMIT that notifies
/// waits for the notifying COMMITs of other replicas, including their writes to the disk. This takes
/// longer than the default lock timeout. With `synchronous_commit` off, a crash of a process of
/// `PostgreSQL` loses commits that followers have seen, and the origin stays the same. So such a
/// commit waits for the disk of this server. With `on` it would wait for a synchronous standby too,
/// and hang with its lanes locked if none is connected. Stronger values stay as they are.
macro_rules! settings_of_numbering {
    () => {
        "(
            SELECT
                set_config('lock_timeout', '2s', true),
                set_config(
                    'synchronous_commit',
                    replace(current_setting('synchronous_commit'), 'off', 'local'),
                    true)
        ) AS settings"
    };
}
pub(super) use settings_of_numbering;

/// A generation of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// The id that cursors name.
    pub id: Uuid,
    /// The newest position of each lane that a cursor of an earlier generation may have.
    pub kept_positions: [i64; LANES],
}

/// A generation that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct BegunGeneration {
    /// Its id.
    pub generation_id: Uuid,
    /// The id of the generation before it. `None` if the table was empty; only a person empties it.
    pub earlier_id: Option<Uuid>,
}

#[derive(FromRow)]
struct GenerationRow {
    generation_id: Uuid,
    kept_positions: Vec<i64>,
}

/// How many generations the table has at most.
const MOST_GENERATIONS: i64 = 100;

// No account is named here or below, because the log does not belong to accounts.
const READ_GENERATIONS: &str = "
    SELECT generation_id, kept_positions
    FROM event_generations
    ORDER BY number DESC";

// The rows of the lanes are locked, so nothing is numbered at the same time. If two processes begin a
// generation at once, they choose the same number, and one of them changes nothing. `$3` says that
// the generation begins although the origin is the same, and keeps no position.
const BEGIN_GENERATION: &str = concat!(
    "WITH lanes AS (
        SELECT lane, last_position
        FROM event_lanes, ",
    settings_of_numbering!(),
    "   ORDER BY lane
        FOR UPDATE OF event_lanes
    ), newest AS (
        SELECT number, generation_id, origin
        FROM event_generations
        ORDER BY number DESC
        LIMIT 1
    ), here AS (
        SELECT ",
    origin!(),
    " AS origin
    ), begun AS (
        SELECT coalesce(newest.number, 0) + 1 AS number, here.origin
        FROM here
        LEFT JOIN newest ON true
        WHERE $3 OR newest.origin IS DISTINCT FROM here.origin
    ), forgotten AS (
        DELETE FROM event_generations
        WHERE number <= (SELECT number - $4 FROM begun)
    )
    INSERT INTO event_generations (number, generation_id, origin, kept_positions, began_at)
    SELECT
        number,
        $1,
        origin,
        (SELECT array_agg(CASE WHEN $3 THEN 0 ELSE last_position END ORDER BY lane) FROM lanes),
        $2
    FROM begun
    ON CONFLICT (number) DO NOTHING
    RETURNING generation_id, (SELECT generation_id FROM newest) AS earlier_id"
);

impl Store {
    /// Returns the generations of the log, the newest first.
    pub async fn generations(&self) -> Result<Vec<Generation>, Error> {
        let rows = self.read(|pool| async move {
            sqlx::query_as::<_, GenerationRow>(READ_GENERATIONS).fetch_all(&pool).await
        });
        rows.await?.into_iter().map(GenerationRow::generation).collect()
    }

    /// Begins a generation, if the newest one has another origin. Cursors of earlier generations stay
    /// valid up to the positions that the log has now. Returns `None` if no generation was needed, or
    /// if another process has begun it.
    pub async fn begin_generation_of_server(
        &self,
        id: Uuid,
        now: Time,
    ) -> Result<Option<BegunGeneration>, Error> {
        self.begin_generation(id, now, false).await
    }

    /// Begins a generation in any case. Every cursor of an earlier generation that has seen an event
    /// expires. Returns `None` if another process has begun one at the same time.
    pub async fn begin_generation_for_all(
        &self,
        id: Uuid,
        now: Time,
    ) -> Result<Option<BegunGeneration>, Error> {
        self.begin_generation(id, now, true).await
    }

    async fn begin_generation(
        &self,
        id: Uuid,
        now: Time,
        for_all: bool,
    ) -> Result<Option<BegunGeneration>, Error> {
        self.write_no_event(move |pool| async move {
            let begin = sqlx::query_as(BEGIN_GENERATION).bind(id).bind(now).bind(for_all);
            begin.bind(MOST_GENERATIONS).fetch_optional(&pool).await
        })
        .await
    }
}

impl GenerationRow {
    fn generation(self) -> Result<Generation, Error> {
        let kept_positions = self.kept_positions.try_into();
        let kept_positions = kept_positions.map_err(|_: Vec<i64>| {
            Error::internal(format!("generation {} lacks a lane", self.generation_id))
        })?;
        Ok(Generation { id: self.generation_id, kept_positions })
    }
}
