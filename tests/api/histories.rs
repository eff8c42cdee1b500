//! The row of an instance has a copy of its changes and locks. Every write changes both the tables
//! and the copy in one statement, also if many requests write at once.

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1::{ChargeTypeChange, LockRequest};
use cdn_activation::workers::settle_due_changes;
use tokio::task::JoinSet;

use crate::support::Api;
use crate::support::operators::schedule;
use crate::support::rest::{Key, text_if_any};

/// Returns a key of an account that has opened DCDN.
async fn opened(api: &Api) -> Key {
    api.at("2018-03-19T11:16:11Z");
    let key = api.account().await;
    api.open_dcdn(&key).await;
    key
}

/// Describes DCDN: returns the number of locks, and the charge type of the pending or the last
/// change. Checks that the copy equals the tables.
async fn described(api: &Api, key: &Key) -> (usize, Option<String>) {
    api.database.assert_copies_are_true().await;
    let body = api.get(key, "Action=DescribeDcdnService").await.succeeded().json();
    let locks = body["OperationLocks"]["LockReason"].as_array().expect("a list").len();
    (locks, text_if_any(&body, "ChangingChargeType"))
}

/// Schedules a change of DCDN for an instant.
async fn scheduled(api: &Api, key: &Key, charge_type: ChargeType, at: &str) -> ChargeTypeChange {
    let request = schedule(key, Product::Dcdn, charge_type, Some(at));
    api.schedule(request).await.expect("scheduled")
}

fn lock(key: &Key, reason: &str) -> LockRequest {
    LockRequest {
        account_id: key.account_id,
        product: Product::Dcdn.into(),
        reason: reason.to_owned(),
        locked_by: "test".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn every_write_changes_the_copy_with_the_tables() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    assert_eq!(described(&api, &key).await, (0, None));

    api.lock(&key, Product::Dcdn, "financial").await;
    api.lock(&key, Product::Dcdn, "security").await;
    assert_eq!(described(&api, &key).await, (2, None));
    api.unlock(&key, Product::Dcdn, "financial").await;
    assert_eq!(described(&api, &key).await, (1, None));

    let pending = scheduled(&api, &key, ChargeType::PayByBandwidth, "2018-04-01T00:00:00Z").await;
    assert_eq!(described(&api, &key).await, (1, Some("PayByBandwidth".to_owned())));
    api.cancel(&pending).await.expect("cancelled");
    assert_eq!(described(&api, &key).await, (1, None));

    scheduled(&api, &key, ChargeType::PayByBandwidth95, "2018-03-20T00:00:00Z").await;
    assert_eq!(described(&api, &key).await, (1, Some("PayByBandwidth95".to_owned())));
    api.at("2018-03-21T00:00:00Z");
    let store = api.store();
    settle_due_changes(&store, &api.clock).await.expect("settled");
    store.close().await;
    assert_eq!(described(&api, &key).await, (1, Some("PayByBandwidth95".to_owned())));
    scheduled(&api, &key, ChargeType::PayByTraffic, "2018-04-01T00:00:00Z").await;
    assert_eq!(described(&api, &key).await, (1, Some("PayByTraffic".to_owned())));
}

#[tokio::test]
async fn each_of_many_simultaneous_locks_is_in_the_copy() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let (mut locks, lock) =
            (api.operation_locks().await, lock(&key, &format!("reason-{number}")));
        tasks.spawn(async move { locks.lock(lock).await.map(drop) });
    }
    for outcome in tasks.join_all().await {
        outcome.expect("locks");
    }
    assert_eq!(described(&api, &key).await, (16, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_locks_changes_and_settlements_keep_the_copy_equal_to_the_tables() {
    let api = Api::start_without_workers().await;
    let replica = api.replica().await;
    let key = opened(&api).await;
    scheduled(&api, &key, ChargeType::PayByBandwidth, "2018-03-20T00:00:00Z").await;
    api.at("2018-03-21T00:00:00Z");
    let change =
        |charge_type| schedule(&key, Product::Dcdn, charge_type, Some("2018-04-01T00:00:00Z"));
    for round in 0..8 {
        let (reason, other) = (format!("reason-{round}"), format!("other-{round}"));
        let store = replica.store();
        tokio::join!(
            api.lock(&key, Product::Dcdn, &reason),
            replica.lock(&key, Product::Dcdn, &other),
            async { settle_due_changes(&store, &api.clock).await.ok() },
            async { api.schedule(change(ChargeType::PayByTraffic)).await.ok() },
            async { replica.schedule(change(ChargeType::PayByBandwidth95)).await.ok() },
        );
        tokio::join!(
            api.unlock(&key, Product::Dcdn, &reason),
            replica.lock(&key, Product::Dcdn, "one-of-two"),
            api.lock(&key, Product::Dcdn, "one-of-two"),
        );
        api.unlock(&key, Product::Dcdn, "one-of-two").await;
        store.close().await;
        api.database.assert_copies_are_true().await;
    }
    assert_eq!(described(&api, &key).await.0, 8);
}

#[tokio::test]
async fn a_lock_that_waits_for_another_write_keeps_the_result_of_that_write() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    let written = "UPDATE instances SET locks = '{\"another\": {\"lock_id\":
        \"00000000-0000-7000-8000-000000000000\", \"locked_by\": \"another\",
        \"locked_at\": \"2018-03-19T11:16:11Z\"}}' WHERE account_id = $1";
    for commits in [false, true] {
        let held = api.database.hold(key.account_id, written).await;
        let reason = format!("after-{commits}");
        let (mut locks, request) = (api.operation_locks().await, lock(&key, &reason));
        let waiting = tokio::spawn(async move { locks.lock(request).await.map(drop) });
        api.database.wait_until_blocked(1).await;
        if commits {
            held.commit().await;
        } else {
            held.roll_back().await;
        }
        waiting.await.expect("no panic").expect("locks");
    }
    let body = api.get(&key, "Action=DescribeDcdnService").await.succeeded().json();
    let locks = body["OperationLocks"]["LockReason"].as_array().expect("a list");
    assert_eq!(locks.len(), 2, "{body}: the lock of the other write, and the one after it");
}
