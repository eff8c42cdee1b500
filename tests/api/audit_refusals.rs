//! Audit records of refused attempts: which are recorded, that a flood of them is limited, and that
//! no request waits for them.

use std::time::{Duration, Instant};

use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use cdn_activation::proto::cdn::v1::cdn_service_client::CdnServiceClient;
use cdn_activation::proto::operator::v1::account_service_client::AccountServiceClient;
use cdn_activation::proto::operator::v1::{
    DisableAccessKeyRequest, GetAccountRequest, LockRequest,
};
use tonic::Code;

use crate::support::Api;
use crate::support::audit::{Record, with_correlation_id};
use crate::support::cutting_proxy::Proxy;
use crate::support::grpc::refusal;
use crate::support::rest::{Key, Reply, query};

const DESCRIBE: &str = "Action=DescribeCdnService";
const OPEN: &str = "Action=OpenCdnService";
const READ_ONLY: &str =
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"cdn:Describe*","Resource":"*"}]}"#;

/// Checks the code of a refusal.
fn assert_code(reply: &Reply, code: &str) {
    assert_eq!(reply.json()["Code"], code);
}

/// Returns who did what to what with which result.
fn said(record: &Record) -> [&str; 4] {
    [&record.principal, &record.action, &record.resource, &record.result]
}

/// Returns the records about an account once there are these, after those of account and key.
async fn recorded(api: &Api, key: &Key, results: &[&str]) -> Vec<Record> {
    let all = [&["OK", "OK"], results].concat();
    api.database.audit_records_become(key.account_id, &all).await.split_off(2)
}

#[tokio::test]
async fn a_refusal_of_an_action_that_writes_is_recorded_and_of_one_that_reads_is_not() {
    let api = Api::start().await;
    let key = api.account().await;
    assert_code(&api.get(&key, DESCRIBE).await, "CdnServiceNotFound");
    let reply = api.get(&key, "Action=ModifyCdnService&InternetChargeType=PayByTraffic").await;
    let lock = LockRequest {
        account_id: key.account_id,
        product: Product::Cdn.into(),
        reason: "security".to_owned(),
        ..Default::default()
    };
    let lock = with_correlation_id(lock, "ticket-1");
    let refused = api.operation_locks().await.lock(lock).await.expect_err("not opened");
    let records = recorded(&api, &key, &["CdnServiceNotFound", "CdnServiceNotFound"]).await;
    let principal = format!("key:{}", key.id);
    assert_eq!(said(&records[0]), [&*principal, "ModifyCdnService", "", "CdnServiceNotFound"]);
    assert_eq!(records[0].request_id, reply.headers["x-acs-request-id"]);
    assert_eq!(records[0].address.as_deref(), Some("127.0.0.1"));
    let service = "service:tests";
    assert_eq!(said(&records[1]), [service, "Lock", "cdn security", "CdnServiceNotFound"]);
    assert_eq!(records[1].request_id, refusal(&refused).request_id);
    assert_eq!(records[1].correlation_id.as_deref(), Some("ticket-1"));
    assert!(records.iter().all(|record| record.before.is_none() && record.after.is_none()));
}

#[tokio::test]
async fn a_refusal_about_an_access_key_is_recorded_with_its_account() {
    let api = Api::start().await;
    let key = api.account().await;
    let disable = DisableAccessKeyRequest {
        access_key_id: key.id.clone(),
        etag: "\"7\"".to_owned(),
        ..Default::default()
    };
    api.access_keys().await.disable_access_key(disable).await.expect_err("another etag");
    let records = recorded(&api, &key, &["EtagMismatch"]).await;
    assert_eq!(said(&records[0]), ["service:tests", "DisableAccessKey", &key.id, "EtagMismatch"]);
}

#[tokio::test]
async fn an_attempt_without_the_permission_of_its_key_is_recorded_with_the_account() {
    let api = Api::start().await;
    let key = api.account_and_policy(|_| {}, READ_ONLY).await;
    assert_code(&api.get(&key, OPEN).await, "Forbidden.RAM");
    let records = recorded(&api, &key, &["Forbidden.RAM"]).await;
    let principal = format!("key:{}", key.id);
    assert_eq!(said(&records[0]), [&*principal, "OpenCdnService", "", "Forbidden.RAM"]);
}

#[tokio::test]
async fn an_attempt_that_is_not_authenticated_is_recorded_as_unverified() {
    let api = Api::start().await;
    let key = api.account().await;
    let wrong = Key { secret: "wrong".to_owned(), ..key.clone() };
    let unknown = Key { id: format!("LTAI{}", "x".repeat(100)), ..key.clone() };
    assert_code(&api.get(&wrong, DESCRIBE).await, "SignatureDoesNotMatch");
    assert_code(&api.get(&unknown, DESCRIBE).await, "InvalidAccessKeyId.NotFound");
    let signed = query(&api.sign(&key, "GET", api.common(&key, "Action=DescribeUserCdnStatus")));
    api.send_get(&signed).await.succeeded();
    assert_code(&api.send_get(&signed).await, "SignatureNonceUsed");

    let mut stranger = AccountServiceClient::new(api.channel().await);
    let request = GetAccountRequest { account_id: key.account_id };
    let refused = stranger.get_account(request).await.expect_err("no token");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut named = with_correlation_id(OpenCdnServiceRequest::default(), "theirs");
    named.metadata_mut().insert("x-account-id", key.account_id.into());
    let mut stranger = CdnServiceClient::new(api.channel().await);
    stranger.open_cdn_service(named).await.expect_err("no token");

    // What a stranger says about an account is not among the records of the account.
    let codes = [
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId.NotFound",
        "ServiceUnauthenticated",
        "ServiceUnauthenticated",
    ];
    let records = api.database.audit_records_become(0, &codes).await;
    let unverified = format!("unverified-key:{}", key.id);
    let cut = format!("unverified-key:{}", &unknown.id[..64]);
    let expected = [
        [&*unverified, "DescribeCdnService", "", codes[0]],
        [&*cut, "DescribeCdnService", "", codes[1]],
        ["unverified", "GetAccount", "", codes[2]],
        ["unverified", "OpenCdnService", "", codes[3]],
    ];
    assert_eq!(records.iter().map(said).collect::<Vec<_>>(), expected);
    assert_eq!(records[3].correlation_id.as_deref(), Some("theirs"));
    // A repeated request has a right signature.
    let records = recorded(&api, &key, &["SignatureNonceUsed"]).await;
    let verified = format!("key:{}", key.id);
    assert_eq!(said(&records[0]), [&*verified, "DescribeUserCdnStatus", "", "SignatureNonceUsed"]);
}

#[tokio::test]
async fn a_record_that_the_database_refuses_is_dropped_and_the_others_are_written() {
    let api = Api::start().await;
    let key = api.account().await;
    let refuse = "
        ALTER TABLE audit_records ADD CONSTRAINT not_this CHECK (principal NOT LIKE '%refused')";
    api.database.execute(refuse).await;
    for id in ["LTAI-1", "LTAI-refused", "LTAI-also-refused", "LTAI-2"] {
        let unknown = Key { id: id.to_owned(), ..key.clone() };
        api.get(&unknown, DESCRIBE).await;
    }
    let records = api.database.audit_records_become(0, &["InvalidAccessKeyId.NotFound"; 2]).await;
    let principals: Vec<_> = records.iter().map(|record| record.principal.as_str()).collect();
    let written = ["unverified-key:LTAI-1", "unverified-key:LTAI-2"];
    assert_eq!(principals, written);
    let page = api.page("/metrics").await.body;
    assert!(page.contains("\naudit_refusals_dropped_total 2\n"), "{page}");
}

#[tokio::test]
async fn refusals_are_written_before_the_service_ends() {
    let api = Api::start().await;
    let (database, key) = (api.database.clone(), api.account().await);
    for _ in 0..20 {
        api.get(&key, "Action=ModifyCdnService&InternetChargeType=PayByTraffic").await;
    }
    api.stop().await;
    assert_eq!(database.audit_records(key.account_id).await.len(), 22);
}

#[tokio::test]
async fn a_flood_of_refusals_adds_a_limited_number_of_records_and_the_rest_is_counted() {
    const SENT: usize = 1000;
    let api = Api::start().await;
    let started = Instant::now();
    let channel = api.channel().await;
    let mut stranger = AccountServiceClient::new(channel);
    for _ in 0..SENT {
        stranger.get_account(GetAccountRequest::default()).await.expect_err("no token");
    }
    let took = started.elapsed();
    let page = api.page("/metrics").await.body;
    let dropped = page.lines().find_map(|line| line.strip_prefix("audit_refusals_dropped_total "));
    let dropped: usize = dropped.expect("a counter").parse().expect("a number");
    let database = api.database.clone();
    api.stop().await;
    let recorded = database.audit_records(0).await.len();
    assert_eq!(recorded + dropped, SENT);
    // 100 at once, and one in each second of the flood.
    let most = 100 + usize::try_from(took.as_secs() + 1).expect("a short time");
    assert!((100..=most).contains(&recorded), "{recorded} in {took:?}");
}

#[tokio::test]
async fn without_a_database_refusals_wait_and_delay_neither_requests_nor_the_end() {
    let (api, mut proxy, database) = Proxy::before_a_service().await;
    proxy.go_down();
    let mut stranger = AccountServiceClient::new(api.channel().await);
    let started = Instant::now();
    for _ in 0..100 {
        stranger.get_account(GetAccountRequest::default()).await.expect_err("no token");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    tokio::time::sleep(Duration::from_secs(2)).await; // the writer tries and fails
    proxy.come_up();
    database.audit_records_become(0, &["ServiceUnauthenticated"; 100]).await;
    proxy.go_down();
    stranger.get_account(GetAccountRequest::default()).await.expect_err("no token");
    let started = Instant::now();
    api.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
