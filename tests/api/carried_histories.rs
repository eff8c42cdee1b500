//! The row of an instance carries its history: what is shown is the same with the copy and without,
//! and nobody writes to a history and leaves the copy as it was.

use std::time::Duration;

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1::ChargeTypeChange;
use cdn_activation::storage::{self, Store};
use cdn_activation::workers::{carry_histories, settle_due_changes};
use serde_json::Value;

use crate::support::database::Database;
use crate::support::operators::schedule;
use crate::support::rest::{Key, text_if_any};
use crate::support::{Api, eventually};

/// How many instances of an account carry their history.
const CARRIED: &str = "SELECT count(*) FROM instances
    WHERE account_id = $1 AND carried_changes IS NOT NULL AND carried_locks IS NOT NULL";

/// What whoever copies writes, here as if there were nothing to copy.
const COPY_OF_NOTHING: &str = "UPDATE instances
    SET carried_changes = '[]', carried_locks = '[]'
    WHERE account_id = $1 AND has_history AND carried_locks IS NULL";

/// A lock of each.
const LOCKED: &str = "
    INSERT INTO operation_locks (account_id, lock_id, product, reason, locked_by, locked_at,
        event_time)
    SELECT account_id, gen_random_uuid(), product, 'financial', 'test', opening_time, event_time
    FROM instances";

const BY_HAND: [&str; 2] = [
    "DELETE FROM charge_type_changes WHERE account_id = $1",
    "DELETE FROM operation_locks WHERE account_id = $1",
];

/// An account that has opened DCDN.
async fn opened(api: &Api) -> Key {
    api.at("2018-03-19T11:16:11Z");
    let key = api.account().await;
    api.open_dcdn(&key).await;
    key
}

/// What a Describe says, but for the id of the request.
async fn described(api: &Api, key: &Key) -> Value {
    let mut body = api.get(key, "Action=DescribeDcdnService").await.succeeded().json();
    body.as_object_mut().expect("an object").remove("RequestId");
    body
}

/// How many locks, and the charge type that comes next.
async fn shown(api: &Api, key: &Key) -> (usize, Option<String>) {
    let body = described(api, key).await;
    let locks = body["OperationLocks"]["LockReason"].as_array().expect("a list").len();
    (locks, text_if_any(&body, "ChangingChargeType"))
}

async fn carry(api: &Api) {
    let store = api.store();
    carry_histories(&store).await.expect("carried");
    store.close().await;
}

async fn is_carried(api: &Api, key: &Key) -> bool {
    api.database.count_of(key.account_id, CARRIED).await == 1
}

/// Schedules a change of DCDN for an instant.
async fn scheduled(api: &Api, key: &Key, charge_type: ChargeType, at: &str) -> ChargeTypeChange {
    let request = schedule(key, Product::Dcdn, charge_type, Some(at));
    api.schedule(request).await.expect("scheduled")
}

#[tokio::test]
async fn what_is_shown_is_the_same_with_the_copy_and_without() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    let cancelled =
        scheduled(&api, &key, ChargeType::PayByBandwidth95, "2018-04-01T00:00:00Z").await;
    api.cancel(&cancelled).await.expect("cancelled");
    scheduled(&api, &key, ChargeType::PayByBandwidth, "2018-03-20T00:00:00Z").await;
    for reason in ["financial", "security", "maintenance"] {
        api.lock(&key, Product::Dcdn, reason).await;
    }
    api.unlock(&key, Product::Dcdn, "security").await;
    for now in ["2018-03-19T12:00:00Z", "2018-03-21T12:00:00Z"] {
        api.at(now);
        let looked_up = described(&api, &key).await;
        assert!(!is_carried(&api, &key).await);
        carry(&api).await;
        assert!(is_carried(&api, &key).await);
        assert_eq!(described(&api, &key).await, looked_up, "at {now}");
        assert_eq!(looked_up["OperationLocks"]["LockReason"].as_array().map(Vec::len), Some(2));
        api.lock(&key, Product::Dcdn, "again").await; // drops the copy
        api.unlock(&key, Product::Dcdn, "again").await;
    }
    assert_eq!(described(&api, &key).await["InternetChargeType"], "PayByBandwidth");
}

#[tokio::test]
async fn a_copy_is_read_in_place_of_the_tables() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    scheduled(&api, &key, ChargeType::PayByBandwidth, "2018-03-20T00:00:00Z").await;
    api.lock(&key, Product::Dcdn, "financial").await;
    carry(&api).await;
    for statement in BY_HAND {
        api.database.execute_for(key.account_id, statement).await;
    }
    assert_eq!(shown(&api, &key).await, (1, Some("PayByBandwidth".to_owned())));
}

#[tokio::test]
async fn whoever_writes_to_a_history_drops_the_copy() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    assert_eq!(shown(&api, &key).await, (0, None));

    api.lock(&key, Product::Dcdn, "financial").await;
    assert_eq!(shown_and_carried(&api, &key).await, (1, None));
    api.unlock(&key, Product::Dcdn, "financial").await;
    assert_eq!(shown_and_carried(&api, &key).await, (0, None));

    let pending = scheduled(&api, &key, ChargeType::PayByBandwidth, "2018-04-01T00:00:00Z").await;
    assert_eq!(shown_and_carried(&api, &key).await, (0, Some("PayByBandwidth".to_owned())));
    api.cancel(&pending).await.expect("cancelled");
    assert_eq!(shown_and_carried(&api, &key).await, (0, None));

    scheduled(&api, &key, ChargeType::PayByBandwidth95, "2018-03-20T00:00:00Z").await;
    assert_eq!(shown_and_carried(&api, &key).await, (0, Some("PayByBandwidth95".to_owned())));
    api.at("2018-03-21T00:00:00Z");
    let store = api.store();
    settle_due_changes(&store, &api.clock).await.expect("settled");
    store.close().await;
    // The next one is decided on what the tables say: that the one before is settled.
    assert_eq!(shown_and_carried(&api, &key).await, (0, Some("PayByBandwidth95".to_owned())));
    scheduled(&api, &key, ChargeType::PayByTraffic, "2018-04-01T00:00:00Z").await;
    assert_eq!(shown_and_carried(&api, &key).await, (0, Some("PayByTraffic".to_owned())));
}

/// What is shown after a write; and the copy is made anew, of which the same is shown.
async fn shown_and_carried(api: &Api, key: &Key) -> (usize, Option<String>) {
    assert!(!is_carried(api, key).await, "the write has dropped the copy");
    let shown = self::shown(api, key).await;
    carry(api).await;
    assert!(is_carried(api, key).await);
    assert_eq!(self::shown(api, key).await, shown);
    shown
}

#[tokio::test]
async fn a_lock_that_waits_for_a_copy_drops_it() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    api.lock(&key, Product::Dcdn, "security").await;
    let copying = api.database.hold(key.account_id, COPY_OF_NOTHING).await;
    tokio::join!(api.lock(&key, Product::Dcdn, "financial"), async {
        api.database.wait_until_blocked(1).await;
        copying.commit().await;
    });
    assert!(!is_carried(&api, &key).await);
    assert_eq!(shown(&api, &key).await, (2, None));
}

#[tokio::test]
async fn what_somebody_is_writing_to_is_left_for_the_next_time() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    let other = opened(&api).await;
    api.lock(&key, Product::Dcdn, "financial").await;
    api.lock(&other, Product::Dcdn, "financial").await;
    let writing = "UPDATE instances SET carried_locks = NULL WHERE account_id = $1";
    let held = api.database.hold(key.account_id, writing).await;
    carry(&api).await;
    assert!(is_carried(&api, &other).await);
    held.commit().await;
    assert!(!is_carried(&api, &key).await);
    carry(&api).await;
    assert!(is_carried(&api, &key).await);
}

#[tokio::test]
async fn a_worker_copies_as_soon_as_it_may() {
    let api = Api::start_with(|settings| settings.carry_after = Duration::ZERO).await;
    let key = opened(&api).await;
    api.lock(&key, Product::Dcdn, "financial").await;
    eventually("the history is carried", async || is_carried(&api, &key).await).await;
    assert_eq!(shown(&api, &key).await, (1, None));
}

#[tokio::test]
async fn however_many_histories_there_are_each_is_copied() {
    let database = Database::fresh().await;
    database.open_many(1201).await; // more than are looked for at once
    database.execute(LOCKED).await;
    let url = database.url.parse().expect("a URL");
    let store = Store::connect_lazily(&storage::Options::new(url, 2));
    carry_histories(&store).await.expect("carried");
    store.close().await;
    let carried = "SELECT count(*) FROM instances WHERE json_array_length(carried_locks) = 1";
    assert_eq!(database.count(carried).await, 1201);
}
