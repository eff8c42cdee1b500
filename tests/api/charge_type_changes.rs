//! Charge-type changes that operators make, and their effects (docs/behaviour.md, "Changing the
//! charge type").

use std::time::Duration;

use cdn_activation::clock::Clock;
use cdn_activation::domain::time;
use cdn_activation::proto::billing::v1::{ChargeType, Product, WebsocketChargeType};
use cdn_activation::proto::operator::v1 as wire;
use cdn_activation::proto::operator::v1::ChargeTypeChangeState;
use cdn_activation::proto::operator::v1::schedule_charge_type_change_request::ChargeType as Given;
use cdn_activation::workers::settle_due_changes;
use tonic::Code;

use crate::support::Api;
use crate::support::grpc::refusal;
use crate::support::operators::{schedule, timestamp};

/// Makes a valid request invalid.
type Invalidate = fn(&mut wire::ScheduleChargeTypeChangeRequest);

const IN_FORCE_EVENTS: &str =
    "SELECT count(*) FROM all_events WHERE type = 'activation.charge_type_change.in_force'";

#[tokio::test]
async fn an_operator_schedules_any_type_for_any_future_instant_and_describe_follows_the_clock() {
    let api = Api::start().await;
    let key = api.account().await;
    api.at("2018-03-19T11:16:11Z");
    api.open_cdn(&key).await;
    let monthly = ChargeType::PayByBandwidthMonth4th;
    let request = schedule(&key, Product::Cdn, monthly, Some("2018-03-20T01:02:03Z"));
    let change = api.schedule(request).await.expect("scheduled");
    assert_eq!(change.state(), ChargeTypeChangeState::Pending);
    assert_eq!(change.submit_time, Some(timestamp("2018-03-19T11:16:11Z")));

    api.at("2018-03-20T01:02:02Z");
    let before = api.get(&key, "Action=DescribeCdnService").await;
    assert_eq!(before.text("InternetChargeType"), "PayByTraffic");
    assert_eq!(before.text("ChangingChargeType"), "PayByBandwidth_month4th");
    api.at("2018-03-20T01:02:03Z");
    let after = api.get(&key, "Action=DescribeCdnService").await;
    assert_eq!(after.text("InternetChargeType"), "PayByBandwidth_month4th");
    assert_eq!(after.text("ChangingAffectTime"), "2018-03-20T01:02:03Z");
}

#[tokio::test]
async fn without_an_instant_the_type_in_force_decides_when_a_change_takes_effect() {
    let api = Api::start().await;
    let key = api.account().await;
    api.at("2018-03-19T11:16:11Z");
    api.open_dcdn(&key).await;
    let monthly = schedule(&key, Product::Dcdn, ChargeType::PayByBandwidth95, None);
    let first = api.schedule(monthly).await.expect("scheduled");
    assert_eq!(first.effective_time, Some(timestamp("2018-03-19T16:00:00Z")));
    api.at("2018-03-20T00:00:00Z");
    let back = schedule(&key, Product::Dcdn, ChargeType::PayByTraffic, None);
    let second = api.schedule(back).await.expect("scheduled");
    assert_eq!(second.effective_time, Some(timestamp("2018-03-31T16:00:00Z")));
    // The earlier change was due and not settled, so scheduling wrote its event first.
    assert_eq!(api.database.count(IN_FORCE_EVENTS).await, 1);
}

#[tokio::test]
async fn internet_and_websocket_change_independently_and_one_change_of_each_can_be_pending() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_dcdn(&key).await;
    let internet = schedule(&key, Product::Dcdn, ChargeType::PayByBandwidth, None);
    let mut websocket = internet.clone();
    let bps = WebsocketChargeType::Websocketbps;
    websocket.charge_type = Some(Given::WebsocketChargeType(bps.into()));
    api.schedule(internet.clone()).await.expect("scheduled");
    api.schedule(websocket.clone()).await.expect("scheduled");
    for request in [internet, websocket] {
        let refused = refusal(&api.schedule(request).await.expect_err("one is pending"));
        assert_eq!(refused.code, "FUWU_BIZ_COMMODITY_VERIFY_FAIL_HASORDER");
        assert_eq!(refused.grpc, Code::FailedPrecondition);
    }
    let described = api.get(&key, "Action=DescribeDcdnService").await;
    assert_eq!(described.text("WebsocketChangingType"), "websocketbps");
    assert_eq!(described.text("ChangingChargeType"), "PayByBandwidth");
}

#[tokio::test]
async fn a_cancelled_change_is_as_if_it_had_never_been_submitted() {
    let api = Api::start().await;
    let key = api.account().await;
    api.at("2018-03-19T11:16:11Z");
    api.open_cdn(&key).await;
    let request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    let change = api.schedule(request.clone()).await.expect("scheduled");
    let cancelled = api.cancel(&change).await.expect("cancelled");
    assert_eq!(cancelled.state(), ChargeTypeChangeState::Cancelled);
    assert_eq!(api.cancel(&change).await.expect("stays cancelled"), cancelled);
    api.at("2018-03-21T00:00:00Z");
    let described = api.get(&key, "Action=DescribeCdnService").await.json();
    assert_eq!(described["InternetChargeType"], "PayByTraffic");
    assert_eq!(described["ChangingChargeType"], "");

    let again = api.schedule(request).await.expect("nothing is pending");
    api.at("2018-03-21T16:00:00Z");
    let refused = refusal(&api.cancel(&again).await.expect_err("in force"));
    assert_eq!((refused.code.as_str(), refused.grpc), ("ChangeInForce", Code::FailedPrecondition));
}

#[tokio::test]
async fn a_change_that_one_replica_has_settled_is_in_force_on_a_replica_whose_clock_is_behind() {
    let slow = Api::start_without_workers().await;
    slow.at("2018-03-19T15:59:59Z");
    let key = slow.account().await;
    slow.open_cdn(&key).await;
    let request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    let change = slow.schedule(request).await.expect("scheduled");
    let ahead = Clock::system();
    ahead.set_now(time::parse("2018-03-19T16:00:00Z").expect("an instant"));
    let (database, sealing_key) = (slow.database.clone(), slow.sealing_key.clone());
    let quick = Api::start_on(database, sealing_key, ahead.clone(), |_| {}).await;
    let store = quick.store();
    settle_due_changes(&store, &ahead).await.expect("settled");
    store.close().await;
    for api in [&quick, &slow] {
        let refused = refusal(&api.cancel(&change).await.expect_err("in force"));
        assert_eq!(
            (refused.code.as_str(), refused.grpc),
            ("ChangeInForce", Code::FailedPrecondition)
        );
        let account_id = key.account_id;
        let list = wire::ListChargeTypeChangesRequest { account_id, ..Default::default() };
        let listed = api.changes().await.list_charge_type_changes(list).await.expect("listed");
        let changes = listed.into_inner().charge_type_changes;
        let states: Vec<_> = changes.iter().map(wire::ChargeTypeChange::state).collect();
        assert_eq!(states, [ChargeTypeChangeState::InForce]);
    }
    // A Describe depends only on the clock of its own replica.
    let described = slow.get(&key, "Action=DescribeCdnService").await;
    assert_eq!(described.text("InternetChargeType"), "PayByTraffic");
}

#[tokio::test]
async fn a_change_that_is_not_valid_or_not_found_is_refused() {
    let api = Api::start().await;
    let key = api.account().await;
    api.at("2018-03-19T11:16:11Z");
    let valid = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    let not_open = refusal(&api.schedule(valid.clone()).await.expect_err("not open"));
    assert_eq!((not_open.code.as_str(), not_open.grpc), ("CdnServiceNotFound", Code::NotFound));
    api.open_cdn(&key).await;
    let invalid: [(Invalidate, &str); 8] = [
        (|request| request.account_id = 0, "InvalidAccountId"),
        (|request| request.account_id = i64::MAX, "AccountNotFound"),
        (|request| request.product = 7, "InvalidFields"),
        (|request| request.charge_type = None, "InvalidFields"),
        (|request| request.charge_type = Some(Given::InternetChargeType(99)), "InvalidFields"),
        (|request| request.charge_type = Some(Given::WebsocketChargeType(1)), "InvalidFields"),
        (
            |request| request.effective_time = Some(timestamp("2018-03-19T11:16:11Z")),
            "InvalidFields",
        ),
        (
            |request| {
                request.effective_time =
                    Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -5 });
            },
            "InvalidFields",
        ),
    ];
    for (invalidate, code) in invalid {
        let mut request = valid.clone();
        invalidate(&mut request);
        let refused = refusal(&api.schedule(request.clone()).await.expect_err(code));
        assert_eq!(refused.code, code, "{request:?}");
    }
    let unknown = wire::ChargeTypeChange {
        account_id: key.account_id,
        change_id: crate::support::operators::request_id(),
        ..Default::default()
    };
    assert_eq!(refusal(&api.cancel(&unknown).await.expect_err("unknown")).code, "ChangeNotFound");
}

#[tokio::test]
async fn one_of_64_simultaneous_requests_to_schedule_succeeds() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let types = [ChargeType::PayByBandwidth, ChargeType::PayByBandwidth95];
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..64 {
        let at = if index % 2 == 0 { &api } else { &replica };
        let mut client = at.changes().await;
        let request = schedule(&key, Product::Cdn, types[index % 2], None);
        calls.spawn(async move { client.schedule_charge_type_change(request).await });
    }
    let outcomes = calls.join_all().await;
    let succeeded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(succeeded, 1);
    for status in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(refusal(status).code, "FUWU_BIZ_COMMODITY_VERIFY_FAIL_HASORDER");
    }
    assert_eq!(api.database.count("SELECT count(*) FROM charge_type_changes").await, 1);
}

#[tokio::test]
async fn each_due_change_becomes_one_event_although_one_of_three_replicas_stops_halfway() {
    let api = Api::start().await;
    api.at("2018-03-19T11:16:11Z");
    let mut keys = Vec::new();
    for _ in 0..30 {
        let key = api.account().await;
        api.open_cdn(&key).await;
        let request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
        api.schedule(request).await.expect("scheduled");
        keys.push(key);
    }
    assert_eq!(api.database.count(IN_FORCE_EVENTS).await, 0, "nothing is due yet");
    let replicas = [api.replica().await, api.replica().await, api.replica().await];
    api.at("2018-03-19T16:00:00Z");
    // These run beside the workers of the replicas. The first is dropped while it writes, and the
    // others settle what it left.
    let stores = replicas.each_ref().map(Api::store);
    let clock = api.clock.clone();
    let dropped =
        tokio::time::timeout(Duration::from_millis(5), settle_due_changes(&stores[0], &clock));
    let (_, second, third) = tokio::join!(
        dropped,
        settle_due_changes(&stores[1], &clock),
        settle_due_changes(&stores[2], &clock),
    );
    second.and(third).expect("settled");
    assert_eq!(api.database.count(IN_FORCE_EVENTS).await, 30);
    let twice = "SELECT count(*) FROM (SELECT account_id FROM all_events
        WHERE type = 'activation.charge_type_change.in_force'
        GROUP BY account_id HAVING count(*) > 1) AS twice";
    assert_eq!(api.database.count(twice).await, 0);
}

#[tokio::test]
async fn the_worker_writes_the_event_within_seconds_of_the_effective_time() {
    let api = Api::start().await;
    let key = api.account().await;
    api.at("2018-03-19T11:16:11Z");
    api.open_cdn(&key).await;
    let request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    api.schedule(request).await.expect("scheduled");
    api.at("2018-03-19T16:00:00Z");
    let waiting = async {
        while api.database.count(IN_FORCE_EVENTS).await == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .expect("the worker writes the event");
}
