//! Audit records of changes: each change has exactly one, which says who made it, from where, and
//! what the state was before and after.

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::cdn::v1::{ModifyCdnServiceRequest, OpenCdnServiceRequest};
use cdn_activation::proto::operator::v1 as wire;
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::task::JoinSet;
use tonic::{Request, Response};

use crate::support::audit::{Record, with_correlation_id};
use crate::support::grpc::next_account_id;
use crate::support::operators::{request_id, schedule};
use crate::support::rest::{Key, query};
use crate::support::{Api, eventually};

/// The id that clients of this test send with each request.
const SENT: &str = "ticket-4711";

fn asked<T>(message: T) -> Request<T> {
    with_correlation_id(message, SENT)
}

/// Returns the request id in the metadata of a reply.
fn id_of<T>(reply: &Response<T>) -> String {
    let id = reply.metadata().get("x-request-id").expect("a request id");
    id.to_str().expect("visible characters").to_owned()
}

/// The record of a success over gRPC.
fn record(
    account_id: i64,
    action: &str,
    resource: &str,
    request_id: String,
    before: Option<Value>,
    after: Option<Value>,
) -> Record {
    Record {
        account_id,
        principal: "service:tests".to_owned(),
        address: Some("127.0.0.1".to_owned()),
        action: action.to_owned(),
        resource: resource.to_owned(),
        request_id,
        correlation_id: Some(SENT.to_owned()),
        result: "OK".to_owned(),
        before,
        after,
    }
}

fn profile(balance: &str) -> Value {
    json!({
        "site": "domestic", "intl_allowed": false, "bid_user": false, "real_name_verified": true,
        "profile_complete": true, "payment_method_valid": true, "balance": balance,
        "orders_refused": false,
    })
}

#[tokio::test]
async fn each_change_of_an_account_or_a_key_has_one_record_with_the_states_before_and_after() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let account = wire::Account {
        account_id,
        real_name_verified: true,
        profile_complete: true,
        payment_method_valid: true,
        balance: 7,
        ..Default::default()
    };
    let (mut accounts, mut keys) = (api.accounts().await, api.access_keys().await);
    let mut ids = Vec::new();
    let create =
        wire::CreateAccountRequest { account: Some(account.clone()), request_id: request_id() };
    ids.push(id_of(&accounts.create_account(asked(create.clone())).await.expect("created")));
    accounts.create_account(asked(create)).await.expect("the first answer again");
    let update = wire::UpdateAccountRequest {
        account: Some(wire::Account { balance: i64::MIN, ..account }),
        update_mask: None,
        request_id: request_id(),
    };
    ids.push(id_of(&accounts.update_account(asked(update.clone())).await.expect("updated")));
    accounts.update_account(asked(update)).await.expect("the first answer again");

    let document = json!({
        "Version": "1",
        "Statement": [{ "Effect": "Allow", "Action": ["cdn:Describe*"], "Resource": "*" }],
    });
    let (policy, request_id) = (document.to_string(), request_id());
    let create = wire::CreateAccessKeyRequest { account_id, policy, request_id };
    let created = keys.create_access_key(asked(create.clone())).await.expect("created");
    ids.push(id_of(&created));
    keys.create_access_key(asked(create)).await.expect("the first answer again");
    let created = created.into_inner();
    let (key, secret) = (created.access_key.expect("a key"), created.access_key_secret);
    let access_key_id = key.access_key_id;
    let disable = wire::DisableAccessKeyRequest {
        access_key_id: access_key_id.clone(),
        ..Default::default()
    };
    ids.push(id_of(&keys.disable_access_key(asked(disable.clone())).await.expect("disabled")));
    keys.disable_access_key(asked(disable)).await.expect("it is disabled already");
    let enable =
        wire::EnableAccessKeyRequest { access_key_id: access_key_id.clone(), ..Default::default() };
    ids.push(id_of(&keys.enable_access_key(asked(enable)).await.expect("enabled")));
    let delete =
        wire::DeleteAccessKeyRequest { access_key_id: access_key_id.clone(), ..Default::default() };
    ids.push(id_of(&keys.delete_access_key(asked(delete)).await.expect("deleted")));

    let state = |disabled| Some(json!({ "disabled": disabled, "policy": document }));
    let (first, lowest) = (Some(profile("7")), Some(profile("-9223372036854775808")));
    let expected = [
        ("CreateAccount", "", None, first.clone()),
        ("UpdateAccount", "", first, lowest),
        ("CreateAccessKey", &*access_key_id, None, state(false)),
        ("DisableAccessKey", &access_key_id, state(false), state(true)),
        ("EnableAccessKey", &access_key_id, state(true), state(false)),
        ("DeleteAccessKey", &access_key_id, state(false), None),
    ];
    let expected = expected.into_iter().zip(ids).map(|((action, about, before, after), id)| {
        record(account_id, action, about, id, before, after)
    });
    let records = api.database.audit_records(account_id).await;
    assert_eq!(records, expected.collect::<Vec<_>>());
    assert!(!format!("{records:?}").contains(&secret));
}

#[tokio::test]
async fn each_lock_and_change_of_an_instance_has_one_record_with_the_states_before_and_after() {
    let api = Api::start().await;
    let key = api.account().await;
    api.at("2018-03-20T00:00:00Z");
    api.open_cdn(&key).await;
    let (account_id, product) = (key.account_id, Product::Cdn.into());
    let (mut locks, mut changes) = (api.operation_locks().await, api.changes().await);
    let mut ids = Vec::new();
    let lock = |reason: &str| wire::LockRequest {
        account_id,
        product,
        reason: reason.to_owned(),
        locked_by: "jane".to_owned(),
        request_id: request_id(),
    };
    for reason in ["security", "financial"] {
        let lock = lock(reason);
        ids.push(id_of(&locks.lock(asked(lock.clone())).await.expect("locked")));
        locks.lock(asked(lock)).await.expect("the first answer again");
    }
    locks.lock(asked(lock("security"))).await.expect("it holds already");
    let unlock = |reason: &str| wire::UnlockRequest {
        account_id,
        product,
        reason: reason.to_owned(),
        request_id: String::new(),
    };
    ids.push(id_of(&locks.unlock(asked(unlock("security"))).await.expect("lifted")));
    locks.unlock(asked(unlock("security"))).await.expect("none holds");

    let to =
        schedule(&key, Product::Cdn, ChargeType::PayByBandwidth95, Some("2018-04-01T00:00:00Z"));
    let scheduled = changes.schedule_charge_type_change(asked(to)).await.expect("scheduled");
    ids.push(id_of(&scheduled));
    let change_id = scheduled.into_inner().charge_type_change.expect("a change").change_id;
    let cancel = wire::CancelChargeTypeChangeRequest {
        account_id,
        change_id: change_id.clone(),
        request_id: request_id(),
    };
    ids.push(id_of(&changes.cancel_charge_type_change(asked(cancel.clone())).await.expect("done")));
    changes.cancel_charge_type_change(asked(cancel)).await.expect("the first answer again");

    let held = |reasons: &[&str]| json!({ "product": "cdn", "locks": reasons });
    let with = |reason: &str, reasons: &[&str]| {
        let lock = json!({
            "reason": reason, "locked_by": "jane", "lock_time": "2018-03-20T00:00:00Z",
        });
        json!({ "product": "cdn", "lock": lock, "locks": reasons })
    };
    let charged = |pending: Value| {
        json!({
            "product": "cdn", "kind": "internet", "charge_type_in_force": "PayByTraffic",
            "pending_change": pending,
        })
    };
    let pending = charged(json!({
        "change_id": change_id, "charge_type": "PayByBandwidth95",
        "effective_time": "2018-04-01T00:00:00Z",
    }));
    let none = charged(Value::Null);
    let (both, about_change) = (["financial", "security"], format!("cdn {change_id}"));
    let expected = [
        ("Lock", "cdn security", held(&[]), with("security", &["security"])),
        ("Lock", "cdn financial", held(&["security"]), with("financial", &both)),
        ("Unlock", "cdn security", with("security", &both), held(&["financial"])),
        ("ScheduleChargeTypeChange", "cdn", none.clone(), pending.clone()),
        ("CancelChargeTypeChange", &about_change, pending, none),
    ];
    let expected = expected.into_iter().zip(ids).map(|((action, about, before, after), id)| {
        record(account_id, action, about, id, Some(before), Some(after))
    });
    let records = api.database.audit_records(account_id).await;
    // Account, key and opening are there before.
    assert_eq!(records[3..], expected.collect::<Vec<_>>());
}

/// Sends a signed GET with a correlation id. Returns the request id of the answer.
async fn get(api: &Api, key: &Key, given: &str) -> String {
    let signed = api.sign(key, "GET", api.common(key, given));
    let target = format!("/?{}", query(&signed));
    let reply = api.send("GET", &target, &[("x-request-id", SENT)], b"").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.headers["x-acs-request-id"].clone()
}

#[tokio::test]
async fn each_opening_and_modification_has_one_record_on_either_wire() {
    let api = Api::start().await;
    api.at("2018-03-20T00:00:00Z");
    let (over_rest, over_grpc) = (api.account().await, api.account().await);
    let terms = "BillType=PayByTraffic&WebsocketBillType=websocketbps";
    let to_bandwidth = "InternetChargeType=PayByBandwidth";
    let mut ids = vec![
        get(&api, &over_rest, "Action=OpenCdnService").await,
        get(&api, &over_rest, &format!("Action=OpenDcdnService&{terms}")).await,
        get(&api, &over_rest, &format!("Action=ModifyCdnService&{to_bandwidth}")).await,
    ];
    // The type is pending already, so nothing changes.
    get(&api, &over_rest, &format!("Action=ModifyCdnService&{to_bandwidth}")).await;
    get(&api, &over_rest, "Action=DescribeCdnService").await;
    let mut client = api.cdn(&over_grpc).await;
    let open = OpenCdnServiceRequest::default();
    ids.push(id_of(&client.open_cdn_service(asked(open)).await.expect("opened")));
    let modify =
        ModifyCdnServiceRequest { internet_charge_type: ChargeType::PayByBandwidth.into() };
    ids.push(id_of(&client.modify_cdn_service(asked(modify)).await.expect("submitted")));

    let cdn = |account_id: i64| {
        json!({
            "product": "cdn", "instance_id": account_id.to_string(),
            "internet_charge_type": "PayByTraffic",
        })
    };
    let records = [
        &api.database.audit_records(over_rest.account_id).await[2..],
        &api.database.audit_records(over_grpc.account_id).await[2..],
    ]
    .concat();
    assert_eq!(records.len(), 5, "{records:#?}");
    let dcdn = records[1].after.clone().expect("a state");
    assert!(dcdn["instance_id"].as_str().is_some_and(|id| id.starts_with("FP-")));
    assert_eq!(
        (&dcdn["product"], &dcdn["internet_charge_type"], &dcdn["websocket_charge_type"]),
        (&json!("dcdn"), &json!("PayByTraffic"), &json!("websocketbps"))
    );
    let change_ids = [2, 4].map(|index: usize| {
        let after = records[index].after.clone().expect("a state");
        after["pending_change"]["change_id"].clone()
    });
    let [of_rest, of_grpc] = change_ids.map(|change_id| {
        let state = |pending: Value| {
            json!({
                "product": "cdn", "kind": "internet", "charge_type_in_force": "PayByTraffic",
                "pending_change": pending,
            })
        };
        let pending = json!({
            "change_id": change_id, "charge_type": "PayByBandwidth",
            "effective_time": "2018-03-20T16:00:00Z",
        });
        (Some(state(Value::Null)), Some(state(pending)))
    });
    let expected = [
        (&over_rest, "OpenCdnService", "cdn", None, Some(cdn(over_rest.account_id))),
        (&over_rest, "OpenDcdnService", "dcdn", None, Some(dcdn)),
        (&over_rest, "ModifyCdnService", "cdn", of_rest.0, of_rest.1),
        (&over_grpc, "OpenCdnService", "cdn", None, Some(cdn(over_grpc.account_id))),
        (&over_grpc, "ModifyCdnService", "cdn", of_grpc.0, of_grpc.1),
    ];
    for ((found, id), (key, action, about, before, after)) in records.iter().zip(ids).zip(expected)
    {
        let mut expected = record(key.account_id, action, about, id, before, after);
        if key.account_id == over_rest.account_id {
            expected.principal = format!("key:{}", key.id);
        }
        assert_eq!(*found, expected);
    }
}

#[tokio::test]
async fn of_many_openings_at_once_each_has_its_own_record() {
    let api = Api::start().await;
    let mut openings = JoinSet::new();
    for _ in 0..24 {
        let key = api.account().await;
        let mut client = api.cdn(&key).await;
        openings.spawn(async move {
            let sent = format!("opening-{}", key.account_id);
            let open = with_correlation_id(OpenCdnServiceRequest::default(), &sent);
            (key, sent, id_of(&client.open_cdn_service(open).await.expect("opened")))
        });
    }
    while let Some(opened) = openings.join_next().await {
        let (key, sent, id) = opened.expect("ended");
        let records = &api.database.audit_records(key.account_id).await[2..];
        let [record] = records else { panic!("{records:#?}") };
        let after = record.after.as_ref().expect("a state");
        assert_eq!(after["instance_id"], json!(key.account_id.to_string()));
        assert_eq!((&record.correlation_id, &record.request_id), (&Some(sent), &id));
        assert_eq!((record.action.as_str(), record.result.as_str()), ("OpenCdnService", "OK"));
        assert_eq!(record.address.as_deref(), Some("127.0.0.1"));
    }
}

#[tokio::test]
async fn of_many_openings_of_one_product_one_is_recorded_as_a_success() {
    let api = Api::start().await;
    let key = api.account().await;
    let mut openings = JoinSet::new();
    for _ in 0..8 {
        let mut client = api.cdn(&key).await;
        openings
            .spawn(async move { client.open_cdn_service(OpenCdnServiceRequest::default()).await });
    }
    let outcomes = openings.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let mut results = vec!["OK"; 3]; // account, key, opening
    results.extend(["CdnService.HasOpened"; 7]);
    api.database.audit_records_become(key.account_id, &results).await;
}

#[tokio::test]
async fn locks_that_are_set_at_once_have_the_true_states_before_and_after() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let mut locks = JoinSet::new();
    for number in 0..20 {
        let mut client = api.operation_locks().await;
        let lock = wire::LockRequest {
            account_id: key.account_id,
            product: Product::Cdn.into(),
            reason: format!("reason-{number}"),
            ..Default::default()
        };
        locks.spawn(async move { client.lock(lock).await.expect("locked") });
    }
    locks.join_all().await;
    let mut sizes: Vec<_> = api.database.audit_records(key.account_id).await[3..]
        .iter()
        .map(|record| {
            let count = |state: &Option<Value>| {
                state.as_ref().and_then(|state| state["locks"].as_array()).expect("locks").len()
            };
            (count(&record.before), count(&record.after))
        })
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, (0..20).map(|held| (held, held + 1)).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_role_of_the_service_can_neither_change_nor_empty_the_records() {
    let api = Api::start().await;
    let key = api.account().await;
    let role = format!("audit_{}", cdn_activation::ids::new_id().simple());
    let grants = include_str!("../../deploy/database/grants.sql");
    let grants = grants.replace("TO cdn_activation", &format!("TO {role}"));
    let make = format!("CREATE ROLE {role} LOGIN; {grants}");
    let mut owner = api.database.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut owner).await.expect("granted");
    owner.close().await.expect("closed");
    let mut connection = api.database.as_role(&role).connect().await;
    for statement in ["UPDATE audit_records SET principal = 'nobody'", "TRUNCATE audit_records"] {
        let refused = sqlx::raw_sql(statement).execute(&mut connection).await.expect_err(statement);
        let code = refused.into_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}");
    }
    connection.close().await.expect("closed");
    assert_eq!(api.database.audit_records(key.account_id).await.len(), 2);
}

#[tokio::test]
async fn old_records_are_deleted_in_batches_and_newer_ones_stay() {
    let api = Api::start_without_workers().await;
    let key = api.account().await;
    let old = "
        INSERT INTO audit_records (account_id, audit_id, recorded_at, principal, action, resource,
            request_id, result)
        SELECT id % 7, gen_random_uuid(), now() - interval '11 days', 'test', 'Lock', '', '', 'OK'
        FROM generate_series(1, 2500) AS id;
        INSERT INTO audit_records (account_id, audit_id, recorded_at, principal, action, resource,
            request_id, result)
        SELECT 7, gen_random_uuid(), now() - interval '9 days', 'test', 'Lock', '', '', 'OK'";
    api.database.execute(old).await;
    let store = api.store();
    let shutdown = tokio_util::sync::CancellationToken::new();
    let forgotten = cdn_activation::workers::retention::forget_audit_records(
        &store,
        &api.clock,
        cdn_activation::ids::new_id(),
        chrono::Duration::days(10),
        &shutdown,
    );
    forgotten.await.expect("deleted");
    store.close().await;
    assert_eq!(api.database.count("SELECT count(*) FROM audit_records").await, 3);
    assert_eq!(api.database.audit_records(7).await.len(), 1);
    assert_eq!(api.database.audit_records(key.account_id).await.len(), 2);
}

#[tokio::test]
async fn a_write_whose_outcome_was_unknown_is_recorded_if_it_happened() {
    use crate::support::cutting_proxy::{Cut, Proxy};
    let (api, proxy, database) = Proxy::before_a_service().await;
    for cut in [Cut::BeforeTheStatement, Cut::BeforeTheReply] {
        let key = api.account().await;
        api.open_cdn(&key).await;
        proxy.cut("INSERT INTO operation_locks", cut);
        api.lock(&key, Product::Cdn, "security").await;
        assert!(proxy.has_cut());
        let locks = "SELECT count(*) FROM operation_locks WHERE account_id = $1";
        eventually("written once", async || database.count_of(key.account_id, locks).await == 1)
            .await;
        let records = &database.audit_records(key.account_id).await[3..];
        assert_eq!(records.len(), 1, "{cut:?}: {records:#?}");
    }
}
