//! `DescribeCdnService` shows the charge type in force, which depends on the opening, the dated
//! changes and the clock only. It also shows the change that was submitted last, and the locks.

use cdn_activation::domain::{ChargeType, Product};
use cdn_activation::proto::billing::v1::Product as WireProduct;

use crate::support::Api;
use crate::support::action_refusals::CDN_NOT_OPENED;
use crate::support::rest::{Key, text_if_any};
use crate::support::setup::internet;

const DESCRIBE: &str = "Action=DescribeCdnService";

/// Sets the clock to this instant and opens CDN by traffic for a new account.
async fn opened_at(api: &Api, instant: &str) -> Key {
    api.at(instant);
    let key = api.account().await;
    api.open_cdn(&key).await;
    key
}

/// Returns the charge type in force, and the charge type and effective time of the change that is
/// shown.
async fn charged(api: &Api, key: &Key) -> (String, Option<String>, Option<String>) {
    let over_rest = api.get(key, DESCRIBE).await.succeeded().json();
    let over_grpc = api.call(key, DESCRIBE).await.expect("open");
    let of = |body: &serde_json::Value| {
        let text = |name: &str| text_if_any(body, name);
        let current = text("InternetChargeType").expect("always there");
        (current, text("ChangingChargeType"), text("ChangingAffectTime"))
    };
    assert_eq!(of(&over_rest), of(&over_grpc), "both wires answer the same");
    of(&over_rest)
}

/// Returns the result of [`charged`] if a change is shown.
fn changing(current: &str, to: &str, at: &str) -> (String, Option<String>, Option<String>) {
    (current.to_owned(), Some(to.to_owned()), Some(at.to_owned()))
}

#[tokio::test]
async fn an_account_that_has_not_opened_cdn_is_refused() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    api.refuses_everywhere(&key, DESCRIBE, &CDN_NOT_OPENED).await;
    api.open_dcdn(&key).await;
    api.refuses_everywhere(&key, DESCRIBE, &CDN_NOT_OPENED).await;
}

#[tokio::test]
async fn the_old_api_version_reports_not_opened_as_a_denied_operation() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    let message = CDN_NOT_OPENED.message;
    for given in [
        "Action=DescribeCdnService&Version=2014-11-11",
        "Action=ModifyCdnService&Version=2014-11-11&InternetChargeType=PayByTraffic",
    ] {
        api.get(&key, given).await.refused(403, "OperationDenied", message);
        let xml = api.get(&key, &format!("{given}&Format=XML")).await;
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>REQUEST-ID</RequestId>\
             <HostId>127.0.0.1</HostId><Code>OperationDenied</Code><Message>{message}</Message>\
             </Error>"
        );
        assert_eq!((xml.status, xml.body_without_request_id()), (403, body));
    }
    let v3 = api.post_v3(&key, "DescribeCdnService", "2014-11-11", "").await;
    v3.refused(403, "OperationDenied", message);
    let modify = "InternetChargeType=PayByTraffic";
    let v3 = api.post_v3(&key, "ModifyCdnService", "2014-11-11", modify).await;
    v3.refused(403, "OperationDenied", message);
}

#[tokio::test]
async fn a_service_that_never_changed_has_empty_changing_fields_and_an_empty_wrapper_of_locks() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    let id = key.account_id;
    let json = format!(
        r#"{{"RequestId":"REQUEST-ID","InstanceId":"{id}","InternetChargeType":"PayByTraffic","OpeningTime":"2018-03-19T11:16:11Z","ChangingChargeType":"","ChangingAffectTime":"","OperationLocks":{{"LockReason":[]}}}}"#
    );
    let xml = format!(
        "<?xml version='1.0' encoding='UTF-8'?><DescribeCdnServiceResponse>\
         <RequestId>REQUEST-ID</RequestId><InstanceId>{id}</InstanceId>\
         <InternetChargeType>PayByTraffic</InternetChargeType>\
         <OpeningTime>2018-03-19T11:16:11Z</OpeningTime>\
         <ChangingChargeType></ChangingChargeType><ChangingAffectTime></ChangingAffectTime>\
         <OperationLocks></OperationLocks></DescribeCdnServiceResponse>"
    );
    for version in ["2018-05-10", "2014-11-11"] {
        let given = format!("{DESCRIBE}&Version={version}");
        assert_eq!(api.get(&key, &given).await.succeeded().body_without_request_id(), json);
        let in_xml = api.get(&key, &format!("{given}&Format=XML")).await;
        assert_eq!(in_xml.succeeded().body_without_request_id(), xml);
    }
    let mut over_grpc = api.call(&key, DESCRIBE).await.expect("open");
    over_grpc["RequestId"] = "REQUEST-ID".into();
    let mut expected: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    for absent in ["ChangingChargeType", "ChangingAffectTime"] {
        expected.as_object_mut().expect("an object").remove(absent);
    }
    assert_eq!(over_grpc, expected);
}

#[tokio::test]
async fn a_change_and_locks_are_shown_in_both_formats() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    api.get(&key, "Action=ModifyCdnService&InternetChargeType=PayByBandwidth").await.succeeded();
    api.lock(&key, WireProduct::Cdn, "financial").await;
    api.at("2018-03-19T11:16:12Z");
    api.lock(&key, WireProduct::Cdn, "security").await;
    let id = key.account_id;
    let json = format!(
        r#"{{"RequestId":"REQUEST-ID","InstanceId":"{id}","InternetChargeType":"PayByTraffic","OpeningTime":"2018-03-19T11:16:11Z","ChangingChargeType":"PayByBandwidth","ChangingAffectTime":"2018-03-19T16:00:00Z","OperationLocks":{{"LockReason":[{{"LockReason":"financial"}},{{"LockReason":"security"}}]}}}}"#
    );
    let xml = format!(
        "<?xml version='1.0' encoding='UTF-8'?><DescribeCdnServiceResponse>\
         <RequestId>REQUEST-ID</RequestId><InstanceId>{id}</InstanceId>\
         <InternetChargeType>PayByTraffic</InternetChargeType>\
         <OpeningTime>2018-03-19T11:16:11Z</OpeningTime>\
         <ChangingChargeType>PayByBandwidth</ChangingChargeType>\
         <ChangingAffectTime>2018-03-19T16:00:00Z</ChangingAffectTime><OperationLocks>\
         <LockReason><LockReason>financial</LockReason></LockReason>\
         <LockReason><LockReason>security</LockReason></LockReason></OperationLocks>\
         </DescribeCdnServiceResponse>"
    );
    assert_eq!(api.get(&key, DESCRIBE).await.succeeded().body_without_request_id(), json);
    let in_xml = api.get(&key, &format!("{DESCRIBE}&Format=XML")).await;
    assert_eq!(in_xml.succeeded().body_without_request_id(), xml);
}

#[tokio::test]
async fn a_change_is_in_force_from_its_effective_time_on_and_stays_visible() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-19T11:16:11Z").await;
    api.get(&key, "Action=ModifyCdnService&InternetChargeType=PayByBandwidth").await.succeeded();
    let effective = "2018-03-19T16:00:00Z";
    for (now, in_force) in [
        ("2018-03-19T11:16:11Z", "PayByTraffic"),
        ("2018-03-19T15:59:59Z", "PayByTraffic"),
        ("2018-03-19T16:00:00Z", "PayByBandwidth"),
        ("2018-03-19T16:00:01Z", "PayByBandwidth"),
        ("2028-03-19T16:00:00Z", "PayByBandwidth"),
    ] {
        api.at(now);
        let expected = changing(in_force, "PayByBandwidth", effective);
        assert_eq!(charged(&api, &key).await, expected, "{now}");
    }
    let settled = "SELECT count(*) FROM charge_type_changes
         WHERE account_id = $1 AND in_force_event_at IS NOT NULL";
    assert_eq!(
        api.database.count_of(key.account_id, settled).await,
        0,
        "no worker settled the change"
    );
}

#[tokio::test]
async fn each_change_is_in_force_in_its_time_and_the_last_submitted_change_is_shown() {
    use ChargeType::{PayByBandwidth, PayByBandwidth95, PayByTraffic};
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-01T00:00:00Z").await;
    let changes = [
        internet(PayByBandwidth, "2018-03-02T00:00:00Z", "2018-03-02T16:00:00Z"),
        internet(PayByBandwidth95, "2018-03-10T00:00:00Z", "2018-03-10T16:00:00Z"),
        internet(PayByTraffic, "2018-03-20T00:00:00Z", "2018-03-31T16:00:00Z"),
    ];
    api.schedule_dated(&key, Product::Cdn, &changes).await;
    for (now, in_force) in [
        ("2018-03-01T00:00:00Z", "PayByTraffic"),
        ("2018-03-02T15:59:59Z", "PayByTraffic"),
        ("2018-03-02T16:00:00Z", "PayByBandwidth"),
        ("2018-03-10T15:59:59Z", "PayByBandwidth"),
        ("2018-03-10T16:00:00Z", "PayByBandwidth95"),
        ("2018-03-31T15:59:59Z", "PayByBandwidth95"),
        ("2018-03-31T16:00:00Z", "PayByTraffic"),
    ] {
        api.at(now);
        let expected = changing(in_force, "PayByTraffic", "2018-03-31T16:00:00Z");
        assert_eq!(charged(&api, &key).await, expected, "{now}");
    }
}

#[tokio::test]
async fn every_charge_type_is_shown_by_its_documented_name() {
    use cdn_activation::domain::Charge;
    let api = Api::start_without_workers().await;
    for charge_type in ChargeType::ALL {
        let key = opened_at(&api, "2018-03-01T00:00:00Z").await;
        let (submitted, effective) = ("2018-03-01T00:00:00Z", "2018-03-01T16:00:00Z");
        let change = internet(*charge_type, submitted, effective);
        api.schedule_dated(&key, Product::Cdn, &[change]).await;
        api.at(effective);
        let name = charge_type.name();
        assert_eq!(charged(&api, &key).await, changing(name, name, effective));
    }
}

#[tokio::test]
async fn a_cancelled_change_is_as_if_it_had_never_been_submitted() {
    let api = Api::start_without_workers().await;
    let cancel = "UPDATE charge_type_changes SET cancelled_at = submitted_at
         WHERE account_id = $1 AND in_force_event_at IS NULL";
    let never_changed = opened_at(&api, "2018-03-01T00:00:00Z").await;
    let changed_before = opened_at(&api, "2018-03-01T00:00:00Z").await;
    let changed_after = opened_at(&api, "2018-03-01T00:00:00Z").await;
    let other =
        internet(ChargeType::PayByBandwidth, "2018-03-02T00:00:00Z", "2018-03-02T16:00:00Z");
    let cancelled =
        internet(ChargeType::PayByBandwidth95, "2018-03-05T00:00:00Z", "2018-03-05T16:00:00Z");
    api.schedule_dated(&never_changed, Product::Cdn, &[cancelled]).await;
    api.schedule_dated(&changed_before, Product::Cdn, &[other, cancelled]).await;
    api.schedule_dated(&changed_after, Product::Cdn, &[cancelled]).await;
    for key in [&never_changed, &changed_before, &changed_after] {
        api.database.execute_for(key.account_id, cancel).await;
    }
    api.schedule_dated(&changed_after, Product::Cdn, &[other]).await;
    for now in ["2018-03-05T15:59:59Z", "2018-03-05T16:00:00Z", "2019-01-01T00:00:00Z"] {
        api.at(now);
        let expected = ("PayByTraffic".to_owned(), None, None);
        assert_eq!(charged(&api, &never_changed).await, expected, "{now}");
        let expected = changing("PayByBandwidth", "PayByBandwidth", "2018-03-02T16:00:00Z");
        assert_eq!(charged(&api, &changed_before).await, expected, "{now}");
        assert_eq!(charged(&api, &changed_after).await, expected, "{now}");
    }
}

#[tokio::test]
async fn a_change_of_dcdn_does_not_affect_cdn() {
    let api = Api::start_without_workers().await;
    let key = opened_at(&api, "2018-03-01T00:00:00Z").await;
    api.open_dcdn(&key).await;
    let change =
        internet(ChargeType::PayByBandwidth, "2018-03-02T00:00:00Z", "2018-03-02T16:00:00Z");
    api.schedule_dated(&key, Product::Dcdn, &[change]).await;
    api.lock(&key, WireProduct::Dcdn, "financial").await;
    api.at("2018-03-03T00:00:00Z");
    assert_eq!(charged(&api, &key).await, ("PayByTraffic".to_owned(), None, None));
    let locks = &api.get(&key, DESCRIBE).await.json()["OperationLocks"];
    assert_eq!(*locks, serde_json::json!({"LockReason": []}));
}
