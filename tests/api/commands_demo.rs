//! The demo accounts of `cdn-activation dev`. Together they show every row of the opening table,
//! and the sample of the documentation.

use crate::commands_dev::demo_key;
use crate::support::database::left_out;
use crate::support::process::{Ended, Program, dev_on, run};
use crate::support::scratch::Scratch;
use crate::support::{Api, eventually};

const SAMPLE_JSON: &str = r#"{"RequestId":"REQUEST-ID","InstanceId":"Eexample ID","InternetChargeType":"PayByTraffic","OpeningTime":"2018-03-19T11:16:11Z","ChangingChargeType":"PayByBandwidth","ChangingAffectTime":"2018-03-31T16:00:00Z","OperationLocks":{"LockReason":[{"LockReason":"financial"}]}}"#;
const SAMPLE_XML: &str = "<?xml version='1.0' encoding='UTF-8'?><DescribeDcdnServiceResponse><RequestId>REQUEST-ID</RequestId><InstanceId>Eexample ID</InstanceId><InternetChargeType>PayByTraffic</InternetChargeType><OpeningTime>2018-03-19T11:16:11Z</OpeningTime><ChangingChargeType>PayByBandwidth</ChangingChargeType><ChangingAffectTime>2018-03-31T16:00:00Z</ChangingAffectTime><OperationLocks><LockReason><LockReason>financial</LockReason></LockReason></OperationLocks></DescribeDcdnServiceResponse>";
const SAMPLE_CDN: &str = r#"{"RequestId":"REQUEST-ID","InstanceId":"1000000000000002","InternetChargeType":"PayByTraffic","OpeningTime":"2018-03-19T11:16:11Z","ChangingChargeType":"","ChangingAffectTime":"","OperationLocks":{"LockReason":[]}}"#;

const OPEN_CDN: &str = "Action=OpenCdnService&InternetChargeType=PayByTraffic";
const OPEN_DCDN: &str =
    "Action=OpenDcdnService&BillType=PayByTraffic&WebsocketBillType=websockettraffic";

/// The demo keys whose openings are refused, with the refusals: both products, in the order of the
/// opening table.
#[rustfmt::skip] // the columns are aligned
const REFUSED: [(&str, &str, u16, &str, &str); 18] = [
    ("testid-opened",    OPEN_CDN,  400, "CdnService.HasOpened",      "Your cdn service has opened."),
    ("testid-opened",    OPEN_DCDN, 400, "DcdnService.HasOpened",     "Your DCDN service has been activated."),
    ("testid-bid",       OPEN_CDN,  403, "Forbidden.BidUser",         "Bid user is limited to open service."),
    ("testid-bid",       OPEN_DCDN, 403, "Forbidden.BidUser",         "Bid user is limited to open service."),
    ("testid-intl",      OPEN_CDN,  403, "Forbidden.Intl",            "User not authorized to open Intl service."),
    ("testid-intl",      OPEN_DCDN, 403, "Forbidden.Intl",            "User not authorized to open Intl service."),
    ("testid-noname",    OPEN_CDN,  400, "NoRealNameAuthentication",  "Real name authentication is needed."),
    ("testid-noname",    OPEN_DCDN, 400, "NoRealNameAuthentication",  "Real name authentication is needed."),
    ("testid-noprofile", OPEN_CDN,  400, "FUWU_BIZ_COMMODITY_VERIFY_FAIL_USERPROFILECOMPLETE", "MISSING_USERPROFILE"),
    ("testid-noprofile", OPEN_DCDN, 400, "IncompleteInformation",     "Your information is incomplete. Complete your information before the operation."),
    ("testid-nopay",     OPEN_CDN,  400, "FUWU_BIZ_COMMODITY_VERIFY_FAIL_INVALID_PAY_METHOD", "INVALID_PAY_METHOD"),
    ("testid-nopay",     OPEN_DCDN, 400, "FUWU_BIZ_COMMODITY_VERIFY_FAIL_INVALID_PAY_METHOD", "INVALID_PAY_METHOD"),
    ("testid-poor",      OPEN_CDN,  400, "InsufficientBalance",       "Your account does not have enough balance."),
    ("testid-poor",      OPEN_DCDN, 400, "InsufficientBalance",       "Your account does not have enough balance."),
    ("testid-noorder",   OPEN_CDN,  400, "LX_CREATE_ORDER_FAILED",    "Create order failed"),
    ("testid-noorder",   OPEN_DCDN, 400, "LX_CREATE_ORDER_FAILED",    "Create order failed"),
    ("testid-readonly",  OPEN_CDN,  403, "Forbidden.RAM",             "User not authorized to operate on the specified resource, or this API doesn't support RAM."),
    ("testid-disabled",  OPEN_CDN,  400, "InvalidAccessKeyId.Inactive", "Specified access key is disabled."),
];

/// Checks that every demo account gets the answer of its row.
async fn assert_every_row(api: &Api) {
    for (id, open, status, code, message) in REFUSED {
        api.get(&demo_key(id), open).await.refused_by_dev(api, status, code, message);
    }
    let readonly = demo_key("testid-readonly");
    let none = "Your account does not open DCDN service yet.";
    let reply = api.get(&readonly, "Action=DescribeDcdnService").await;
    reply.refused_by_dev(api, 403, "DcdnServiceNotFound", none);
    let (action, version) = ("DescribeCdnService", "2018-05-10");
    let reply = api.post_v3(&readonly, action, version, "").await;
    let none = "Your account does not open CDN service yet.";
    reply.refused_by_dev(api, 403, "CdnServiceNotFound", none);
    for open in [OPEN_CDN, OPEN_DCDN] {
        api.get(&demo_key("testid"), open).await.succeeded();
    }
}

/// Checks the sample of the documentation, field by field.
async fn assert_sample(api: &Api) {
    let opened = demo_key("testid-opened");
    let json = api.get(&opened, "Action=DescribeDcdnService").await;
    assert_eq!(json.succeeded().body_without_request_id(), SAMPLE_JSON);
    let xml = api.get(&opened, "Action=DescribeDcdnService&Format=XML").await;
    assert_eq!(xml.succeeded().body_without_request_id(), SAMPLE_XML);
    let cdn = api.get(&opened, "Action=DescribeCdnService").await;
    assert_eq!(cdn.succeeded().body_without_request_id(), SAMPLE_CDN);
}

/// Checks that a second `dev` on the same directory ended with an error. It ends after the time
/// that it gives its predecessor to end.
fn assert_one_at_a_time(second: &Ended, directory: &str) {
    assert_eq!((second.code, second.stdout.as_str()), (Some(1), ""), "{second:?}");
    let start = format!("cdn-activation: another server is using {directory}");
    let end = "stop it, or choose another data directory\n";
    let sentence = &second.stderr;
    assert!(sentence.starts_with(&start) && sentence.ends_with(end), "{second:?}");
    assert_eq!(sentence.lines().count(), 1, "{second:?}");
}

#[tokio::test]
async fn the_demo_accounts_show_every_row_of_the_opening_table_and_the_sample() {
    if left_out("it starts a PostgreSQL") {
        return;
    }
    let scratch = Scratch::new();
    let directory = scratch.0.join("state").display().to_string();
    let (program, api) = Program::dev(&directory, &["--at", "2018-03-20T00:00:00Z"]).await;
    let second = Program::start(dev_on(&directory), &[]);
    assert_sample(&api).await;
    assert_every_row(&api).await;
    assert_one_at_a_time(&second.end().await, &directory);
    assert_sample(&api).await;
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains("earlier than what is stored"), "{ended:?}");

    // Accounts are created once. A product that was opened stays open if the next start is at an
    // earlier time.
    let (program, api) = Program::dev(&directory, &["--at", "2018-03-01T00:00:00Z"]).await;
    let again = api.get(&demo_key("testid"), OPEN_CDN).await;
    again.refused_by_dev(&api, 400, "CdnService.HasOpened", "Your cdn service has opened.");
    let ended = program.stop().await;
    assert_eq!(ended.code, Some(0));
    let earlier = |line: &&str| line.contains("earlier than what is stored");
    let warnings: Vec<_> = ended.stderr.lines().filter(earlier).collect();
    let [warning] = warnings[..] else { panic!("not one warning: {warnings:?}") };
    let message = "--at 2018-03-01T00:00:00Z is earlier than what is stored: something was submitted at 2018-03-20T00:0";
    assert!(warning.contains("WARN") && warning.contains(message), "{warning}");

    // Without `--at`, the change has taken effect, and it is still shown.
    let (program, api) = Program::dev(&directory, &[]).await;
    let now = SAMPLE_JSON.replacen("PayByTraffic", "PayByBandwidth", 1);
    let reply = api.get(&demo_key("testid-opened"), "Action=DescribeDcdnService").await;
    assert_eq!(reply.succeeded().body_without_request_id(), now);
    assert_eq!(program.stop().await.code, Some(0));
    // The shell that looks after PostgreSQL ends right after it.
    eventually("no process is left", async || scratch.processes().is_empty()).await;
}

#[tokio::test]
async fn serve_does_not_accept_a_time_to_start_at() {
    let arguments = ["serve", "--at", "2018-03-20T00:00:00Z", "--database-url", "postgres:///none"];
    let ended = run(arguments, &[]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("unexpected argument '--at'"), "{ended:?}");
}
