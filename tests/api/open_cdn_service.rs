//! `OpenCdnService` (docs/behaviour.md, "Opening"): the values that it accepts, each rule of the
//! opening table over both wires, their order, and what an opening writes.

use cdn_activation::domain::opening::Limits;
use cdn_activation::domain::{Time, time};
use cdn_activation::proto::billing::v1::{ChargeType, Product, WebsocketChargeType};
use cdn_activation::proto::events::v1::event_data::Data;
use cdn_activation::proto::operator::v1::{Account, Site};
use uuid::Uuid;

use crate::support::Api;
use crate::support::action_refusals::{
    BALANCE, BID_USER, CDN_HAS_OPENED, INTL, NO_REAL_NAME, ORDER, PAYMENT_METHOD, PROFILE, VALUE,
};
use crate::support::wires::Refusal;

const OPEN: &str = "Action=OpenCdnService";

/// A rule: a change of an account that it refuses, the refusal, and a change that it then accepts.
type Rule = (fn(&mut Account), Refusal, fn(&mut Account));

/// Rules 2 to 9 of the opening table, except 4.
const RULES: [Rule; 7] = [
    (|account| account.bid_user = true, BID_USER, |account| account.bid_user = false),
    (|account| account.set_site(Site::Intl), INTL, |account| account.intl_allowed = true),
    (|a| a.real_name_verified = false, NO_REAL_NAME, |a| a.real_name_verified = true),
    (|account| account.profile_complete = false, PROFILE, |a| a.profile_complete = true),
    (|a| a.payment_method_valid = false, PAYMENT_METHOD, |a| a.payment_method_valid = true),
    (|account| account.balance = -1, BALANCE, |account| account.balance = 0),
    (|account| account.orders_refused = true, ORDER, |account| account.orders_refused = false),
];

#[tokio::test]
async fn an_account_opens_only_once() {
    let api = Api::start().await;
    let key = api.account().await;
    let opened = api.get(&key, "Action=OpenCdnService&InternetChargeType=PayByBandwidth").await;
    assert_eq!(opened.succeeded().body_without_request_id(), r#"{"RequestId":"REQUEST-ID"}"#);
    api.refuses_everywhere(&key, OPEN, &CDN_HAS_OPENED).await;
    api.refuses_everywhere(
        &key,
        "Action=OpenCdnService&InternetChargeType=PayByTraffic",
        &CDN_HAS_OPENED,
    )
    .await;
    assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));
}

#[tokio::test]
async fn the_reply_in_xml_has_the_action_as_its_root() {
    let api = Api::start().await;
    let opened = api.get(&api.account().await, "Action=OpenCdnService&Format=XML").await;
    assert_eq!(
        opened.succeeded().body_without_request_id(),
        "<?xml version='1.0' encoding='UTF-8'?><OpenCdnServiceResponse>\
         <RequestId>REQUEST-ID</RequestId></OpenCdnServiceResponse>"
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
    api.open_cdn(&opened).await;
    api.update_account(&opened, wrong_in_everything).await;
    for key in [&key, &opened] {
        api.refuses_everywhere(
            key,
            "Action=OpenCdnService&InternetChargeType=PayByBandwidth95",
            &VALUE,
        )
        .await;
    }
    for (position, (_, refusal, fix)) in RULES.iter().enumerate() {
        api.refuses_everywhere(&key, OPEN, refusal).await;
        // The rule that it has opened comes after bid user and site, and before all others.
        api.refuses_everywhere(&opened, OPEN, if position < 2 { refusal } else { &CDN_HAS_OPENED })
            .await;
        api.update_account(&key, fix).await;
        api.update_account(&opened, fix).await;
    }
    api.get(&key, OPEN).await.succeeded();
}

#[tokio::test]
async fn an_allowed_account_of_the_international_site_can_open() {
    let api = Api::start().await;
    let allowed = |account: &mut Account| {
        account.set_site(Site::Intl);
        account.intl_allowed = true;
    };
    api.get(&api.account_with(allowed).await, OPEN).await.succeeded();
    let key = api.account_with(allowed).await;
    api.call(&key, OPEN).await.expect("opened");
}

#[tokio::test]
async fn a_balance_equal_to_the_minimum_suffices() {
    let minimum = |settings: &mut cdn_activation::server::ServerSettings| {
        settings.limits = Limits { minimum_balance: 500 };
    };
    let api = Api::start_with(minimum).await;
    let key = api.account_with(|account| account.balance = 499).await;
    api.refuses_everywhere(&key, OPEN, &BALANCE).await;
    api.update_account(&key, |account| account.balance = 500).await;
    api.get(&key, OPEN).await.succeeded();
    let overdrawn = api.account_with(|account| account.balance = i64::MIN).await;
    api.refuses_everywhere(&overdrawn, OPEN, &BALANCE).await;
}

#[tokio::test]
async fn the_charge_type_is_by_traffic_when_absent_or_empty() {
    let api = Api::start().await;
    for (given, opened_with) in [
        ("", "PayByTraffic"),
        ("&InternetChargeType=", "PayByTraffic"),
        ("&InternetChargeType=PayByTraffic", "PayByTraffic"),
        ("&InternetChargeType=PayByBandwidth", "PayByBandwidth"),
    ] {
        let (rest, form, grpc) = (api.account().await, api.account().await, api.account().await);
        api.get(&rest, &format!("{OPEN}{given}")).await.succeeded();
        api.post(&form, &format!("{OPEN}{given}")).await.succeeded();
        api.call(&grpc, &format!("{OPEN}{given}")).await.expect("opened");
        for key in [rest, form, grpc] {
            let described = api.get(&key, "Action=DescribeCdnService").await;
            assert_eq!(described.text("InternetChargeType"), opened_with, "{given}");
        }
    }
}

#[tokio::test]
async fn a_charge_type_that_is_unknown_monthly_or_of_the_other_wire_is_refused() {
    let api = Api::start().await;
    let key = api.account().await;
    for value in [
        "PayByBandwidth95",
        "PayByBandwidth_monthavg",
        "PayByBandwidth_month4th",
        "PayByBandwidth_monthday95avg",
        "PayByBandwidth_nighthalf95",
        "paybytraffic",
        " PayByTraffic",
        "PayByTraffic ",
        "PayByMoonlight",
        "按流量",
        "websockettraffic",
        "CHARGE_TYPE_PAY_BY_TRAFFIC",
        "CHARGE_TYPE_UNSPECIFIED",
    ] {
        api.refuses_everywhere(&key, &format!("{OPEN}&InternetChargeType={value}"), &VALUE).await;
    }
    for value in ["0", "1", "2", "-1", "99", "None", "null"] {
        let refused = api.get(&key, &format!("{OPEN}&InternetChargeType={value}")).await;
        refused.refused(VALUE.http, VALUE.code, VALUE.message);
    }
    for number in ["#3", "#7", "#8", "#99", "#-1", "#2147483647", "#-2147483648"] {
        let given = format!("{OPEN}&InternetChargeType={number}");
        api.refuses_over_grpc(&key, &given, &VALUE).await;
    }
    assert_eq!(api.database.openings(key.account_id).await, (0, 0, 0));
}

#[tokio::test]
async fn parameters_of_other_actions_are_ignored() {
    let api = Api::start().await;
    let key = api.account().await;
    let given = format!("{OPEN}&BillType=PayByMoonlight&RegionId=cn-hangzhou&OwnerId=1");
    api.get(&key, &given).await.succeeded();
}

#[tokio::test]
async fn cdn_can_be_opened_under_both_of_its_api_versions() {
    let api = Api::start().await;
    let old = format!("{OPEN}&Version=2014-11-11");
    let key = api.account().await;
    api.get(&key, &old).await.succeeded();
    api.get(&key, &old).await.refused(400, CDN_HAS_OPENED.code, CDN_HAS_OPENED.message);
    let key = api.account().await;
    let reply = api.post_v3(&key, "OpenCdnService", "2014-11-11", "").await;
    assert_eq!(reply.succeeded().body_without_request_id(), r#"{"RequestId":"REQUEST-ID"}"#);
}

/// A row of `instances` joined with the row of `orders` that it names.
type Opened = (String, String, Option<String>, Time, Uuid, Option<String>, Option<Time>);

#[tokio::test]
async fn instance_order_and_event_agree() {
    let api = Api::start().await;
    let (now, wire_now) = ("2018-03-19T11:16:11Z", "2026-01-02T03:04:05Z");
    let key = api.account().await;
    api.at(now);
    api.clock.set_wire_now(time::parse(wire_now).expect("an instant"));
    let given = format!("{OPEN}&InternetChargeType=PayByBandwidth");
    api.get(&key, &given).await.succeeded();

    let mut connection = api.database.connect().await;
    let rows: Vec<Opened> = sqlx::query_as(
        "SELECT i.instance_id, i.internet_charge_type, i.websocket_charge_type, i.opening_time,
             i.order_id, o.internet_charge_type, o.ordered_at
         FROM instances i
         LEFT JOIN orders o ON o.account_id = i.account_id AND o.order_id = i.order_id
             AND o.product = 'cdn' AND o.websocket_charge_type IS NULL
         WHERE i.account_id = $1 AND i.product = 'cdn'",
    )
    .bind(key.account_id)
    .fetch_all(&mut connection)
    .await
    .expect("reads");
    let order_id = rows[0].4;
    let charge_type = "PayByBandwidth".to_owned();
    let expected = (
        key.account_id.to_string(),
        charge_type.clone(),
        None,
        time::parse(now).expect("an instant"),
        order_id,
        Some(charge_type),
        time::parse(wire_now),
    );
    assert_eq!(rows, [expected]);

    let events = api.database.events(key.account_id).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].type_name, "activation.instance.opened");
    assert_eq!(i64::from(events[0].lane), key.account_id % 16);
    let Data::InstanceOpened(opened) = events[0].data() else { panic!("{:?}", events[0]) };
    assert_eq!(opened.product(), Product::Cdn);
    assert_eq!(opened.instance_id, key.account_id.to_string());
    assert_eq!(opened.order_id, order_id.to_string());
    assert_eq!(opened.internet_charge_type(), ChargeType::PayByBandwidth);
    assert_eq!(opened.websocket_charge_type(), WebsocketChargeType::Unspecified);
    let opening_time = opened.opening_time.expect("given");
    assert_eq!((opening_time.seconds, opening_time.nanos), (1_521_458_171, 0));
}

#[tokio::test]
async fn the_event_of_an_opening_sorts_after_those_of_the_account_even_if_the_clock_is_behind() {
    let api = Api::start().await;
    let key = api.account().await;
    api.clock.set_wire_now(time::parse("2020-01-01T00:00:00Z").expect("an instant"));
    api.open_cdn(&key).await;
    let newest = "SELECT count(*) FROM all_events
         WHERE account_id = $1 AND type = 'activation.instance.opened'
             AND event_time > (SELECT event_time FROM accounts WHERE account_id = $1)";
    assert_eq!(api.database.count_of(key.account_id, newest).await, 1);
}
