//! The copy of the history in the row of an instance stays small: it has the newest changes and at most
//! 100 locks. The tables have everything.

use cdn_activation::clock::Clock;
use cdn_activation::domain::instance::OperationLock;
use cdn_activation::domain::{self, AccountId, time};
use cdn_activation::ids::new_id;
use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1::LockRequest;
use cdn_activation::storage::NewLock;
use cdn_activation::workers::settle_due_changes;
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::support::Api;
use crate::support::audit::entry;
use crate::support::grpc::{assert_refusal, refusal};
use crate::support::operators::schedule;
use crate::support::rest::Key;

/// 980 settled changes of DCDN, one an hour from the opening on. The charge type alternates.
const CHANGES: &str = "
    INSERT INTO charge_type_changes (account_id, change_id, product, kind, charge_type, submitted_at,
        effective_time, in_force_event_at, event_time)
    SELECT account_id, gen_random_uuid(), product, 'internet',
        CASE WHEN hour % 2 = 1 THEN 'PayByBandwidth' ELSE 'PayByTraffic' END,
        opening_time + (hour - 1) * interval '1 hour', opening_time + hour * interval '1 hour',
        event_time, event_time
    FROM instances, generate_series(1, 980) AS hour
    WHERE account_id = $1 AND product = 'dcdn'";

/// 100 locks of DCDN.
const LOCKS: &str = "
    INSERT INTO operation_locks (account_id, lock_id, product, reason, locked_by, locked_at, event_time)
    SELECT account_id, gen_random_uuid(), product, 'reason-' || number, 'test', opening_time, event_time
    FROM instances, generate_series(1, 100) AS number
    WHERE account_id = $1 AND product = 'dcdn'";

const IN_THE_ROW: &str = "SELECT count(*) FROM instances, jsonb_object_keys(changes)
    WHERE account_id = $1 AND product = 'dcdn'";
const LOCKS_THAT_HOLD: &str =
    "SELECT count(*) FROM operation_locks WHERE account_id = $1 AND lifted_at IS NULL";

/// An account that has opened DCDN at the start of 2018.
async fn opened(api: &Api) -> Key {
    api.at("2018-01-01T00:00:00Z");
    let key = api.account().await;
    api.open_dcdn(&key).await;
    key
}

/// The bill types of internet traffic in a span, in their order.
async fn bill_types(api: &Api, key: &Key, start: &str, end: &str) -> Vec<String> {
    let given = format!("Action=DescribeDcdnUserBillType&StartTime={start}&EndTime={end}");
    let body = api.get(key, &given).await.succeeded().json();
    let items = body["BillTypeData"]["BillTypeDataItem"].as_array().expect("a list");
    let of_internet = items.iter().filter(|item| item["Dimension"] == "flow");
    let bill_type = |item: &Value| item["BillType"].as_str().expect("a text").to_owned();
    of_internet.map(bill_type).collect()
}

/// Schedules a change for an instant and settles it at that instant.
async fn schedule_and_settle(api: &Api, key: &Key, charge_type: ChargeType, at: &str) {
    let request = schedule(key, Product::Dcdn, charge_type, Some(at));
    api.schedule(request).await.expect("scheduled");
    api.at(at);
    let store = api.store();
    settle_due_changes(&store, &api.clock).await.expect("settled");
    store.close().await;
}

/// Returns the text of an instant some hours after the opening.
fn hour(hours: i64) -> String {
    let opening = time::parse("2018-01-01T00:00:00Z").expect("an instant");
    time::format(opening + chrono::Duration::hours(hours))
}

#[tokio::test]
async fn a_thousand_settled_changes_leave_two_in_the_row_and_all_in_the_history() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    api.database.execute_for(key.account_id, CHANGES).await;
    api.at(&hour(980));
    for number in 981..=1000 {
        let odd = number % 2 == 1;
        let charge_type = if odd { ChargeType::PayByBandwidth } else { ChargeType::PayByTraffic };
        schedule_and_settle(&api, &key, charge_type, &hour(number)).await;
        assert_eq!(api.database.count_of(key.account_id, IN_THE_ROW).await, 2);
    }
    api.database.assert_copies_are_true().await;
    let described = api.get(&key, "Action=DescribeDcdnService").await.succeeded().json();
    assert_eq!(described["InternetChargeType"], "PayByTraffic");
    assert_eq!(described["ChangingAffectTime"], hour(1000));

    // 31 days have 744 hours. The 745th charge type is the first of the second span.
    let first = bill_types(&api, &key, &hour(0), &hour(744)).await;
    let second = bill_types(&api, &key, &hour(744), &hour(1100)).await;
    assert_eq!((first.len(), second.len()), (744, 257));
    for (number, bill_type) in first.iter().chain(&second).enumerate() {
        let expected = if number % 2 == 1 { "day_bandwidth" } else { "hour_flow" };
        assert_eq!(bill_type, expected, "of the change number {number}");
    }
    // A span within the first hours, with neither the opening nor the newest changes in it.
    let within = bill_types(&api, &key, "2018-01-01T02:30:00Z", "2018-01-01T04:30:00Z").await;
    assert_eq!(within, ["hour_flow", "day_bandwidth", "hour_flow"]);
}

#[tokio::test]
async fn a_replica_whose_clock_is_behind_shows_the_change_before_the_newest() {
    let behind = Api::start_without_workers().await;
    let key = opened(&behind).await;
    schedule_and_settle(&behind, &key, ChargeType::PayByBandwidth, &hour(1)).await;
    schedule_and_settle(&behind, &key, ChargeType::PayByBandwidth95, &hour(2)).await;
    let request = schedule(&key, Product::Dcdn, ChargeType::PayByTraffic, Some(&hour(3)));
    behind.schedule(request).await.expect("scheduled");
    let ahead = Clock::system();
    ahead.set_now(time::parse(&hour(3)).expect("an instant"));
    let store = behind.store();
    settle_due_changes(&store, &ahead).await.expect("settled");
    store.close().await;
    assert_eq!(behind.database.count_of(key.account_id, IN_THE_ROW).await, 2);
    let described = behind.get(&key, "Action=DescribeDcdnService").await.succeeded().json();
    assert_eq!(described["InternetChargeType"], "PayByBandwidth95");
    assert_eq!(described["ChangingChargeType"], "PayByTraffic");
}

async fn lock(api: &Api, key: &Key, reason: String) -> Result<(), Status> {
    let request = LockRequest {
        account_id: key.account_id,
        product: Product::Dcdn.into(),
        reason,
        ..Default::default()
    };
    api.operation_locks().await.lock(request).await.map(drop)
}

#[tokio::test]
async fn the_101st_lock_is_refused_and_lifting_one_makes_room() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    api.database.execute_for(key.account_id, LOCKS).await;

    let refused = lock(&api, &key, "one-more".to_owned()).await.expect_err("100 locks hold");
    let message = "Too many operation locks hold on the instance: lift one first.";
    let code = "QuotaExceeded.OperationLock";
    assert_refusal(&refused, Code::ResourceExhausted, code, 400, message);
    lock(&api, &key, "reason-7".to_owned()).await.expect("it holds already");

    // The condition of the statement refuses it as well.
    let store = api.store();
    let new = NewLock {
        account_id: AccountId::new(key.account_id).expect("a positive number"),
        product: domain::Product::Dcdn,
        lock: OperationLock {
            lock_id: new_id(),
            reason: "one-more".to_owned(),
            locked_by: "test".to_owned(),
            locked_at: api.clock.now(),
        },
        event_id: new_id(),
    };
    assert!(!store.lock(new.clone(), entry("Lock"), None).await.expect("answered"));
    api.unlock(&key, Product::Dcdn, "reason-7").await;
    assert!(store.lock(new, entry("Lock"), None).await.expect("answered"));
    store.close().await;
    lock(&api, &key, "two-more".to_owned()).await.expect_err("100 locks hold again");
    assert_eq!(api.database.count_of(key.account_id, LOCKS_THAT_HOLD).await, 100);
    api.database.assert_copies_are_true().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_120_locks_at_once_100_hold() {
    let api = Api::start_without_workers().await;
    let replica = api.replica().await;
    let key = opened(&api).await;
    let mut tasks = JoinSet::new();
    for number in 0..120 {
        let service = if number % 2 == 0 { &api } else { &replica };
        let mut locks = service.operation_locks().await;
        let request = LockRequest {
            account_id: key.account_id,
            product: Product::Dcdn.into(),
            reason: format!("reason-{number}"),
            ..Default::default()
        };
        tasks.spawn(async move { locks.lock(request).await });
    }
    let refused: Vec<_> = tasks.join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 20);
    for status in &refused {
        assert_eq!(refusal(status).code, "QuotaExceeded.OperationLock");
    }
    assert_eq!(api.database.count_of(key.account_id, LOCKS_THAT_HOLD).await, 100);
    api.database.assert_copies_are_true().await;
}
