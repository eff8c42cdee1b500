//! The list of audit records: what an operator finds with it, its filters, its order and its pages.

use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::operator::v1::{AuditRecord, ListAuditRecordsRequest};
use prost_types::value::Kind;
use prost_types::{Struct, Timestamp};
use serde_json::{Map, Value, json};

use crate::support::Api;
use crate::support::audit::with_correlation_id;
use crate::support::grpc::assert_field_is_wrong;

/// Returns a structure as JSON.
fn json_of(structure: &Struct) -> Value {
    fn value(given: &prost_types::Value) -> Value {
        match given.kind.as_ref().expect("a kind") {
            Kind::NullValue(_) => Value::Null,
            Kind::BoolValue(given) => (*given).into(),
            Kind::NumberValue(given) => (*given).into(),
            Kind::StringValue(text) => text.as_str().into(),
            Kind::ListValue(list) => list.values.iter().map(value).collect(),
            Kind::StructValue(structure) => json_of(structure),
        }
    }
    let members = structure.fields.iter().map(|(name, found)| (name.clone(), value(found)));
    Value::Object(members.collect::<Map<_, _>>())
}

async fn list(api: &Api, request: ListAuditRecordsRequest) -> Vec<AuditRecord> {
    let reply = api.list_audit_records(request).await.expect("listed");
    assert_eq!(reply.next_page_token, "");
    reply.audit_records
}

// The request is that of docs/operating.md, "Audit".
#[tokio::test]
async fn one_request_says_who_locked_account_42_from_where_and_what_it_looked_like_before() {
    let api = Api::start().await;
    let key = api.account_with(|account| account.account_id = 42).await;
    api.open_cdn(&key).await;
    api.lock(&key, Product::Cdn, "financial").await;
    let lock = cdn_activation::proto::operator::v1::LockRequest {
        account_id: 42,
        product: Product::Cdn.into(),
        reason: "security".to_owned(),
        locked_by: "jane".to_owned(),
        ..Default::default()
    };
    let lock = with_correlation_id(lock, "ticket-4711");
    let locked = api.operation_locks().await.lock(lock).await.expect("locked");

    let request = ListAuditRecordsRequest {
        account_id: 42,
        action: "Lock".to_owned(),
        page_size: 1,
        ..Default::default()
    };
    let reply = api.list_audit_records(request).await.expect("listed");
    assert_ne!(reply.next_page_token, "", "there is the other lock");
    let [record] = &reply.audit_records[..] else { panic!("{reply:?}") };
    assert_eq!(
        (record.account_id, &*record.principal, &*record.address, &*record.action),
        (42, "service:tests", "127.0.0.1", "Lock")
    );
    assert_eq!((&*record.resource, &*record.result), ("cdn security", "OK"));
    assert_eq!(record.correlation_id, "ticket-4711");
    let id = locked.metadata().get("x-request-id").expect("a request id");
    assert_eq!(record.request_id, id.to_str().expect("visible"));
    let before = json_of(record.before.as_ref().expect("a state"));
    assert_eq!(before, json!({ "product": "cdn", "locks": ["financial"] }));
    let after = json_of(record.after.as_ref().expect("a state"));
    assert_eq!(after["locks"], json!(["financial", "security"]));
    assert_eq!(after["lock"]["locked_by"], "jane");
    let now = api.clock.wire_now().timestamp();
    assert!((now - 60..=now).contains(&record.record_time.expect("a time").seconds));
}

/// Writes these records, one a second from an instant on: account, principal, action, result.
async fn write(api: &Api, records: &[(i64, &str, &str, &str)]) {
    let mut connection = api.database.connect().await;
    for (second, (account_id, principal, action, result)) in (0_i64..).zip(records) {
        sqlx::query(
            "INSERT INTO audit_records (account_id, audit_id, recorded_at, principal, action,
                 resource, request_id, result)
             VALUES ($1, gen_random_uuid(), to_timestamp(1000 + $2), $3, $4, $5, '', $6)",
        )
        .bind(account_id)
        .bind(second)
        .bind(principal)
        .bind(action)
        .bind(second.to_string())
        .bind(result)
        .execute(&mut connection)
        .await
        .expect("written");
    }
}

#[tokio::test]
async fn records_are_listed_newest_first_and_by_each_filter() {
    let api = Api::start_without_workers().await;
    let records = [
        (7, "service:a", "Lock", "OK"),
        (8, "service:a", "Lock", "OK"),
        (7, "service:b", "Unlock", "OK"),
        (7, "key:x", "OpenCdnService", "CdnService.HasOpened"),
        (0, "unverified", "ListAccounts", "ServiceUnauthenticated"),
        (7, "service:a", "Lock", "CdnServiceNotFound"),
    ];
    write(&api, &records).await;
    let at = |seconds: i64| Some(Timestamp { seconds, nanos: 0 });
    let any = ListAuditRecordsRequest::default;
    let of_account = || ListAuditRecordsRequest { account_id: 7, ..any() };
    let text = str::to_owned;
    for (request, expected) in [
        (any(), &["5", "4", "3", "2", "1", "0"][..]),
        (of_account(), &["5", "3", "2", "0"]),
        (ListAuditRecordsRequest { principal: text("service:a"), ..any() }, &["5", "1", "0"]),
        (ListAuditRecordsRequest { principal: text("service:a"), ..of_account() }, &["5", "0"]),
        (ListAuditRecordsRequest { action: text("Lock"), ..of_account() }, &["5", "0"]),
        (ListAuditRecordsRequest { result: text("OK"), ..any() }, &["2", "1", "0"]),
        (
            ListAuditRecordsRequest { result: text("OK"), action: text("Lock"), ..of_account() },
            &["0"],
        ),
        (ListAuditRecordsRequest { start_time: at(1002), ..any() }, &["5", "4", "3", "2"]),
        (ListAuditRecordsRequest { end_time: at(1002), ..any() }, &["1", "0"]),
        (
            ListAuditRecordsRequest { start_time: at(1000), end_time: at(1003), ..of_account() },
            &["2", "0"],
        ),
        (ListAuditRecordsRequest { account_id: 9, ..any() }, &[]),
    ] {
        let found = list(&api, request.clone()).await;
        let found: Vec<_> = found.iter().map(|record| record.resource.as_str()).collect();
        assert_eq!(found, expected, "{request:?}");
    }
}

#[tokio::test]
async fn pages_have_each_record_once_although_times_are_equal_and_records_are_added() {
    let api = Api::start_without_workers().await;
    let many = "
        INSERT INTO audit_records (account_id, audit_id, recorded_at, principal, action, resource,
            request_id, result)
        SELECT 7 + id % 2, gen_random_uuid(), to_timestamp(1000 + id / 5), 'test', 'Lock', id::text, '', 'OK'
        FROM generate_series(1, 50) AS id";
    api.database.execute(many).await;
    for (account_id, expected) in [(0, 50), (7, 25)] {
        let mut request =
            ListAuditRecordsRequest { account_id, page_size: 4, ..Default::default() };
        let mut found = Vec::new();
        loop {
            let page = api.list_audit_records(request.clone()).await.expect("a page");
            found.extend(page.audit_records);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
            // A new record is before the first page.
            api.account().await;
        }
        let of_test: Vec<_> = found.iter().filter(|record| record.principal == "test").collect();
        assert_eq!(of_test.len(), expected);
        let key = |record: &&AuditRecord| {
            (record.record_time.map(|time| time.seconds), record.audit_id.clone())
        };
        assert!(of_test.is_sorted_by(|one, next| key(one) > key(next)));
    }
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused() {
    let api = Api::start_without_workers().await;
    write(&api, &[(7, "a", "Lock", "OK"), (7, "a", "Lock", "OK")]).await;
    let any = ListAuditRecordsRequest::default;
    let wrong_time = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
    let page = ListAuditRecordsRequest { account_id: 7, page_size: 1, ..any() };
    let page_token = api.list_audit_records(page).await.expect("a page").next_page_token;
    assert_ne!(page_token, "");
    let of_this_list = "is not a token of this list with these arguments";
    for (request, field, description) in [
        (
            ListAuditRecordsRequest { start_time: wrong_time, ..any() },
            "start_time",
            "is not an instant",
        ),
        (
            ListAuditRecordsRequest { end_time: wrong_time, ..any() },
            "end_time",
            "is not an instant",
        ),
        (
            ListAuditRecordsRequest { principal: "\0".to_owned(), ..any() },
            "principal",
            "contains NUL",
        ),
        (ListAuditRecordsRequest { page_size: -1, ..any() }, "page_size", "is negative"),
        (
            ListAuditRecordsRequest { page_token: page_token.clone(), ..any() },
            "page_token",
            of_this_list,
        ),
        (
            ListAuditRecordsRequest { account_id: 7, page_token, result: "OK".to_owned(), ..any() },
            "page_token",
            of_this_list,
        ),
    ] {
        let refused = api.list_audit_records(request).await.expect_err(field);
        assert_field_is_wrong(&refused, field, description);
    }
    let request = ListAuditRecordsRequest { account_id: -1, ..any() };
    api.list_audit_records(request).await.expect_err("no account has this id");
}
