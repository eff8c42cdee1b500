//! A fresh database for each test, copied from one that was migrated once, on a PostgreSQL that the
//! test run starts itself, or on that of `TEST_DATABASE_URL`.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cdn_activation::commands::dev::postgres::{Durability, Options, PrivatePostgres};
use cdn_activation::storage;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::OnceCell;

/// The server of this test run. Its watchdog stops it when the run ends, however it ends.
static POSTGRES: OnceLock<PrivatePostgres> = OnceLock::new();
/// The database that was migrated, as a model for all others.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The events wherever they are: the service numbers them, and moves them by that, whenever it likes.
const ALL_EVENTS: &str = "
    CREATE VIEW all_events AS
    SELECT account_id, event_id, lane, event_time, type, data FROM event_outbox
    UNION ALL
    SELECT account_id, event_id, lane, event_time, type, data FROM event_log";

/// A database of a test.
#[derive(Clone, Debug)]
pub struct Database {
    /// Where it is.
    pub url: String,
}

fn server_url(name: &str) -> String {
    let postgres = POSTGRES.get_or_init(|| {
        let directory = format!("cdn-activation-test-{}", std::process::id());
        let data_dir = std::env::temp_dir().join(directory);
        let options = Options {
            data_dir,
            durability: Durability::Throwaway,
            pg_bin: option_env!("PG_BIN").map(Into::into),
        };
        PrivatePostgres::start(&options).expect("a private PostgreSQL")
    });
    postgres.url(name)
}

async fn url(name: &'static str) -> String {
    tokio::task::spawn_blocking(move || server_url(name)).await.expect("started")
}

async fn admin() -> PgConnection {
    let options: PgConnectOptions = url("postgres").await.parse().expect("a URL");
    options.connect().await.expect("the test server answers")
}

async fn migrated() -> String {
    let admin: PgConnectOptions = url("postgres").await.parse().expect("a URL");
    storage::create_database(&admin, "model").await.expect("created");
    storage::migrate(&url("model").await.parse().expect("a URL")).await.expect("migrated");
    let model: PgConnectOptions = url("model").await.parse().expect("a URL");
    let mut connection = model.connect().await.expect("the test server answers");
    sqlx::raw_sql(ALL_EVENTS).execute(&mut connection).await.expect("a view");
    connection.close().await.expect("closed");
    "model".to_owned()
}

impl Database {
    /// A new database with the schema and nothing in it.
    pub async fn fresh() -> Self {
        let template = TEMPLATE.get_or_init(migrated).await;
        Self::create(&format!(" TEMPLATE \"{template}\"")).await
    }

    /// A new database without even the schema.
    pub async fn empty() -> Self {
        Self::create("").await
    }

    /// A new database whose encoding is not ours.
    pub async fn in_latin1() -> Self {
        Self::create(" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0").await
    }

    async fn create(from: &str) -> Self {
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let statement = format!("CREATE DATABASE \"{name}\"{from}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut admin().await)
            .await
            .expect("created");
        let url = tokio::task::spawn_blocking(move || server_url(&name)).await.expect("started");
        Self { url }
    }

    /// A connection for looking at what was stored, and for setting up what no interface can.
    pub async fn connect(&self) -> PgConnection {
        let options: PgConnectOptions = self.url.parse().expect("a URL");
        options.connect().await.expect("the test server answers")
    }

    /// What a statement counts.
    pub async fn count(&self, statement: &'static str) -> i64 {
        let mut connection = self.connect().await;
        let count = sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect("counts");
        connection.close().await.expect("closed");
        count
    }

    /// Runs a statement for its effect.
    pub async fn execute(&self, statement: &'static str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(statement).execute(&mut connection).await.expect("runs");
        connection.close().await.expect("closed");
    }
}

impl Database {
    /// Waits until a statement with this text waits for a lock.
    pub async fn waits_for_a_lock(&self, text: &str) {
        let mut connection = self.connect().await;
        let waiting = async {
            loop {
                let waits: bool = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()
                        AND wait_event_type = 'Lock' AND position($1 IN query) > 0)",
                )
                .bind(text)
                .fetch_one(&mut connection)
                .await
                .expect("reads");
                if waits {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "nobody waits for a lock with {text}");
    }
}
