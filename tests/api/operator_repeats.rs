//! Operator writes that are sent again with their request id (API contract: AIP-155).

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1 as wire;
use tonic::Code;

use crate::support::Api;
use crate::support::grpc::{next_account_id, refusal};
use crate::support::operators::{request_id, schedule};

#[tokio::test]
async fn a_key_is_created_once_and_its_secret_shown_again_for_24_hours() {
    let api = Api::start().await;
    let key = api.account().await;
    let request = wire::CreateAccessKeyRequest {
        account_id: key.account_id,
        policy: String::new(),
        request_id: request_id(),
    };
    let create = async |request: wire::CreateAccessKeyRequest| {
        Ok::<_, tonic::Status>(
            api.access_keys().await.create_access_key(request).await?.into_inner(),
        )
    };
    let first = create(request.clone()).await.expect("created");
    let again = create(request.clone()).await.expect("the first answer again");
    assert_eq!(
        (&first.access_key, &first.access_key_secret),
        (&again.access_key, &again.access_key_secret)
    );
    assert_eq!(api.database.count("SELECT count(*) FROM access_keys").await, 2);

    let other = wire::CreateAccessKeyRequest {
        policy: r#"{"Version":"1","Statement":[]}"#.to_owned(),
        ..request.clone()
    };
    let refused = create(other).await.expect_err("another request");
    assert_eq!(
        (refused.code(), refusal(&refused).code.as_str()),
        (Code::InvalidArgument, "InvalidFields")
    );

    let now = api.clock.wire_now();
    api.clock.set_wire_now(now + chrono::Duration::hours(24) - chrono::Duration::seconds(1));
    assert_eq!(
        create(request.clone()).await.expect("the first answer again").access_key,
        first.access_key
    );
    api.clock.set_wire_now(now + chrono::Duration::hours(24) + chrono::Duration::seconds(1));
    assert_ne!(create(request).await.expect("a new key").access_key, first.access_key);
}

#[tokio::test]
async fn a_repeated_write_returns_its_first_result() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let lock = wire::LockRequest {
        account_id: key.account_id,
        product: Product::Cdn.into(),
        reason: "security".to_owned(),
        locked_by: "first".to_owned(),
        request_id: request_id(),
    };
    let unlock = wire::UnlockRequest {
        account_id: key.account_id,
        product: Product::Cdn.into(),
        reason: "security".to_owned(),
        request_id: request_id(),
    };
    let mut client = api.operation_locks().await;
    let first = client.lock(lock.clone()).await.expect("locked").into_inner();
    assert!(client.unlock(unlock.clone()).await.expect("lifted").into_inner().lifted);
    // The repeated requests neither lock nor lift again, whatever holds now.
    let again =
        client.lock(lock).await.expect("answered").into_inner().operation_lock.expect("a lock");
    assert_eq!(again.locked_by, "first");
    assert!(again.lift_time.is_some() && first.operation_lock.expect("a lock").lift_time.is_none());
    assert!(client.unlock(unlock.clone()).await.expect("answered").into_inner().lifted);
    assert_eq!(api.database.count("SELECT count(*) FROM operation_locks").await, 1);
    // A request that had nothing to do does nothing when it is repeated, either.
    let idle = wire::UnlockRequest { request_id: request_id(), ..unlock };
    assert!(!client.unlock(idle.clone()).await.expect("nothing held").into_inner().lifted);
    api.lock(&key, Product::Cdn, "security").await;
    assert!(!client.unlock(idle).await.expect("answered").into_inner().lifted);
    let held = "SELECT count(*) FROM operation_locks WHERE lifted_at IS NULL";
    assert_eq!(api.database.count(held).await, 1);
}

#[tokio::test]
async fn writes_to_accounts_changes_and_keys_are_repeatable() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let account = wire::Account { account_id: next_account_id(), ..Default::default() };
    let create =
        wire::CreateAccountRequest { account: Some(account.clone()), request_id: request_id() };
    let first =
        api.accounts().await.create_account(create.clone()).await.expect("created").into_inner();
    let again = api.accounts().await.create_account(create).await.expect("again").into_inner();
    assert_eq!(first, again);

    let account = wire::Account { balance: 7, etag: "\"1\"".to_owned(), ..account };
    let update = wire::UpdateAccountRequest {
        account: Some(account),
        update_mask: None,
        request_id: request_id(),
    };
    let first =
        api.accounts().await.update_account(update.clone()).await.expect("updated").into_inner();
    // The etag has changed since then, but this is the same request.
    let again = api.accounts().await.update_account(update).await.expect("again").into_inner();
    assert_eq!(first, again);

    let mut request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    request.request_id = request_id();
    let first = api.schedule(request.clone()).await.expect("scheduled");
    assert_eq!(api.schedule(request).await.expect("again"), first);
    let cancel = wire::CancelChargeTypeChangeRequest {
        account_id: key.account_id,
        change_id: first.change_id.clone(),
        request_id: request_id(),
    };
    for _ in 0..2 {
        api.changes().await.cancel_charge_type_change(cancel.clone()).await.expect("cancelled");
    }
    let delete = wire::DeleteAccessKeyRequest {
        access_key_id: key.id.clone(),
        etag: String::new(),
        request_id: request_id(),
    };
    for _ in 0..2 {
        api.access_keys().await.delete_access_key(delete.clone()).await.expect("deleted");
    }
    let gone = api.get(&key, "Action=DescribeCdnService").await;
    gone.refused(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.");
}

#[tokio::test]
async fn of_32_repeats_at_once_one_writes_and_all_get_its_answer() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let key = api.account().await;
    let request = wire::CreateAccessKeyRequest {
        account_id: key.account_id,
        policy: String::new(),
        request_id: request_id(),
    };
    let mut calls = tokio::task::JoinSet::new();
    for index in 0..32 {
        let mut client =
            if index % 2 == 0 { api.access_keys().await } else { replica.access_keys().await };
        let request = request.clone();
        calls.spawn(async move {
            client.create_access_key(request).await.expect("answered").into_inner()
        });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert_eq!(api.database.count("SELECT count(*) FROM access_keys").await, 2);
}

#[tokio::test]
async fn a_request_id_that_is_not_a_uuid_is_refused() {
    let api = Api::start().await;
    let account = wire::Account { account_id: next_account_id(), ..Default::default() };
    let create =
        wire::CreateAccountRequest { account: Some(account), request_id: "once".to_owned() };
    let refused = api.accounts().await.create_account(create).await.expect_err("refused");
    assert_eq!(refusal(&refused).code, "InvalidFields");
}
