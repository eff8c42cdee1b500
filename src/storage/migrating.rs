//! Brings the schema up to date.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};

use super::distributing::distribute;
use super::engine::DatabaseUrl;
use super::engine::connect::session;
use super::engine::hosts::Hosts;
use super::engine::{Detected, Engine};
use super::readiness::NotReady;
use super::{MIGRATIONS, failure};

/// How long a migration waits for a lock. All other statements on the table wait behind it, so the
/// time is short and the migration is repeated.
const LOCK_TIMEOUT: &str = "400ms";
/// Largest number of attempts, if a migration does not get its locks in time.
const ATTEMPTS: u32 = 40;
/// The pause before the next attempt is this, multiplied by the number of the attempt, up to the
/// longest pause.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The advisory lock of the process that migrates. It is valid in this database only.
const MIGRATING: i64 = 0x6364_6e5f_6163_7469;
/// A process that finds the lock taken tries again after this time, for ten minutes.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const LOOKS: u32 = 10 * 60 * 5;

/// The result of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrated {
    /// The schema is the one that this program needs.
    UpToDate,
    /// A newer program has migrated to this version. Nothing was done.
    Newer(i64),
}

/// Why a schema was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database cannot hold the schema.
    #[error(transparent)]
    Unfit(#[from] NotReady),
    /// Another process held the lock for too long.
    #[error("another process has been migrating this database for ten minutes")]
    Busy,
    /// The database or the driver reported an error.
    #[error("{}", failure::sentence(.0))]
    Failed(sqlx::Error),
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<MigrateError> for MigrationError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => Self::Failed(error),
            other => Self::Failed(other.into()),
        }
    }
}

pub(super) const APPLIED: &str =
    "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version";

/// A migration that was applied: its version and its checksum.
pub(super) type Applied = (i64, Vec<u8>);

/// Returns the version of a schema that these migrations, or those of a newer program, have made; 0
/// if no migration was applied.
pub(super) fn newest_applied(migrations: &Migrator, applied: &[Applied]) -> Result<i64, NotReady> {
    let is_another = migrations.iter().any(|ours| {
        applied.iter().any(|(version, sum)| *version == ours.version && *sum != *ours.checksum)
    });
    if is_another {
        return Err(NotReady::OtherSchema);
    }
    Ok(applied.last().map_or(0, |(version, _)| *version))
}

/// Returns the version of the newest of these migrations.
pub(super) fn newest_migration(migrations: &Migrator) -> i64 {
    migrations.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Brings the schema up to date. The engine is detected. Two processes may run this at the same
/// time: the second one waits and finds nothing to do.
pub async fn migrate(url: &DatabaseUrl) -> Result<Migrated, MigrationError> {
    migrate_on(url, Engine::Auto).await
}

/// Does the same with this setting of the engine.
pub async fn migrate_on(url: &DatabaseUrl, engine: Engine) -> Result<Migrated, MigrationError> {
    migrate_with(url, engine, &MIGRATIONS).await
}

/// Does the same with the migrations of another version of the program, which is what tests of
/// upgrades and of roll-backs need.
pub async fn migrate_with(
    url: &DatabaseUrl,
    engine: Engine,
    migrations: &Migrator,
) -> Result<Migrated, MigrationError> {
    let engine = Detected::new(engine);
    let hosts = hosts(url, &engine);
    let mut attempt = 1;
    loop {
        let mut connection = hosts.connect().await?;
        match migrate_alone(&mut connection, &engine, migrations).await {
            Ok(migrated) => {
                connection.close().await?; // this releases the lock
                return Ok(migrated);
            }
            Err(error) if attempt < ATTEMPTS && lost_to_another(&error) => {
                tracing::warn!(attempt, error = %error, "the migration is tried again");
                tokio::time::sleep((PAUSE * attempt).min(LONGEST_PAUSE)).await;
            }
            Err(error) => return Err(error),
        }
        attempt += 1;
    }
}

pub(super) fn hosts(url: &DatabaseUrl, engine: &Detected) -> Hosts {
    let begun_with = |host: &PgConnectOptions| {
        session(host.clone())
            .application_name("cdn-activation migrate")
            .options([("lock_timeout", LOCK_TIMEOUT)])
    };
    Hosts::new(url.clone(), begun_with, engine.clone())
}

async fn migrate_alone(
    connection: &mut PgConnection,
    engine: &Detected,
    migrations: &Migrator,
) -> Result<Migrated, MigrationError> {
    require_utf8(connection).await?;
    if engine.is_another() {
        return Err(NotReady::NoCitus.into());
    }
    wait_for_turn(connection).await?;
    let found = newest_applied(migrations, &applied_migrations(connection).await?)?;
    if found > newest_migration(migrations) {
        return Ok(Migrated::Newer(found));
    }
    drop_unfinished_indexes(connection, migrations).await?;
    let mut migrator = Migrator::with_migrations(migrations.iter().cloned().collect());
    migrator.set_locking(false); // this process has the lock already
    migrator.run_direct(None, connection, false).await?;
    if engine.distributes() {
        distribute(connection).await?;
    }
    Ok(Migrated::UpToDate)
}

/// Checks that the encoding is UTF8: texts of every language are stored, and another encoding
/// cannot represent some of them.
async fn require_utf8(connection: &mut PgConnection) -> Result<(), MigrationError> {
    let encoding = "SELECT current_setting('server_encoding')";
    let encoding: String = sqlx::query_scalar(encoding).fetch_one(connection).await?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(NotReady::NotUtf8(encoding).into())
}

/// Takes the advisory lock, by polling. sqlx would wait within a statement. If another process
/// builds an index concurrently, it waits for all older statements, including that one, which is a
/// deadlock.
async fn wait_for_turn(connection: &mut PgConnection) -> Result<(), MigrationError> {
    for _ in 0..LOOKS {
        let taken: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(MIGRATING)
            .fetch_one(&mut *connection)
            .await?;
        if taken {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err(MigrationError::Busy)
}

/// Returns the migrations that were applied; none if there is no schema.
pub(super) async fn applied_migrations(
    connection: &mut PgConnection,
) -> Result<Vec<Applied>, sqlx::Error> {
    let applied = sqlx::query_as(APPLIED).fetch_all(connection).await;
    match applied {
        Err(error) if failure::is_undefined_table(&error) => Ok(Vec::new()),
        applied => applied,
    }
}

/// An index that could not be completed stays in the database and is not used. The next attempt to
/// build it would find that an index of this name exists, and do nothing.
const UNFINISHED_INDEXES: &str = "
    SELECT relname::text
    FROM pg_index
        JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relname = ANY($1) AND relnamespace = current_schema()::regnamespace";

/// Drops the indexes that an earlier attempt of these migrations has left unfinished.
async fn drop_unfinished_indexes(
    connection: &mut PgConnection,
    migrations: &Migrator,
) -> Result<(), sqlx::Error> {
    let built = migrations.iter().filter(|migration| migration.no_tx);
    let built = built.filter_map(|migration| built_index(migration.sql.as_str()));
    let built: Vec<_> = built.map(str::to_owned).collect();
    if built.is_empty() {
        return Ok(());
    }
    let unfinished = sqlx::query_scalar(UNFINISHED_INDEXES).bind(built);
    let unfinished: Vec<String> = unfinished.fetch_all(&mut *connection).await?;
    for name in unfinished {
        // A name cannot be bound as a parameter. It is one that a migration has.
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS \"{name}\"");
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Returns the name of the index that a migration builds. `tests/architecture.rs` holds the files to
/// this form.
fn built_index(sql: &str) -> Option<&str> {
    let (_, after) = sql.split_once(" INDEX CONCURRENTLY IF NOT EXISTS ")?;
    after.split_whitespace().next()
}

fn lost_to_another(error: &MigrationError) -> bool {
    let MigrationError::Failed(error) = error else { return false };
    let error = match error {
        sqlx::Error::Migrate(migrating) => match &**migrating {
            MigrateError::ExecuteMigration(error, _) => error,
            _ => return false,
        },
        error => error,
    };
    failure::write_may_be_repeated(error)
}
