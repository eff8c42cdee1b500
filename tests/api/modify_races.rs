//! Changes of the charge type that run at the same time as others, at their effective time, or while
//! the account changes: at most one is pending, and each that takes effect has exactly one event.

use cdn_activation::domain::Time;
use cdn_activation::proto::billing::v1::{self as billing, Product as WireProduct};
use cdn_activation::proto::cdn::v1::ModifyCdnServiceRequest;
use cdn_activation::proto::events::v1::charge_type_change::ChargeType as Changed;
use cdn_activation::proto::events::v1::event_data::Data;
use tokio::task::JoinSet;

use crate::support::Api;
use crate::support::action_refusals::{BALANCE, CHANGE_PENDING, PAYMENT_METHOD};
use crate::support::database::left_out_on_citus;
use crate::support::grpc::refusal;
use crate::support::rest::Key;
use crate::support::wires::Wire;

const TO_TRAFFIC: &str = "Action=ModifyCdnService&InternetChargeType=PayByTraffic";
const TO_BANDWIDTH: &str = "Action=ModifyCdnService&InternetChargeType=PayByBandwidth";
const SCHEDULED: &str = "activation.charge_type_change.scheduled";
const IN_FORCE: &str = "activation.charge_type_change.in_force";

/// Sets the clock to an instant. Returns a key of an account that opened CDN by traffic then.
async fn opened_at(api: &Api, instant: &str) -> Key {
    api.at(instant);
    let key = api.account().await;
    api.open_cdn(&key).await;
    key
}

/// Returns the types of the events of an account in order, without the opening.
async fn event_types(api: &Api, key: &Key) -> Vec<String> {
    let events = api.database.events(key.account_id).await;
    events.into_iter().skip(1).map(|event| event.type_name).collect()
}

/// Returns how many changes are unsettled, and how many there are.
async fn changes(api: &Api, key: &Key) -> (i64, i64) {
    let unsettled = "SELECT count(*) FROM charge_type_changes
         WHERE account_id = $1 AND cancelled_at IS NULL AND in_force_event_at IS NULL";
    let all = "SELECT count(*) FROM charge_type_changes WHERE account_id = $1";
    let id = key.account_id;
    (api.database.count_of(id, unsettled).await, api.database.count_of(id, all).await)
}

/// Sends this number of requests over gRPC at once, alternating between the replicas and the types.
/// Returns the type and the code of each.
async fn at_once(
    replicas: &[&Api],
    key: &Key,
    number: usize,
    types: &[billing::ChargeType],
) -> Vec<(billing::ChargeType, String)> {
    let mut calls = JoinSet::new();
    for index in 0..number {
        let charge_type = types[index % types.len()];
        let mut client = replicas[index / types.len() % replicas.len()].cdn(key).await;
        let request = ModifyCdnServiceRequest { internet_charge_type: charge_type.into() };
        calls.spawn(async move {
            let reply = client.modify_cdn_service(request).await;
            let code = reply.map_or_else(|status| refusal(&status).code, |_| "OK".to_owned());
            (charge_type, code)
        });
    }
    calls.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_simultaneous_changes_one_is_pending() {
    use billing::ChargeType::{PayByBandwidth, PayByTraffic};
    let api = Api::start_without_workers().await;
    let other = api.replica().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    let answers = at_once(&[&api, &other], &key, 64, &[PayByBandwidth, PayByTraffic]).await;
    assert_eq!(answers.len(), 64);
    for (charge_type, code) in answers {
        // By bandwidth is the change, or is already pending. By traffic is in force until then.
        let may_be_refused = charge_type == PayByTraffic && code == CHANGE_PENDING.code;
        assert!(code == "OK" || may_be_refused, "{charge_type:?}: {code}");
    }
    assert_eq!(changes(&api, &key).await, (1, 1));
    assert_eq!(event_types(&api, &key).await, [SCHEDULED]);
    api.refuses_everywhere(&key, TO_TRAFFIC, &CHANGE_PENDING).await;
}

#[tokio::test]
async fn after_the_effective_time_of_a_change_the_next_can_be_submitted() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    api.get(&key, TO_BANDWIDTH).await.succeeded();
    api.at("2018-03-19T15:59:59Z");
    api.refuses_everywhere(&key, TO_TRAFFIC, &CHANGE_PENDING).await;

    api.at("2018-03-19T16:00:00Z");
    api.get(&key, TO_BANDWIDTH).await.succeeded(); // in force, and nothing is pending
    assert_eq!(event_types(&api, &key).await, [SCHEDULED]);
    api.get(&key, TO_TRAFFIC).await.succeeded();
    assert_eq!(changes(&api, &key).await, (1, 2));
    assert_eq!(event_types(&api, &key).await, [SCHEDULED, IN_FORCE, SCHEDULED]);

    let events = api.database.events(key.account_id).await;
    let (Data::ChargeTypeChangeScheduled(scheduled), Data::ChargeTypeChangeInForce(in_force)) =
        (events[1].data(), events[2].data())
    else {
        panic!("{events:?}")
    };
    assert_eq!(in_force.change, scheduled.change, "the event has the change as it was submitted");
    let change = in_force.change.expect("given");
    assert_eq!(change.product(), WireProduct::Cdn);
    let bandwidth = billing::ChargeType::PayByBandwidth.into();
    assert_eq!(change.charge_type, Some(Changed::InternetChargeType(bandwidth)));

    // A third change, much later.
    api.at("2018-05-01T00:00:00Z");
    api.call(&key, TO_BANDWIDTH).await.expect("submitted");
    assert_eq!(changes(&api, &key).await, (1, 3));
    let all = [SCHEDULED, IN_FORCE, SCHEDULED, IN_FORCE, SCHEDULED];
    assert_eq!(event_types(&api, &key).await, all);
    let described = api.get(&key, "Action=DescribeCdnService").await;
    assert_eq!(described.text("InternetChargeType"), "PayByTraffic");
    assert_eq!(described.text("ChangingAffectTime"), "2018-05-01T16:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_simultaneous_changes_after_the_effective_time_one_writes_the_event_of_the_first() {
    use billing::ChargeType::PayByTraffic;
    let api = Api::start_without_workers().await;
    let other = api.replica().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    api.get(&key, TO_BANDWIDTH).await.succeeded();
    api.at("2018-03-19T16:00:00Z");
    let answers = at_once(&[&api, &other], &key, 32, &[PayByTraffic]).await;
    assert!(answers.iter().all(|(_, code)| code == "OK"), "{answers:?}");
    assert_eq!(changes(&api, &key).await, (1, 2));
    assert_eq!(event_types(&api, &key).await, [SCHEDULED, IN_FORCE, SCHEDULED]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_sorts_after_the_event_of_the_previous_one_also_if_another_transaction_wrote_it() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    api.get(&key, TO_BANDWIDTH).await.succeeded();
    api.at("2018-03-19T16:00:00Z");
    // Another transaction settles the first change while this request waits to do that, and the
    // database's clock was an hour ahead then.
    let settle = "WITH touched AS (
             UPDATE instances
             SET event_time = now() + interval '1 hour', changes = (
                 SELECT jsonb_object_agg(key, value || '{\"settled\": true}') FROM jsonb_each(changes))
             WHERE account_id = $1
             RETURNING account_id, event_time)
         UPDATE charge_type_changes
         SET in_force_event_at = touched.event_time, event_time = touched.event_time
         FROM touched
         WHERE charge_type_changes.account_id = touched.account_id";
    let held = api.database.hold(key.account_id, settle).await;
    let commit = async {
        api.database.wait_until_blocked(1).await;
        held.commit().await;
    };
    let (answer, ()) = tokio::join!(api.ask(Wire::V1Get, &key, TO_TRAFFIC), commit);
    assert_eq!(answer.code(), "OK");
    assert_eq!(changes(&api, &key).await, (1, 2));
    let settled: Time = sqlx::query_scalar(
        "SELECT in_force_event_at FROM charge_type_changes
         WHERE account_id = $1 AND in_force_event_at IS NOT NULL",
    )
    .bind(key.account_id)
    .fetch_one(&mut api.database.connect().await)
    .await
    .expect("reads");
    let events = api.database.events(key.account_id).await;
    let second = events.last().expect("scheduled");
    assert_eq!(second.type_name, SCHEDULED);
    assert!(second.event_time > settled, "{} > {settled}", second.event_time);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_changes_between_reading_and_writing_is_decided_again() {
    let api = Api::start_without_workers().await;
    for (change, code) in [
        (
            "UPDATE accounts SET balance = -1, version = version + 1 WHERE account_id = $1",
            BALANCE.code,
        ),
        (
            "UPDATE accounts SET payment_method_valid = false, version = version + 1
             WHERE account_id = $1",
            PAYMENT_METHOD.code,
        ),
        ("UPDATE accounts SET balance = 1, version = version + 1 WHERE account_id = $1", "OK"),
    ] {
        for wire in [Wire::V3, Wire::Grpc] {
            let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
            let held = api.database.hold(key.account_id, change).await;
            let commit = async {
                api.database.wait_until_blocked(1).await;
                held.commit().await;
            };
            let (answer, ()) = tokio::join!(api.ask(wire, &key, TO_BANDWIDTH), commit);
            assert_eq!(answer.code(), code, "{wire:?}");
            let rows = i64::from(code == "OK");
            assert_eq!(changes(&api, &key).await, (rows, rows));
        }
    }
}

#[tokio::test]
async fn a_change_that_loses_every_race_is_unavailable_and_writes_nothing() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    api.database
        .execute(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER lose BEFORE UPDATE ON instances
                 FOR EACH ROW EXECUTE FUNCTION lose()",
        )
        .await;
    for wire in [Wire::V1Get, Wire::Grpc] {
        let answer = api.ask(wire, &key, TO_BANDWIDTH).await;
        assert_eq!((answer.http, answer.code()), (503, "ServiceUnavailable"));
    }
    assert_eq!(changes(&api, &key).await, (0, 0));
    assert!(event_types(&api, &key).await.is_empty());
}
