//! `OpenDcdnService`: both parameters are required and are checked one after the other; the rules of
//! the opening table, with DCDN's refusals; and what an opening writes.

use cdn_activation::domain::{Time, time};
use cdn_activation::proto::billing::v1::{ChargeType, Product, WebsocketChargeType};
use cdn_activation::proto::events::v1::event_data::Data;
use cdn_activation::proto::operator::v1::{Account, Site};
use uuid::Uuid;

use crate::support::Api;
use crate::support::action_refusals::{
    BALANCE, BID_USER, DCDN_HAS_OPENED, INCOMPLETE_INFORMATION, INTL, NO_REAL_NAME, ORDER,
    PAYMENT_METHOD, invalid_component, missing,
};
use crate::support::wires::Refusal;

const OPEN: &str =
    "Action=OpenDcdnService&BillType=PayByTraffic&WebsocketBillType=websockettraffic";

const BILL_TYPE: Refusal =
    invalid_component("The specified value of parameter BillType is not valid.");
const WEBSOCKET_BILL_TYPE: Refusal =
    invalid_component("The specified value of parameter WebsocketBillType is not valid.");
const NO_BILL_TYPE: Refusal = missing("MissingBillType", "BillType is mandatory for this action.");
const NO_WEBSOCKET_BILL_TYPE: Refusal =
    missing("MissingWebsocketBillType", "WebsocketBillType is mandatory for this action.");

/// A rule: a change of an account that it refuses, the refusal, and a change that it then accepts.
type Rule = (fn(&mut Account), Refusal, fn(&mut Account));

/// Rules 2 to 9 of the opening table, except 4.
const RULES: [Rule; 7] = [
    (|account| account.bid_user = true, BID_USER, |account| account.bid_user = false),
    (|account| account.set_site(Site::Intl), INTL, |account| account.intl_allowed = true),
    (|a| a.real_name_verified = false, NO_REAL_NAME, |a| a.real_name_verified = true),
    (|a| a.profile_complete = false, INCOMPLETE_INFORMATION, |a| a.profile_complete = true),
    (|a| a.payment_method_valid = false, PAYMENT_METHOD, |a| a.payment_method_valid = true),
    (|account| account.balance = -1, BALANCE, |account| account.balance = 0),
    (|account| account.orders_refused = true, ORDER, |account| account.orders_refused = false),
];

#[tokio::test]
async fn an_account_opens_only_once() {
    let api = Api::start().await;
    let key = api.account().await;
    let opened = api.get(&key, OPEN).await;
    assert_eq!(opened.succeeded().body_without_request_id(), r#"{"RequestId":"REQUEST-ID"}"#);
    api.refuses_everywhere(&key, OPEN, &DCDN_HAS_OPENED).await;
    assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));

    let in_xml = api.get(&api.account().await, &format!("{OPEN}&Format=XML")).await;
    assert_eq!(
        in_xml.succeeded().body_without_request_id(),
        "<?xml version='1.0' encoding='UTF-8'?><OpenDcdnServiceResponse>\
         <RequestId>REQUEST-ID</RequestId></OpenDcdnServiceResponse>"
    );
}

#[tokio::test]
async fn each_rule_refuses_by_itself_and_nothing_is_opened() {
    let api = Api::start().await;
    for (wrong, refusal, _) in RULES {
        let key = api.account_with(wrong).await;
        api.refuses_everywhere(&key, OPEN, &refusal).await;
        assert_eq!(api.database.openings(key.account_id).await, (0, 0, 0), "{refusal:?}");
    }
}

#[tokio::test]
async fn of_several_rules_the_first_in_the_documented_order_is_reported() {
    let api = Api::start().await;
    let wrong_in_everything = |account: &mut Account| RULES.iter().for_each(|rule| rule.0(account));
    let (key, opened) = (api.account_with(wrong_in_everything).await, api.account().await);
    api.open_dcdn(&opened).await;
    api.update_account(&opened, wrong_in_everything).await;
    for key in [&key, &opened] {
        api.refuses_everywhere(key, "Action=OpenDcdnService", &NO_BILL_TYPE).await;
        let wrong = "Action=OpenDcdnService&BillType=x&WebsocketBillType=websockettraffic";
        api.refuses_everywhere(key, wrong, &BILL_TYPE).await;
    }
    for (position, (_, refusal, fix)) in RULES.iter().enumerate() {
        api.refuses_everywhere(&key, OPEN, refusal).await;
        // The rule that it has opened comes after bid user and site, and before all others.
        api.refuses_everywhere(
            &opened,
            OPEN,
            if position < 2 { refusal } else { &DCDN_HAS_OPENED },
        )
        .await;
        api.update_account(&key, fix).await;
        api.update_account(&opened, fix).await;
    }
    api.call(&key, OPEN).await.expect("opened");
}

#[tokio::test]
async fn a_missing_parameter_is_reported_before_a_wrong_one() {
    let api = Api::start().await;
    let key = api.account().await;
    for (given, refusal) in [
        ("", NO_BILL_TYPE),
        ("&BillType=&WebsocketBillType=", NO_BILL_TYPE),
        ("&WebsocketBillType=websocketbps", NO_BILL_TYPE),
        ("&WebsocketBillType=PayByMoonlight", NO_BILL_TYPE),
        ("&BillType=PayByTraffic", NO_WEBSOCKET_BILL_TYPE),
        ("&BillType=PayByTraffic&WebsocketBillType=", NO_WEBSOCKET_BILL_TYPE),
        ("&BillType=PayByMoonlight", NO_WEBSOCKET_BILL_TYPE),
        ("&InternetChargeType=PayByTraffic&WebsocketBillType=websocketbps", NO_BILL_TYPE),
        ("&BillType=PayByMoonlight&WebsocketBillType=moonlight", BILL_TYPE),
        ("&BillType=PayByTraffic&WebsocketBillType=moonlight", WEBSOCKET_BILL_TYPE),
    ] {
        api.refuses_everywhere(&key, &format!("Action=OpenDcdnService{given}"), &refusal).await;
    }
    assert_eq!(api.database.openings(key.account_id).await, (0, 0, 0));
}

#[tokio::test]
async fn a_value_that_is_unknown_monthly_or_of_the_other_wire_is_refused() {
    let api = Api::start().await;
    let key = api.account().await;
    let given = |bill_type: &str, websocket_bill_type: &str| {
        format!(
            "Action=OpenDcdnService&BillType={bill_type}&WebsocketBillType={websocket_bill_type}"
        )
    };
    for value in [
        "PayByBandwidth95",
        "PayByBandwidth_monthavg",
        "PayByBandwidth_month4th",
        "PayByBandwidth_monthday95avg",
        "PayByBandwidth_nighthalf95",
        "PayBybandwidth",
        "websockettraffic",
        "CHARGE_TYPE_PAY_BY_TRAFFIC",
        "按流量",
    ] {
        api.refuses_everywhere(&key, &given(value, "websockettraffic"), &BILL_TYPE).await;
    }
    for value in [
        "WebsocketTraffic",
        "websocketbps ",
        "websocket",
        "PayByTraffic",
        "WEBSOCKET_CHARGE_TYPE_WEBSOCKETBPS",
        "按流量",
    ] {
        api.refuses_everywhere(&key, &given("PayByTraffic", value), &WEBSOCKET_BILL_TYPE).await;
    }
    for value in ["0", "1", "-1", "99"] {
        let refused = api.get(&key, &given(value, "websocketbps")).await;
        refused.refused(BILL_TYPE.http, BILL_TYPE.code, BILL_TYPE.message);
        let refused = api.get(&key, &given("PayByTraffic", value)).await;
        refused.refused(400, WEBSOCKET_BILL_TYPE.code, WEBSOCKET_BILL_TYPE.message);
    }
    for number in ["#3", "#99", "#-1", "#-2147483648"] {
        let (bill_type, websocket) =
            (given(number, "websocketbps"), given("PayByBandwidth", number));
        api.refuses_over_grpc(&key, &bill_type, &BILL_TYPE).await;
        api.refuses_over_grpc(&key, &websocket, &WEBSOCKET_BILL_TYPE).await;
    }
    assert_eq!(api.database.openings(key.account_id).await, (0, 0, 0));
}

#[tokio::test]
async fn cdn_and_dcdn_are_opened_independently() {
    let api = Api::start().await;
    let key = api.account().await;
    api.get(&key, OPEN).await.succeeded();
    api.get(&key, "Action=OpenCdnService").await.succeeded();
    assert_eq!(api.database.openings(key.account_id).await, (2, 2, 2));

    // A lock on one product does not prevent the opening of the other.
    let locked = api.account().await;
    api.open_cdn(&locked).await;
    api.lock(&locked, Product::Cdn, "security").await;
    api.lock(&locked, Product::Cdn, "financial").await;
    api.get(&locked, OPEN).await.succeeded();
}

#[tokio::test]
async fn the_actions_of_a_product_exist_in_its_own_api_versions_only() {
    let api = Api::start().await;
    let key = api.account().await;
    let not_found = "Specified api is not found, please check your url and method.";
    for given in [
        "Action=OpenDcdnService&Version=2018-05-10",
        "Action=OpenDcdnService&Version=2014-11-11",
        "Action=OpenCdnService&Version=2018-01-15",
        "Action=ModifyDcdnService&Version=2018-01-15&BillType=PayByTraffic",
    ] {
        api.get(&key, given).await.refused(404, "InvalidAction.NotFound", not_found);
    }
}

/// A row of `instances` joined with the row of `orders` that it names.
type Opened = (String, Option<String>, Time, Uuid, Option<String>, Option<String>, Option<Time>);

#[tokio::test]
async fn instance_order_and_event_agree() {
    let api = Api::start().await;
    let (now, wire_now) = ("2018-03-19T11:16:11Z", "2026-01-02T03:04:05Z");
    let key = api.account().await;
    api.at(now);
    api.clock.set_wire_now(time::parse(wire_now).expect("an instant"));
    let given = "Action=OpenDcdnService&BillType=PayByBandwidth&WebsocketBillType=websocketbps";
    api.get(&key, given).await.succeeded();

    let mut connection = api.database.connect().await;
    let rows: Vec<Opened> = sqlx::query_as(
        "SELECT i.internet_charge_type, i.websocket_charge_type, i.opening_time, i.order_id,
             o.internet_charge_type, o.websocket_charge_type, o.ordered_at
         FROM instances i
         LEFT JOIN orders o ON o.account_id = i.account_id AND o.order_id = i.order_id
             AND o.product = 'dcdn'
         WHERE i.account_id = $1 AND i.product = 'dcdn'",
    )
    .bind(key.account_id)
    .fetch_all(&mut connection)
    .await
    .expect("reads");
    let order_id = rows[0].3;
    let (internet, websocket) = ("PayByBandwidth".to_owned(), "websocketbps".to_owned());
    let opening_time = time::parse(now).expect("an instant");
    let ordered_at = time::parse(wire_now);
    let expected = (
        internet.clone(),
        Some(websocket.clone()),
        opening_time,
        order_id,
        Some(internet),
        Some(websocket),
        ordered_at,
    );
    assert_eq!(rows, [expected]);

    let events = api.database.events(key.account_id).await;
    assert_eq!(events.len(), 1);
    let Data::InstanceOpened(opened) = events[0].data() else { panic!("{:?}", events[0]) };
    assert_eq!(opened.product(), Product::Dcdn);
    assert_eq!(opened.order_id, order_id.to_string());
    assert_eq!(opened.internet_charge_type(), ChargeType::PayByBandwidth);
    assert_eq!(opened.websocket_charge_type(), WebsocketChargeType::Websocketbps);
    assert_eq!(opened.opening_time.expect("given").seconds, opening_time.timestamp());
    let described = api.get(&key, "Action=DescribeDcdnService").await;
    assert_eq!(opened.instance_id, described.text("InstanceId"));
}

#[tokio::test]
async fn an_instance_id_is_fp_and_nine_letters_or_digits_of_base_32() {
    let api = Api::start().await;
    let mut seen = Vec::new();
    for _ in 0..20 {
        let key = api.account().await;
        api.open_dcdn(&key).await;
        let id = api.get(&key, "Action=DescribeDcdnService").await.text("InstanceId");
        let random = id.strip_prefix("FP-").unwrap_or_else(|| panic!("{id}"));
        assert_eq!(random.len(), 9, "{id}");
        assert!(random.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')), "{id}");
        assert!(!seen.contains(&id), "{id} twice");
        seen.push(id);
    }
}
