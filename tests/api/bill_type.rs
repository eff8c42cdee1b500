//! `DescribeCdnUserBillType` and `DescribeDcdnUserBillType`: the charge types that were in force
//! during a span of time, by the names of the bill-type history.

use cdn_activation::domain::{ChargeType, Product, WebsocketChargeType};
use serde_json::{Value, json};

use crate::support::Api;
use crate::support::action_refusals::{invalid_parameter, missing};
use crate::support::rest::Key;
use crate::support::setup::{internet, websocket};
use crate::support::wires::Refusal;

const ACTIONS: [&str; 2] = ["DescribeCdnUserBillType", "DescribeDcdnUserBillType"];

const MISSING_START: Refusal =
    missing("MissingStartTime", "StartTime is mandatory for this action.");
const MISSING_END: Refusal = missing("MissingEndTime", "EndTime is mandatory for this action.");
const INVALID_START: Refusal =
    invalid_parameter("The specified value of parameter \"StartTime\" is not valid.");
const INVALID_END: Refusal =
    invalid_parameter("The specified value of parameter \"EndTime\" is not valid.");

/// Returns the items of a span. Checks that both wires return the same items.
async fn items(api: &Api, key: &Key, action: &str, start: &str, end: &str) -> Value {
    let given = format!("Action={action}&StartTime={start}&EndTime={end}");
    let mut over_rest = api.get(key, &given).await.succeeded().json();
    let mut over_grpc = api.call(key, &given).await.expect("answers");
    let items = over_rest["BillTypeData"]["BillTypeDataItem"].take();
    assert_eq!(items, over_grpc["BillTypeData"]["BillTypeDataItem"].take());
    items
}

/// Returns an item of internet traffic of CDN.
fn flow(start: &str, end: &str, bill_type: &str, cycle: &str) -> Value {
    json!({
        "StartTime": start, "EndTime": end, "BillType": bill_type, "BillingCycle": cycle,
        "Product": "cdn", "Dimension": "flow",
    })
}

#[tokio::test]
async fn a_span_needs_both_ends_in_order_and_at_most_31_days_apart() {
    let api = Api::start_without_workers().await;
    let (opened, not_opened) = (api.account().await, api.account().await);
    api.open_cdn(&opened).await;
    api.open_dcdn(&opened).await;
    for action in ACTIONS {
        for (span, refusal) in [
            ("", MISSING_START),
            ("&StartTime=&EndTime=", MISSING_START),
            ("&EndTime=2018-03-02T00:00:00Z", MISSING_START),
            ("&EndTime=yesterday", MISSING_START),
            ("&StartTime=2018-03-01T00:00:00Z", MISSING_END),
            ("&StartTime=yesterday&EndTime=", MISSING_END),
            ("&StartTime=yesterday&EndTime=tomorrow", INVALID_START),
            ("&StartTime=2018-03-01&EndTime=2018-03-02T00:00:00Z", INVALID_START),
            ("&StartTime=2018-03-01T00:00:00&EndTime=2018-03-02T00:00:00Z", INVALID_START),
            ("&StartTime=2018-02-29T00:00:00Z&EndTime=2018-03-02T00:00:00Z", INVALID_START),
            ("&StartTime=2018-03-01T00:00:00Z&EndTime=2018-03-02T24:00:00Z", INVALID_END),
            ("&StartTime=2018-03-01T00:00:00Z&EndTime=2018-03-02T00:00:00.0Z", INVALID_END),
            ("&StartTime=2018-03-01T00:00:00Z&EndTime=2018-03-01T00:00:00Z", INVALID_END),
            ("&StartTime=2018-03-02T00:00:00Z&EndTime=2018-03-01T00:00:00Z", INVALID_END),
            ("&StartTime=2018-03-01T00:00:00Z&EndTime=2018-04-01T00:00:01Z", INVALID_END),
        ] {
            for key in [&opened, &not_opened] {
                api.refuses_everywhere(key, &format!("Action={action}{span}"), &refusal).await;
            }
        }
        let longest = ("2018-03-01T00:00:00Z", "2018-04-01T00:00:00Z");
        assert_eq!(items(&api, &not_opened, action, longest.0, longest.1).await, json!([]));
    }
}

#[tokio::test]
async fn an_account_that_opened_nothing_has_an_empty_history() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    for action in ACTIONS {
        let span = "StartTime=2018-03-01T00:00:00Z&EndTime=2018-03-02T00:00:00Z";
        let json = api.get(&key, &format!("Action={action}&{span}")).await;
        assert_eq!(
            json.succeeded().body_without_request_id(),
            r#"{"RequestId":"REQUEST-ID","BillTypeData":{"BillTypeDataItem":[]}}"#
        );
        let xml = api.get(&key, &format!("Action={action}&{span}&Format=XML")).await;
        assert_eq!(
            xml.succeeded().body_without_request_id(),
            format!(
                "<?xml version='1.0' encoding='UTF-8'?><{action}Response>\
                 <RequestId>REQUEST-ID</RequestId><BillTypeData></BillTypeData></{action}Response>"
            )
        );
    }
}

#[tokio::test]
async fn a_history_has_the_same_items_in_both_formats() {
    let api = Api::start_without_workers().await;
    api.at("2018-03-19T11:16:11Z");
    let key = api.account().await;
    api.open_cdn(&key).await;
    let change =
        internet(ChargeType::PayByBandwidth, "2018-03-19T12:00:00Z", "2018-03-19T16:00:00Z");
    api.schedule_dated(&key, Product::Cdn, &[change]).await;
    api.at("2018-04-20T00:00:00Z");
    let given = "Action=DescribeCdnUserBillType&StartTime=2018-03-01T00:00:00Z&EndTime=2018-04-01T00:00:00Z";
    let json = api.get(&key, given).await;
    assert_eq!(
        json.succeeded().body_without_request_id(),
        r#"{"RequestId":"REQUEST-ID","BillTypeData":{"BillTypeDataItem":[{"StartTime":"2018-03-19T11:16:11Z","EndTime":"2018-03-19T16:00:00Z","BillType":"hour_flow","BillingCycle":"hour","Product":"cdn","Dimension":"flow"},{"StartTime":"2018-03-19T16:00:00Z","EndTime":"2018-04-01T00:00:00Z","BillType":"day_bandwidth","BillingCycle":"day","Product":"cdn","Dimension":"flow"}]}}"#
    );
    let xml = api.get(&key, &format!("{given}&Format=XML")).await;
    assert_eq!(
        xml.succeeded().body_without_request_id(),
        "<?xml version='1.0' encoding='UTF-8'?><DescribeCdnUserBillTypeResponse>\
         <RequestId>REQUEST-ID</RequestId><BillTypeData>\
         <BillTypeDataItem><StartTime>2018-03-19T11:16:11Z</StartTime>\
         <EndTime>2018-03-19T16:00:00Z</EndTime><BillType>hour_flow</BillType>\
         <BillingCycle>hour</BillingCycle><Product>cdn</Product><Dimension>flow</Dimension>\
         </BillTypeDataItem>\
         <BillTypeDataItem><StartTime>2018-03-19T16:00:00Z</StartTime>\
         <EndTime>2018-04-01T00:00:00Z</EndTime><BillType>day_bandwidth</BillType>\
         <BillingCycle>day</BillingCycle><Product>cdn</Product><Dimension>flow</Dimension>\
         </BillTypeDataItem></BillTypeData></DescribeCdnUserBillTypeResponse>"
    );
}

#[tokio::test]
async fn items_are_clipped_to_the_span_and_the_opening() {
    let api = Api::start_without_workers().await;
    api.at("2018-03-10T00:00:00Z");
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.at("2018-05-01T00:00:00Z");
    for (start, end, expected) in [
        ("2018-03-01T00:00:00Z", "2018-03-10T00:00:00Z", None),
        ("2018-03-01T00:00:00Z", "2018-03-10T00:00:01Z", Some("2018-03-10T00:00:00Z")),
        ("2018-03-10T00:00:00Z", "2018-03-11T00:00:00Z", Some("2018-03-10T00:00:00Z")),
        ("2018-04-10T12:34:56Z", "2018-04-10T12:34:57Z", Some("2018-04-10T12:34:56Z")),
    ] {
        let expected = expected.map(|from| flow(from, end, "hour_flow", "hour"));
        let expected: Value = expected.into_iter().collect();
        let items = items(&api, &key, "DescribeCdnUserBillType", start, end).await;
        assert_eq!(items, expected, "{start} to {end}");
    }
    // The history of DCDN does not have the items of CDN.
    let (start, end) = ("2018-04-01T00:00:00Z", "2018-04-02T00:00:00Z");
    assert_eq!(items(&api, &key, "DescribeDcdnUserBillType", start, end).await, json!([]));
}

#[tokio::test]
async fn each_change_has_its_own_item_and_the_oldest_item_is_first() {
    use ChargeType::{
        PayByBandwidth, PayByBandwidth95, PayByBandwidthMonth4th, PayByBandwidthMonthavg,
        PayByBandwidthMonthday95avg, PayByBandwidthNighthalf95,
    };
    let api = Api::start_without_workers().await;
    api.at("2018-03-01T00:00:00Z");
    let key = api.account().await;
    api.open_cdn(&key).await;
    let days = [
        ("2018-03-02T16:00:00Z", PayByBandwidth, "day_bandwidth", "day"),
        ("2018-03-03T16:00:00Z", PayByBandwidth95, "month_95", "month"),
        ("2018-03-04T16:00:00Z", PayByBandwidthMonthavg, "month_avg_day_bandwidth", "month"),
        ("2018-03-05T16:00:00Z", PayByBandwidthMonth4th, "month_4th_day_bandwidth", "month"),
        ("2018-03-06T16:00:00Z", PayByBandwidthMonthday95avg, "month_avg_day_95", "month"),
        ("2018-03-07T16:00:00Z", PayByBandwidthNighthalf95, "month_95_night_half", "month"),
    ];
    let changes = days.map(|(day, charge_type, _, _)| internet(charge_type, day, day));
    api.schedule_dated(&key, Product::Cdn, &changes).await;
    api.at("2018-05-01T00:00:00Z");
    let (start, end) = ("2018-03-02T00:00:00Z", "2018-03-31T00:00:00Z");
    let mut expected = vec![flow(start, days[0].0, "hour_flow", "hour")];
    for (index, (day, _, bill_type, cycle)) in days.iter().enumerate() {
        let until = days.get(index + 1).map_or(end, |next| next.0);
        expected.push(flow(day, until, bill_type, cycle));
    }
    let all = items(&api, &key, "DescribeCdnUserBillType", start, end).await;
    assert_eq!(all, Value::from(expected.clone()));

    // A span from the start of one change to the start of the next has one item.
    let within = items(&api, &key, "DescribeCdnUserBillType", days[1].0, days[2].0).await;
    assert_eq!(within, json!([expected[2]]));
}

#[tokio::test]
async fn a_change_to_the_type_in_force_and_a_cancelled_change_do_not_make_an_item() {
    let api = Api::start_without_workers().await;
    api.at("2018-03-01T00:00:00Z");
    let key = api.account().await;
    api.open_cdn(&key).await;
    let changes = [
        internet(ChargeType::PayByTraffic, "2018-03-02T00:00:00Z", "2018-03-02T16:00:00Z"),
        internet(ChargeType::PayByBandwidth, "2018-03-03T00:00:00Z", "2018-03-03T16:00:00Z"),
    ];
    api.schedule_dated(&key, Product::Cdn, &changes).await;
    let cancel = "UPDATE charge_type_changes SET cancelled_at = submitted_at
         WHERE account_id = $1 AND charge_type = 'PayByBandwidth'";
    api.database.execute_for(key.account_id, cancel).await;
    api.at("2018-05-01T00:00:00Z");
    let (start, end) = ("2018-03-02T00:00:00Z", "2018-03-31T00:00:00Z");
    let items = items(&api, &key, "DescribeCdnUserBillType", start, end).await;
    assert_eq!(items, json!([flow(start, end, "hour_flow", "hour")]));
}

#[tokio::test]
async fn the_history_of_dcdn_has_websocket_traffic_as_a_dimension_of_its_own() {
    let api = Api::start_without_workers().await;
    api.at("2018-03-01T00:00:00Z");
    let (key, old) = (api.account().await, api.account().await);
    api.open_dcdn(&key).await;
    api.open_long_ago(&old, Product::Dcdn, "2014-01-01T00:00:00Z", "FP-aaaaaaaaa").await;
    let changes = [
        internet(ChargeType::PayByBandwidth95, "2018-03-02T00:00:00Z", "2018-03-02T16:00:00Z"),
        websocket(
            WebsocketChargeType::Websocketbps,
            "2018-03-02T00:00:00Z",
            "2018-03-05T16:00:00Z",
        ),
    ];
    api.schedule_dated(&key, Product::Dcdn, &changes).await;
    api.at("2018-05-01T00:00:00Z");
    let (start, end) = ("2018-03-01T00:00:00Z", "2018-03-31T00:00:00Z");
    let item = |start: &str, end: &str, bill_type: &str, cycle: &str, dimension: &str| {
        let mut item = flow(start, end, bill_type, cycle);
        item["Product"] = "dcdn".into();
        item["Dimension"] = dimension.into();
        item
    };
    assert_eq!(
        items(&api, &key, "DescribeDcdnUserBillType", start, end).await,
        json!([
            item(start, "2018-03-02T16:00:00Z", "hour_flow", "hour", "flow"),
            item(start, "2018-03-05T16:00:00Z", "hour_flow", "hour", "websocket"),
            item("2018-03-02T16:00:00Z", end, "month_95", "month", "flow"),
            item("2018-03-05T16:00:00Z", end, "day_bandwidth", "day", "websocket"),
        ])
    );
    assert_eq!(
        items(&api, &old, "DescribeDcdnUserBillType", start, end).await,
        json!([item(start, end, "hour_flow", "hour", "flow")])
    );
}
