//! `ModifyCdnService`: its rules over both wires and their order, when there is nothing to do, and
//! when a change takes effect, which depends on the charge type in force and not on the new one.

use cdn_activation::domain::{ChargeType, Product};
use cdn_activation::proto::billing::v1::{self as billing, Product as WireProduct};
use cdn_activation::proto::events::v1::charge_type_change::ChargeType as Changed;
use cdn_activation::proto::events::v1::event_data::Data;
use cdn_activation::proto::operator::v1::Account;

use crate::support::Api;
use crate::support::action_refusals::{
    BALANCE, CDN_NOT_OPENED, CHANGE_PENDING, PAYMENT_METHOD, SUSPENDED, invalid_parameter, missing,
};
use crate::support::rest::Key;
use crate::support::setup::internet;
use crate::support::wires::{Refusal, Wire};

const TO_TRAFFIC: &str = "Action=ModifyCdnService&InternetChargeType=PayByTraffic";
const TO_BANDWIDTH: &str = "Action=ModifyCdnService&InternetChargeType=PayByBandwidth";

const MISSING: Refusal =
    missing("MissingInternetChargeType", "InternetChargeType is mandatory for this action.");
const INVALID: Refusal =
    invalid_parameter("The specified value of parameter \"InternetChargeType\" is not valid.");

/// A change of an account by operators.
type Change = fn(&mut Account);

/// Cancels the pending change, as operators do.
const CANCEL: &str = "UPDATE charge_type_changes SET cancelled_at = submitted_at
     WHERE account_id = $1 AND in_force_event_at IS NULL";

/// Returns a key of an account that has opened CDN by traffic.
async fn opened(api: &Api) -> Key {
    let key = api.account().await;
    api.open_cdn(&key).await;
    key
}

/// Returns how many changes, and events of scheduled changes, an account has.
async fn changes(api: &Api, key: &Key) -> (i64, usize) {
    let count = "SELECT count(*) FROM charge_type_changes WHERE account_id = $1";
    let rows = api.database.count_of(key.account_id, count).await;
    let events = api.database.events(key.account_id).await;
    let scheduled = "activation.charge_type_change.scheduled";
    (rows, events.iter().filter(|event| event.type_name == scheduled).count())
}

#[tokio::test]
async fn a_change_is_stored_and_writes_an_event() {
    let api = Api::start_without_workers().await;
    api.at("2019-11-27T02:00:00Z");
    for wire in Wire::ALL {
        let key = opened(&api).await;
        assert_eq!(api.ask(wire, &key, TO_BANDWIDTH).await.code(), "OK", "{wire:?}");
        let described = api.get(&key, "Action=DescribeCdnService").await;
        assert_eq!(described.text("InternetChargeType"), "PayByTraffic");
        assert_eq!(described.text("ChangingChargeType"), "PayByBandwidth");
        assert_eq!(described.text("ChangingAffectTime"), "2019-11-27T16:00:00Z");

        let events = api.database.events(key.account_id).await;
        assert_eq!(events.len(), 2, "opened and scheduled");
        assert_eq!(events[1].type_name, "activation.charge_type_change.scheduled");
        let Data::ChargeTypeChangeScheduled(scheduled) = events[1].data() else {
            panic!("{:?}", events[1])
        };
        let change = scheduled.change.expect("given");
        assert_eq!(change.product(), WireProduct::Cdn);
        let bandwidth = billing::ChargeType::PayByBandwidth.into();
        assert_eq!(change.charge_type, Some(Changed::InternetChargeType(bandwidth)));
        assert_eq!(change.effective_time.expect("given").seconds, 1_574_870_400);
        let change_id = sqlx::query_scalar::<_, String>(
            "SELECT change_id::text FROM charge_type_changes
             WHERE account_id = $1 AND product = 'cdn' AND kind = 'internet'
                 AND submitted_at = '2019-11-27T02:00:00Z' AND cancelled_at IS NULL",
        )
        .bind(key.account_id)
        .fetch_all(&mut api.database.connect().await)
        .await;
        assert_eq!(change_id.expect("reads"), [change.change_id]);
        assert_eq!(changes(&api, &key).await, (1, 1));
    }
}

#[tokio::test]
async fn the_replies_have_only_a_request_id() {
    let api = Api::start_without_workers().await;
    let (json, xml) = (opened(&api).await, opened(&api).await);
    let json = api.get(&json, TO_BANDWIDTH).await;
    assert_eq!(json.succeeded().body_without_request_id(), r#"{"RequestId":"REQUEST-ID"}"#);
    let xml = api.get(&xml, &format!("{TO_BANDWIDTH}&Format=XML")).await;
    assert_eq!(
        xml.succeeded().body_without_request_id(),
        "<?xml version='1.0' encoding='UTF-8'?><ModifyCdnServiceResponse>\
         <RequestId>REQUEST-ID</RequestId></ModifyCdnServiceResponse>"
    );
}

#[tokio::test]
async fn the_charge_type_is_required_and_must_be_public() {
    let api = Api::start_without_workers().await;
    for key in [opened(&api).await, api.account().await] {
        for given in ["", "&InternetChargeType=", "&BillType=PayByTraffic"] {
            api.refuses_everywhere(&key, &format!("Action=ModifyCdnService{given}"), &MISSING)
                .await;
        }
        for value in [
            "PayByBandwidth95",
            "PayByBandwidth_monthavg",
            "PayByBandwidth_month4th",
            "PayByBandwidth_monthday95avg",
            "PayByBandwidth_nighthalf95",
            "paybybandwidth",
            "websocketbps",
            "CHARGE_TYPE_PAY_BY_BANDWIDTH",
            "按带宽",
        ] {
            let given = format!("Action=ModifyCdnService&InternetChargeType={value}");
            api.refuses_everywhere(&key, &given, &INVALID).await;
        }
        for number in ["#3", "#7", "#8", "#99", "#-1", "#-2147483648"] {
            let given = format!("Action=ModifyCdnService&InternetChargeType={number}");
            api.refuses_over_grpc(&key, &given, &INVALID).await;
        }
        assert_eq!(changes(&api, &key).await, (0, 0));
    }
}

#[tokio::test]
async fn each_rule_refuses_by_itself_and_nothing_is_changed() {
    let api = Api::start_without_workers().await;
    api.refuses_everywhere(&api.account().await, TO_BANDWIDTH, &CDN_NOT_OPENED).await;

    for (reason, refusal) in [("security", SUSPENDED), ("financial", BALANCE)] {
        let key = opened(&api).await;
        api.lock(&key, WireProduct::Cdn, reason).await;
        api.refuses_everywhere(&key, TO_BANDWIDTH, &refusal).await;
        assert_eq!(changes(&api, &key).await, (0, 0), "{reason}");
    }
    let wrong: [(Change, Refusal); 2] = [
        (|account| account.balance = -1, BALANCE),
        (|account| account.payment_method_valid = false, PAYMENT_METHOD),
    ];
    for (wrong, refusal) in wrong {
        let key = opened(&api).await;
        api.update_account(&key, wrong).await;
        api.refuses_everywhere(&key, TO_BANDWIDTH, &refusal).await;
        assert_eq!(changes(&api, &key).await, (0, 0), "{refusal:?}");
    }
    let key = opened(&api).await;
    api.get(&key, TO_BANDWIDTH).await.succeeded();
    api.refuses_everywhere(&key, TO_TRAFFIC, &CHANGE_PENDING).await;
    assert_eq!(changes(&api, &key).await, (1, 1));
}

#[tokio::test]
async fn of_several_rules_the_first_in_the_documented_order_is_reported() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    let invalid = "Action=ModifyCdnService&InternetChargeType=PayByBandwidth95";
    api.refuses_everywhere(&key, "Action=ModifyCdnService", &MISSING).await;
    api.refuses_everywhere(&key, invalid, &INVALID).await;
    api.refuses_everywhere(&key, TO_TRAFFIC, &CDN_NOT_OPENED).await;

    api.open_cdn(&key).await;
    api.get(&key, TO_BANDWIDTH).await.succeeded();
    api.lock(&key, WireProduct::Cdn, "financial").await;
    api.lock(&key, WireProduct::Cdn, "security").await;
    let wrong = |account: &mut Account| {
        (account.balance, account.payment_method_valid) = (-1, false);
    };
    api.update_account(&key, wrong).await;
    api.refuses_everywhere(&key, invalid, &INVALID).await;
    api.get(&key, TO_BANDWIDTH).await.succeeded(); // nothing to do
    api.refuses_everywhere(&key, TO_TRAFFIC, &SUSPENDED).await;
    api.unlock(&key, WireProduct::Cdn, "security").await;
    api.refuses_everywhere(&key, TO_TRAFFIC, &BALANCE).await;
    api.unlock(&key, WireProduct::Cdn, "financial").await;
    api.refuses_everywhere(&key, TO_TRAFFIC, &BALANCE).await;
    api.update_account(&key, |account| account.balance = 0).await;
    api.refuses_everywhere(&key, TO_TRAFFIC, &PAYMENT_METHOD).await;
    api.update_account(&key, |account| account.payment_method_valid = true).await;
    api.refuses_everywhere(&key, TO_TRAFFIC, &CHANGE_PENDING).await;
    api.database.execute_for(key.account_id, CANCEL).await;
    api.get(&key, TO_TRAFFIC).await.succeeded(); // in force, and nothing is pending any more
    api.get(&key, TO_BANDWIDTH).await.succeeded();
    assert_eq!(changes(&api, &key).await, (2, 2));
}

#[tokio::test]
async fn rules_that_are_only_for_openings_do_not_refuse_a_change() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    let wrong_for_opening = |account: &mut Account| {
        account.bid_user = true;
        account.set_site(cdn_activation::proto::operator::v1::Site::Intl);
        account.real_name_verified = false;
        account.profile_complete = false;
        account.orders_refused = true;
    };
    api.update_account(&key, wrong_for_opening).await;
    api.lock(&key, WireProduct::Cdn, "maintenance").await; // neither security nor financial
    api.get(&key, TO_BANDWIDTH).await.succeeded();
}

#[tokio::test]
async fn a_change_to_the_type_that_is_pending_or_in_force_succeeds_without_effect_even_if_locked() {
    let api = Api::start_without_workers().await;
    let nothing: Change = |_| {};
    let poor: Change = |account| {
        (account.balance, account.payment_method_valid) = (-1, false);
    };
    for locks in [&[][..], &["security"], &["financial"], &["security", "financial"]] {
        for wrong in [nothing, poor] {
            let (in_force, pending) = (opened(&api).await, opened(&api).await);
            api.get(&pending, TO_BANDWIDTH).await.succeeded();
            for (key, given, rows) in
                [(&in_force, TO_TRAFFIC, (0, 0)), (&pending, TO_BANDWIDTH, (1, 1))]
            {
                for reason in locks {
                    api.lock(key, WireProduct::Cdn, reason).await;
                }
                api.update_account(key, wrong).await;
                // Terraform's provider sends such a request on each refresh.
                for wire in [Wire::V1Get, Wire::Grpc, Wire::V3] {
                    assert_eq!(api.ask(wire, key, given).await.code(), "OK", "{locks:?}");
                }
                assert_eq!(changes(&api, key).await, rows, "{locks:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_current_charge_type_decides_when_a_change_takes_effect() {
    use ChargeType::{
        PayByBandwidth, PayByBandwidth95, PayByBandwidthMonth4th, PayByBandwidthMonthavg,
        PayByBandwidthMonthday95avg, PayByBandwidthNighthalf95, PayByTraffic,
    };
    let api = Api::start_without_workers().await;
    for (current, given, submitted, effective) in [
        (PayByTraffic, TO_BANDWIDTH, "2019-11-27T02:00:00Z", "2019-11-27T16:00:00Z"),
        (PayByTraffic, TO_BANDWIDTH, "2019-11-27T15:59:59Z", "2019-11-27T16:00:00Z"),
        (PayByTraffic, TO_BANDWIDTH, "2019-11-27T16:00:00Z", "2019-11-28T16:00:00Z"),
        (PayByTraffic, TO_BANDWIDTH, "2019-11-27T17:00:00Z", "2019-11-28T16:00:00Z"),
        (PayByBandwidth, TO_TRAFFIC, "2020-02-28T16:00:00Z", "2020-02-29T16:00:00Z"),
        (PayByBandwidth, TO_TRAFFIC, "2018-12-31T15:00:00Z", "2018-12-31T16:00:00Z"),
        (PayByBandwidth95, TO_TRAFFIC, "2018-03-01T00:00:00Z", "2018-03-31T16:00:00Z"),
        (PayByBandwidth95, TO_BANDWIDTH, "2018-03-31T15:59:59Z", "2018-03-31T16:00:00Z"),
        (PayByBandwidth95, TO_TRAFFIC, "2018-03-31T16:00:00Z", "2018-04-30T16:00:00Z"),
        (PayByBandwidthMonthavg, TO_TRAFFIC, "2018-12-15T00:00:00Z", "2018-12-31T16:00:00Z"),
        (PayByBandwidthMonth4th, TO_TRAFFIC, "2020-02-01T00:00:00Z", "2020-02-29T16:00:00Z"),
        (PayByBandwidthMonthday95avg, TO_TRAFFIC, "2019-01-31T16:00:00Z", "2019-02-28T16:00:00Z"),
        (PayByBandwidthNighthalf95, TO_BANDWIDTH, "2018-04-30T15:59:59Z", "2018-04-30T16:00:00Z"),
    ] {
        for wire in [Wire::V1Get, Wire::Grpc] {
            api.at("2017-12-31T00:00:00Z");
            let key = opened(&api).await;
            if current != PayByTraffic {
                let change = internet(current, "2017-12-31T00:00:00Z", "2017-12-31T16:00:00Z");
                api.schedule_dated(&key, Product::Cdn, &[change]).await;
            }
            api.at(submitted);
            assert_eq!(api.ask(wire, &key, given).await.code(), "OK");
            let described = api.get(&key, "Action=DescribeCdnService").await;
            let shown = described.text("ChangingAffectTime");
            assert_eq!(shown, effective, "{current:?}, submitted {submitted}");
        }
    }
}

#[tokio::test]
async fn a_change_can_be_submitted_under_both_api_versions_of_cdn() {
    let api = Api::start_without_workers().await;
    let key = opened(&api).await;
    let old = |given: &str| format!("{given}&Version=2014-11-11");
    api.get(&key, &old(TO_BANDWIDTH)).await.succeeded();
    let Refusal { http, code, message, .. } = CHANGE_PENDING;
    api.get(&key, &old(TO_TRAFFIC)).await.refused(http, code, message);
    api.lock(&key, WireProduct::Cdn, "security").await;
    api.get(&key, &old(TO_TRAFFIC)).await.refused(403, "OperationDenied", SUSPENDED.message);
}
