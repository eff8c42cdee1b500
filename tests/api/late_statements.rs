//! A statement whose connection is lost while it waits for a locked row keeps waiting in the
//! database, and runs when the lock is released. The answer that the caller got in the meantime
//! stays true.

use std::time::Duration;

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::proto::billing::v1::{ChargeType, Product};

use crate::support::Api;
use crate::support::action_refusals::{NO_REAL_NAME, SUSPENDED};
use crate::support::cutting_proxy::Proxy;
use crate::support::database::Database;
use crate::support::grpc::refusal;
use crate::support::operators::schedule;
use crate::support::rest::Key;
use crate::support::stored::LOCK_THE_ACCOUNT;
use crate::support::wires::Wire;

const OPEN: &str = "Action=OpenCdnService&InternetChargeType=PayByTraffic";
const MODIFY: &str = "Action=ModifyCdnService&InternetChargeType=PayByBandwidth";
const CHANGES: &str = "SELECT count(*) FROM charge_type_changes WHERE account_id = $1";
const CANCELLED: &str = "SELECT count(*) FROM charge_type_changes
     WHERE account_id = $1 AND cancelled_at IS NOT NULL";
const TAKE_THE_INSTANCE: &str = "SELECT FROM instances WHERE account_id = $1 FOR UPDATE";
const TAKE_THE_REAL_NAME: &str = "UPDATE accounts
     SET real_name_verified = false, version = version + 1
     WHERE account_id = $1";

/// Starts a service that reaches its database through a proxy, and another one that does not.
async fn two_services() -> (Api, Proxy, Api) {
    let database = Database::fresh().await;
    let (proxy, seen_through) = Proxy::before(&database);
    let sealing_key = SealingKey::generate().expect("random bytes");
    let sealing_key = SealingKey::parse(&sealing_key).expect("a key");
    let start = async |database: Database| {
        let key = sealing_key.clone();
        Api::start_on(database, key, Clock::system(), |settings| {
            settings.workers = false;
            // Long enough for the steps of a test. A statement that is sent late may wait as long.
            settings.database.lock_timeout = Duration::from_secs(4);
        })
        .await
    };
    (start(seen_through).await, proxy, start(database).await)
}

fn cut_all(proxy: &mut Proxy) {
    proxy.go_down();
    proxy.come_up();
}

async fn changes(other: &Api, key: &Key) -> i64 {
    other.database.wait_until_idle().await;
    other.database.count_of(key.account_id, CHANGES).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_refused_for_a_lock_is_not_made_by_an_earlier_attempt_that_waited() {
    let (api, mut proxy, other) = two_services().await;
    for wire in [Wire::V1Get, Wire::Grpc] {
        let key = other.account().await;
        other.open_cdn(&key).await;
        let held = other.database.hold(key.account_id, LOCK_THE_ACCOUNT).await;
        let meanwhile = async {
            other.database.wait_until_blocked(1).await;
            other.lock(&key, Product::Cdn, "security").await;
            cut_all(&mut proxy);
        };
        let (answer, ()) = tokio::join!(api.ask(wire, &key, MODIFY), meanwhile);
        assert_eq!(answer.code(), SUSPENDED.code, "{wire:?}");
        other.database.wait_until_blocked(1).await; // the first attempt still waits
        held.commit().await;
        assert_eq!(changes(&other, &key).await, 0, "{wire:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_earlier_attempt_waits_for_the_instance_is_made_once() {
    let (api, mut proxy, other) = two_services().await;
    let key = other.account().await;
    other.open_cdn(&key).await;
    let held = other.database.hold(key.account_id, TAKE_THE_INSTANCE).await;
    let meanwhile = async {
        other.database.wait_until_blocked(1).await;
        cut_all(&mut proxy);
        other.database.wait_until_blocked(2).await; // the second attempt waits, too
        held.commit().await;
    };
    let (answer, ()) = tokio::join!(api.ask(Wire::Grpc, &key, MODIFY), meanwhile);
    assert_eq!(answer.code(), "OK");
    assert_eq!(changes(&other, &key).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_cancellation_is_refused_is_not_cancelled_by_an_earlier_attempt() {
    let (api, mut proxy, other) = two_services().await;
    for service in [&api, &other] {
        service.at("2018-03-19T15:59:59Z");
    }
    let key = other.account().await;
    other.open_cdn(&key).await;
    let request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth, None);
    let change = other.schedule(request).await.expect("scheduled");
    let held = other.database.hold(key.account_id, TAKE_THE_INSTANCE).await;
    let cut = async {
        other.database.wait_until_blocked(1).await;
        cut_all(&mut proxy);
        other.database.wait_until_blocked(2).await; // the second attempt waits, too
    };
    // The caller disconnects while the service repeats the write.
    tokio::select! {
        _ = api.cancel(&change) => panic!("the row of the instance is locked"),
        () = cut => {}
    }
    api.at("2018-03-19T16:00:00Z");
    let release = async {
        other.database.wait_until_blocked(2).await; // the first attempt still waits, too
        held.commit().await;
    };
    let (second, ()) = tokio::join!(api.cancel(&change), release);
    other.database.wait_until_idle().await;
    let cancelled = other.database.count_of(key.account_id, CANCELLED).await;
    let code = second.map_or_else(|status| refusal(&status).code, |_| "OK".to_owned());
    let expected = if cancelled == 1 { "OK" } else { "ChangeInForce" };
    assert_eq!(code, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_is_refused_is_not_made_by_an_earlier_attempt_that_waited() {
    let (api, mut proxy, other) = two_services().await;
    for wire in [Wire::V1Get, Wire::Grpc] {
        let key = other.account().await;
        let held = other.database.hold(key.account_id, TAKE_THE_REAL_NAME).await;
        let meanwhile = async {
            other.database.wait_until_blocked(1).await;
            cut_all(&mut proxy);
            other.database.wait_until_blocked(2).await; // the second attempt waits, too
            held.commit().await;
        };
        let (answer, ()) = tokio::join!(api.ask(wire, &key, OPEN), meanwhile);
        assert_eq!(answer.code(), NO_REAL_NAME.code, "{wire:?}");
        other.database.wait_until_idle().await;
        assert_eq!(other.database.openings(key.account_id).await, (0, 0, 0), "{wire:?}");
    }
}
