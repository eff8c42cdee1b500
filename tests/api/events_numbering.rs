//! The numbering of events. A backlog is moved lane by lane and not event by event, and a lane
//! that fails does not delay the others.

use crate::support::database::left_out_on_citus;
use crate::support::events::{list_until, until_count};
use crate::support::{Api, eventually};

const WAITING: &str = "SELECT count(*) FROM event_outbox";

/// Inserts 8000 events of 160 accounts, 500 in each lane, as other replicas would have left them.
const BACKLOG: &str = "
    INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
    SELECT 1000 + n % 160, md5(n::text)::uuid, (1000 + n % 160) % 16,
        timestamptz '2026-01-01T00:00:00Z' + n * interval '1 microsecond',
        'activation.account.changed', decode('3a00', 'hex')
    FROM generate_series(1, 8000) AS numbers (n)";

/// The number of events that were moved out of the outbox, as far as the statistics have it.
const MOVED: &str =
    "SELECT coalesce(n_tup_del, 0) FROM pg_stat_user_tables WHERE relname = 'event_outbox'";

/// The number of index scans of the outbox.
const LOOKED_UP: &str =
    "SELECT coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'event_outbox'";

/// Counts the lanes whose last position differs from the number of their events in the log.
const WRONG_LANES: &str = "
    SELECT count(*)
    FROM event_lanes
    WHERE last_position <> (SELECT count(*) FROM event_log WHERE event_log.lane = event_lanes.lane)";

// The statements are planned while the outbox is empty, and the plans are kept when it is not.
#[tokio::test]
async fn a_backlog_is_moved_lane_by_lane_and_not_event_by_event() {
    if left_out_on_citus("the statistics of a table are those of its shards").await {
        return;
    }
    let api = Api::start().await;
    let key = api.account().await;
    list_until(&mut api.events().await, 2).await;
    until_count(&api, WAITING, 0).await;
    api.database.execute(BACKLOG).await;
    until_count(&api, WAITING, 0).await;
    assert_eq!(api.database.count(WRONG_LANES).await, 0);
    assert_eq!(list_until(&mut api.events().await, 8002).await.len(), 8002);
    eventually("the statistics have the moved events", async || {
        api.database.count(MOVED).await >= 8002
    })
    .await;
    // The workers also look once a second, so a busy machine has some more.
    let looked_up = api.database.count(LOOKED_UP).await;
    assert!(looked_up < 4000, "{looked_up} look-ups for 8,000 events of 16 lanes");
    api.open_cdn(&key).await;
}

#[tokio::test]
async fn a_lane_that_fails_does_not_delay_the_others() {
    let api = Api::start().await;
    // The next position of lane 3 is in use already, so an event that is numbered in this lane
    // violates the primary key.
    api.database
        .execute(
            "INSERT INTO event_log (
                lane, position, event_id, account_id, type, event_time, data, numbered_at)
             SELECT 3, 1, md5('')::uuid, 3, 'activation.account.changed', now(), decode('3a00', 'hex'), now()",
        )
        .await;
    api.database.execute(BACKLOG).await;
    until_count(&api, WAITING, 500).await;
    let failing = "SELECT count(*) FROM event_outbox WHERE lane = 3";
    assert_eq!(api.database.count(failing).await, 500);
    assert_eq!(api.database.count("SELECT count(*) FROM event_log").await, 7501);
    // Each turn fails because of this lane, and the events of the others are counted.
    eventually("the numbered events are counted", async || {
        api.metric("events_numbered_total").await.is_some_and(|numbered| numbered >= 7500.0)
    })
    .await;
    // After the row is deleted, the lane continues.
    api.database.execute("DELETE FROM event_log WHERE lane = 3").await;
    until_count(&api, WAITING, 0).await;
    assert_eq!(api.database.count(WRONG_LANES).await, 0);
}
