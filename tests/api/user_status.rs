//! `DescribeUserCdnStatus` and `DescribeUserDcdnStatus`: whether the product is opened and can be
//! used, and whether payment is overdue. They also answer for accounts that have opened nothing.

use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::cdn::v1::DescribeUserCdnStatusRequest;
use cdn_activation::proto::dcdn::v1::DescribeUserDcdnStatusRequest;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::Api;
use crate::support::grpc::refusal;
use crate::support::rest::Key;
use crate::support::wires::Wire;

const ACTIONS: [(&str, Product); 2] =
    [("DescribeUserCdnStatus", Product::Cdn), ("DescribeUserDcdnStatus", Product::Dcdn)];

/// The fields of a reply in this order: enabled, on service, in debt, in debt and overdue.
type Status = [bool; 4];

const NOT_OPENED: Status = [false, false, false, false];
const IN_ORDER: Status = [true, true, false, false];
const IN_DEBT: Status = [true, true, true, false];
const OVERDUE: Status = [true, false, true, true];
const SUSPENDED: Status = [true, false, false, false];
const SUSPENDED_IN_DEBT: Status = [true, false, true, false];

/// Returns the status of a product. Checks that it is the same over both wires.
async fn status(api: &Api, key: &Key, action: &str) -> Status {
    let given = format!("Action={action}");
    let body = api.get(key, &given).await.succeeded().json();
    let over_rest = ["Enabled", "OnService", "InDebt", "InDebtOverdue"]
        .map(|name| body[name].as_bool().unwrap_or_else(|| panic!("{name}: {body}")));
    let body: Value = api.call(key, &given).await.expect("answers");
    let over_grpc = ["Enabled", "OnService", "InDebt", "InDebtOverdue"]
        .map(|name| body[name].as_bool().unwrap_or_else(|| panic!("{name}: {body}")));
    assert_eq!(over_rest, over_grpc, "both wires answer the same");
    over_rest
}

async fn open(api: &Api, key: &Key, product: Product) {
    match product {
        Product::Cdn => api.open_cdn(key).await,
        _ => api.open_dcdn(key).await,
    }
}

#[tokio::test]
async fn an_account_that_has_opened_nothing_has_a_status() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    for (action, _) in ACTIONS {
        let reply = api.get(&key, &format!("Action={action}")).await;
        assert_eq!(
            reply.succeeded().body_without_request_id(),
            r#"{"RequestId":"REQUEST-ID","Enabled":false,"OnService":false,"InDebt":false,"InDebtOverdue":false}"#
        );
        assert_eq!(status(&api, &key, action).await, NOT_OPENED);
    }
    // The status of one product does not depend on the other.
    api.open_dcdn(&key).await;
    assert_eq!(status(&api, &key, "DescribeUserCdnStatus").await, NOT_OPENED);
    assert_eq!(status(&api, &key, "DescribeUserDcdnStatus").await, IN_ORDER);
}

#[tokio::test]
async fn the_replies_have_the_same_fields_in_every_format() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    for (action, product) in ACTIONS {
        open(&api, &key, product).await;
        api.lock(&key, product, "financial").await;
        let reply = api.get(&key, &format!("Action={action}")).await;
        assert_eq!(
            reply.succeeded().body_without_request_id(),
            r#"{"RequestId":"REQUEST-ID","Enabled":true,"OnService":true,"InDebt":true,"InDebtOverdue":false}"#
        );
        let in_xml = api.get(&key, &format!("Action={action}&Format=XML")).await;
        assert_eq!(
            in_xml.succeeded().body_without_request_id(),
            format!(
                "<?xml version='1.0' encoding='UTF-8'?><{action}Response>\
                 <RequestId>REQUEST-ID</RequestId><Enabled>true</Enabled>\
                 <OnService>true</OnService><InDebt>true</InDebt>\
                 <InDebtOverdue>false</InDebtOverdue></{action}Response>"
            )
        );
        let mut over_grpc = api.call(&key, &format!("Action={action}")).await.expect("answers");
        over_grpc.as_object_mut().expect("an object").remove("RequestId");
        let expected =
            json!({"Enabled": true, "OnService": true, "InDebt": true, "InDebtOverdue": false});
        assert_eq!(over_grpc, expected);
    }
}

#[tokio::test]
async fn payment_is_overdue_when_the_financial_lock_has_held_longer_than_a_day() {
    let api = Api::start_without_workers().await;
    for (action, product) in ACTIONS {
        api.at("2018-03-19T00:00:00Z");
        let key = api.account().await;
        open(&api, &key, product).await;
        assert_eq!(status(&api, &key, action).await, IN_ORDER);
        api.at("2018-03-20T12:00:00Z");
        api.lock(&key, product, "financial").await;
        for (now, expected) in [
            ("2018-03-20T12:00:00Z", IN_DEBT),
            ("2018-03-21T11:59:59Z", IN_DEBT),
            ("2018-03-21T12:00:00Z", IN_DEBT),
            ("2018-03-21T12:00:01Z", OVERDUE),
            ("2019-03-21T12:00:01Z", OVERDUE),
        ] {
            api.at(now);
            assert_eq!(status(&api, &key, action).await, expected, "{action} at {now}");
        }
        // After payment, the lock is lifted, and the next debt has its own grace period.
        api.unlock(&key, product, "financial").await;
        assert_eq!(status(&api, &key, action).await, IN_ORDER);
        api.lock(&key, product, "financial").await;
        assert_eq!(status(&api, &key, action).await, IN_DEBT);
    }
}

#[tokio::test]
async fn the_grace_period_is_a_setting() {
    let an_hour = |settings: &mut cdn_activation::server::ServerSettings| {
        settings.overdue_grace = chrono::Duration::hours(1);
    };
    let api = Api::start_with(an_hour).await;
    api.at("2018-03-20T12:00:00Z");
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.lock(&key, Product::Cdn, "financial").await;
    for (now, expected) in [("2018-03-20T13:00:00Z", IN_DEBT), ("2018-03-20T13:00:01Z", OVERDUE)] {
        api.at(now);
        assert_eq!(status(&api, &key, "DescribeUserCdnStatus").await, expected, "{now}");
    }
}

#[tokio::test]
async fn a_security_lock_takes_the_product_out_of_service_and_others_do_not() {
    let api = Api::start_without_workers().await;
    for (action, product) in ACTIONS {
        let key = api.account().await;
        open(&api, &key, product).await;
        api.lock(&key, product, "maintenance").await;
        assert_eq!(status(&api, &key, action).await, IN_ORDER);
        api.lock(&key, product, "security").await;
        assert_eq!(status(&api, &key, action).await, SUSPENDED);
        api.lock(&key, product, "financial").await;
        assert_eq!(status(&api, &key, action).await, SUSPENDED_IN_DEBT);
        api.unlock(&key, product, "security").await;
        assert_eq!(status(&api, &key, action).await, IN_DEBT);
    }
}

#[tokio::test]
async fn the_actions_exist_in_the_newest_api_version_only() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    let message = "Specified api is not found, please check your url and method.";
    for given in [
        "Action=DescribeUserCdnStatus&Version=2014-11-11",
        "Action=DescribeCdnUserBillType&Version=2014-11-11",
        "Action=DescribeUserCdnStatus&Version=2018-01-15",
        "Action=DescribeUserDcdnStatus&Version=2018-05-10",
    ] {
        api.get(&key, given).await.refused(404, "InvalidAction.NotFound", message);
    }
}

#[tokio::test]
async fn an_account_that_does_not_exist_is_not_found_over_grpc() {
    let api = Api::start_without_workers().await;
    let unknown = Key { account_id: 9, id: String::new(), secret: String::new() };
    let (mut cdn, mut dcdn) = (api.cdn(&unknown).await, api.dcdn(&unknown).await);
    let cdn = cdn.describe_user_cdn_status(DescribeUserCdnStatusRequest {});
    let cdn = refusal(&cdn.await.expect_err("refused"));
    let dcdn = dcdn.describe_user_dcdn_status(DescribeUserDcdnStatusRequest {});
    let dcdn = refusal(&dcdn.await.expect_err("refused"));
    for refused in [cdn, dcdn] {
        let found = (refused.grpc, refused.code.as_str(), refused.message.as_str(), refused.http);
        let expected = (Code::NotFound, "AccountNotFound", "There is no such account.", 404);
        assert_eq!(found, expected);
    }
    let period = "StartTime=2018-03-01T00:00:00Z&EndTime=2018-03-02T00:00:00Z";
    for given in [
        "Action=OpenCdnService".to_owned(),
        "Action=DescribeCdnService".to_owned(),
        "Action=ModifyCdnService&InternetChargeType=PayByTraffic".to_owned(),
        "Action=DescribeDcdnService".to_owned(),
        format!("Action=DescribeCdnUserBillType&{period}"),
        format!("Action=DescribeDcdnUserBillType&{period}"),
    ] {
        let answer = api.ask(Wire::Grpc, &unknown, &given).await;
        assert_eq!((answer.http, answer.code()), (404, "AccountNotFound"), "{given}");
    }
}
