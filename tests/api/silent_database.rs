//! The path to the database goes silent: existing connections carry no bytes in either direction,
//! and are not ended. New connections work.

use std::time::{Duration, Instant};

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::proto::operator::v1::GetAccountRequest;
use futures_util::future::join_all;

use crate::support::database::Database;
use crate::support::proxy::Proxy;
use crate::support::rest::Key;
use crate::support::wires::Wire;
use crate::support::{Api, SEALING_KEY, eventually};

/// Time after which calls succeed again: the limit of a statement is 7 s.
const RECOVERED: Duration = Duration::from_secs(10);
/// Additional time that a busy machine may take.
const SLACK: Duration = Duration::from_secs(4);

const DESCRIBE: &str = "Action=DescribeUserCdnStatus";
const OPEN: &str = "Action=OpenCdnService";

/// Starts a service with this number of connections through a proxy. Returns the database, too.
async fn behind_a_proxy(connections: u32) -> (Api, Proxy, Database) {
    let database = Database::fresh().await;
    let (proxy, url) = Proxy::before_database(&database).await;
    let sealing_key = SealingKey::generate().expect("random bytes");
    let sealing_key = SealingKey::parse(&sealing_key).expect("a key");
    let through = Database { url };
    let api = Api::start_on(through, sealing_key, Clock::system(), |settings| {
        settings.database.connections = connections;
    })
    .await;
    (api, proxy, database)
}

/// Makes every core connect several times.
async fn connect(api: &Api, keys: &[Key]) {
    let calls = |wire| keys.iter().map(move |key| api.ask(wire, key, DESCRIBE));
    join_all(calls(Wire::V1Get)).await;
    join_all(calls(Wire::Grpc)).await;
}

/// Sends a request until it succeeds. Returns how long that took.
async fn first_success(api: &Api, wire: Wire, key: &Key, given: &str) -> Duration {
    let started = Instant::now();
    while api.ask(wire, key, given).await.code() != "OK" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_succeed_again_soon_after_the_path_to_the_database_went_silent() {
    let (api, proxy, database) = behind_a_proxy(16).await;
    let keys = join_all((0..8).map(|_| api.account())).await;
    connect(&api, &keys).await;
    proxy.freeze();
    let calls = [
        first_success(&api, Wire::V1Get, &keys[0], DESCRIBE),
        first_success(&api, Wire::Grpc, &keys[1], DESCRIBE),
        first_success(&api, Wire::V1Get, &keys[2], OPEN),
        first_success(&api, Wire::Grpc, &keys[3], OPEN),
    ];
    for took in join_all(calls).await {
        assert!(took < RECOVERED + SLACK, "{took:?}");
    }
    for key in &keys[2..4] {
        assert_eq!(database.openings(key.account_id).await, (1, 1, 1));
    }
    eventually("ready", async || api.page("/readyz").await.status == 200).await;
    connect(&api, &keys).await;
    let again = Instant::now();
    connect(&api, &keys).await;
    assert!(again.elapsed() < SLACK, "no silent connection is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_calls_on_silent_connections_lose_no_connection() {
    // One for each core and for the background, so that a lost one is noticed.
    let (api, proxy, _) = behind_a_proxy(3).await;
    let keys = join_all((0..8).map(|_| api.account())).await;
    connect(&api, &keys).await;
    tokio::time::sleep(Duration::from_millis(1200)).await; // they are pinged before their next use
    proxy.freeze();
    let accounts = api.accounts().await;
    for _ in 0..4 {
        let calls = (0..16).map(|_| async {
            let mut accounts = accounts.clone();
            let read = GetAccountRequest { account_id: keys[0].account_id };
            tokio::time::timeout(Duration::from_millis(200), accounts.get_account(read)).await.ok();
        });
        join_all(calls).await;
    }
    let took = first_success(&api, Wire::Grpc, &keys[0], DESCRIBE).await;
    assert!(took < RECOVERED + SLACK, "{took:?}");
    let again = Instant::now();
    connect(&api, &keys).await;
    assert!(again.elapsed() < SLACK, "there are connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_database_is_silent_stops_in_time() {
    let (mut api, proxy, _) = behind_a_proxy(16).await;
    let keys = join_all((0..4).map(|_| api.account())).await;
    connect(&api, &keys).await;
    proxy.freeze();
    let calls = async {
        let calls = keys.iter().map(|key| api.ask(Wire::Grpc, key, OPEN));
        tokio::time::timeout(Duration::from_millis(300), join_all(calls)).await.ok();
    };
    calls.await;
    let started = Instant::now();
    api.begin_stop().await.expect("the service ends in good order");
    // The drain of a test is 1 s; the service may take one second more.
    assert!(started.elapsed() < Duration::from_secs(2) + SLACK / 2, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_of_keys_that_cannot_be_written_delay_the_end_by_a_second() {
    let database = Database::fresh().await;
    let (proxy, url) = Proxy::before_database(&database).await;
    let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
    let mut api = Api::start_on(Database { url }, sealing_key, Clock::system(), |settings| {
        settings.drain_timeout = Duration::from_secs(20); // the limit of the whole shutdown
        settings.workers = false;
    })
    .await;
    loop {
        let key = api.account().await;
        api.ask(Wire::V1Get, &key, DESCRIBE).await;
        proxy.hold_replies(true);
        let unrecorded = "SELECT count(*) FROM access_keys WHERE last_used_on IS NULL";
        if database.count(unrecorded).await > 0 {
            break;
        }
        proxy.hold_replies(false); // it was written just now
    }
    let started = Instant::now();
    api.begin_stop().await.expect("the service ends in good order");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_database_never_answers_stops_in_time() {
    let (mut api, proxy, _) = behind_a_proxy(16).await;
    let keys = join_all((0..4).map(|_| api.account())).await;
    connect(&api, &keys).await;
    proxy.hold_replies(true); // of new connections, too
    let calls = keys.iter().map(|key| api.ask(Wire::Grpc, key, OPEN));
    tokio::time::timeout(Duration::from_millis(300), join_all(calls)).await.ok();
    let started = Instant::now();
    api.begin_stop().await.expect("the service ends in good order");
    assert!(started.elapsed() < Duration::from_secs(2) + SLACK / 2, "{:?}", started.elapsed());
}
