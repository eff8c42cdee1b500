//! Every capture is sent again as it was, to a server whose wire clock shows the time at which it
//! was signed.

use cdn_activation::domain::time;
use chrono::Duration;

use super::format;
use crate::support::Api;
use crate::support::captures::{Capture, captures};
use crate::support::refusals::{
    Format, HAS_OPENED, NONCE_USED, Refusal, TIMESTAMP_EXPIRED, TOKEN_MISMATCH, missing,
    signature_v1_does_not_match, signature_v3_does_not_match,
};
use crate::support::rest::{Key, Reply};

const ACCOUNT: i64 = 1_000_000_000_000_001;

/// What a capture must be answered with.
enum Answer {
    Refusal(Refusal),
    /// The name of the reply, and what it holds beside the request id, in JSON and XML.
    Success(String, String, String),
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let (code, message) = (code.to_owned().into(), message.to_owned().into());
    Answer::Refusal(Refusal { status, code, message })
}

/// A server that knows the key of the captures, with this secret.
async fn server(secret: &str) -> (Api, Key) {
    let api = Api::start().await;
    api.account_with(|account| account.account_id = ACCOUNT).await;
    let key = api.store_key(ACCOUNT, "testid", secret).await;
    api.at("2026-11-21T22:30:00Z");
    (api, key)
}

/// Sends a capture so much later than it was signed.
async fn replay(api: &Api, capture: &Capture, later: Duration) -> Reply {
    // The one without a signature has no timestamp in the index; the header has it.
    let signed_at = match capture.text("timestamp") {
        "" => capture.request.header("x-acs-date").expect("a date"),
        timestamp => timestamp,
    };
    api.clock.set_wire_now(time::parse(signed_at).expect("an instant") + later);
    let reply = api.exchange(&capture.request.bytes).await;
    reply.unwrap_or_else(|| panic!("no answer to {}", capture.file))
}

/// What is answered before the account is looked at, where the capture does not authenticate.
fn not_authenticated(capture: &Capture) -> Option<Refusal> {
    match capture.text("scheme") {
        "none" | "bearer" => Some(missing("AccessKeyId")),
        _ => capture.has_security_token().then_some(TOKEN_MISMATCH),
    }
}

/// What an account gets that has opened both products (by traffic, this DCDN instance), or nothing.
fn business_answer(capture: &Capture, dcdn_instance: Option<&str>) -> Answer {
    let opened = dcdn_instance.is_some();
    let action = capture.text("action");
    let success = |json: &str, xml: &str| {
        Answer::Success(format!("{action}Response"), json.to_owned(), xml.to_owned())
    };
    let product = if action.contains("Dcdn") { "DCDN" } else { "CDN" };
    let not_opened = || {
        let code = match (product, capture.text("version")) {
            ("CDN", "2014-11-11") => "OperationDenied",
            ("CDN", _) => "CdnServiceNotFound",
            _ => "DcdnServiceNotFound",
        };
        refusal(403, code, &format!("Your account does not open {product} service yet."))
    };
    let never_changed = (
        r#""ChangingChargeType":"","ChangingAffectTime":"""#,
        "<ChangingChargeType></ChangingChargeType><ChangingAffectTime></ChangingAffectTime>",
    );
    let open_times = (r#""OpeningTime":"2026-10-31T00:00:00Z""#, "2026-10-31T00:00:00Z");
    let locks = (r#""OperationLocks":{"LockReason":[]}"#, "<OperationLocks></OperationLocks>");
    match action {
        "OpenCdnService" if opened => Answer::Refusal(HAS_OPENED),
        "OpenDcdnService" if capture.says["business_params"] == serde_json::json!({}) => {
            Answer::Refusal(missing("BillType"))
        }
        "OpenDcdnService" if opened => {
            refusal(400, "DcdnService.HasOpened", "Your DCDN service has been activated.")
        }
        "OpenCdnService" | "OpenDcdnService" => success("", ""),
        "DescribeUserCdnStatus" | "DescribeUserDcdnStatus" => success(
            &format!(
                r#","Enabled":{opened},"OnService":{opened},"InDebt":false,"InDebtOverdue":false"#
            ),
            "",
        ),
        "DescribeCdnUserBillType" | "DescribeDcdnUserBillType" if !opened => {
            success(r#","BillTypeData":{"BillTypeDataItem":[]}"#, "")
        }
        "DescribeCdnUserBillType" => success(&bill_types("cdn", &["flow"]), ""),
        "DescribeDcdnUserBillType" => success(&bill_types("dcdn", &["flow", "websocket"]), ""),
        _ if !opened => not_opened(),
        "ModifyCdnService" => success("", ""),
        "DescribeCdnService" => success(
            &format!(
                r#","InstanceId":"{ACCOUNT}","InternetChargeType":"PayByTraffic",{},{},{}"#,
                open_times.0, never_changed.0, locks.0
            ),
            &format!(
                "<InstanceId>{ACCOUNT}</InstanceId><InternetChargeType>PayByTraffic\
                 </InternetChargeType><OpeningTime>{}</OpeningTime>{}{}",
                open_times.1, never_changed.1, locks.1
            ),
        ),
        "DescribeDcdnService" => {
            let id = dcdn_instance.expect("opened");
            success(
                &format!(
                    r#","InstanceId":"{id}","InternetChargeType":"PayByTraffic",{},{},{},"WebsocketType":"websockettraffic""#,
                    open_times.0, never_changed.0, locks.0
                ),
                &format!(
                    "<InstanceId>{id}</InstanceId><InternetChargeType>PayByTraffic\
                     </InternetChargeType><OpeningTime>{}</OpeningTime>{}{}\
                     <WebsocketType>websockettraffic</WebsocketType>",
                    open_times.1, never_changed.1, locks.1
                ),
            )
        }
        other => panic!("no answer is written down for {other}"),
    }
}

fn bill_types(product: &str, dimensions: &[&str]) -> String {
    let item = |dimension: &&str| {
        format!(
            r#"{{"StartTime":"2026-11-01T00:00:00Z","EndTime":"2026-11-02T00:00:00Z","BillType":"hour_flow","BillingCycle":"hour","Product":"{product}","Dimension":"{dimension}"}}"#
        )
    };
    let items: Vec<_> = dimensions.iter().map(item).collect();
    format!(r#","BillTypeData":{{"BillTypeDataItem":[{}]}}"#, items.join(","))
}

fn check(capture: &Capture, reply: &Reply, answer: &Answer) {
    let format = format(capture);
    println!("{}", capture.file); // the last one is shown where the test fails
    match (answer, format) {
        (Answer::Refusal(refusal), _) => reply.is(format, refusal),
        (Answer::Success(_, json, _), Format::Json) => {
            reply.says(format, &format!(r#"{{"RequestId":"REQUEST-ID"{json}}}"#))
        }
        (Answer::Success(name, _, xml), Format::Xml) => reply.says(
            format,
            &format!(
                "<?xml version='1.0' encoding='UTF-8'?><{name}><RequestId>REQUEST-ID</RequestId>\
                 {xml}</{name}>"
            ),
        ),
    };
}

#[tokio::test]
async fn captured_requests_of_an_account_that_has_opened_nothing() {
    let (api, _) = server("testsecret").await;
    let mut database = api.database.connect().await;
    let mut opened = 0;
    for capture in &captures() {
        sqlx::raw_sql("DELETE FROM instances").execute(&mut database).await.expect("runs");
        let reply = replay(&api, capture, Duration::zero()).await;
        match not_authenticated(capture) {
            Some(refusal) => check(capture, &reply, &Answer::Refusal(refusal)),
            None => check(capture, &reply, &business_answer(capture, None)),
        }
        let charge_types: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', internet_charge_type, websocket_charge_type) FROM instances",
        )
        .fetch_all(&mut database)
        .await
        .expect("reads");
        let asked = &capture.says["business_params"];
        let expected = match (reply.status, capture.text("action")) {
            (200, "OpenCdnService") => {
                vec![asked["InternetChargeType"].as_str().unwrap_or("PayByTraffic").to_owned()]
            }
            (200, "OpenDcdnService") => vec!["PayByTraffic websockettraffic".to_owned()],
            _ => Vec::new(),
        };
        opened += expected.len();
        assert_eq!(charge_types, expected, "{}", capture.file);
    }
    assert!(opened > 40, "{opened} captures opened something");
}

#[tokio::test]
async fn captured_requests_of_an_account_that_has_opened_both_products() {
    let (api, key) = server("testsecret").await;
    api.at("2026-10-31T00:00:00Z");
    api.open_cdn(&key).await;
    api.open_dcdn(&key).await;
    api.at("2026-11-21T22:30:00Z");
    let mut database = api.database.connect().await;
    let instance: String =
        sqlx::query_scalar("SELECT instance_id FROM instances WHERE product = 'dcdn'")
            .fetch_one(&mut database)
            .await
            .expect("reads");
    for capture in &captures() {
        let reply = replay(&api, capture, Duration::zero()).await;
        let forget = sqlx::raw_sql("DELETE FROM charge_type_changes").execute(&mut database);
        let changes = forget.await.expect("runs").rows_affected();
        if let Some(refusal) = not_authenticated(capture) {
            check(capture, &reply, &Answer::Refusal(refusal));
            assert_eq!(changes, 0, "{}", capture.file);
            continue;
        }
        check(capture, &reply, &business_answer(capture, Some(&instance)));
        assert_eq!(changes == 1, capture.text("action") == "ModifyCdnService", "{}", capture.file);
        // Whoever recorded it and sends it again gets nothing.
        let again = replay(&api, capture, Duration::seconds(1)).await;
        check(capture, &again, &Answer::Refusal(NONCE_USED));
        let late = replay(&api, capture, Duration::seconds(901)).await;
        check(capture, &late, &Answer::Refusal(TIMESTAMP_EXPIRED));
    }
}

#[tokio::test]
async fn captured_requests_are_refused_where_the_key_has_another_secret() {
    let (api, _) = server("another secret").await;
    for capture in &captures() {
        let reply = replay(&api, capture, Duration::zero()).await;
        let to_sign = capture.text("string_to_sign");
        let refusal = not_authenticated(capture).unwrap_or_else(|| {
            if capture.is_v1() {
                signature_v1_does_not_match(to_sign)
            } else {
                signature_v3_does_not_match(to_sign, capture.text("canonical_request"))
            }
        });
        check(capture, &reply, &Answer::Refusal(refusal));
    }
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
}
