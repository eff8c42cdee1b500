//! Creates a database for each test. Usually it is copied from a migrated one, on a `PostgreSQL`
//! that the test run starts. With `TEST_DATABASE_URL` it is created and migrated on that server,
//! because not every server can copy databases; `tests/engines/README.md` describes this.

use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cdn_activation::storage;
use private_postgres::{Durability, Options, PrivatePostgres};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::OnceCell;

/// The server of this test run.
static SERVER: OnceLock<Server> = OnceLock::new();
/// The database `model` of the private server, which is migrated once and copied for each test.
static MODEL: OnceCell<()> = OnceCell::const_new();
/// Whether the databases of earlier runs on the server of `TEST_DATABASE_URL` were removed.
static CLEARED: OnceCell<()> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);
static LEFT_OUT: AtomicU32 = AtomicU32::new(0);
/// Whether the server of this run is Citus.
static IS_CITUS: OnceCell<bool> = OnceCell::const_new();

/// The prefix of databases on the server of `TEST_DATABASE_URL`, before process id and number.
const PREFIX: &str = "cdn_activation_test_";

/// All events, numbered or not: the service numbers them at any time, and thereby moves them to
/// another table.
const ALL_EVENTS: &str = "
    CREATE VIEW all_events AS
    SELECT account_id, event_id, lane, event_time, type, data FROM event_outbox
    UNION ALL
    SELECT account_id, event_id, lane, event_time, type, data FROM event_log";

/// A database of a test.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its URL.
    pub url: String,
}

/// The server of this run.
enum Server {
    /// A private server. Its watchdog stops it when the run ends in any way.
    Private(PrivatePostgres),
    /// The server of `TEST_DATABASE_URL`.
    Foreign(Box<PgConnectOptions>),
}

#[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the program")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the directory of the server programs that the tests are to use.
pub fn pg_bin() -> Option<&'static str> {
    static PG_BIN: OnceLock<Option<String>> = OnceLock::new();
    PG_BIN.get_or_init(|| variable("PG_BIN")).as_deref()
}

/// Whether a test is skipped because it needs a private server. The test and the reason are written
/// to standard error in a way that the test runner does not hide for tests that pass.
pub fn left_out(why: &str) -> bool {
    if variable("TEST_DATABASE_URL").is_none() {
        return false;
    }
    say_left_out(why);
    true
}

/// The same for a test that also needs these programs of PostgreSQL, which packages of servers alone
/// do not have.
pub fn left_out_without(programs: &[&str]) -> bool {
    let is_missing = |program: &&&str| {
        pg_bin().is_some_and(|directory| !Path::new(directory).join(program).exists())
    };
    if let Some(missing) = programs.iter().find(is_missing) {
        say_left_out(&format!("PG_BIN has no {missing}"));
        return true;
    }
    left_out("it starts PostgreSQL")
}

/// The same for a test that cannot run on Citus.
pub async fn left_out_on_citus(why: &str) -> bool {
    let is_citus = is_citus().await;
    if is_citus {
        say_left_out(why);
    }
    is_citus
}

/// Whether the databases of this run are on Citus.
pub async fn is_citus() -> bool {
    let look = async || {
        let mut admin = connect(&server().await.admin_url()).await;
        let look = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')";
        let found = sqlx::query_scalar(look).fetch_one(&mut admin).await.expect("reads");
        admin.close().await.expect("closed");
        found
    };
    *IS_CITUS.get_or_init(look).await
}

fn say_left_out(why: &str) {
    let count = LEFT_OUT.fetch_add(1, Ordering::Relaxed) + 1;
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("left out, number {count}: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error");
}

impl Server {
    fn of_this_run() -> &'static Self {
        SERVER.get_or_init(|| {
            let options = variable("PGOPTIONS");
            assert!(options.is_none(), "unset PGOPTIONS: the driver sends it in every connection");
            let Some(url) = variable("TEST_DATABASE_URL") else { return Self::private() };
            Self::Foreign(Box::new(url.parse().expect("TEST_DATABASE_URL is a postgres:// URL")))
        })
    }

    fn private() -> Self {
        let directory = format!("cdn-activation-test-{}", std::process::id());
        let data_dir = std::env::temp_dir().join(directory);
        let pg_bin = pg_bin().map(Into::into);
        let options = Options { data_dir, durability: Durability::Throwaway, pg_bin };
        Self::Private(PrivatePostgres::start(&options).expect("a private PostgreSQL"))
    }

    /// Returns the URL of a database. All URLs have one form, so that tests can change a part.
    fn url(&self, name: &str) -> String {
        let server = match self {
            Self::Private(server) => return server.url(name),
            Self::Foreign(server) => server,
        };
        let socket = server.get_socket().map(|socket| socket.display().to_string());
        let host = socket.unwrap_or_else(|| server.get_host().to_owned());
        let (port, user) = (server.get_port(), server.get_username());
        format!("postgres:///{name}?host={host}&port={port}&user={user}&sslmode=disable")
    }

    /// Returns the database from which others are copied.
    fn admin_url(&self) -> String {
        match self {
            Self::Private(server) => server.url("postgres"),
            Self::Foreign(server) => self.url(server.get_database().unwrap_or("postgres")),
        }
    }
}

/// Returns the server. The first test that needs it starts it, which takes a moment.
async fn server() -> &'static Server {
    tokio::task::spawn_blocking(Server::of_this_run).await.expect("started")
}

async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    options.connect().await.expect("the test server answers")
}

async fn run(connection: &mut PgConnection, statement: String) {
    let text = sqlx::AssertSqlSafe(statement);
    sqlx::raw_sql(text).execute(connection).await.expect("runs");
}

/// Migrates a database, and adds what tests read.
async fn migrate(url: &str) {
    storage::migrate(&url.parse().expect("a URL")).await.expect("migrated");
    let mut connection = connect(url).await;
    run(&mut connection, ALL_EVENTS.to_owned()).await;
    connection.close().await.expect("closed");
}

/// Creates the model of the private server.
async fn make_model(server: &Server) {
    let admin: PgConnectOptions = server.admin_url().parse().expect("a URL");
    storage::create_database(&admin, "model").await.expect("created");
    migrate(&server.url("model")).await;
}

/// Removes the databases that earlier runs have left on the server of `TEST_DATABASE_URL`, except
/// those of a process that still runs.
async fn remove_left_over(server: &Server) {
    let mut admin = connect(&server.admin_url()).await;
    let names: Vec<String> = sqlx::query_scalar("SELECT datname::text FROM pg_database")
        .fetch_all(&mut admin)
        .await
        .expect("reads");
    for name in names {
        let Some(numbers) = name.strip_prefix(PREFIX) else { continue };
        let process = numbers.split('_').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            run(&mut admin, format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await;
        }
    }
    admin.close().await.expect("closed");
}

impl Database {
    /// Creates a database with the schema and without rows.
    pub async fn fresh() -> Self {
        let server = server().await;
        if let Server::Private(_) = server {
            MODEL.get_or_init(|| make_model(server)).await;
            return Self::create(" TEMPLATE \"model\"").await;
        }
        let database = Self::empty().await;
        migrate(&database.url).await;
        database
    }

    /// Creates a database without the schema.
    pub async fn empty() -> Self {
        Self::create("").await
    }

    /// Creates a database with an encoding that the service does not accept.
    pub async fn in_latin1() -> Self {
        Self::create(" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0").await
    }

    async fn create(from: &str) -> Self {
        let server = server().await;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let foreign = matches!(server, Server::Foreign(_));
        let name = if foreign {
            CLEARED.get_or_init(|| remove_left_over(server)).await;
            format!("{PREFIX}{}_{number}", std::process::id())
        } else {
            format!("test_{number}")
        };
        let mut admin = connect(&server.admin_url()).await;
        run(&mut admin, format!("CREATE DATABASE \"{name}\"{from}")).await;
        let database = Self { url: server.url(&name) };
        if foreign {
            database.extend_as(&mut admin).await;
        }
        admin.close().await.expect("closed");
        database
    }

    /// Adds the extensions of another database, because an engine can be an extension (Citus).
    async fn extend_as(&self, model: &mut PgConnection) {
        let names: Vec<String> =
            sqlx::query_scalar("SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql'")
                .fetch_all(model)
                .await
                .expect("reads");
        let mut connection = self.connect().await;
        for name in names {
            run(&mut connection, format!("CREATE EXTENSION IF NOT EXISTS \"{name}\"")).await;
        }
        connection.close().await.expect("closed");
    }

    /// Returns the same database for another role.
    pub fn as_role(&self, role: &str) -> Self {
        let (before, user) = self.url.split_once("&user=").expect("it names its user");
        let (_, after) = user.split_once('&').expect("more follows");
        Self { url: format!("{before}&user={role}&{after}") }
    }

    /// Opens a connection to read what was stored, and to set up what no interface can.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url).await
    }

    /// Returns the result of a statement that counts.
    pub async fn count(&self, statement: &'static str) -> i64 {
        let mut connection = self.connect().await;
        let count = sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect("counts");
        connection.close().await.expect("closed");
        count
    }

    /// Runs a statement without a result.
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
