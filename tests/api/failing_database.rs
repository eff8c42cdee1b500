//! A database that fails: a connection is lost while an opening or a change is written, before the
//! statement runs or after it is committed; the server ends or cancels the statement; no database
//! is reachable. The caller gets the true answer, and the write happens at most once.

use cdn_activation::proto::billing::v1::{ChargeType, Product};
use cdn_activation::proto::operator::v1::{
    CreateAccessKeyRequest, GetAccountRequest, UnlockRequest, UpdateAccountRequest,
};

use crate::support::Api;
use crate::support::action_refusals::{CDN_HAS_OPENED, UNAVAILABLE};
use crate::support::cutting_proxy::{Cut, Proxy};
use crate::support::database::Database;
use crate::support::grpc::refusal;
use crate::support::operators::{request_id, schedule};
use crate::support::stored::{LOCK_THE_ACCOUNT, OPENED_BY_ANOTHER};
use crate::support::wires::{Refusal, Wire};

const OPEN: &str = "Action=OpenCdnService&InternetChargeType=PayByBandwidth";
const OPEN_DCDN: &str =
    "Action=OpenDcdnService&BillType=PayByTraffic&WebsocketBillType=websocketbps";
const MODIFY: &str = "Action=ModifyCdnService&InternetChargeType=PayByBandwidth";
const WRITES_AN_OPENING: &str = "INSERT INTO instances";
const WRITES_A_CHANGE: &str = "INSERT INTO charge_type_changes";
const SETTLES_A_CHANGE: &str = "SET in_force_event_at";
const WRITES_A_KEY: &str = "INSERT INTO access_keys";
const USES_A_NONCE: &str = "INSERT INTO used_nonces_";
const READS_A_KEY: &str = "FROM access_keys";
const READS_FACTS: &str = "LEFT JOIN instances";

#[tokio::test]
async fn an_opening_whose_connection_is_lost_succeeds_and_happens_once() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    for cuts in [
        &[(WRITES_AN_OPENING, Cut::BeforeTheReply)][..],
        &[(WRITES_AN_OPENING, Cut::BeforeTheStatement)],
        &[(WRITES_AN_OPENING, Cut::BeforeTheStatement), (WRITES_AN_OPENING, Cut::BeforeTheReply)],
        &[(WRITES_AN_OPENING, Cut::BeforeTheReply), (READS_FACTS, Cut::BeforeTheReply)],
        &[(READS_FACTS, Cut::BeforeTheStatement), (READS_FACTS, Cut::BeforeTheReply)],
    ] {
        for wire in [Wire::V1Get, Wire::Grpc] {
            for given in [OPEN, OPEN_DCDN] {
                let key = api.account().await;
                for (statement, cut) in cuts {
                    proxy.cut(statement, *cut);
                }
                assert_eq!(api.ask(wire, &key, given).await.code(), "OK", "{cuts:?}");
                assert!(proxy.has_cut(), "{cuts:?}");
                assert_eq!(database.openings(key.account_id).await, (1, 1, 1), "{cuts:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_lost_during_authentication_opens_nothing_twice() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    for cut in [Cut::BeforeTheStatement, Cut::BeforeTheReply] {
        let key = api.account().await;
        // Whether the nonce was used is unknown, so the caller has to send another one.
        proxy.cut(USES_A_NONCE, cut);
        let Refusal { http, code, message, .. } = UNAVAILABLE;
        api.get(&key, OPEN).await.refused(http, code, message);
        assert!(proxy.has_cut());
        assert_eq!(database.openings(key.account_id).await, (0, 0, 0), "{cut:?}");

        proxy.cut(READS_A_KEY, cut);
        api.get(&key, OPEN).await.succeeded();
        assert!(proxy.has_cut());
        assert_eq!(database.openings(key.account_id).await, (1, 1, 1), "{cut:?}");
    }
}

#[tokio::test]
async fn a_change_whose_connection_is_lost_succeeds_and_is_submitted_once() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    for cut in [Cut::BeforeTheReply, Cut::BeforeTheStatement] {
        for wire in [Wire::V1Get, Wire::Grpc] {
            let key = api.account().await;
            api.open_cdn(&key).await;
            proxy.cut(WRITES_A_CHANGE, cut);
            assert_eq!(api.ask(wire, &key, MODIFY).await.code(), "OK", "{cut:?}");
            assert!(proxy.has_cut());
            let changes = "SELECT count(*) FROM charge_type_changes WHERE account_id = $1";
            assert_eq!(database.count_of(key.account_id, changes).await, 1, "{cut:?}");
            let types: Vec<_> = database.events(key.account_id).await;
            let types: Vec<_> = types.iter().map(|event| event.type_name.as_str()).collect();
            let scheduled = "activation.charge_type_change.scheduled";
            assert_eq!(types, ["activation.instance.opened", scheduled], "{cut:?}");
        }
    }
}

#[tokio::test]
async fn a_change_that_settles_the_previous_one_survives_a_lost_connection() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    for cut in [Cut::BeforeTheReply, Cut::BeforeTheStatement] {
        for wire in [Wire::V1Get, Wire::Grpc] {
            api.at("2018-03-19T11:16:11Z");
            let key = api.account().await;
            api.open_cdn(&key).await;
            api.get(&key, MODIFY).await.succeeded();
            api.at("2018-03-19T16:00:00Z");
            proxy.cut(SETTLES_A_CHANGE, cut);
            let back = "Action=ModifyCdnService&InternetChargeType=PayByTraffic";
            assert_eq!(api.ask(wire, &key, back).await.code(), "OK", "{cut:?}");
            assert!(proxy.has_cut());
            let events = database.events(key.account_id).await;
            let types: Vec<_> = events.iter().map(|event| event.type_name.as_str()).collect();
            let expected = [
                "activation.instance.opened",
                "activation.charge_type_change.scheduled",
                "activation.charge_type_change.in_force",
                "activation.charge_type_change.scheduled",
            ];
            assert_eq!(types, expected, "{cut:?}");
        }
    }
}

#[tokio::test]
async fn a_new_key_whose_connection_is_lost_is_returned_with_its_secret_if_the_request_has_an_id() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    let key = api.account().await;
    let request = CreateAccessKeyRequest {
        account_id: key.account_id,
        policy: String::new(),
        request_id: request_id(),
    };
    proxy.cut(WRITES_A_KEY, Cut::BeforeTheReply);
    let mut keys = api.access_keys().await;
    let created = keys.create_access_key(request.clone()).await.expect("created").into_inner();
    assert!(proxy.has_cut());
    let again = keys.create_access_key(request).await.expect("the same again").into_inner();
    assert_eq!(created, again);
    let keys = "SELECT count(*) FROM access_keys WHERE account_id = $1";
    assert_eq!(database.count_of(key.account_id, keys).await, 2);
}

#[tokio::test]
async fn an_opening_that_loses_every_connection_is_unavailable_and_writes_nothing() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    let key = api.account().await;
    for _ in 0..3 * 16 {
        proxy.cut(WRITES_AN_OPENING, Cut::BeforeTheStatement);
    }
    api.refuses_everywhere(&key, OPEN, &UNAVAILABLE).await;
    assert!(proxy.has_cut(), "each of the three requests was tried sixteen times");
    assert_eq!(database.openings(key.account_id).await, (0, 0, 0));
    api.get(&key, OPEN).await.succeeded();
}

/// Ends each session that waits for a lock. Its statement is rolled back.
const END_THE_BLOCKED: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'";
const CANCEL_THE_BLOCKED: &str = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'";

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_whose_statement_the_server_ends_or_cancels_is_retried() {
    let api = Api::start().await;
    for (end, wire) in [(END_THE_BLOCKED, Wire::V1Get), (CANCEL_THE_BLOCKED, Wire::Grpc)] {
        let key = api.account().await;
        let held = api.database.hold(key.account_id, LOCK_THE_ACCOUNT).await;
        let end_it = async {
            api.database.wait_until_blocked(1).await;
            api.database.end_blocked(end).await;
            held.commit().await;
        };
        let (answer, ()) = tokio::join!(api.ask(wire, &key, OPEN), end_it);
        assert_eq!(answer.code(), "OK", "{end}");
        assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1), "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_unknown_outcome_the_opening_of_another_request_is_not_reported_as_success() {
    let api = Api::start().await;
    let key = api.account().await;
    let mut held = api.database.hold(key.account_id, LOCK_THE_ACCOUNT).await;
    let open_by_another = async {
        api.database.wait_until_blocked(1).await;
        held.execute(key.account_id, OPENED_BY_ANOTHER).await;
        api.database.end_blocked(END_THE_BLOCKED).await;
        held.commit().await;
    };
    let (answer, ()) = tokio::join!(api.ask(Wire::V1Get, &key, OPEN), open_by_another);
    assert_eq!(answer.code(), CDN_HAS_OPENED.code);
    assert_eq!(api.database.openings(key.account_id).await, (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_requests_are_unavailable_and_with_it_they_succeed_again() {
    let (api, mut proxy, database) = Proxy::before_a_service().await;
    let (rest, grpc) = (api.account().await, api.account().await);
    api.open_cdn(&rest).await;
    proxy.go_down();
    let over_rest = async {
        let Refusal { http, code, message, .. } = UNAVAILABLE;
        api.get(&rest, "Action=DescribeCdnService").await.refused(http, code, message);
    };
    let failures = r#"db_client_connection_failures_total{pool="cores"}"#;
    let before = api.metric(failures).await.expect("a number");
    tokio::join!(over_rest, api.refuses_over_grpc(&grpc, OPEN, &UNAVAILABLE));
    assert!(api.metric(failures).await.is_some_and(|count| count > before));
    proxy.come_up();
    api.get(&rest, "Action=DescribeCdnService").await.succeeded();
    assert_eq!(database.openings(grpc.account_id).await, (0, 0, 0));
    api.call(&grpc, OPEN).await.expect("opened");
    assert_eq!(database.openings(grpc.account_id).await, (1, 1, 1));
}

/// The names of the events of an account, without what all of them begin with.
async fn event_names(database: &Database, account_id: i64) -> Vec<String> {
    let events = database.events(account_id).await;
    events.iter().map(|event| event.type_name.replace("activation.", "")).collect()
}

#[tokio::test]
async fn an_operators_write_whose_connection_is_lost_succeeds_and_happens_once() {
    let (api, proxy, database) = Proxy::before_a_service().await;
    for cut in [Cut::BeforeTheStatement, Cut::BeforeTheReply] {
        let key = api.account().await;
        api.open_cdn(&key).await;
        proxy.cut("INSERT INTO operation_locks", cut);
        api.lock(&key, Product::Cdn, "manual").await;
        proxy.cut(WRITES_A_CHANGE, cut);
        let request = schedule(&key, Product::Cdn, ChargeType::PayByBandwidth95, None);
        let change = api.schedule(request).await.expect("scheduled");
        proxy.cut("SET cancelled_at", cut);
        api.cancel(&change).await.expect("cancelled");
        assert!(proxy.has_cut(), "{cut:?}");
        let expected = [
            "instance.opened",
            "operation.locked",
            "charge_type_change.scheduled",
            "charge_type_change.cancelled",
        ];
        assert_eq!(event_names(&database, key.account_id).await, expected, "{cut:?}");
    }
}

#[tokio::test]
async fn an_operators_write_that_may_be_the_cause_of_its_own_refusal_is_unavailable() {
    let (api, proxy, _) = Proxy::before_a_service().await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let read = GetAccountRequest { account_id: key.account_id };
    let read = api.accounts().await.get_account(read).await.expect("read").into_inner();
    let update = UpdateAccountRequest { account: read.account, ..Default::default() };
    proxy.cut("UPDATE accounts", Cut::BeforeTheReply);
    let status = api.accounts().await.update_account(update.clone()).await.expect_err("unknown");
    assert_eq!(refusal(&status).code, UNAVAILABLE.code);
    let status = api.accounts().await.update_account(update).await.expect_err("updated before");
    assert_eq!(refusal(&status).code, "EtagMismatch");

    api.lock(&key, Product::Cdn, "manual").await;
    let unlock = UnlockRequest {
        account_id: key.account_id,
        product: Product::Cdn.into(),
        reason: "manual".to_owned(),
        request_id: String::new(),
    };
    proxy.cut("SET lifted_at", Cut::BeforeTheReply);
    let mut locks = api.operation_locks().await;
    let status = locks.unlock(unlock.clone()).await.expect_err("unknown");
    assert_eq!(refusal(&status).code, UNAVAILABLE.code);
    assert!(!locks.unlock(unlock).await.expect("lifted before").into_inner().lifted);
    assert!(proxy.has_cut());
}
