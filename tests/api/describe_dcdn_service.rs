//! `DescribeDcdnService` (docs/behaviour.md, "Describing"): the same as for CDN, with the fields
//! of WebSocket charging. The order of locks is tested here.

use cdn_activation::domain::{ChargeType, Product, WebsocketChargeType};
use cdn_activation::proto::billing::v1::Product as WireProduct;
use serde_json::{Value, json};

use crate::support::Api;
use crate::support::action_refusals::DCDN_NOT_OPENED;
use crate::support::rest::Key;
use crate::support::setup::{internet, websocket};

const DESCRIBE: &str = "Action=DescribeDcdnService";

/// Sets the clock to this instant and opens DCDN for a new account, by traffic also for WebSocket.
async fn opened_at(api: &Api, instant: &str) -> Key {
    api.at(instant);
    let key = api.account().await;
    api.open_dcdn(&key).await;
    key
}

/// Returns the answer without its two ids. Checks that both wires answer the same. A field that is
/// an empty text over REST is absent over gRPC.
async fn described(api: &Api, key: &Key) -> Value {
    let mut over_rest = api.get(key, DESCRIBE).await.succeeded().json();
    let mut over_grpc = api.call(key, DESCRIBE).await.expect("open");
    for body in [&mut over_rest, &mut over_grpc] {
        let members = body.as_object_mut().expect("an object");
        members.remove("RequestId").expect("always there");
        members.retain(|_, value| *value != "");
    }
    assert_eq!(over_rest, over_grpc, "both wires answer the same");
    over_rest.as_object_mut().expect("an object").remove("InstanceId").expect("always there");
    over_rest
}

/// Returns the reasons of the locks.
async fn lock_reasons(api: &Api, key: &Key) -> Value {
    described(api, key).await["OperationLocks"].take()
}

#[tokio::test]
async fn an_account_that_has_not_opened_dcdn_is_refused() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    api.refuses_everywhere(&key, DESCRIBE, &DCDN_NOT_OPENED).await;
    api.open_cdn(&key).await;
    api.refuses_everywhere(&key, DESCRIBE, &DCDN_NOT_OPENED).await;
}

#[tokio::test]
async fn a_service_that_never_changed_has_empty_changing_fields_and_an_empty_wrapper_of_locks() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    let reply = api.get(&key, DESCRIBE).await;
    let id = reply.text("InstanceId");
    assert_eq!(
        reply.succeeded().body_without_request_id(),
        format!(
            r#"{{"RequestId":"REQUEST-ID","InstanceId":"{id}","InternetChargeType":"PayByTraffic","OpeningTime":"2018-03-19T11:16:11Z","ChangingChargeType":"","ChangingAffectTime":"","OperationLocks":{{"LockReason":[]}},"WebsocketType":"websockettraffic"}}"#
        )
    );
    let in_xml = api.get(&key, &format!("{DESCRIBE}&Format=XML")).await;
    assert_eq!(
        in_xml.succeeded().body_without_request_id(),
        format!(
            "<?xml version='1.0' encoding='UTF-8'?><DescribeDcdnServiceResponse>\
             <RequestId>REQUEST-ID</RequestId><InstanceId>{id}</InstanceId>\
             <InternetChargeType>PayByTraffic</InternetChargeType>\
             <OpeningTime>2018-03-19T11:16:11Z</OpeningTime>\
             <ChangingChargeType></ChangingChargeType><ChangingAffectTime></ChangingAffectTime>\
             <OperationLocks></OperationLocks>\
             <WebsocketType>websockettraffic</WebsocketType></DescribeDcdnServiceResponse>"
        )
    );
    let over_grpc = api.call(&key, DESCRIBE).await.expect("open");
    assert_eq!(over_grpc.get("ChangingChargeType"), None);
    assert_eq!(over_grpc.get("ChangingAffectTime"), None);
}

#[tokio::test]
async fn changes_and_locks_are_shown_in_both_formats() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    let changes = [
        internet(ChargeType::PayByBandwidth95, "2018-03-19T12:00:00Z", "2018-03-31T16:00:00Z"),
        websocket(
            WebsocketChargeType::Websocketbps,
            "2018-03-19T12:00:00Z",
            "2018-03-19T16:00:00Z",
        ),
    ];
    api.schedule_dated(&key, Product::Dcdn, &changes).await;
    api.lock(&key, WireProduct::Dcdn, "security").await;
    api.at("2018-03-20T00:00:00Z");
    api.lock(&key, WireProduct::Dcdn, "financial").await;
    let reply = api.get(&key, DESCRIBE).await;
    let id = reply.text("InstanceId");
    assert_eq!(
        reply.succeeded().body_without_request_id(),
        format!(
            r#"{{"RequestId":"REQUEST-ID","InstanceId":"{id}","InternetChargeType":"PayByTraffic","OpeningTime":"2018-03-19T11:16:11Z","ChangingChargeType":"PayByBandwidth95","ChangingAffectTime":"2018-03-31T16:00:00Z","OperationLocks":{{"LockReason":[{{"LockReason":"security"}},{{"LockReason":"financial"}}]}},"WebsocketType":"websocketbps","WebsocketChangingType":"websocketbps","WebsocketChangingTime":"2018-03-19T16:00:00Z"}}"#
        )
    );
    let in_xml = api.get(&key, &format!("{DESCRIBE}&Format=XML")).await;
    assert_eq!(
        in_xml.succeeded().body_without_request_id(),
        format!(
            "<?xml version='1.0' encoding='UTF-8'?><DescribeDcdnServiceResponse>\
             <RequestId>REQUEST-ID</RequestId><InstanceId>{id}</InstanceId>\
             <InternetChargeType>PayByTraffic</InternetChargeType>\
             <OpeningTime>2018-03-19T11:16:11Z</OpeningTime>\
             <ChangingChargeType>PayByBandwidth95</ChangingChargeType>\
             <ChangingAffectTime>2018-03-31T16:00:00Z</ChangingAffectTime><OperationLocks>\
             <LockReason><LockReason>security</LockReason></LockReason>\
             <LockReason><LockReason>financial</LockReason></LockReason></OperationLocks>\
             <WebsocketType>websocketbps</WebsocketType>\
             <WebsocketChangingType>websocketbps</WebsocketChangingType>\
             <WebsocketChangingTime>2018-03-19T16:00:00Z</WebsocketChangingTime>\
             </DescribeDcdnServiceResponse>"
        )
    );
}

#[tokio::test]
async fn an_opening_older_than_websocket_charging_has_no_websocket_fields() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    api.open_long_ago(&key, Product::Dcdn, "2014-01-01T00:00:00Z", "FP-aaaaaaaaa").await;
    assert_eq!(
        described(&api, &key).await,
        json!({
            "InternetChargeType": "PayByTraffic",
            "OpeningTime": "2014-01-01T00:00:00Z",
            "OperationLocks": {"LockReason": []},
        })
    );
}

#[tokio::test]
async fn internet_and_websocket_types_change_independently() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-01T00:00:00Z").await;
    let changes = [
        internet(ChargeType::PayByBandwidth, "2018-03-02T00:00:00Z", "2018-03-31T16:00:00Z"),
        websocket(
            WebsocketChargeType::Websocketbps,
            "2018-03-03T00:00:00Z",
            "2018-03-20T16:00:00Z",
        ),
    ];
    api.schedule_dated(&key, Product::Dcdn, &changes).await;
    for (now, internet, websocket) in [
        ("2018-03-20T15:59:59Z", "PayByTraffic", "websockettraffic"),
        ("2018-03-20T16:00:00Z", "PayByTraffic", "websocketbps"),
        ("2018-03-31T15:59:59Z", "PayByTraffic", "websocketbps"),
        ("2018-03-31T16:00:00Z", "PayByBandwidth", "websocketbps"),
    ] {
        api.at(now);
        assert_eq!(
            described(&api, &key).await,
            json!({
                "InternetChargeType": internet,
                "OpeningTime": "2018-03-01T00:00:00Z",
                "ChangingChargeType": "PayByBandwidth",
                "ChangingAffectTime": "2018-03-31T16:00:00Z",
                "OperationLocks": {"LockReason": []},
                "WebsocketType": websocket,
                "WebsocketChangingType": "websocketbps",
                "WebsocketChangingTime": "2018-03-20T16:00:00Z",
            }),
            "{now}"
        );
    }
}

#[tokio::test]
async fn a_cancelled_change_of_one_kind_of_traffic_does_not_affect_the_other() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-01T00:00:00Z").await;
    let (submitted, effective) = ("2018-03-02T00:00:00Z", "2018-03-02T16:00:00Z");
    let changes = [
        internet(ChargeType::PayByBandwidth, submitted, effective),
        websocket(WebsocketChargeType::Websocketbps, submitted, effective),
    ];
    api.schedule_dated(&key, Product::Dcdn, &changes).await;
    let cancel = "UPDATE charge_type_changes SET cancelled_at = submitted_at
         WHERE account_id = $1 AND kind = 'websocket'";
    api.database.execute_for(key.account_id, cancel).await;
    api.at(effective);
    assert_eq!(
        described(&api, &key).await,
        json!({
            "InternetChargeType": "PayByBandwidth",
            "OpeningTime": "2018-03-01T00:00:00Z",
            "ChangingChargeType": "PayByBandwidth",
            "ChangingAffectTime": effective,
            "OperationLocks": {"LockReason": []},
            "WebsocketType": "websockettraffic",
        })
    );
}

#[tokio::test]
async fn locks_are_shown_oldest_first_and_lifted_locks_are_not_shown() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-01T00:00:00Z").await;
    for (now, reason) in [
        ("2018-03-04T00:00:00Z", "security"),
        ("2018-03-05T00:00:00Z", "financial"),
        ("2018-03-06T00:00:00Z", "arrears-2018_03"),
    ] {
        api.at(now);
        api.lock(&key, WireProduct::Dcdn, reason).await;
    }
    let reasons = |reasons: &[&str]| {
        let reasons: Vec<_> = reasons.iter().map(|reason| json!({"LockReason": reason})).collect();
        json!({"LockReason": reasons})
    };
    let all = ["security", "financial", "arrears-2018_03"];
    assert_eq!(lock_reasons(&api, &key).await, reasons(&all));

    // A second lock with the same reason does not change anything, including the order.
    api.lock(&key, WireProduct::Dcdn, "security").await;
    assert_eq!(lock_reasons(&api, &key).await, reasons(&all));

    api.unlock(&key, WireProduct::Dcdn, "security").await;
    assert_eq!(lock_reasons(&api, &key).await, reasons(&all[1..]));

    // A lock that was lifted and is set again is the newest.
    api.at("2018-03-07T00:00:00Z");
    api.lock(&key, WireProduct::Dcdn, "security").await;
    assert_eq!(lock_reasons(&api, &key).await, reasons(&[all[1], all[2], all[0]]));
    for reason in all {
        api.unlock(&key, WireProduct::Dcdn, reason).await;
    }
    assert_eq!(lock_reasons(&api, &key).await, reasons(&[]));
}

#[tokio::test]
async fn dcdn_has_no_action_to_change_its_charge_type() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-01T00:00:00Z").await;
    let given = "Action=ModifyDcdnService&BillType=PayByBandwidth&WebsocketBillType=websocketbps";
    let message = "Specified api is not found, please check your url and method.";
    api.get(&key, given).await.refused(404, "InvalidAction.NotFound", message);
}
