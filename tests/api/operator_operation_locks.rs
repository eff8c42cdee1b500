//! `OperationLockService`: holds on an instance, each with a reason.

use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::operator::v1 as operator;
use operator::OperationLock;
use tonic::{Code, Status};

use crate::support::Api;
use crate::support::grpc::{assert_field_is_wrong, assert_refusal, next_account_id};
use crate::support::rest::Key;
use crate::support::stored::COPY_HISTORIES;

/// Both products, with code and message of the refusal of an account that has not opened them.
const NOT_OPENED: [(Product, &str, &str); 2] = [
    (Product::Cdn, "CdnServiceNotFound", "Your account does not open CDN service yet."),
    (Product::Dcdn, "DcdnServiceNotFound", "Your account does not open DCDN service yet."),
];

/// The rule for a reason.
const RULE: &str = "is a lower-case token of letters, digits, \"_\" and \"-\", at most 64, beginning with a letter";

fn request(
    account_id: i64,
    product: impl Into<i32>,
    reason: &str,
    by: &str,
) -> operator::LockRequest {
    let product = product.into();
    operator::LockRequest {
        account_id,
        product,
        reason: reason.to_owned(),
        locked_by: by.to_owned(),
        ..Default::default()
    }
}

async fn lock(api: &Api, request: operator::LockRequest) -> Result<OperationLock, Status> {
    let reply = api.operation_locks().await.lock(request).await?;
    Ok(reply.into_inner().operation_lock.expect("a lock"))
}

async fn unlock(
    api: &Api,
    account_id: i64,
    product: impl Into<i32>,
    reason: &str,
) -> Result<bool, Status> {
    let product = product.into();
    let request = operator::UnlockRequest {
        account_id,
        product,
        reason: reason.to_owned(),
        ..Default::default()
    };
    Ok(api.operation_locks().await.unlock(request).await?.into_inner().lifted)
}

/// Returns a key of a new account that has opened both products.
async fn opened(api: &Api) -> Key {
    let key = api.account().await;
    api.open_cdn(&key).await;
    api.open_dcdn(&key).await;
    key
}

/// Returns the reasons that `DescribeDcdnService` shows.
async fn shown(api: &Api, key: &Key) -> Vec<String> {
    let reply = api.get(key, "Action=DescribeDcdnService").await;
    let body = reply.succeeded().json();
    let reasons = body["OperationLocks"]["LockReason"].as_array().expect("a list").clone();
    let text = |reason: &serde_json::Value| reason["LockReason"].as_str().map(str::to_owned);
    reasons.iter().map(|reason| text(reason).expect("a text")).collect()
}

#[tokio::test]
async fn a_lock_shows_who_set_it_first_and_when() {
    let api = Api::start().await;
    let key = opened(&api).await;
    api.at("2018-03-19T12:00:00Z");
    let sent = request(key.account_id, Product::Dcdn, "financial", "billing");
    let first = lock(&api, sent).await.expect("locked");
    let noon = prost_types::Timestamp { seconds: 1_521_460_800, nanos: 0 };
    let expected = OperationLock {
        account_id: key.account_id,
        product: Product::Dcdn.into(),
        reason: "financial".to_owned(),
        locked_by: "billing".to_owned(),
        lock_time: Some(noon),
        lift_time: None,
    };
    assert_eq!(first, expected);
    api.at("2018-03-19T13:00:00Z");
    let again = lock(&api, request(key.account_id, Product::Dcdn, "financial", "another")).await;
    assert_eq!(again.expect("locked"), first, "the lock stays as it is");
    assert_eq!(shown(&api, &key).await, ["financial"]);
    assert_eq!(api.database.count("SELECT count(*) FROM operation_locks").await, 1);
}

#[tokio::test]
async fn several_locks_hold_at_once_and_each_is_lifted_separately() {
    let api = Api::start().await;
    let key = opened(&api).await;
    for (minute, reason) in ["security", "financial", "a", "z0_-"].into_iter().enumerate() {
        api.at(&format!("2018-03-19T12:0{minute}:00Z"));
        lock(&api, request(key.account_id, Product::Dcdn, reason, "")).await.expect("locked");
    }
    assert_eq!(shown(&api, &key).await, ["security", "financial", "a", "z0_-"], "oldest first");
    let lifted = unlock(&api, key.account_id, Product::Dcdn, "financial").await;
    assert!(lifted.expect("lifted"));
    assert_eq!(shown(&api, &key).await, ["security", "a", "z0_-"]);
    // The other product has no lock.
    assert!(!unlock(&api, key.account_id, Product::Cdn, "security").await.expect("answered"));
    api.get(&key, "Action=DescribeCdnService").await.succeeded();
    let none = api.get(&key, "Action=DescribeCdnService").await.json();
    assert_eq!(none["OperationLocks"], serde_json::json!({ "LockReason": [] }));
}

#[tokio::test]
async fn a_lock_is_lifted_once_and_can_be_set_again() {
    let api = Api::start().await;
    let key = opened(&api).await;
    let account_id = key.account_id;
    assert!(!unlock(&api, account_id, Product::Dcdn, "security").await.expect("no lock holds"));
    api.at("2018-03-19T12:00:00Z");
    lock(&api, request(account_id, Product::Dcdn, "security", "first")).await.expect("locked");
    assert!(unlock(&api, account_id, Product::Dcdn, "security").await.expect("lifted"));
    assert!(!unlock(&api, account_id, Product::Dcdn, "security").await.expect("no lock holds"));
    assert!(shown(&api, &key).await.is_empty());
    api.at("2018-03-19T13:00:00Z");
    let again = lock(&api, request(account_id, Product::Dcdn, "security", "second")).await;
    let again = again.expect("locked");
    let one = prost_types::Timestamp { seconds: 1_521_464_400, nanos: 0 };
    assert_eq!((again.locked_by.as_str(), again.lock_time), ("second", Some(one)));
    assert_eq!(shown(&api, &key).await, ["security"]);
    let rows = "SELECT count(*) FROM operation_locks WHERE reason = 'security'";
    assert_eq!(api.database.count(rows).await, 2, "the lifted one is kept");
}

#[tokio::test]
async fn locked_by_is_operator_by_default() {
    let api = Api::start().await;
    let account_id = opened(&api).await.account_id;
    let longest = "ö".repeat(64);
    for (reason, by, stored) in [
        ("unnamed", "", "operator"),
        ("named", "Zoë (billing) 财务", "Zoë (billing) 财务"),
        ("longest", &longest, &longest),
    ] {
        let set = lock(&api, request(account_id, Product::Cdn, reason, by)).await.expect("locked");
        assert_eq!(set.locked_by, stored);
    }
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let api = Api::start().await;
    let account_id = opened(&api).await.account_id;
    let long = "a".repeat(65);
    for reason in ["", "Financial", "1st", "_a", "-", "a b", "a.b", "a\n", "a\0", "é", &long] {
        for status in [
            lock(&api, request(account_id, Product::Cdn, reason, "")).await.expect_err(reason),
            unlock(&api, account_id, Product::Cdn, reason).await.expect_err(reason),
        ] {
            assert_field_is_wrong(&status, "reason", RULE);
        }
    }
    let longest = "a".repeat(64);
    lock(&api, request(account_id, Product::Cdn, &longest, "")).await.expect("locked");
    let long = "ö".repeat(65);
    for by in ["a\0", "a\nb", "\t", "\u{7f}", "\u{85}", &long] {
        let sent = request(account_id, Product::Cdn, "security", by);
        let status = lock(&api, sent).await.expect_err(by);
        let rule = "is at most 64 characters without control characters";
        assert_field_is_wrong(&status, "locked_by", rule);
    }
    for (product, wrong) in [(0, "is required"), (3, "is not a product"), (-1, "is not a product")]
    {
        for status in [
            lock(&api, request(account_id, product, "security", "")).await.expect_err(wrong),
            unlock(&api, account_id, product, "security").await.expect_err(wrong),
        ] {
            assert_field_is_wrong(&status, "product", wrong);
        }
    }
    assert_eq!(api.database.count("SELECT count(*) FROM operation_locks").await, 1);
}

#[tokio::test]
async fn only_an_instance_of_a_known_account_can_be_locked() {
    let api = Api::start().await;
    let account_id = api.account().await.account_id;
    for (product, code, message) in NOT_OPENED {
        let locked = lock(&api, request(account_id, product, "security", "")).await;
        let unlocked = unlock(&api, account_id, product, "security").await;
        for status in [locked.expect_err("not opened"), unlocked.expect_err("not opened")] {
            assert_refusal(&status, Code::NotFound, code, 403, message);
        }
        for (account_id, grpc, code, http, message) in [
            (
                next_account_id(),
                Code::NotFound,
                "AccountNotFound",
                404,
                "There is no such account.",
            ),
            (
                0,
                Code::InvalidArgument,
                "InvalidAccountId",
                400,
                "The account id is not a positive 64-bit number.",
            ),
            (
                -1,
                Code::InvalidArgument,
                "InvalidAccountId",
                400,
                "The account id is not a positive 64-bit number.",
            ),
        ] {
            let locked = lock(&api, request(account_id, product, "security", "")).await;
            let unlocked = unlock(&api, account_id, product, "security").await;
            for status in [locked.expect_err("no account"), unlocked.expect_err("no account")] {
                assert_refusal(&status, grpc, code, http, message);
            }
        }
    }
    let opened = opened(&api).await;
    let only_cdn = api.account().await;
    api.open_cdn(&only_cdn).await;
    let (_, code, message) = NOT_OPENED[1];
    let sent = request(only_cdn.account_id, Product::Dcdn, "security", "");
    let status = lock(&api, sent).await.expect_err("DCDN is not opened");
    assert_refusal(&status, Code::NotFound, code, 403, message);
    assert!(shown(&api, &opened).await.is_empty());
}

#[tokio::test]
async fn of_simultaneous_locks_one_is_set_and_every_caller_gets_it() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let account_id = opened(&api).await.account_id;
    let before = api.database.events_of(account_id).await.len();
    let names: Vec<_> = (0..32).map(|number| format!("operator-{number}")).collect();
    let locks = names.iter().enumerate().map(|(number, by)| {
        let sent = request(account_id, Product::Cdn, "security", by);
        lock(if number % 2 == 0 { &api } else { &replica }, sent)
    });
    let set = futures_util::future::join_all(locks).await;
    let set: Vec<_> = set.into_iter().map(|set| set.expect("locked")).collect();
    assert!(set.iter().all(|lock| *lock == set[0]), "{set:?}");
    assert_eq!(api.database.count("SELECT count(*) FROM operation_locks").await, 1);
    assert_eq!(api.database.events_of(account_id).await.len(), before + 1);
    let lifts = (0..32).map(|_| unlock(&api, account_id, Product::Cdn, "security"));
    let lifted = futures_util::future::join_all(lifts).await;
    let lifted = lifted.into_iter().filter(|lifted| *lifted.as_ref().expect("answered"));
    assert_eq!(lifted.count(), 1, "one call has lifted the lock");
    assert_eq!(api.database.events_of(account_id).await.len(), before + 2);
}

/// Lifts the lock and sets it again without the service, while the database's clock is an hour ahead.
const SET_AGAIN: [&str; 3] = [
    "UPDATE instances SET event_time = now() + interval '1 hour'
     WHERE account_id = $1 AND product = 'cdn'",
    "UPDATE operation_locks SET lifted_at = locked_at WHERE account_id = $1",
    "INSERT INTO operation_locks (account_id, lock_id, product, reason, locked_by, locked_at,
         event_time)
     SELECT account_id, gen_random_uuid(), product, 'security', 'another', opening_time, event_time
     FROM instances
     WHERE account_id = $1 AND product = 'cdn'",
];
const IN_ORDER: &str = "SELECT count(*) FROM all_events JOIN instances USING (account_id)
     WHERE account_id = $1 AND type = 'activation.operation.unlocked' AND product = 'cdn'
         AND all_events.event_time = instances.event_time
         AND all_events.event_time > (SELECT max(opening_time) + interval '1 hour' FROM instances)";

#[tokio::test(flavor = "multi_thread")]
async fn an_unlock_that_waits_lifts_the_lock_that_was_set_in_the_meantime() {
    let api = Api::start_without_workers().await;
    let account_id = opened(&api).await.account_id;
    let sent = request(account_id, Product::Cdn, "security", "first");
    lock(&api, sent).await.expect("locked");
    let mut held = api.database.hold(account_id, SET_AGAIN[0]).await;
    let set_again = async {
        api.database.wait_until_blocked(1).await;
        held.execute(account_id, SET_AGAIN[1]).await;
        held.execute(account_id, SET_AGAIN[2]).await;
        held.execute(account_id, COPY_HISTORIES).await;
        held.commit().await;
    };
    let (lifted, ()) = tokio::join!(unlock(&api, account_id, Product::Cdn, "security"), set_again);
    assert!(lifted.expect("answered"));
    assert_eq!(api.database.count_of(account_id, IN_ORDER).await, 1, "its event is the newest");
    let held = "SELECT count(*) FROM operation_locks WHERE lifted_at IS NULL";
    assert_eq!(api.database.count(held).await, 0);
    api.database.assert_copies_are_true().await;
}
