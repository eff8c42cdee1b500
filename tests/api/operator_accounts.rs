//! `AccountService`: the accounts that internal services create, read and update.

use cdn_activation::proto::operator::v1 as operator;
use operator::{Account, Site};
use prost_types::FieldMask;
use tonic::{Code, Status};

use crate::support::Api;
use crate::support::grpc::{assert_field_is_wrong, assert_refusal, next_account_id};

/// Creates an account and returns it as the reply has it.
async fn create(api: &Api, account: Account) -> Result<Account, Status> {
    let request = operator::CreateAccountRequest { account: Some(account), ..Default::default() };
    let reply = api.accounts().await.create_account(request).await?;
    Ok(reply.into_inner().account.expect("an account"))
}

async fn get(api: &Api, account_id: i64) -> Result<Account, Status> {
    let request = operator::GetAccountRequest { account_id };
    let reply = api.accounts().await.get_account(request).await?;
    Ok(reply.into_inner().account.expect("an account"))
}

/// Updates the fields of these paths; `None` is a request without a mask.
async fn update(api: &Api, account: Account, paths: Option<&[&str]>) -> Result<Account, Status> {
    let paths = paths.map(|paths| paths.iter().map(|&path| path.to_owned()).collect());
    let update_mask = paths.map(|paths| FieldMask { paths });
    let request = operator::UpdateAccountRequest {
        account: Some(account),
        update_mask,
        ..Default::default()
    };
    let reply = api.accounts().await.update_account(request).await?;
    Ok(reply.into_inner().account.expect("an account"))
}

/// A field that can change, and a function that sets it to its value in a [`full`] account.
type Field = (&'static str, fn(&mut Account));

/// Returns an account in which no field has its default value.
fn full(account_id: i64) -> Account {
    Account {
        account_id,
        site: Site::Intl.into(),
        intl_allowed: true,
        bid_user: true,
        real_name_verified: true,
        profile_complete: true,
        payment_method_valid: true,
        balance: -42,
        orders_refused: true,
        ..Default::default()
    }
}

/// Returns the account without the fields that the service sets.
fn given(account: &Account) -> Account {
    Account { etag: String::new(), create_time: None, update_time: None, ..account.clone() }
}

#[tokio::test]
async fn an_account_is_stored_as_it_was_created() {
    let api = Api::start().await;
    for account in [
        full(next_account_id()),
        Account { account_id: i64::MAX, balance: i64::MIN, ..full(0) },
        Account {
            account_id: 1,
            balance: i64::MAX,
            site: Site::Domestic.into(),
            ..Account::default()
        },
    ] {
        let ignored = Account { etag: "\"7\"".to_owned(), ..account.clone() };
        let created = create(&api, ignored).await.expect("created");
        assert_eq!(given(&created), account);
        assert_eq!(created.etag, "\"1\"");
        assert!(created.create_time.is_some() && created.create_time == created.update_time);
        assert_eq!(get(&api, account.account_id).await.expect("found"), created);
    }
}

#[tokio::test]
async fn an_account_belongs_to_the_domestic_site_if_none_is_given() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let created = create(&api, Account { account_id, ..Account::default() }).await;
    assert_eq!(created.expect("created").site(), Site::Domestic);
    let wrong = Account { account_id: next_account_id(), site: 3, ..Account::default() };
    let status = create(&api, wrong).await.expect_err("not a site");
    assert_field_is_wrong(&status, "account.site", "is not a site");
}

#[tokio::test]
async fn an_account_can_be_created_only_once() {
    let api = Api::start().await;
    let account = full(next_account_id());
    let created = create(&api, account.clone()).await.expect("created");
    let other = Account { balance: 1, ..account.clone() };
    let status = create(&api, other).await.expect_err("taken");
    let message = "The account exists already.";
    assert_refusal(&status, Code::AlreadyExists, "AccountAlreadyExists", 409, message);
    assert_eq!(get(&api, account.account_id).await.expect("found"), created);
    assert_eq!(api.database.events_of(account.account_id).await.len(), 1);
}

#[tokio::test]
async fn an_invalid_id_and_an_unknown_account_are_refused() {
    let api = Api::start().await;
    let message = "The account id is not a positive 64-bit number.";
    for account_id in [0, -1, i64::MIN] {
        let account = Account { account_id, ..Account::default() };
        for status in [
            create(&api, account.clone()).await.expect_err("not an id"),
            get(&api, account_id).await.expect_err("not an id"),
            update(&api, account, None).await.expect_err("not an id"),
        ] {
            assert_refusal(&status, Code::InvalidArgument, "InvalidAccountId", 400, message);
        }
    }
    let account = Account { account_id: next_account_id(), ..Account::default() };
    let got = get(&api, account.account_id).await.expect_err("unknown");
    let updated = update(&api, account, None).await.expect_err("unknown");
    for status in [got, updated] {
        let message = "There is no such account.";
        assert_refusal(&status, Code::NotFound, "AccountNotFound", 404, message);
    }
}

#[tokio::test]
async fn a_request_without_an_account_is_refused() {
    let api = Api::start().await;
    let mut accounts = api.accounts().await;
    let created = accounts.create_account(operator::CreateAccountRequest::default()).await;
    assert_field_is_wrong(&created.expect_err("nothing given"), "account", "is required");
    let updated = accounts.update_account(operator::UpdateAccountRequest::default()).await;
    assert_field_is_wrong(&updated.expect_err("nothing given"), "account", "is required");
}

#[tokio::test]
async fn an_update_changes_the_fields_of_its_mask_and_no_other() {
    let api = Api::start().await;
    let fields: [Field; 8] = [
        ("site", |account| account.site = Site::Intl.into()),
        ("intl_allowed", |account| account.intl_allowed = true),
        ("bid_user", |account| account.bid_user = true),
        ("real_name_verified", |account| account.real_name_verified = true),
        ("profile_complete", |account| account.profile_complete = true),
        ("payment_method_valid", |account| account.payment_method_valid = true),
        ("balance", |account| account.balance = -42),
        ("orders_refused", |account| account.orders_refused = true),
    ];
    for (path, change) in fields {
        let account_id = next_account_id();
        let empty = Account { account_id, site: Site::Domestic.into(), ..Account::default() };
        create(&api, empty.clone()).await.expect("created");
        let updated = update(&api, full(account_id), Some(&[path])).await.expect("updated");
        let mut expected = empty;
        change(&mut expected);
        assert_eq!((given(&updated), updated.etag.as_str()), (expected, "\"2\""), "{path}");
        assert_eq!(get(&api, account_id).await.expect("found"), updated);
    }
}

#[tokio::test]
async fn an_update_without_a_mask_changes_everything() {
    let api = Api::start().await;
    for paths in [None, Some(&[][..]), Some(&["*"][..]), Some(&["balance", "*"][..])] {
        let account_id = next_account_id();
        create(&api, Account { account_id, ..Account::default() }).await.expect("created");
        let updated = update(&api, full(account_id), paths).await.expect("updated");
        assert_eq!(given(&updated), full(account_id), "{paths:?}");
    }
}

#[tokio::test]
async fn a_mask_may_name_only_fields_that_can_change() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let created = create(&api, full(account_id)).await.expect("created");
    for path in ["account_id", "etag", "create_time", "Balance", "account.balance", "", "bid_user "]
    {
        let status =
            update(&api, Account { account_id, ..Account::default() }, Some(&["balance", path]))
                .await
                .expect_err("not a field");
        assert_field_is_wrong(
            &status,
            "update_mask",
            &format!("{path:?} is not a field that can change"),
        );
    }
    assert_eq!(
        get(&api, account_id).await.expect("found"),
        created,
        "no part of the update is made"
    );
}

#[tokio::test]
async fn an_update_with_another_etag_than_the_current_one_is_refused() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let created = create(&api, full(account_id)).await.expect("created");
    let by_first = update(&api, Account { balance: 1, ..created.clone() }, None).await;
    let by_first = by_first.expect("nothing has changed");
    let message = "The resource has changed since it was read: read it again.";
    for etag in [created.etag.as_str(), "\"3\"", "2", "W/\"2\"", "*"] {
        let by_second = Account { balance: 2, etag: etag.to_owned(), ..created.clone() };
        let status = update(&api, by_second, Some(&["balance"])).await.expect_err("changed");
        assert_refusal(&status, Code::Aborted, "EtagMismatch", 409, message);
    }
    assert_eq!(get(&api, account_id).await.expect("found"), by_first);
    let without = Account { balance: 3, etag: String::new(), ..created };
    let updated = update(&api, without, Some(&["balance"])).await.expect("no etag is compared");
    assert_eq!((updated.balance, updated.etag.as_str()), (3, "\"3\""));
}

#[tokio::test]
async fn all_simultaneous_updates_without_an_etag_are_made() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let empty = Account { account_id, ..Account::default() };
    create(&api, empty).await.expect("created");
    let paths = [
        "site",
        "intl_allowed",
        "bid_user",
        "real_name_verified",
        "profile_complete",
        "payment_method_valid",
        "balance",
        "orders_refused",
    ];
    let paths: Vec<_> = paths.iter().chain(&paths).map(|path| [*path]).collect();
    let updates = paths.iter().map(|path| update(&api, full(account_id), Some(path)));
    for updated in futures_util::future::join_all(updates).await {
        updated.expect("updated");
    }
    let account = get(&api, account_id).await.expect("found");
    assert_eq!((given(&account), account.etag.as_str()), (full(account_id), "\"17\""));
    assert_eq!(api.database.events_of(account_id).await.len(), 17);
}

#[tokio::test]
async fn of_simultaneous_updates_with_the_same_etag_one_is_made() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let created = create(&api, full(account_id)).await.expect("created");
    let updates =
        (1..=16).map(|balance| update(&api, Account { balance, ..created.clone() }, None));
    let outcomes = futures_util::future::join_all(updates).await;
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert_eq!(refused.filter(|status| status.code() == Code::Aborted).count(), 15);
    assert_eq!(get(&api, account_id).await.expect("found").etag, "\"2\"");
}

#[tokio::test]
async fn the_second_of_two_requests_sees_a_change_of_the_account_between_them() {
    let api = Api::start().await;
    let key = api.account_with(|account| account.real_name_verified = false).await;
    let refused = api.get(&key, "Action=OpenCdnService").await;
    refused.refused(400, "NoRealNameAuthentication", "Real name authentication is needed.");
    let account = Account { real_name_verified: true, ..full(key.account_id) };
    update(&api, account, Some(&["real_name_verified"])).await.expect("updated");
    api.get(&key, "Action=OpenCdnService").await.succeeded();
}
