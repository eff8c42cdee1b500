//! Events (docs/behaviour.md, "Events"): which events are delivered, in which order, and that no
//! event is lost.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use cdn_activation::domain::{Time, time};
use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::cdn::v1::ModifyCdnServiceRequest;
use cdn_activation::proto::events::v1::event_data::Data;
use cdn_activation::proto::events::v1::{Event, charge_type_change};
use cdn_activation::proto::operator::v1::{
    DisableAccessKeyRequest, ListEventsRequest, UnlockRequest,
};
use sqlx::Connection;

use crate::support::Api;
use crate::support::events::{
    list_all, list_until, next_event, until_count, version, watch, write_event,
};
use crate::support::grpc::next_account_id;

fn at(microseconds: i64) -> Time {
    Time::from_timestamp_micros(1_800_000_000_000_000 + microseconds).expect("an instant")
}

fn data(event: &Event) -> &Data {
    event.data.as_ref().and_then(|data| data.data.as_ref()).expect("data")
}

#[tokio::test]
async fn every_change_of_state_is_delivered_with_its_type_and_data() {
    let api = Api::start().await;
    api.at("2026-03-10T00:00:00Z");
    let key = api.account().await;
    api.open_cdn(&key).await;
    let mut cdn = api.cdn(&key).await;
    let to = |charge_type: ChargeType| ModifyCdnServiceRequest {
        internet_charge_type: charge_type.into(),
    };
    cdn.modify_cdn_service(to(ChargeType::PayByBandwidth)).await.expect("submitted");
    api.at("2026-03-20T00:00:00Z");
    cdn.modify_cdn_service(to(ChargeType::PayByTraffic)).await.expect("settled, submitted");
    api.lock(&key, Product::Cdn, "security").await;
    let unlock = UnlockRequest {
        account_id: key.account_id,
        product: Product::Cdn.into(),
        reason: "security".to_owned(),
        ..Default::default()
    };
    api.operation_locks().await.unlock(unlock).await.expect("lifted");
    let disable = DisableAccessKeyRequest { access_key_id: key.id.clone(), ..Default::default() };
    api.access_keys().await.disable_access_key(disable).await.expect("disabled");

    let all = list_until(&mut api.events().await, 9).await;
    let types: Vec<_> = all.iter().map(|event| event.r#type.as_str()).collect();
    let expected = [
        "activation.account.changed",
        "activation.access_key.changed",
        "activation.instance.opened",
        "activation.charge_type_change.scheduled",
        "activation.charge_type_change.in_force",
        "activation.charge_type_change.scheduled",
        "activation.operation.locked",
        "activation.operation.unlocked",
        "activation.access_key.changed",
    ];
    assert_eq!(types, expected);
    for event in &all {
        assert_eq!(event.source, "//cdn-activation");
        assert_eq!(event.account_id, key.account_id);
        assert_eq!(event.subject, format!("accounts/{}", key.account_id));
        assert!(event.time.is_some());
    }
    let ids: HashSet<_> = all.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), all.len());
    let by_bandwidth =
        charge_type_change::ChargeType::InternetChargeType(ChargeType::PayByBandwidth.into());
    match (data(&all[2]), data(&all[3]), data(&all[4]), data(&all[6]), data(&all[8])) {
        (
            Data::InstanceOpened(opened),
            Data::ChargeTypeChangeScheduled(scheduled),
            Data::ChargeTypeChangeInForce(in_force),
            Data::OperationLocked(locked),
            Data::AccessKeyChanged(disabled),
        ) => {
            assert_eq!(opened.product(), Product::Cdn);
            assert_eq!(opened.internet_charge_type(), ChargeType::PayByTraffic);
            assert_eq!(scheduled.change, in_force.change);
            let change = scheduled.change.as_ref().expect("a change");
            assert_eq!(change.charge_type, Some(by_bandwidth));
            assert_eq!(locked.reason, "security");
            assert!(disabled.disabled && disabled.access_key_id == key.id);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn events_of_an_account_are_in_order_although_clocks_go_back() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let replica = api.replica().await;
    for (hour, reason) in ["one", "two", "three", "four"].into_iter().enumerate() {
        let back = time::parse("2026-01-01T12:00:00Z").expect("an instant")
            - chrono::Duration::hours(i64::try_from(hour).expect("few"));
        api.clock.set_wire_now(back);
        let api = if hour % 2 == 0 { &api } else { &replica };
        api.lock(&key, Product::Cdn, reason).await;
    }
    let all = list_until(&mut api.events().await, 7).await;
    let reasons = all[3..].iter().map(|event| match data(event) {
        Data::OperationLocked(locked) => locked.reason.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(reasons.collect::<Vec<_>>(), ["one", "two", "three", "four"]);
    let times: Vec<_> = all.iter().map(|event| event.time.expect("a time")).collect();
    assert!(times.is_sorted_by_key(|time| (time.seconds, time.nanos)), "{times:?}");
}

#[tokio::test]
async fn events_are_delivered_in_the_order_of_their_times_and_not_of_their_ids() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let mut connection = api.database.connect().await;
    let mut transaction = connection.begin().await.expect("begun");
    for version in (1..=100).rev() {
        write_event(&mut transaction, account_id, at(version), version).await;
    }
    transaction.commit().await.expect("committed");
    let all = list_until(&mut api.events().await, 100).await;
    assert_eq!(all.iter().map(version).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_whose_transaction_commits_late_is_not_skipped() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let mut slow = api.database.connect().await;
    let mut transaction = slow.begin().await.expect("begun");
    write_event(&mut transaction, account_id, at(0), 1).await;

    let mut quick = api.database.connect().await;
    for version in 2..=4 {
        write_event(&mut quick, account_id + 16, at(version), version).await;
    }
    let mut events = api.events().await;
    let mut watching = watch(&mut events, "").await;
    for expected in 2..=4 {
        assert_eq!(version(&next_event(&mut watching).await.0), expected);
    }
    until_count(&api, "SELECT count(*) FROM event_outbox", 0).await;
    transaction.commit().await.expect("committed");
    let (late, cursor) = next_event(&mut watching).await;
    assert_eq!((version(&late), late.account_id), (1, account_id));

    write_event(&mut quick, account_id, at(9), 5).await;
    let mut resumed = watch(&mut events, &cursor).await;
    assert_eq!(version(&next_event(&mut resumed).await.0), 5);
}

const WRITERS: i64 = 8;
const EACH: i64 = 400;

/// Writes events in transactions that overlap: every third transaction stays open for a while.
async fn write_overlapping(api: &Api, writer: i64, account_id: i64) {
    let mut connection = api.database.connect().await;
    for number in 1..=EACH {
        let mut transaction = connection.begin().await.expect("begun");
        write_event(&mut transaction, account_id, at(number), number).await;
        if (number + writer) % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        transaction.commit().await.expect("committed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_many_writers_are_numbered_once_and_without_a_gap_by_all_replicas() {
    let api = Api::start().await;
    let replicas = [api.replica().await, api.replica().await];
    let accounts: Vec<_> = (0..WRITERS).map(|_| next_account_id()).collect();
    let writers = accounts
        .iter()
        .zip(0..)
        .map(|(account_id, writer)| write_overlapping(&api, writer, *account_id));
    futures_util::future::join_all(writers).await;
    until_count(&api, "SELECT count(*) FROM event_outbox", 0).await;

    let total = WRITERS * EACH;
    let counts = [
        ("SELECT count(*) FROM event_log", total),
        ("SELECT count(DISTINCT event_id) FROM event_log", total),
        ("SELECT count(DISTINCT (lane, position)) FROM event_log", total),
        ("SELECT sum(last_position)::bigint FROM event_lanes", total),
        (
            "SELECT count(*) FROM (
                SELECT position, row_number() OVER (PARTITION BY lane ORDER BY position) AS due
                FROM event_log) numbered
             WHERE position <> due",
            0,
        ),
    ];
    for (statement, expected) in counts {
        assert_eq!(api.database.count(statement).await, expected, "{statement}");
    }
    // Each replica delivers all events, those of each account in order, for every page size.
    for (api, page_size) in [(&api, 1000), (&replicas[0], 37), (&replicas[1], 250)] {
        let request = ListEventsRequest { page_size, ..Default::default() };
        let wanted = usize::try_from(total).expect("few");
        list_until(&mut api.events().await, wanted).await;
        let (all, _) = list_all(&mut api.events().await, request).await;
        assert_eq!(all.len(), wanted);
        let mut last = BTreeMap::new();
        for event in &all {
            let before = last.insert(event.account_id, version(event)).unwrap_or(0);
            assert_eq!(version(event), before + 1);
        }
    }
}
