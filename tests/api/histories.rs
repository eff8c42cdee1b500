//! Whether an instance has a history: its row says so from its first change or lock on, and spares
//! everybody who describes one without the look for it.

use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::operator::v1::{LockRequest, UnlockRequest};
use tokio::task::JoinSet;

use crate::support::Api;
use crate::support::rest::{Key, text_if_any};

/// How many instances of an account have a history.
const OF_CDN: &str =
    "SELECT count(*) FROM instances WHERE account_id = $1 AND product = 'cdn' AND has_history";
const OF_DCDN: &str =
    "SELECT count(*) FROM instances WHERE account_id = $1 AND product = 'dcdn' AND has_history";

/// An instance, a change and a lock by someone who has never heard of histories.
const WRITTEN_BY_ANOTHER: [&str; 3] = [
    "INSERT INTO instances (account_id, product, instance_id, internet_charge_type,
        websocket_charge_type, opening_time, order_id, event_time)
    SELECT account_id, 'dcdn', 'FP-another', 'PayByTraffic', 'websocketbps', created_at,
        gen_random_uuid(), created_at
    FROM accounts
    WHERE account_id = $1",
    "INSERT INTO charge_type_changes (account_id, change_id, product, kind, charge_type,
        submitted_at, effective_time, event_time)
    SELECT account_id, gen_random_uuid(), 'dcdn', 'internet', 'PayByBandwidth', created_at,
        '2099-01-01', created_at
    FROM accounts
    WHERE account_id = $1",
    "INSERT INTO operation_locks (account_id, lock_id, product, reason, locked_by, locked_at,
        event_time)
    SELECT account_id, gen_random_uuid(), 'dcdn', 'another', 'another', created_at, created_at
    FROM accounts
    WHERE account_id = $1",
];

/// Whether CDN, and whether DCDN, has a history.
async fn histories(api: &Api, key: &Key) -> (bool, bool) {
    let id = key.account_id;
    (api.database.count_of(id, OF_CDN).await == 1, api.database.count_of(id, OF_DCDN).await == 1)
}

/// An account that has opened both products.
async fn opened(api: &Api) -> Key {
    api.at("2018-03-19T11:16:11Z");
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.open_dcdn(&key).await;
    key
}

/// A lock for DCDN.
fn lock(key: &Key, reason: &str) -> LockRequest {
    LockRequest {
        account_id: key.account_id,
        product: Product::Dcdn.into(),
        reason: reason.to_owned(),
        locked_by: "test".to_owned(),
        ..Default::default()
    }
}

/// What is said of DCDN: the pending charge type, and how many locks.
async fn described(api: &Api, key: &Key) -> (Option<String>, usize) {
    let body = api.get(key, "Action=DescribeDcdnService").await.succeeded().json();
    let locks = body["OperationLocks"]["LockReason"].as_array().expect("a list").len();
    (text_if_any(&body, "ChangingChargeType"), locks)
}

#[tokio::test]
async fn an_instance_has_a_history_from_its_first_change_or_lock_on_and_for_good() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    assert_eq!(histories(&api, &key).await, (false, false));
    assert_eq!(described(&api, &key).await, (None, 0));

    let modify = "Action=ModifyCdnService&InternetChargeType=PayByBandwidth";
    api.get(&key, modify).await.succeeded();
    assert_eq!(histories(&api, &key).await, (true, false), "a change is of its product");
    let reply = api.get(&key, "Action=DescribeCdnService").await;
    assert_eq!(reply.text("ChangingChargeType"), "PayByBandwidth");

    let mut locks = api.operation_locks().await;
    locks.lock(lock(&key, "financial")).await.expect("locks");
    assert_eq!(histories(&api, &key).await, (true, true));
    assert_eq!(described(&api, &key).await, (None, 1));

    let (account_id, product, reason) =
        (key.account_id, Product::Dcdn.into(), "financial".to_owned());
    let unlock = UnlockRequest { account_id, product, reason, ..Default::default() };
    locks.unlock(unlock).await.expect("unlocks");
    assert_eq!(histories(&api, &key).await, (true, true), "it was locked once");
    assert_eq!(described(&api, &key).await, (None, 0));
}

#[tokio::test]
async fn of_many_first_locks_at_once_each_is_shown() {
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
    assert_eq!(described(&api, &key).await, (None, 16));
}

#[tokio::test]
async fn a_first_lock_that_is_rolled_back_leaves_the_next_one_to_say_it() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    let mark = "UPDATE instances SET has_history = true WHERE account_id = $1";
    let held = api.database.hold(key.account_id, mark).await;
    let (mut locks, request) = (api.operation_locks().await, lock(&key, "financial"));
    let waiting = tokio::spawn(async move { locks.lock(request).await.map(drop) });
    api.database.wait_until_blocked(1).await;
    held.roll_back().await;
    waiting.await.expect("no panic").expect("locks");
    assert_eq!(described(&api, &key).await, (None, 1));
}

#[tokio::test]
async fn rows_of_a_writer_that_knows_of_no_history_are_described_in_full() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    for statement in WRITTEN_BY_ANOTHER {
        api.database.execute_for(key.account_id, statement).await;
    }
    assert_eq!(described(&api, &key).await, (Some("PayByBandwidth".to_owned()), 1));
}
