//! The one event that a clock causes, written by replicas of which one is killed in the middle.

use crate::support::serve_process::Process;
use crate::support::{Api, eventually};

/// A change of each that took effect long ago and whose event nobody has written.
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
async fn three_replicas_of_which_one_is_killed_in_the_middle_write_each_event_once() {
    let api = Api::start_without_workers().await;
    api.database.open_many(6000).await;
    api.database.execute(DUE).await;
    let url = &api.database.url;
    let mut killed = Process::start(url, &[]).await;
    eventually("the first has begun", async || api.database.count(WRITTEN).await > 0).await;
    let (_second, _third) = tokio::join!(Process::start(url, &[]), Process::start(url, &[]));
    killed.kill();
    let left = api.database.count(UNSETTLED).await;
    assert!(left > 0, "it was killed too late to be in the middle");
    eventually("nothing is left", async || api.database.count(UNSETTLED).await == 0).await;
    assert_eq!(api.database.count(WRITTEN).await, 6000);
    assert_eq!(api.database.count(ACCOUNTS).await, 6000);
}
