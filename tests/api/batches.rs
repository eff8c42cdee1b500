//! Requests that arrive at the same time are answered by one statement, and share nothing else.
//! Each caller gets its own answer. A locked account, a row that cannot be written and an invalid
//! stored value do not affect other callers. No answer is older than its request.

use std::time::Duration;

use cdn_activation::proto::billing::v1::Product;
use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use cdn_activation::proto::cdn::v1::cdn_service_client::CdnServiceClient;
use cdn_activation::proto::dcdn::v1::DescribeDcdnServiceRequest;
use cdn_activation::proto::dcdn::v1::dcdn_service_client::DcdnServiceClient;
use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::support::Api;
use crate::support::database::left_out_on_citus;
use crate::support::grpc::{calling, refusal};
use crate::support::rest::Key;
use crate::support::stored::LOCK_THE_ACCOUNT;
use crate::support::wires::Wire;

const DESCRIBE: &str = "Action=DescribeDcdnService";

async fn accounts(api: &Api, count: usize) -> Vec<Key> {
    join_all((0..count).map(|_| api.account())).await
}

/// Opens CDN for all these accounts at once, over one connection, so that the openings are in one
/// batch.
async fn open_together(api: &Api, keys: &[Key]) -> JoinSet<(i64, Result<(), String>)> {
    let channel = api.channel().await;
    let mut calls = JoinSet::new();
    for key in keys {
        let mut client = CdnServiceClient::new(calling(&channel, key));
        let account_id = key.account_id;
        calls.spawn(async move {
            let outcome = client.open_cdn_service(OpenCdnServiceRequest::default()).await;
            (account_id, outcome.map(drop).map_err(|status| refusal(&status).code))
        });
    }
    calls
}

#[tokio::test]
async fn callers_that_ask_at_the_same_time_each_get_their_own_answer() {
    let api = Api::start().await;
    let keys = accounts(&api, 24).await;
    for (index, key) in keys.iter().enumerate() {
        if index % 2 == 0 {
            api.open_dcdn(key).await;
        }
        if index % 6 == 0 {
            api.lock(key, Product::Dcdn, "financial").await;
        }
    }
    for wire in [Wire::V1Get, Wire::Grpc] {
        let mut alone = Vec::new();
        for key in &keys {
            alone.push(api.ask(wire, key, DESCRIBE).await);
        }
        for _ in 0..4 {
            let calls = keys.iter().chain(&keys).map(|key| api.ask(wire, key, DESCRIBE));
            for (together, alone) in join_all(calls).await.iter().zip(alone.iter().chain(&alone)) {
                assert_eq!(together, alone);
            }
        }
        let found = alone.iter().filter(|answer| answer.code() == "OK").count();
        assert_eq!(found, keys.len() / 2);
    }
}

#[tokio::test]
async fn an_invalid_stored_value_is_a_fault_for_its_own_account_only() {
    let api = Api::start().await;
    let keys = accounts(&api, 16).await;
    for key in &keys {
        api.open_dcdn(key).await;
    }
    let database = &api.database;
    database
        .execute("ALTER TABLE instances DROP CONSTRAINT instances_internet_charge_type_is_known")
        .await;
    let invalid_value =
        "UPDATE instances SET internet_charge_type = 'PayByCheque' WHERE account_id = $1";
    database.execute_for(keys[3].account_id, invalid_value).await;
    let channel = api.channel().await;
    let calls = keys.iter().map(|key| {
        let mut client = DcdnServiceClient::new(calling(&channel, key));
        async move { client.describe_dcdn_service(DescribeDcdnServiceRequest {}).await }
    });
    for (index, outcome) in join_all(calls).await.into_iter().enumerate() {
        match outcome {
            Ok(_) => assert_ne!(index, 3),
            Err(status) => {
                assert_eq!((index, refusal(&status).code.as_str()), (3, "InternalError"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openings_do_not_wait_for_an_account_that_another_client_has_locked() {
    let api = Api::start().await;
    let keys = accounts(&api, 24).await;
    let locked = keys[7].account_id;
    let held = api.database.hold(locked, LOCK_THE_ACCOUNT).await;
    let mut calls = open_together(&api, &keys).await;
    for _ in 1..keys.len() {
        let (account_id, outcome) = calls.join_next().await.expect("a call").expect("no panic");
        assert_eq!((account_id != locked, outcome), (true, Ok(())));
    }
    api.database.wait_until_blocked(1).await;
    held.commit().await;
    assert_eq!(calls.join_next().await.expect("a call").expect("no panic"), (locked, Ok(())));
    for key in &keys {
        assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));
    }
}

#[tokio::test]
async fn an_opening_that_the_database_refuses_does_not_fail_the_others() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    let api = Api::start().await;
    let keys = accounts(&api, 24).await;
    let refused = keys[11].account_id;
    let database = &api.database;
    database.execute("CREATE TABLE refused AS SELECT 0::bigint AS account_id").await;
    database.execute_for(refused, "UPDATE refused SET account_id = $1").await;
    database
        .execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF EXISTS (SELECT 1 FROM refused WHERE account_id = NEW.account_id) THEN
                    RAISE EXCEPTION 'refused';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuses BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    let outcomes = open_together(&api, &keys).await.join_all().await;
    for (account_id, outcome) in outcomes {
        let expected = if account_id == refused { Err("InternalError".to_owned()) } else { Ok(()) };
        assert_eq!(outcome, expected);
        let written = if account_id == refused { (0, 0, 0) } else { (1, 1, 1) };
        assert_eq!(database.openings(account_id).await, written);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_opening_was_answered_every_connection_describes_the_instance() {
    let api = Api::start().await;
    // These callers describe without a pause, so a statement is under way whenever a request
    // arrives.
    let (busy, other) = (api.account().await, api.replica().await);
    api.open_dcdn(&busy).await;
    let mut background = JoinSet::new();
    for _ in 0..8 {
        let mut client = api.dcdn(&busy).await;
        background.spawn(async move {
            loop {
                client.describe_dcdn_service(DescribeDcdnServiceRequest {}).await.expect("opened");
            }
        });
    }
    for _ in 0..20 {
        let key = api.account().await;
        assert_eq!(api.ask(Wire::Grpc, &key, DESCRIBE).await.code(), "DcdnServiceNotFound");
        api.open_dcdn(&key).await;
        for api in [&api, &api, &other] {
            for wire in [Wire::Grpc, Wire::V1Get] {
                assert_eq!(api.ask(wire, &key, DESCRIBE).await.code(), "OK");
            }
        }
    }
    background.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_disconnects_while_it_waits_does_not_affect_the_others() {
    let api = Api::start().await;
    let keys = accounts(&api, 32).await;
    for key in &keys {
        api.open_dcdn(key).await;
    }
    let channel = api.channel().await;
    for round in 0..10_u64 {
        let mut calls = JoinSet::new();
        for (index, key) in keys.iter().enumerate() {
            let mut client = DcdnServiceClient::new(calling(&channel, key));
            calls.spawn(async move {
                let call = client.describe_dcdn_service(DescribeDcdnServiceRequest {});
                if index % 2 == 0 {
                    return Some(call.await.map(drop).map_err(|status| refusal(&status).code));
                }
                let timeout = Duration::from_micros(100 * round);
                tokio::time::timeout(timeout, call).await.ok().map(|_| Ok(()))
            });
        }
        for outcome in calls.join_all().await.into_iter().flatten() {
            assert_eq!(outcome, Ok(()));
        }
    }
}
