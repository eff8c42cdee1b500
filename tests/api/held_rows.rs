//! A row that another transaction has locked delays only the requests that need that row.

use std::time::{Duration, Instant};

use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::support::Api;
use crate::support::rest::Key;
use crate::support::stored::{Held, LOCK_THE_ACCOUNT};
use crate::support::wires::Wire;

/// Number of callers that wait.
const WAITING: usize = 64;

/// Starts openings for these accounts in turn. Their rows must be locked.
async fn start_openings(api: &Api, keys: &[Key]) -> JoinSet<Result<(), tonic::Status>> {
    let mut calls = JoinSet::new();
    for key in keys.iter().cycle().take(WAITING) {
        let mut client = api.cdn(key).await;
        calls.spawn(async move {
            let mut request = tonic::Request::new(OpenCdnServiceRequest::default());
            request.set_timeout(Duration::from_secs(30));
            client.open_cdn_service(request).await.map(drop)
        });
    }
    api.database.wait_until_blocked(1).await;
    calls
}

async fn hold(api: &Api, keys: &[Key]) -> Held {
    let mut held = api.database.hold(keys[0].account_id, LOCK_THE_ACCOUNT).await;
    for key in &keys[1..] {
        held.execute(key.account_id, LOCK_THE_ACCOUNT).await;
    }
    held
}

/// Sends requests of other accounts over both wires. Returns the longest time that one of them took.
async fn longest_call(api: &Api, keys: &[Key]) -> Duration {
    let mut longest = Duration::ZERO;
    for key in keys {
        for (wire, action) in [
            (Wire::V1Get, "Action=OpenCdnService"),
            (Wire::V1Get, "Action=DescribeCdnService"),
            (
                Wire::Grpc,
                "Action=OpenDcdnService&BillType=PayByTraffic&WebsocketBillType=websocketbps",
            ),
            (Wire::Grpc, "Action=DescribeDcdnService"),
            (Wire::Grpc, "Action=ModifyCdnService&InternetChargeType=PayByBandwidth"),
        ] {
            let started = Instant::now();
            assert_eq!(api.ask(wire, key, action).await.code(), "OK", "{action}");
            longest = longest.max(started.elapsed());
        }
        let started = Instant::now();
        api.update_account(key, |account| account.balance += 1).await;
        longest = longest.max(started.elapsed());
    }
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_rows_of_some_accounts_do_not_delay_other_accounts() {
    let api = Api::start().await;
    for held_accounts in [1, WAITING] {
        let held_keys = join_all((0..held_accounts).map(|_| api.account())).await;
        let other_keys = join_all((0..4).map(|_| api.account())).await;
        let held = hold(&api, &held_keys).await;
        let mut calls = start_openings(&api, &held_keys).await;
        let longest = longest_call(&api, &other_keys).await;
        assert!(longest < Duration::from_secs(3), "{held_accounts} held: {longest:?}");
        held.commit().await;
        let mut opened = 0;
        while let Some(outcome) = calls.join_next().await {
            opened += usize::from(outcome.expect("no panic").is_ok());
        }
        // Every opening waited for its row, and each account was opened once.
        assert_eq!(opened, held_accounts);
        for key in &held_keys {
            assert_eq!(api.database.openings(key.account_id).await, (1, 1, 1));
        }
    }
    // A statement that met a held row is repeated, so it is counted apart from errors.
    let page = api.page("/metrics").await.body;
    let conflicts = page.lines().filter_map(|line| {
        let sample = line.strip_prefix("db_client_operation_conflicts_total{")?;
        sample.rsplit(' ').next()?.parse::<u64>().ok()
    });
    assert!(conflicts.sum::<u64>() >= 1, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_waits_for_locked_rows_stops_in_time() {
    let mut api = Api::start().await;
    let keys = join_all((0..8).map(|_| api.account())).await;
    let held = hold(&api, &keys).await;
    let calls = start_openings(&api, &keys).await;
    let started = Instant::now();
    api.begin_stop().await.expect("the service ends in good order");
    // The drain of a test is 1 s; the service may take one second more.
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    drop(calls);
    held.roll_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_for_a_request_that_is_past_its_deadline() {
    let api = Api::start().await;
    let key = api.account().await;
    let held = hold(&api, std::slice::from_ref(&key)).await;
    let mut request = tonic::Request::new(OpenCdnServiceRequest::default());
    request.set_timeout(Duration::from_millis(500));
    let status =
        api.cdn(&key).await.open_cdn_service(request).await.expect_err("the opening waits");
    assert!(
        [tonic::Code::DeadlineExceeded, tonic::Code::Cancelled].contains(&status.code()),
        "{status:?}"
    );
    tokio::time::sleep(Duration::from_millis(500)).await; // an attempt that has begun ends
    held.commit().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(api.database.openings(key.account_id).await, (0, 0, 0));
}
