//! Operators' lists: pages, tokens, filters (API contract: AIP-158).

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1 as wire;

use crate::support::Api;
use crate::support::grpc::refusal;
use crate::support::operators::schedule;

#[tokio::test]
async fn accounts_are_listed_page_by_page_each_once() {
    let api = Api::start().await;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.push(api.account().await.account_id);
    }
    expected.sort_unstable();
    let (mut listed, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request = wire::ListAccountsRequest { page_size: 3, page_token };
        let page = api.accounts().await.list_accounts(request).await.expect("a page").into_inner();
        pages += 1;
        listed.extend(page.accounts.iter().map(|account| account.account_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((listed, pages), (expected, 3));
}

#[tokio::test]
async fn a_page_token_is_opaque_and_valid_only_for_the_same_arguments() {
    let api = Api::start().await;
    let key = api.account().await;
    for _ in 0..3 {
        api.key_of(key.account_id, "").await;
    }
    let request = wire::ListAccessKeysRequest {
        account_id: key.account_id,
        page_size: 2,
        page_token: String::new(),
    };
    let first = api.access_keys().await.list_access_keys(request.clone()).await.expect("a page");
    let token = first.into_inner().next_page_token;
    assert!(!token.contains(&key.account_id.to_string()));
    let other = api.account().await;
    let mut tampered = token.clone();
    tampered.replace_range(0..1, if token.starts_with('A') { "B" } else { "A" });
    for (account_id, page_token, page_size) in [
        (other.account_id, token.clone(), 2),
        (key.account_id, tampered, 2),
        (key.account_id, "nonsense".to_owned(), 2),
        (key.account_id, token.clone(), -1),
    ] {
        let wrong = wire::ListAccessKeysRequest { account_id, page_size, page_token };
        let refused = api.access_keys().await.list_access_keys(wrong).await.expect_err("refused");
        assert_eq!(refusal(&refused).code, "InvalidFields");
        let fields = tonic_types::StatusExt::get_details_bad_request(&refused).expect("BadRequest");
        assert!(fields.field_violations[0].field.starts_with("page_"));
    }
    // Another replica accepts the token, and the page size may change.
    let replica = api.replica().await;
    let next = wire::ListAccessKeysRequest { page_size: 50, page_token: token, ..request };
    let rest =
        replica.access_keys().await.list_access_keys(next).await.expect("a page").into_inner();
    assert_eq!((rest.access_keys.len(), rest.next_page_token.as_str()), (2, ""));
}

#[tokio::test]
async fn instances_are_listed_in_their_current_state() {
    let api = Api::start().await;
    let (both, one) = (api.account().await, api.account().await);
    api.at("2018-03-19T11:16:11Z");
    api.open_cdn(&both).await;
    api.open_dcdn(&both).await;
    api.open_cdn(&one).await;
    api.lock(&one, Product::Cdn, "security").await;
    let request = schedule(&one, Product::Cdn, ChargeType::PayByBandwidth, None);
    api.schedule(request).await.expect("scheduled");
    api.at("2018-03-19T16:00:00Z");
    let list = async |account_id, product: Product, page_size, page_token| {
        let request = wire::ListInstancesRequest {
            account_id,
            product: product.into(),
            page_size,
            page_token,
        };
        api.instances().await.list_instances(request).await.expect("a page").into_inner()
    };
    let all = list(0, Product::Unspecified, 2, String::new()).await;
    let rest = list(0, Product::Unspecified, 2, all.next_page_token.clone()).await;
    let keys: Vec<_> = all.instances.iter().chain(&rest.instances).collect();
    let keys: Vec<_> = keys.iter().map(|i| (i.account_id, i.product())).collect();
    let expected = [
        (both.account_id, Product::Cdn),
        (both.account_id, Product::Dcdn),
        (one.account_id, Product::Cdn),
    ];
    assert_eq!(keys, expected);
    let locked = &rest.instances[0];
    assert_eq!(locked.internet_charge_type(), ChargeType::PayByBandwidth);
    assert_eq!(locked.lock_reasons, ["security"]);
    assert_eq!(list(both.account_id, Product::Dcdn, 0, String::new()).await.instances.len(), 1);
    assert_eq!(list(0, Product::Cdn, 0, String::new()).await.instances.len(), 2);

    let get = wire::GetInstanceRequest { account_id: one.account_id, product: Product::Cdn.into() };
    let got = api.instances().await.get_instance(get).await.expect("open").into_inner();
    assert_eq!(got.instance.as_ref(), Some(locked));
    let get =
        wire::GetInstanceRequest { account_id: one.account_id, product: Product::Dcdn.into() };
    let refused = api.instances().await.get_instance(get).await.expect_err("not open");
    assert_eq!(refusal(&refused).code, "DcdnServiceNotFound");
}

#[tokio::test]
async fn changes_are_listed_with_cancelled_ones_and_locks_on_request_with_lifted_ones() {
    let api = Api::start().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.open_dcdn(&key).await;
    let request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    let first = api.schedule(request.clone()).await.expect("scheduled");
    api.cancel(&first).await.expect("cancelled");
    let second = api.schedule(request).await.expect("scheduled");
    let other = schedule(&key, Product::Dcdn, ChargeType::PayByBandwidth, None);
    api.schedule(other).await.expect("scheduled");
    let list = wire::ListChargeTypeChangesRequest {
        account_id: key.account_id,
        product: Product::Cdn.into(),
        ..Default::default()
    };
    let history = api.changes().await.list_charge_type_changes(list).await.expect("a page");
    let history = history.into_inner().charge_type_changes;
    let ids: Vec<_> = history.iter().map(|change| change.change_id.as_str()).collect();
    assert_eq!(ids, [first.change_id.as_str(), second.change_id.as_str()]);
    assert!(history[0].cancel_time.is_some() && history[1].cancel_time.is_none());

    api.lock(&key, Product::Cdn, "financial").await;
    api.lock(&key, Product::Cdn, "security").await;
    let unlock = wire::UnlockRequest {
        account_id: key.account_id,
        product: Product::Cdn.into(),
        reason: "financial".to_owned(),
        request_id: String::new(),
    };
    api.operation_locks().await.unlock(unlock).await.expect("lifted");
    for (show_lifted, expected) in
        [(false, vec!["security"]), (true, vec!["financial", "security"])]
    {
        let list = wire::ListOperationLocksRequest {
            account_id: key.account_id,
            show_lifted,
            ..Default::default()
        };
        let page = api.operation_locks().await.list_operation_locks(list).await.expect("a page");
        let locks = page.into_inner().operation_locks;
        let reasons: Vec<_> = locks.iter().map(|lock| lock.reason.as_str()).collect();
        assert_eq!(reasons, expected);
        let lifted = locks.iter().filter(|lock| lock.lift_time.is_some()).count();
        assert_eq!(lifted, usize::from(show_lifted));
    }
}
