//! How the database executes the statements: what they read, how often, and what they wait for.

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::proto::billing::v1::Product;
use sqlx::Connection;

use crate::support::database::{Database, left_out_on_citus};
use crate::support::{Api, eventually};

/// Number of events that were moved out of the outbox, as the statistics show it.
const NUMBERED: &str =
    "SELECT coalesce(n_tup_del, 0) FROM pg_stat_user_tables WHERE relname = 'event_outbox'";

const LOOKED_UP: &str = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables
     WHERE relname IN ('accounts', 'instances', 'access_keys', 'charge_type_changes')";

const READ_AS_A_WHOLE: &str =
    "SELECT relname::text, seq_scan FROM pg_stat_user_tables WHERE seq_scan > 0 ORDER BY relname";

/// How often access keys were looked up.
const KEYS_LOOKED_UP: &str =
    "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'access_keys_pkey'";

/// Records for each written row whether its commit waits for the disk, in a database where commits
/// wait.
const NOTE_WAITS: &str = "
    DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET synchronous_commit = on'', current_database()); END';
    CREATE TABLE waits (what text NOT NULL, waits boolean NOT NULL);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO waits VALUES (TG_TABLE_NAME, current_setting('synchronous_commit') = 'on');
            RETURN NULL;
        END $$;
    CREATE TRIGGER note AFTER INSERT ON instances FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note AFTER INSERT ON used_nonces_0 FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note AFTER INSERT ON used_nonces_1 FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note AFTER INSERT ON used_nonces_2 FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note AFTER INSERT ON used_nonces_3 FOR EACH ROW EXECUTE FUNCTION note()";

// For a plan that is made on empty tables, as in a new deployment, reading a whole table looks
// cheapest. It is not when the table has many rows.
#[tokio::test]
async fn no_statement_reads_a_whole_table() {
    if left_out_on_citus("the statistics of a table are those of its shards").await {
        return;
    }
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.open_dcdn(&key).await;
    api.lock(&key, Product::Dcdn, "financial").await;
    for action in [
        "Action=DescribeCdnService",
        "Action=DescribeDcdnService",
        "Action=DescribeUserCdnStatus",
        "Action=ModifyCdnService&InternetChargeType=PayByBandwidth",
    ] {
        api.get(&key, action).await.succeeded();
    }
    api.get(&key, "Action=DescribeDcdnService").await.succeeded();
    // Account, key, two openings, lock and change; each connection reports within seconds.
    eventually("events are numbered", async || api.database.count(NUMBERED).await >= 6).await;
    eventually("look-ups are reported", async || api.database.count(LOOKED_UP).await >= 20).await;
    let mut connection = api.database.connect().await;
    let found: Vec<(String, i64)> =
        sqlx::query_as(READ_AS_A_WHOLE).fetch_all(&mut connection).await.expect("reads");
    connection.close().await.expect("closed");
    assert_eq!(found, [], "table, and how often it was read as a whole");
}

#[tokio::test]
async fn a_key_is_looked_up_once_for_a_request() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    for _ in 0..7 {
        api.get(&key, "Action=DescribeUserCdnStatus").await.succeeded();
    }
    let database = api.database.clone();
    // A session reports the rest when it ends. Before PostgreSQL 15, an idle session does not report.
    api.stop().await;
    // One look-up was for another key with this id, when the key was created. Two were by the one
    // statement that recorded the day of the use.
    eventually("reported", async || database.count(KEYS_LOOKED_UP).await >= 10).await;
    assert_eq!(database.count(KEYS_LOOKED_UP).await, 10);
}

#[tokio::test]
async fn a_nonce_does_not_wait_for_the_disk_and_an_opening_does() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let database = Database::fresh().await;
    database.execute(NOTE_WAITS).await;
    let sealing_key = SealingKey::generate().expect("random bytes");
    let sealing_key = SealingKey::parse(&sealing_key).expect("a key");
    let api = Api::start_on(database, sealing_key, Clock::system(), |_| {}).await;
    let keys = [api.account().await, api.account().await];
    api.get(&keys[0], "Action=OpenCdnService").await.succeeded();
    // Two simultaneous openings are one statement, which differs from that of a single opening.
    let (one, other) = tokio::join!(
        api.get(
            &keys[0],
            "Action=OpenDcdnService&BillType=PayByTraffic&WebsocketBillType=websocketbps"
        ),
        api.get(&keys[1], "Action=OpenCdnService"),
    );
    one.succeeded();
    other.succeeded();
    let mut connection = api.database.connect().await;
    let noted: Vec<(String, bool, i64)> = sqlx::query_as(
        "SELECT CASE WHEN what LIKE 'used_nonces%' THEN 'nonce' ELSE what END, waits, count(*)
         FROM waits GROUP BY 1, 2 ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .expect("reads");
    connection.close().await.expect("closed");
    assert_eq!(noted, [("instances".to_owned(), true, 3), ("nonce".to_owned(), false, 3)]);
}
