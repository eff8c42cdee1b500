//! Each change of state writes one event, and the events are in order whatever the clocks of the
//! replicas show.

use cdn_activation::domain::time;
use cdn_activation::proto::billing::v1::{ChargeType, Product, WebsocketChargeType};
use cdn_activation::proto::events::v1 as events;
use cdn_activation::proto::events::v1::event_data::Data;
use cdn_activation::proto::operator::v1 as operator;
use sqlx::Connection;

use crate::support::Api;
use crate::support::outbox::StoredEvent;
use crate::support::rest::Key;

async fn update(api: &Api, key: &Key, balance: i64) {
    let account =
        operator::Account { account_id: key.account_id, balance, ..operator::Account::default() };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["balance".to_owned()] });
    let request = operator::UpdateAccountRequest {
        account: Some(account),
        update_mask,
        ..Default::default()
    };
    api.accounts().await.update_account(request).await.expect("updated");
}

async fn disable(api: &Api, key: &Key) {
    let request =
        operator::DisableAccessKeyRequest { access_key_id: key.id.clone(), ..Default::default() };
    api.access_keys().await.disable_access_key(request).await.expect("disabled");
}

async fn enable(api: &Api, key: &Key) {
    let request =
        operator::EnableAccessKeyRequest { access_key_id: key.id.clone(), ..Default::default() };
    api.access_keys().await.enable_access_key(request).await.expect("enabled");
}

async fn unlock(api: &Api, key: &Key, product: Product, reason: &str) {
    let request = operator::UnlockRequest {
        account_id: key.account_id,
        product: product.into(),
        reason: reason.to_owned(),
        ..Default::default()
    };
    api.operation_locks().await.unlock(request).await.expect("unlocked");
}

fn key_changed(key: &Key, disabled: bool) -> Data {
    let access_key_id = key.id.clone();
    Data::AccessKeyChanged(events::AccessKeyChanged { access_key_id, disabled, deleted: false })
}

fn account_changed(version: i64) -> Data {
    Data::AccountChanged(events::AccountChanged { version })
}

/// Returns the stored instance ids and order ids of an account, CDN first.
async fn opened(api: &Api, key: &Key) -> Vec<(String, String)> {
    let mut connection = api.database.connect().await;
    let rows = sqlx::query_as(
        "SELECT instance_id, order_id::text FROM instances WHERE account_id = $1 ORDER BY product",
    );
    let rows = rows.bind(key.account_id).fetch_all(&mut connection).await.expect("reads");
    connection.close().await.expect("closed");
    rows
}

/// Fails unless every event is later than the one that was written before it.
fn assert_in_order(events: &[StoredEvent]) {
    for pair in events.windows(2) {
        assert!(pair[0].time < pair[1].time, "{:?} is not before {:?}", pair[0], pair[1]);
    }
}

#[tokio::test]
async fn each_change_of_state_writes_one_event_with_what_has_changed() {
    let api = Api::start().await;
    api.at("2018-03-19T11:16:11Z");
    let key = api.account().await;
    update(&api, &key, 20_000).await;
    disable(&api, &key).await;
    disable(&api, &key).await;
    enable(&api, &key).await;
    api.open_cdn(&key).await;
    api.get(&key, "Action=OpenCdnService").await.refused(
        400,
        "CdnService.HasOpened",
        "Your cdn service has opened.",
    );
    api.open_dcdn(&key).await;
    api.lock(&key, Product::Dcdn, "security").await;
    api.lock(&key, Product::Dcdn, "security").await;
    unlock(&api, &key, Product::Dcdn, "security").await;
    unlock(&api, &key, Product::Dcdn, "security").await;

    let opened = opened(&api, &key).await;
    let opening_time = Some(prost_types::Timestamp { seconds: 1_521_458_171, nanos: 0 });
    let (cdn, dcdn, reason) = (Product::Cdn, Product::Dcdn, "security".to_owned());
    let expected = [
        ("activation.account.changed", account_changed(1)),
        ("activation.access_key.changed", key_changed(&key, false)),
        ("activation.account.changed", account_changed(2)),
        ("activation.access_key.changed", key_changed(&key, true)),
        ("activation.access_key.changed", key_changed(&key, false)),
        (
            "activation.instance.opened",
            Data::InstanceOpened(events::InstanceOpened {
                product: cdn.into(),
                instance_id: key.account_id.to_string(),
                order_id: opened[0].1.clone(),
                internet_charge_type: ChargeType::PayByTraffic.into(),
                websocket_charge_type: WebsocketChargeType::Unspecified.into(),
                opening_time,
            }),
        ),
        (
            "activation.instance.opened",
            Data::InstanceOpened(events::InstanceOpened {
                product: dcdn.into(),
                instance_id: opened[1].0.clone(),
                order_id: opened[1].1.clone(),
                internet_charge_type: ChargeType::PayByTraffic.into(),
                websocket_charge_type: WebsocketChargeType::Websockettraffic.into(),
                opening_time,
            }),
        ),
        (
            "activation.operation.locked",
            Data::OperationLocked(events::OperationLocked {
                product: dcdn.into(),
                reason: reason.clone(),
                locked_by: "operator".to_owned(),
            }),
        ),
        (
            "activation.operation.unlocked",
            Data::OperationUnlocked(events::OperationUnlocked { product: dcdn.into(), reason }),
        ),
    ];
    let stored = api.database.events_of(key.account_id).await;
    let found: Vec<_> =
        stored.iter().map(|event| (event.type_name.as_str(), event.data.clone())).collect();
    assert_eq!(found, expected);
    assert!(stored.iter().all(|event| i64::from(event.lane) == key.account_id % 16));
    assert_in_order(&stored);
}

#[tokio::test]
async fn the_events_of_sixteen_accounts_are_in_sixteen_lanes() {
    let api = Api::start().await;
    let mut lanes = Vec::new();
    for account_id in (i64::MAX - 15)..=i64::MAX {
        let key = api.account_with(|account| account.account_id = account_id).await;
        let events = api.database.events_of(key.account_id).await;
        assert!(events.iter().all(|event| event.lane == events[0].lane));
        assert_eq!(i64::from(events[0].lane), account_id % 16);
        lanes.push(events[0].lane);
    }
    lanes.sort_unstable();
    assert_eq!(lanes, (0..16).collect::<Vec<_>>());
}

#[tokio::test]
async fn events_of_an_account_and_its_instance_stay_in_order_if_the_clock_is_set_back() {
    let api = Api::start().await;
    let set = |instant: &str| api.clock.set_wire_now(time::parse(instant).expect("an instant"));
    set("2018-03-19T12:00:00Z");
    let key = api.account().await;
    set("2018-03-19T11:00:00Z");
    update(&api, &key, 1).await;
    set("2018-03-19T10:00:00Z");
    update(&api, &key, 2).await;
    set("2018-03-19T09:00:00Z");
    api.open_dcdn(&key).await;
    set("2018-03-19T08:00:00Z");
    api.lock(&key, Product::Dcdn, "security").await;
    set("2018-03-19T07:00:00Z");
    api.lock(&key, Product::Dcdn, "financial").await;
    set("2018-03-19T06:00:00Z");
    unlock(&api, &key, Product::Dcdn, "security").await;
    unlock(&api, &key, Product::Dcdn, "financial").await;
    set("2018-03-19T05:00:00Z");
    api.lock(&key, Product::Dcdn, "financial").await;
    let mut stored = api.database.events_of(key.account_id).await;
    stored.retain(|event| event.type_name != "activation.access_key.changed");
    assert_eq!(stored.len(), 9);
    assert_in_order(&stored);
}

#[tokio::test]
async fn events_of_a_key_stay_in_order_if_the_clock_is_set_back() {
    let api = Api::start().await;
    let set = |instant: &str| api.clock.set_wire_now(time::parse(instant).expect("an instant"));
    set("2018-03-19T12:00:00Z");
    let key = api.account().await;
    for hour in (5..11).rev() {
        set(&format!("2018-03-19T{hour:02}:00:00Z"));
        disable(&api, &key).await;
        enable(&api, &key).await;
    }
    let stored = api.database.events_of(key.account_id).await;
    assert_eq!(stored.len(), 14);
    assert_in_order(&stored);
}
