//! Upgrades and roll-backs of the schema: a newer version migrates while this version serves, and
//! this version goes on on the newer schema. The newer version is this one with further migrations.

use std::path::Path;
use std::time::{Duration, Instant};

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::storage::{self, Engine, Migrated};
use sqlx::migrate::Migrator;

use crate::support::database::{Database, left_out_on_citus};
use crate::support::process::{Ended, Program, run};
use crate::support::scratch::Scratch;
use crate::support::serve_process::Deployment;
use crate::support::{Api, SEALING_KEY, eventually};

/// A migration that adds a column which this version does not know.
const COLUMN: (&str, &str) = ("9001_tier.sql", "ALTER TABLE accounts ADD COLUMN tier text;\n");
/// A migration that builds an index outside a transaction.
const INDEX: (&str, &str) = (
    "9002_accounts_by_tier.sql",
    "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS accounts_by_tier ON accounts (tier);\n",
);

/// Returns the migrations of a newer version: those of this one, and these.
async fn newer(scratch: &Scratch, further: &[(&str, &str)]) -> Migrator {
    let directory = scratch.0.join("migrations");
    std::fs::create_dir_all(&directory).expect("it is ours");
    for file in std::fs::read_dir("migrations").expect("the migrations") {
        let file = file.expect("an entry");
        std::fs::copy(file.path(), directory.join(file.file_name())).expect("copied");
    }
    for (name, sql) in further {
        std::fs::write(directory.join(name), sql).expect("written");
    }
    Migrator::new(Path::new(&directory)).await.expect("migrations")
}

async fn migrate_with(database: &Database, migrations: &Migrator) -> Migrated {
    let url = database.url.parse().expect("a URL");
    storage::migrate_with(&url, Engine::Auto, migrations).await.expect("migrated")
}

async fn migrate(database: &Database, arguments: &[&str]) -> Ended {
    let arguments = [&["migrate"], arguments].concat();
    run(arguments, &[("DATABASE_URL", &database.url)]).await
}

#[tokio::test]
async fn the_status_says_what_is_applied_and_changes_nothing() {
    let database = Database::empty().await;
    let ended = migrate(&database, &["--status"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "0001 accounts: pending");
    assert_eq!(
        *lines.last().unwrap(),
        format!("pending migrations: {}; run migrate", lines.len() - 1)
    );
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(database.count(tables).await, 0, "nothing was changed");

    assert_eq!(migrate(&database, &[]).await.code, Some(0));
    let ended = migrate(&database, &["--status"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("0001 accounts: applied\n"), "{ended:?}");
    assert!(ended.stdout.ends_with("\nthe schema is up to date\n"), "{ended:?}");

    let missing =
        "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
    database.execute(missing).await;
    let ended = migrate(&database, &["--status"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.ends_with("\npending migrations: 1; run migrate\n"), "{ended:?}");

    database.execute("UPDATE _sqlx_migrations SET checksum = 'other' WHERE version = 2").await;
    let ended = migrate(&database, &["--status"]).await;
    let sentence = "the state of the schema could not be read: the schema was made by other migrations \
                    than those of this program: use an empty database";
    assert_eq!(ended.sentence(1), sentence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_serves_while_its_successor_migrates_and_after_a_roll_back() {
    let (database, scratch) = (Database::fresh().await, Scratch::new());
    let deployment = Deployment::new(&database);
    let mut program = Program::spawn(deployment.serve(&[]));
    let api = program.ready().await;
    let key = api.account().await;
    api.open_cdn(&key).await;

    // The upgrade: the migrations of the successor run first, while this version serves.
    let successor = newer(&scratch, &[COLUMN, INDEX]).await;
    assert_eq!(migrate_with(&database, &successor).await, Migrated::UpToDate);
    let another = api.account().await;
    api.open_cdn(&another).await;
    let closed = api.get(&another, "Action=DescribeUserCdnStatus").await;
    closed.succeeded();
    assert_eq!(api.page("/readyz").await.status, 200);
    let row = "UPDATE accounts SET tier = 'gold' WHERE account_id > 0";
    database.execute(row).await; // the successor has written
    assert_eq!(program.stop().await.code, Some(0));

    // The roll-back: this version starts on the schema of its successor.
    let ended = migrate(&database, &[]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let sentence = "the schema is newer than this program; nothing was changed";
    assert!(ended.stderr.contains(sentence) && ended.stderr.contains("9002"), "{ended:?}");
    let ended = migrate(&database, &["--status"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("\n9001: newer than this program\n"), "{ended:?}");
    let mut program = Program::spawn(deployment.serve(&[]));
    let api = program.ready().await;
    assert_eq!(api.page("/readyz").await.status, 200);
    api.get(&another, "Action=DescribeUserCdnStatus").await.succeeded();
    let third = api.account().await;
    api.open_cdn(&third).await;
    assert_eq!(program.stop().await.code, Some(0));
    let rows = "SELECT count(*) FROM accounts WHERE tier IS NULL OR tier = 'gold'";
    assert_eq!(database.count(rows).await, 3, "what the successor has written is not lost");

    // The next upgrade finds everything there.
    assert_eq!(migrate_with(&database, &successor).await, Migrated::UpToDate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_waits_for_a_lock_does_not_make_callers_wait_for_seconds() {
    let why = "a lock on a shard is held by another server";
    if left_out_on_citus(why).await {
        return;
    }
    let (database, scratch) = (Database::fresh().await, Scratch::new());
    let successor = newer(&scratch, &[COLUMN]).await;
    let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
    let api = Api::start_on(database.clone(), sealing_key, Clock::system(), |_| {}).await;
    let key = api.account().await;
    let mut holder = database.connect().await;
    let hold = "BEGIN; SELECT count(*) FROM accounts"; // an open reader
    sqlx::raw_sql(hold).execute(&mut holder).await.expect("held");
    let started = Instant::now();
    let migrating = tokio::spawn({
        let database = database.clone();
        async move { migrate_with(&database, &successor).await }
    });
    let mut longest = Duration::ZERO;
    while started.elapsed() < Duration::from_secs(4) {
        let asked = Instant::now();
        api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
        longest = longest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!migrating.is_finished(), "it waits");
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.expect("released");
    assert_eq!(migrating.await.expect("ran"), Migrated::UpToDate);
    // One attempt waits for 400 ms, and the machine may be busy.
    assert!(longest < Duration::from_millis(1500), "{longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_left_unfinished_is_built_again() {
    let why = "an index is built on each server";
    if left_out_on_citus(why).await {
        return;
    }
    let (database, scratch) = (Database::fresh().await, Scratch::new());
    let successor = newer(&scratch, &[COLUMN, INDEX]).await;
    // An open transaction that has written: the index waits for it, and gives up.
    let mut holder = database.connect().await;
    let hold = "BEGIN; LOCK TABLE accounts IN ROW EXCLUSIVE MODE";
    let column = newer(&Scratch::new(), &[COLUMN]).await;
    assert_eq!(migrate_with(&database, &column).await, Migrated::UpToDate);
    sqlx::raw_sql(hold).execute(&mut holder).await.expect("held");
    let migrating = tokio::spawn({
        let database = database.clone();
        async move { migrate_with(&database, &successor).await }
    });
    let unfinished = "SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid
        WHERE relname = 'accounts_by_tier' AND NOT indisvalid";
    eventually("an attempt was given up", async || database.count(unfinished).await == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await; // at least one attempt more
    assert!(!migrating.is_finished(), "it waits");
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.expect("released");
    assert_eq!(migrating.await.expect("ran"), Migrated::UpToDate);
    let finished = "SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid
        WHERE relname = 'accounts_by_tier' AND indisvalid";
    assert_eq!(database.count(finished).await, 1);
}
