//! How the database goes about the statements. They are planned on tables that are empty, as in a
//! new deployment, where reading a whole table looks cheapest; it is not when the table has filled.

use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::operator::v1::LockRequest;
use sqlx::Connection;

use crate::support::{Api, eventually};

/// What was written to tables and has reached the statistics: events moved out of the outbox.
const NUMBERED: &str =
    "SELECT coalesce(n_tup_del, 0) FROM pg_stat_user_tables WHERE relname = 'event_outbox'";

const LOOKED_UP: &str = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables
     WHERE relname IN ('accounts', 'instances', 'access_keys', 'charge_type_changes')";

const READ_AS_A_WHOLE: &str =
    "SELECT relname::text, seq_scan FROM pg_stat_user_tables WHERE seq_scan > 0 ORDER BY relname";

#[tokio::test]
async fn no_table_is_ever_read_as_a_whole() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.open_dcdn(&key).await;
    let lock = LockRequest {
        account_id: key.account_id,
        product: Product::Dcdn.into(),
        reason: "financial".to_owned(),
        locked_by: "test".to_owned(),
        ..Default::default()
    };
    api.operation_locks().await.lock(lock).await.expect("locks");
    for action in [
        "Action=DescribeCdnService",
        "Action=DescribeDcdnService",
        "Action=DescribeUserCdnStatus",
        "Action=ModifyCdnService&InternetChargeType=PayByBandwidth",
    ] {
        api.get(&key, action).await.succeeded();
    }
    // Account, key, two openings, lock and change; each connection reports within seconds.
    eventually("events are numbered", async || api.database.count(NUMBERED).await >= 6).await;
    eventually("look-ups are reported", async || api.database.count(LOOKED_UP).await >= 20).await;
    let mut connection = api.database.connect().await;
    let found: Vec<(String, i64)> =
        sqlx::query_as(READ_AS_A_WHOLE).fetch_all(&mut connection).await.expect("reads");
    connection.close().await.expect("closed");
    assert_eq!(found, [], "table, and how often it was read as a whole");
}
