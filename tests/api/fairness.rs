//! One caller that sends hundreds of requests at once does not get in the way of others.

use std::time::Duration;

use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::quotas::QuotaOptions;
use cdn_activation::server::ServerSettings;
use futures_util::future::join_all;
use sqlx::Connection;
use tokio::time::Instant;

use super::quotas::with_quotas;
use crate::support::{Api, TOKEN, callers, eventually};

const USER_STATUS: &str = "/activation.cdn.v1.CdnService/DescribeUserCdnStatus";
const STATUS: &str = "Action=DescribeUserCdnStatus";
const OPEN: &str = "Action=OpenCdnService";
const BILL_TYPES: &str = "Action=DescribeCdnUserBillType&StartTime=2024-01-01T00:00:00Z\
    &EndTime=2024-01-02T00:00:00Z";
/// The requests that the flooding account sends at once.
const FLOOD: usize = 300;

/// Quotas that do not refuse the flood, so that only the number of its running requests counts.
fn with_long_bursts(settings: &mut ServerSettings) {
    settings.quotas = Some(QuotaOptions { burst: Duration::from_mins(1) });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_300_requests_of_an_account_that_wait_128_run_and_another_account_is_not_refused() {
    let api = Api::start_with(with_long_bursts).await;
    let (flooding, other) = (api.account().await, api.account().await);
    let credential = &api.issue(&flooding).await;
    let (api, flooding) = (&api, &flooding);
    let mut connection = api.database.connect().await;
    let mut transaction = connection.begin().await.expect("begun");
    sqlx::query(
        "LOCK TABLE used_nonces_0, used_nonces_1, used_nonces_2, used_nonces_3
         IN ACCESS EXCLUSIVE MODE",
    )
    .execute(&mut *transaction)
    .await
    .expect("locked");
    // Requests of a temporary credential count with those of its account.
    let flood = join_all((0..FLOOD).map(|number| async move {
        if number % 2 == 0 {
            return api.get(flooding, BILL_TYPES).await;
        }
        api.with_token(&credential.key, &credential.token, BILL_TYPES).await
    }));
    let refused = || async {
        let refused = api.metric(r#"quota_refusals_total{kind="in_flight"}"#).await;
        refused.unwrap_or_default()
    };
    let others = async {
        eventually("the rest of the flood is refused", async || refused().await >= 172.0).await;
        let unlock = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            transaction.rollback().await.expect("unlocked");
        };
        let (reply, ()) = tokio::join!(api.get(&other, STATUS), unlock);
        reply
    };
    let (flood, reply) = tokio::join!(flood, others);
    reply.succeeded();
    let succeeded = flood.iter().filter(|reply| reply.status == 200).count();
    let throttled = flood.iter().filter(|reply| reply.body.contains("Throttling.User")).count();
    assert_eq!((succeeded, throttled), (128, 172));
    let told = flood.iter().find(|reply| reply.status == 400).expect("a refusal");
    assert_eq!(told.headers["x-acs-retry-after"], "100");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_1200_calls_of_a_service_that_wait_1024_run_and_another_service_is_not_refused() {
    const ANOTHER: &str = "token-of-another-service";
    let tokens = callers::tokens() + &callers::line("another", ANOTHER);
    let grants = callers::EVERYTHING.to_owned() + &callers::grants("another", "actions = [\"*\"]");
    let callers = ServiceDirectory::of(&tokens, &grants).expect("valid files");
    let api = Api::start_with(|settings| {
        with_long_bursts(settings);
        settings.callers = callers;
    })
    .await;
    let account_id = api.account().await.account_id.to_string();
    let metadata = [("x-account-id", account_id.as_str())];
    let connections = join_all((0..8).map(|_| api.raw_grpc())).await;
    let mut connection = api.database.connect().await;
    let mut transaction = connection.begin().await.expect("begun");
    let lock = sqlx::query("LOCK TABLE instances IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut *transaction).await.expect("locked");
    let flood = (0..1200)
        .map(|number| connections[number % 8].call_with(TOKEN, USER_STATUS, &metadata, &()));
    let others = async {
        let refused = async || api.metric(r#"quota_refusals_total{kind="in_flight"}"#).await;
        eventually("the rest of the flood is refused", async || refused().await >= Some(176.0))
            .await;
        let unlock = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            transaction.rollback().await.expect("unlocked");
        };
        let another = api.raw_grpc().await;
        let reply = another.call_with(ANOTHER, USER_STATUS, &metadata, &());
        tokio::join!(reply, unlock).0
    };
    let (flood, reply) = tokio::join!(join_all(flood), others);
    assert_eq!(reply.code(), "OK");
    let count = |code: &str| flood.iter().filter(|reply| reply.code() == code).count();
    assert_eq!((count("OK"), count("Throttling.User")), (1024, 176));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_an_account_floods_another_one_is_answered_soon_and_never_refused() {
    let api = Api::start_with(with_quotas).await;
    let (flooding, other) = (api.account().await, api.account().await);
    let end = Instant::now() + Duration::from_secs(4);
    let flood = join_all((0..FLOOD).map(|_| async {
        let mut refused = 0;
        while Instant::now() < end {
            refused += u32::from(api.get(&flooding, OPEN).await.body.contains("Throttling.User"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        refused
    }));
    let calm = async {
        let mut times = Vec::new();
        while Instant::now() < end {
            let started = Instant::now();
            api.get(&other, STATUS).await.succeeded();
            times.push(started.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        times.sort_unstable();
        times
    };
    let (refused, times) = tokio::join!(flood, calm);
    let refused: u32 = refused.into_iter().sum();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    // Clients and service share a machine that may be busy: the bounds are far above what is usual.
    println!("{} calls: median {median:?}, longest {longest:?}; {refused} refusals", times.len());
    assert!(refused > 100, "the flood was refused {refused} times only");
    assert!(median < Duration::from_secs(2) && longest < Duration::from_secs(4), "{times:?}");
}
