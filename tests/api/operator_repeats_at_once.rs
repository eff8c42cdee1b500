//! Operator writes that are sent again with the same request id while the first attempt is still
//! running: both get the same answer, for every kind of write (API contract: AIP-155).

use std::fmt::Debug;

use std::time::Duration;

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1 as wire;
use futures_util::StreamExt;
use futures_util::stream;
use tonic::{Response, Status};

use crate::support::Api;
use crate::support::grpc::next_account_id;
use crate::support::operators::{request_id, schedule};
use crate::support::rest::Key;
use crate::support::stored::LOCK_THE_ACCOUNT;

/// How often each method is called twice at once.
const PAIRS: usize = 60;

/// Makes two calls at once. Returns their answer, which must be the same.
async fn same<T: PartialEq + Debug>(
    one: impl Future<Output = Result<Response<T>, Status>>,
    other: impl Future<Output = Result<Response<T>, Status>>,
) -> T {
    let (one, other) = tokio::join!(one, other);
    let one = one.expect("answered").into_inner();
    assert_eq!(one, other.expect("answered").into_inner());
    one
}

/// Sends a request twice at once, to two replicas: service, method, request.
macro_rules! twice {
    ($apis:expr, $service:ident.$method:ident($request:expr)) => {{
        let (request, [one, other]) = ($request, $apis);
        let (mut one, mut other) = (one.$service().await, other.$service().await);
        same(one.$method(request.clone()), other.$method(request)).await
    }};
}

/// Creates and updates an account. Returns its id.
async fn account_twice(apis: [&Api; 2]) -> i64 {
    let account = wire::Account {
        account_id: next_account_id(),
        real_name_verified: true,
        profile_complete: true,
        payment_method_valid: true,
        ..Default::default()
    };
    let create =
        wire::CreateAccountRequest { account: Some(account.clone()), request_id: request_id() };
    let created = twice!(apis, accounts.create_account(create)).account.expect("an account");
    let update = wire::UpdateAccountRequest {
        account: Some(wire::Account { balance: 7, etag: created.etag, ..account }),
        request_id: request_id(),
        ..Default::default()
    };
    let updated = twice!(apis, accounts.update_account(update)).account.expect("an account");
    assert_eq!((updated.balance, updated.etag.as_str()), (7, "\"2\""));
    updated.account_id
}

/// Creates, disables, enables and deletes a key, each with the etag of the previous answer.
async fn key_twice(apis: [&Api; 2], account_id: i64) {
    let create =
        wire::CreateAccessKeyRequest { account_id, request_id: request_id(), ..Default::default() };
    let created = twice!(apis, access_keys.create_access_key(create)).access_key.expect("a key");
    let (access_key_id, etag) = (created.access_key_id, created.etag);
    let disable = wire::DisableAccessKeyRequest {
        access_key_id: access_key_id.clone(),
        etag,
        request_id: request_id(),
    };
    let disabled = twice!(apis, access_keys.disable_access_key(disable)).access_key;
    let etag = disabled.filter(|key| key.disabled).expect("a disabled key").etag;
    let enable = wire::EnableAccessKeyRequest {
        access_key_id: access_key_id.clone(),
        etag,
        request_id: request_id(),
    };
    let enabled = twice!(apis, access_keys.enable_access_key(enable)).access_key;
    let etag = enabled.filter(|key| !key.disabled).expect("an enabled key").etag;
    let delete = wire::DeleteAccessKeyRequest { access_key_id, etag, request_id: request_id() };
    twice!(apis, access_keys.delete_access_key(delete));
}

/// Locks and unlocks an instance, and schedules and cancels a change of it.
async fn instance_twice(apis: [&Api; 2], account_id: i64) {
    let key = Key { account_id, id: String::new(), secret: String::new() };
    apis[0].open_cdn(&key).await;
    let (product, reason) = (Product::Cdn.into(), "security".to_owned());
    let lock = wire::LockRequest {
        account_id,
        product,
        reason: reason.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    twice!(apis, operation_locks.lock(lock));
    let unlock = wire::UnlockRequest { account_id, product, reason, request_id: request_id() };
    assert!(twice!(apis, operation_locks.unlock(unlock)).lifted);
    let mut request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    request.request_id = request_id();
    let scheduled = twice!(apis, changes.schedule_charge_type_change(request));
    let change_id = scheduled.charge_type_change.expect("a change").change_id;
    let cancel =
        wire::CancelChargeTypeChangeRequest { account_id, change_id, request_id: request_id() };
    twice!(apis, changes.cancel_charge_type_change(cancel));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_calls_of_60_pairs_of_each_method_get_the_same_answer() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let apis = [&api, &replica];
    let each = stream::iter(0..PAIRS).map(|_| async move {
        let account_id = account_twice(apis).await;
        key_twice(apis, account_id).await;
        instance_twice(apis, account_id).await;
    });
    each.buffer_unordered(4).for_each(|()| async {}).await;
    let written = "SELECT count(*) FROM all_events WHERE type <> 'activation.instance.opened'";
    let pairs = i64::try_from(PAIRS).expect("few");
    assert_eq!(
        api.database.count(written).await,
        10 * pairs,
        "each of the ten writes happened once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_waits_for_a_row_like_its_first_attempt_gets_the_same_answer() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let apis = [&api, &replica];
    let key = api.account().await;
    api.open_cdn(&key).await;
    let held = api.database.hold(key.account_id, LOCK_THE_ACCOUNT).await;
    let mut request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    request.request_id = request_id();
    let account = wire::Account {
        account_id: key.account_id,
        balance: 7,
        etag: "\"1\"".to_owned(),
        ..Default::default()
    };
    let update = wire::UpdateAccountRequest {
        account: Some(account),
        update_mask: Some(prost_types::FieldMask { paths: vec!["balance".to_owned()] }),
        request_id: request_id(),
    };
    let release = async {
        api.database.wait_until_blocked(1).await;
        tokio::time::sleep(Duration::from_secs(1)).await; // each of the four calls has tried once
        held.roll_back().await;
    };
    let (_, updated, ()) = tokio::join!(
        async { twice!(apis, changes.schedule_charge_type_change(request)) },
        async { twice!(apis, accounts.update_account(update)) },
        release,
    );
    assert_eq!(updated.account.expect("an account").balance, 7);
    assert_eq!(api.database.count("SELECT count(*) FROM charge_type_changes").await, 1);
}

#[tokio::test]
async fn a_request_id_is_the_same_however_it_is_spelled() {
    let api = Api::start().await;
    let id = request_id();
    let upper = id.to_uppercase();
    let spellings = [&id, &upper, &format!("{{{upper}}}"), &id.replace('-', "")].map(String::from);
    let account = wire::Account { account_id: next_account_id(), ..Default::default() };
    let mut accounts = api.accounts().await;
    let mut answers = Vec::new();
    for request_id in spellings {
        let create = wire::CreateAccountRequest { account: Some(account.clone()), request_id };
        answers.push(accounts.create_account(create).await.expect("answered").into_inner());
    }
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
}
