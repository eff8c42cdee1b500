//! Readiness has a connection of its own: what requests and workers do with theirs does not make a
//! replica unready.

use std::time::Duration;

use sqlx::Connection;

use crate::support::database::left_out_on_citus;
use crate::support::{Api, eventually};

/// Longer than the old time until a replica without a free connection became unready: four checks
/// that each wait 2 s for one.
const HELD: Duration = Duration::from_secs(14);

#[tokio::test]
async fn a_service_is_ready_while_its_workers_use_all_their_connections() {
    if left_out_on_citus("a lock of a table is not one of its shards").await {
        return;
    }
    let api = Api::start_with(|settings| {
        settings.database.connections = 4; // one of them for the workers
        settings.database.lock_timeout = Duration::from_secs(4);
    })
    .await;
    let mut held = api.database.connect().await;
    let lock = "BEGIN; LOCK TABLE event_outbox, leases, event_lanes IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut held).await.expect("locked");
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'cdn-activation' AND wait_event_type = 'Lock'";
    eventually("a worker waits", async || api.database.count(waiting).await > 0).await;
    let (begun, mut looks, mut blocked) = (tokio::time::Instant::now(), 0, 0);
    while begun.elapsed() < HELD {
        let page = api.page("/readyz").await;
        assert_eq!(page.status, 200, "{}", page.body);
        looks += 1;
        blocked += i32::from(api.database.count(waiting).await > 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(blocked * 10 > looks * 8, "the connection was in use: {blocked} of {looks} looks");
    held.close().await.expect("closed");
}
