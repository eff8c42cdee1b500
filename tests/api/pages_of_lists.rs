//! How much operators' lists read: a page of a list reads only its own rows, however many others
//! there are. And how long the search for events takes while old versions of rows are kept.

use std::time::{Duration, Instant};

use cdn_activation::storage::{list_statements, waiting_lanes};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row};

use crate::support::Api;
use crate::support::database::{Database, left_out_on_citus};

/// Many rows of one account and of others, of which few match the narrow lists: two instances of
/// DCDN, two locks that hold.
const FILL: &str = "
    SET session_replication_role = replica;
    INSERT INTO accounts (
        account_id, site, intl_allowed, bid_user, real_name_verified, profile_complete,
        payment_method_valid, balance, orders_refused, version, created_at, updated_at, event_time)
    SELECT id, 'domestic', false, false, true, true, true, 0, false, 1, now(), now(), now()
    FROM generate_series(1, 20000) AS id;
    INSERT INTO access_keys (
        access_key_id, account_id, place, secret_sealed, policy, disabled, version, created_at, updated_at, event_time)
    SELECT 'LTAI' || id, 1 + id / 10, 1 + id % 10, '', '', false, 1, now(), now(), now()
    FROM generate_series(1, 20000) AS id;
    INSERT INTO instances (
        account_id, product, instance_id, internet_charge_type, opening_time, order_id, event_time)
    SELECT id, 'cdn', id::text, 'PayByTraffic', now(), gen_random_uuid(), now()
    FROM generate_series(1, 20000) AS id
    UNION ALL
    SELECT id, 'dcdn', 'FP-' || id, 'PayByTraffic', now(), gen_random_uuid(), now()
    FROM unnest(ARRAY[7, 19999]) AS id;
    INSERT INTO charge_type_changes (
        account_id, change_id, product, kind, charge_type, submitted_at, effective_time, cancelled_at, event_time)
    SELECT 7, gen_random_uuid(), CASE WHEN number <= 2 THEN 'dcdn' ELSE 'cdn' END, 'internet', 'PayByTraffic',
        now(), now(), now(), now()
    FROM generate_series(1, 20000) AS number;
    INSERT INTO operation_locks (
        account_id, lock_id, product, reason, locked_by, locked_at, lifted_at, event_time)
    SELECT 7, gen_random_uuid(), CASE WHEN number <= 2 THEN 'dcdn' ELSE 'cdn' END, 'reason-' || number, 'test',
        now(), CASE WHEN number % 10000 > 0 THEN now() END, now()
    FROM generate_series(1, 20000) AS number;
    INSERT INTO audit_records (
        account_id, audit_id, recorded_at, principal, action, resource, request_id, result)
    SELECT CASE WHEN number % 2 = 0 THEN 7 ELSE number END, gen_random_uuid(),
        now() - number * interval '1 second', 'test', 'Lock', '', '', 'OK'
    FROM generate_series(1, 20000) AS number";

/// Returns the arguments of a statement for a page of ten rows.
fn arguments(list: &str) -> &'static str {
    match list {
        "accounts" => "0, 10",
        "access keys" => "7, '', 10",
        "instances" => "0, '', 10",
        "instances of an account" => "0, '', 10, 7",
        "instances of a product" => "0, '', 10, 'dcdn'",
        "instances of both" => "0, '', 10, 7, 'dcdn'",
        "changes" | "locks" | "locks that hold" => "7, '00000000-0000-0000-0000-000000000000', 10",
        "changes of a product" | "locks of a product" => {
            "7, '00000000-0000-0000-0000-000000000000', 10, 'dcdn'"
        }
        "audit records" => {
            "now() - interval '1 hour', '00000000-0000-0000-0000-000000000000', '2018-01-01', 10, \
             NULL, NULL, NULL"
        }
        "audit records of an account" => {
            "now() - interval '1 hour', '00000000-0000-0000-0000-000000000000', '2018-01-01', 10, \
             NULL, NULL, NULL, 7"
        }
        "locks of a product that hold" => "7, '00000000-0000-0000-0000-000000000000', 10, 'cdn'",
        other => panic!("no arguments are written down for {other}"),
    }
}

/// Runs a statement as the service does, with a generic plan. Returns how many rows it returned, and
/// how many pages of tables and indexes it read.
async fn run(connection: &mut PgConnection, sql: &str, arguments: &str) -> (f64, f64) {
    let prepare = format!("DEALLOCATE ALL; PREPARE list AS {sql}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await.expect("prepared");
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE list({arguments})");
    let row = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(connection).await.expect("runs");
    let plan: serde_json::Value = row.get(0);
    let plan = &plan[0]["Plan"];
    // PostgreSQL 18 reports rows with decimal places.
    let number = |name: &str| plan[name].as_f64().expect("a number");
    (number("Actual Rows"), number("Shared Hit Blocks") + number("Shared Read Blocks"))
}

async fn as_the_service(database: &Database) -> PgConnection {
    let mut connection = database.connect().await;
    let settings = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off";
    sqlx::raw_sql(settings).execute(&mut connection).await.expect("set");
    connection
}

#[tokio::test]
async fn a_page_of_a_list_reads_only_its_own_rows() {
    if left_out_on_citus("it reads plans of PostgreSQL").await {
        return;
    }
    let database = Database::fresh().await;
    database.execute(FILL).await;
    database.execute("VACUUM ANALYZE").await;
    let mut connection = as_the_service(&database).await;
    for (list, sql) in list_statements() {
        let (rows, pages) = run(&mut connection, sql, arguments(list)).await;
        let expected = match list {
            "instances of an account"
            | "instances of a product"
            | "changes of a product"
            | "locks of a product"
            | "locks that hold"
            | "locks of a product that hold" => 2.0,
            "instances of both" => 1.0,
            _ => 10.0,
        };
        assert!((rows - expected).abs() < 0.1, "{list}: {rows} rows");
        // Each row may be in a page of its own; above them are the levels of the index.
        assert!(pages <= rows + 5.0, "{list}: {pages} pages for {rows} rows");
    }
    connection.close().await.expect("closed");
}

#[tokio::test]
async fn the_search_for_events_stays_fast_while_old_versions_of_rows_are_kept() {
    if left_out_on_citus("it reads plans of PostgreSQL").await {
        return;
    }
    let database = Database::fresh().await;
    let mut reader = database.connect().await;
    let keep = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM accounts";
    sqlx::raw_sql(keep).execute(&mut reader).await.expect("a snapshot");
    let moved = "
        INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
        SELECT id, gen_random_uuid(), id % 16, now() - interval '1 hour' + id * interval '1 millisecond', 'test', ''
        FROM generate_series(1, 1000000) AS id;
        DELETE FROM event_outbox";
    database.execute(moved).await;
    let mut connection = as_the_service(&database).await;
    let lanes: Vec<i16> = (0..16).collect();
    let mut search = async |after: &str| {
        let sql = waiting_lanes().replace("$2", &format!("timestamptz {after}"));
        let started = Instant::now();
        let found: Vec<i16> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(&lanes)
            .fetch_all(&mut connection)
            .await
            .expect("reads");
        assert_eq!(found, Vec::<i16>::new());
        started.elapsed()
    };
    let (whole, recent) =
        (search("'-infinity'").await, search("'now' - interval '10 seconds'").await);
    assert!(
        recent < Duration::from_millis(50) && recent < whole / 5,
        "{recent:?}, of all {whole:?}"
    );
    reader.close().await.expect("closed");
}

#[tokio::test]
async fn the_event_of_a_write_with_a_slow_commit_is_numbered() {
    let api = Api::start().await;
    let late = "
        INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
        VALUES (7, gen_random_uuid(), 7, now() - interval '1 minute', 'test', '')";
    tokio::time::sleep(Duration::from_secs(1)).await; // the service has searched all events once
    api.database.execute(late).await;
    crate::support::eventually("the event is numbered", async || {
        api.database.count("SELECT count(*) FROM event_outbox").await == 0
    })
    .await;
    assert_eq!(api.database.count("SELECT count(*) FROM event_log").await, 1);
}
