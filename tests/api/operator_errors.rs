//! Errors of operators' requests: an error names all wrong fields, and is never too large for the
//! metadata of its answer.

use cdn_activation::proto::operator::v1 as wire;
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::Api;
use crate::support::grpc::refusal;
use crate::support::process::{dev_on, run};
use crate::support::scratch::Scratch;

/// Largest error, in bytes. By default, gRPC clients accept 8 KiB of metadata.
const LARGEST: usize = 4 * 1024;

/// Returns the code of an error, and the fields that it names. Checks that the error is small.
fn code_and_fields(status: &Status) -> (String, Vec<String>) {
    let violations = status.get_details_bad_request().expect("BadRequest").field_violations;
    let sent = status.message().len() + status.details().len() * 4 / 3;
    assert!(sent < LARGEST, "{sent} bytes: {status:?}");
    assert!(violations.iter().all(|violation| violation.description.len() <= 256));
    assert_eq!(status.code(), Code::InvalidArgument);
    let fields = violations.into_iter().map(|violation| violation.field).collect();
    (refusal(status).code, fields)
}

fn expected(code: &str, fields: &[&str]) -> (String, Vec<String>) {
    (code.to_owned(), fields.iter().map(|field| (*field).to_owned()).collect())
}

#[tokio::test]
async fn all_wrong_fields_are_reported_at_once() {
    let api = Api::start_without_workers().await;
    let change = wire::ScheduleChargeTypeChangeRequest {
        account_id: -1,
        product: 77,
        effective_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
        request_id: "no uuid".to_owned(),
        ..Default::default()
    };
    let refused = api.changes().await.schedule_charge_type_change(change).await;
    let fields = ["account_id", "product", "charge_type", "effective_time", "request_id"];
    let all = expected("InvalidAccountId", &fields);
    assert_eq!(code_and_fields(&refused.expect_err("wrong")), all);

    let lock = wire::LockRequest {
        account_id: 1,
        reason: "No Token".to_owned(),
        locked_by: "\n".to_owned(),
        ..Default::default()
    };
    let refused = api.operation_locks().await.lock(lock).await.expect_err("wrong");
    assert_eq!(
        code_and_fields(&refused),
        expected("InvalidFields", &["product", "reason", "locked_by"])
    );

    let account = wire::Account { site: 9, ..Default::default() };
    let create = wire::CreateAccountRequest { account: Some(account), request_id: "x".to_owned() };
    let refused = api.accounts().await.create_account(create).await.expect_err("wrong");
    let fields = ["account.account_id", "account.site", "request_id"];
    assert_eq!(code_and_fields(&refused), expected("InvalidAccountId", &fields));
}

#[tokio::test]
async fn an_invalid_account_id_is_reported_with_its_field() {
    let api = Api::start_without_workers().await;
    let request = wire::GetAccountRequest { account_id: -7 };
    let refused = api.accounts().await.get_account(request).await.expect_err("wrong");
    assert_eq!(code_and_fields(&refused), expected("InvalidAccountId", &["account_id"]));
    let list = wire::ListAccessKeysRequest { page_size: -1, ..Default::default() };
    let refused = api.access_keys().await.list_access_keys(list).await.expect_err("wrong");
    assert_eq!(
        code_and_fields(&refused),
        expected("InvalidAccountId", &["account_id", "page_size"])
    );
}

#[tokio::test]
async fn the_id_of_a_key_is_required() {
    let api = Api::start_without_workers().await;
    let mut keys = api.access_keys().await;
    let id_is_missing = expected("InvalidFields", &["access_key_id"]);
    let disabled = keys.disable_access_key(wire::DisableAccessKeyRequest::default()).await;
    assert_eq!(code_and_fields(&disabled.expect_err("no id")), id_is_missing);
    let enabled = keys.enable_access_key(wire::EnableAccessKeyRequest::default()).await;
    assert_eq!(code_and_fields(&enabled.expect_err("no id")), id_is_missing);
    let deleted = keys.delete_access_key(wire::DeleteAccessKeyRequest::default()).await;
    assert_eq!(code_and_fields(&deleted.expect_err("no id")), id_is_missing);
}

#[tokio::test]
async fn the_error_of_a_large_request_fits_in_its_metadata() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    let long = "ä".repeat(4000);
    let account = wire::Account { account_id: key.account_id, ..Default::default() };
    for paths in [vec![long.clone()], vec![long.clone(); 7]] {
        let update_mask = Some(FieldMask { paths });
        let update = wire::UpdateAccountRequest {
            account: Some(account.clone()),
            update_mask,
            ..Default::default()
        };
        let refused = api.accounts().await.update_account(update).await.expect_err("wrong");
        let (code, fields) = code_and_fields(&refused);
        assert!(code == "InvalidFields" && fields.len() <= 8, "{fields:?}");
        assert!(fields.iter().all(|field| field == "update_mask"));
    }
    let element = "x".repeat(5000);
    for policy in [
        format!(r#"{{"Version":"1","Statement":[],"{element}":1}}"#),
        format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Deny","Action":"{element}","Resource":"*"}}]}}"#
        ),
    ] {
        let create = wire::CreateAccessKeyRequest {
            account_id: key.account_id,
            policy,
            ..Default::default()
        };
        let refused = api.access_keys().await.create_access_key(create).await.expect_err("wrong");
        assert_eq!(code_and_fields(&refused), expected("InvalidFields", &["policy"]));
    }
}

#[tokio::test]
async fn the_name_of_a_parameter_is_shown_up_to_256_bytes() {
    let api = Api::start_without_workers().await;
    let name = "n".repeat(5000);
    let reply = api
        .exchange(&api.request("GET", &format!("/?Format=JSON&{name}=1&{name}=2"), &[], b""))
        .await;
    let reply = reply.expect("answered");
    assert_eq!((reply.status, reply.text("Code").as_str()), (400, "InvalidParameter"));
    assert!(reply.text("Message").len() < 256 + 64, "{}", reply.body);
}

#[tokio::test]
async fn dev_refuses_a_clock_that_is_not_before_the_year_9999() {
    let scratch = Scratch::new();
    let data_dir = scratch.0.join("data");
    let data_dir = data_dir.to_str().expect("UTF-8");
    let ended = run(dev_on(data_dir).chain(["--at", "9999-12-31T16:30:00Z"]), &[]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("is not before the year 9999"), "{}", ended.stderr);
}
