//! A database that the program cannot use: the service stays unready, and one sentence says what to
//! change.

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::proto::billing::v1::Product;
use cdn_activation::storage::{self, GRANTS, Migrated};
use cdn_activation::workers::forget_requests;
use cdn_activation::workers::retention::forget_events;
use tokio_util::sync::CancellationToken;

use crate::support::database::Database;
use crate::support::process::Program;
use crate::support::rest::hex;
use crate::support::serve_process::Deployment;
use crate::support::{Api, eventually, pooler};

const GRANTS_FILE: &str = include_str!("../../deploy/database/grants.sql");

fn sealing_key() -> SealingKey {
    SealingKey::parse(&SealingKey::generate().expect("random bytes")).expect("a key")
}

/// Starts a service that does not become ready. Waits until `/readyz` has this sentence.
async fn stays_unready(database: Database, sealing_key: SealingKey, sentence: &str) -> Api {
    let (api, _announced) =
        Api::start_unready(database, sealing_key, Clock::system(), |_| {}).await;
    readyz_becomes(&api, &format!("not ready: {sentence}\n")).await;
    api
}

async fn readyz_becomes(api: &Api, expected: &str) {
    eventually(expected, async || api.page("/readyz").await.body == expected).await;
}

/// Creates a role with only the documented grants. Returns its name, and the database as it sees it.
async fn role_on(database: &Database) -> (String, Database) {
    let role = format!("cdn_activation_{}", cdn_activation::ids::new_id().simple());
    let grants = GRANTS_FILE.replace("TO cdn_activation", &format!("TO {role}"));
    let make = format!("CREATE ROLE {role} LOGIN; {grants}");
    let mut connection = database.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut connection).await.expect("granted");
    let seen_by_role = database.as_role(&role);
    (role, seen_by_role)
}

#[tokio::test]
async fn the_service_needs_only_the_documented_grants() {
    let database = Database::fresh().await;
    let (_, seen_by_role) = role_on(&database).await;
    let api = Api::start_on(seen_by_role, sealing_key(), Clock::system(), |_| {}).await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.open_dcdn(&key).await;
    api.get(&key, "Action=ModifyCdnService&InternetChargeType=PayByBandwidth").await.succeeded();
    api.get(&key, "Action=DescribeCdnService").await.succeeded();
    api.lock(&key, Product::Cdn, "security").await;
    api.unlock(&key, Product::Cdn, "security").await;
    let store = api.store();
    for slot in 0..4 {
        store.empty_nonce_slot(slot).await.expect("TRUNCATE is granted");
    }
    forget_requests(&store, &api.clock).await.expect("DELETE is granted");
    let (holder, kept) = (cdn_activation::ids::new_id(), chrono::Duration::zero());
    let forgotten =
        forget_events(&store, &api.clock, holder, kept, &CancellationToken::new()).await;
    forgotten.expect("DELETE is granted");
    store.close().await;
}

#[test]
fn the_documented_grants_are_the_grants_that_are_checked() {
    let lines =
        GRANTS_FILE.lines().filter(|line| line.starts_with("GRANT ") && !line.contains("SCHEMA"));
    let expected: Vec<_> = GRANTS
        .iter()
        .map(|(table, privileges)| {
            format!("GRANT {} ON {table} TO cdn_activation;", privileges.join(", "))
        })
        .collect();
    assert_eq!(lines.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_role_without_some_grants_is_unready_with_their_names() {
    let database = Database::fresh().await;
    let (role, seen_by_role) = role_on(&database).await;
    let mut connection = database.connect().await;
    let revoke = format!(
        "REVOKE TRUNCATE ON used_nonces_1, used_nonces_3 FROM {role}; REVOKE INSERT ON orders FROM {role}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(revoke)).execute(&mut connection).await.expect("revoked");
    let sentence = format!(
        "the role {role} lacks INSERT on orders, TRUNCATE on used_nonces_1, TRUNCATE on \
         used_nonces_3: grant it, see docs/database-roles.md"
    );
    let api = stays_unready(seen_by_role, sealing_key(), &sentence).await;
    let grant = format!(
        "GRANT TRUNCATE ON used_nonces_1, used_nonces_3 TO {role}; GRANT INSERT ON orders TO {role}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&mut connection).await.expect("granted");
    readyz_becomes(&api, "ready\n").await;
}

/// A hardened server takes functions from all roles. Without them, no event would get a position.
#[tokio::test]
async fn a_role_that_may_not_execute_what_the_log_needs_is_unready_with_the_names() {
    let database = Database::fresh().await;
    let (role, seen_by_role) = role_on(&database).await;
    database
        .execute(
            "REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn(), pg_walfile_name(pg_lsn), \
             pg_postmaster_start_time() FROM PUBLIC",
        )
        .await;
    let sentence = format!(
        "the role {role} lacks EXECUTE on pg_current_wal_lsn(), EXECUTE on pg_postmaster_start_time(), \
         EXECUTE on pg_walfile_name(pg_lsn): grant it, see docs/database-roles.md"
    );
    let api = stays_unready(seen_by_role, sealing_key(), &sentence).await;
    let mut connection = database.connect().await;
    let grant = format!(
        "GRANT EXECUTE ON FUNCTION pg_current_wal_lsn(), pg_walfile_name(pg_lsn), \
         pg_postmaster_start_time() TO {role}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grant)).execute(&mut connection).await.expect("granted");
    readyz_becomes(&api, "ready\n").await;
    api.account().await;
    let numbered = "SELECT count(*) FROM event_log";
    eventually("numbered", async || database.count(numbered).await > 0).await;
}

#[tokio::test]
async fn another_sealing_key_is_detected_before_a_request_is_answered() {
    let first = Api::start().await;
    let sentence = format!(
        "SEALING_KEY_FILE lacks a sealing key with which this database was used: its id is {}",
        hex(&first.sealing_key.id())
    );
    stays_unready(first.database.clone(), sealing_key(), &sentence).await;
    let replica = first.replica().await; // with the same key
    readyz_becomes(&replica, "ready\n").await;
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let database = Database::in_latin1().await;
    let url = database.url.parse().expect("a URL");
    let sentence =
        "the encoding of the database is LATIN1: make one with ENCODING 'UTF8' TEMPLATE template0";
    let refused = storage::migrate(&url).await.expect_err("not UTF8");
    assert_eq!(refused.to_string(), sentence);
    assert_eq!(
        database.count("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await,
        0
    );
    stays_unready(database, sealing_key(), sentence).await;
}

#[tokio::test]
async fn a_read_only_database_is_reported_as_read_only() {
    let database = Database::fresh().await;
    let set =
        "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET default_transaction_read_only = on'',
        current_database()); END'";
    database.execute(set).await;
    let sentence = "the database is read-only: default_transaction_read_only is on";
    stays_unready(database, sealing_key(), sentence).await;
}

#[tokio::test]
async fn a_pooler_that_loses_or_refuses_the_settings_of_sessions_is_detected() {
    let sentence = "the settings of a session do not reach PostgreSQL: a connection pooler stands in \
                    between; DATABASE_URL must lead to PostgreSQL itself";
    for options in [pooler::Options::Lost, pooler::Options::Refused] {
        let seen_through = pooler::before(&Database::fresh().await, options).await;
        stays_unready(seen_through, sealing_key(), sentence).await;
    }
}

#[tokio::test]
async fn an_older_program_does_not_change_a_newer_schema_and_works_with_it() {
    let database = Database::fresh().await;
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of a newer program', true, '', 0)";
    database.execute(newer).await;
    let url = database.url.parse().expect("a URL");
    assert_eq!(storage::migrate(&url).await.expect("no fault"), Migrated::Newer(9999));
    let api = Api::start_on(database, sealing_key(), Clock::system(), |_| {}).await;
    let key = api.account().await;
    api.open_cdn(&key).await;
}

#[tokio::test]
async fn a_schema_of_other_migrations_is_refused() {
    let database = Database::fresh().await;
    let other = "UPDATE _sqlx_migrations SET checksum = 'other' WHERE version = 2";
    database.execute(other).await;
    let sentence = "the schema was made by other migrations than those of this program: use an empty \
                    database";
    let url = database.url.parse().expect("a URL");
    assert_eq!(storage::migrate(&url).await.expect_err("refused").to_string(), sentence);
    stays_unready(database, sealing_key(), sentence).await;
}

#[tokio::test]
async fn an_unreachable_database_is_one_line_in_the_log() {
    let nowhere = Database { url: "postgres://postgres:hush@127.0.0.1:9/nowhere".to_owned() };
    let deployment = Deployment::new(&nowhere);
    let mut program = Program::spawn(deployment.serve(&[]));
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert!(program.runs());
    program.signal("TERM");
    let ended = program.end().await;
    let lines: Vec<_> = ended.stderr.lines().filter(|line| line.contains("not ready")).collect();
    assert_eq!(lines.len(), 1, "{}", ended.stderr);
    let why = "PostgreSQL at 127.0.0.1:9 does not answer: Connection refused (os error 111)";
    assert!(lines[0].contains(why), "{}", lines[0]);
    assert!(ended.stderr.lines().count() < 12, "{}", ended.stderr);
    assert!(!ended.stderr.contains("hush") && !ended.stdout.contains("hush"));
}

#[tokio::test]
async fn a_migration_that_finds_a_locked_table_gives_way_and_retries() {
    let database = Database::fresh().await;
    let url = database.url.parse().expect("a URL");
    let mut holder = database.connect().await;
    let hold = "BEGIN; LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(hold).execute(&mut holder).await.expect("held");
    let migrating = tokio::spawn(async move { storage::migrate(&url).await });
    // Three times the longest that one attempt waits.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert!(!migrating.is_finished());
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.expect("released");
    let migrated = migrating.await.expect("ran").expect("it retries");
    assert_eq!(migrated, Migrated::UpToDate);
}
