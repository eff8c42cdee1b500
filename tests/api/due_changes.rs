//! The events of due changes. They follow from the clock and not from a request. All replicas
//! write them, and each event is written once, although a replica is killed.

use cdn_activation::workers::settle_due_changes;

use crate::support::serve_process::Process;
use crate::support::{Api, eventually};

/// Inserts one change for each instance. It took effect long ago and is not settled.
const DUE: &str = "
    INSERT INTO charge_type_changes (account_id, change_id, product, kind, charge_type,
        submitted_at, effective_time, event_time)
    SELECT account_id, gen_random_uuid(), product, 'internet', 'PayByBandwidth', opening_time,
        '2018-03-20', event_time
    FROM instances";

const WRITTEN: &str = "SELECT count(*) FROM all_events
    WHERE type = 'activation.charge_type_change.in_force'";
const ACCOUNTS: &str = "SELECT count(DISTINCT account_id) FROM all_events
    WHERE type = 'activation.charge_type_change.in_force'";
const UNSETTLED: &str = "SELECT count(*) FROM charge_type_changes WHERE in_force_event_at IS NULL";

#[tokio::test]
async fn three_replicas_write_each_event_once_although_one_of_them_is_killed() {
    let api = Api::start_without_workers().await;
    api.database.open_many(6000).await;
    api.database.execute(DUE).await;
    api.database.copy_histories(0).await;
    let url = &api.database.url;
    let mut killed = Process::start(url, &[]).await;
    eventually("the first replica has begun", async || api.database.count(WRITTEN).await > 0).await;
    let (_second, _third) = tokio::join!(Process::start(url, &[]), Process::start(url, &[]));
    killed.kill();
    let left = api.database.count(UNSETTLED).await;
    assert!(left > 0, "the replica was killed after it had settled every change");
    eventually("every change is settled", async || api.database.count(UNSETTLED).await == 0).await;
    assert_eq!(api.database.count(WRITTEN).await, 6000);
    assert_eq!(api.database.count(ACCOUNTS).await, 6000);
    api.database.assert_copies_are_true().await;
}

#[tokio::test]
async fn changes_of_other_accounts_are_settled_while_a_row_is_locked() {
    let api = Api::start_without_workers().await;
    api.database.open_many(20).await;
    api.database.execute(DUE).await;
    api.database.copy_histories(0).await;
    // This change has been due the longest, so the worker comes to it first.
    api.database
        .execute_for(
            7,
            "UPDATE charge_type_changes SET effective_time = '2018-03-19' WHERE account_id = $1",
        )
        .await;
    let lock = "SELECT FROM instances WHERE account_id = $1 FOR UPDATE";
    let held = api.database.hold(7, lock).await;
    let store = api.store();
    settle_due_changes(&store, &api.clock).await.expect_err("one row is locked");
    assert_eq!(api.database.count(WRITTEN).await, 19);
    held.commit().await;
    settle_due_changes(&store, &api.clock).await.expect("settled");
    assert_eq!(api.database.count(WRITTEN).await, 20);
    store.close().await;
}
