//! What several services with one database admit together under overload.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::proto::cdn::v1::DescribeUserCdnStatusRequest;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::quotas::with_quotas;
use crate::support::grpc::refusal;
use crate::support::rest::Key;
use crate::support::{Api, callers};

const OPEN: &str = "Action=OpenCdnService";
/// The limit of the action, in calls per second.
const LIMIT: f64 = 5.0;
/// The callers of each account at each service. Together they call several times as often as the
/// limit allows.
const CALLERS: u32 = 4;
/// The pause of a caller between two calls.
const PAUSE: Duration = Duration::from_millis(60);

/// Lets callers call for some time, each again and again. A call returns whether it was admitted.
/// Returns how many calls were admitted, and how many were asked for.
async fn overload<C: AsyncFn() -> bool>(callers: Vec<C>, time: Duration) -> (f64, f64) {
    let (admitted, asked) = (AtomicU32::new(0), AtomicU32::new(0));
    let end = Instant::now() + time;
    let calls = callers.into_iter().map(|call| {
        let (admitted, asked) = (&admitted, &asked);
        async move {
            while Instant::now() < end {
                let is_admitted = call().await;
                asked.fetch_add(1, Relaxed);
                admitted.fetch_add(u32::from(is_admitted), Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
    join_all(calls).await;
    (admitted.into_inner().into(), asked.into_inner().into())
}

/// Calls each service as an account for some time.
async fn overload_as(services: &[&Api], key: &Key, time: Duration) -> (f64, f64) {
    let callers = services.iter().flat_map(|api| {
        let call = move || async move {
            let reply = api.get(key, OPEN).await;
            !reply.body.contains("Throttling.User")
        };
        (0..CALLERS).map(move |_| call)
    });
    overload(callers.collect(), time).await
}

/// Calls three services with one account, and one of them with another account. Returns the parts
/// of the limit that were admitted.
async fn parts_of_the_limit(time: Duration) -> (f64, f64) {
    let api = Api::start_with(with_quotas).await;
    let (database, key) = (api.database.clone(), api.sealing_key.clone());
    let replica = || Api::start_on(database.clone(), key.clone(), api.clock.clone(), with_quotas);
    let (second, third) = (replica().await, replica().await);
    let (on_all, on_one) = (api.account().await, api.account().await);
    let (three, first) = ([&api, &second, &third], [&api]);
    let ((all, all_asked), (one, one_asked)) =
        tokio::join!(overload_as(&three, &on_all, time), overload_as(&first, &on_one, time));
    let whole = LIMIT * time.as_secs_f64();
    println!("three services: {all} of {all_asked} calls, {:.3} of the limit", all / whole);
    println!("one service: {one} of {one_asked} calls, {:.3} of the limit", one / whole);
    assert!(all_asked > 2.0 * whole && one_asked > 1.2 * whole, "this is no overload");
    (all / whole, one / whole)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_services_admit_the_limit_together_and_one_alone_the_whole_limit() {
    let seconds = 10.0;
    let (all, one) = parts_of_the_limit(Duration::from_secs_f64(seconds)).await;
    // Beside the limit: the burst, and what each service admits before its next report.
    assert!(all <= (seconds + 1.0 + 3.0) / seconds, "{all}");
    assert!(all >= 0.7, "{all}");
    assert!((0.9..=(seconds + 1.0 + 1.0) / seconds).contains(&one), "{one}");
}

/// `cargo test --test api -- --ignored --nocapture over_a_minute` prints the figures.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes a minute"]
async fn over_a_minute_three_services_admit_at_most_a_tenth_more_than_the_limit() {
    let (all, one) = parts_of_the_limit(Duration::from_mins(1)).await;
    assert!((0.9..=1.1).contains(&all), "{all}");
    assert!((0.9..=1.1).contains(&one), "{one}");
}

/// Calls three services as one calling service whose grant has the limit. Returns the part of the
/// limit that was admitted.
async fn part_of_a_calling_service(time: Duration) -> f64 {
    let api = Api::start().await;
    let key = api.account().await;
    let replica = || {
        let (database, key) = (api.database.clone(), api.sealing_key.clone());
        Api::start_on(database, key, api.clock.clone(), |settings| {
            with_quotas(settings);
            let grants = format!("{}calls_per_second = {LIMIT}\n", callers::EVERYTHING);
            settings.callers = ServiceDirectory::of(&callers::tokens(), &grants).expect("valid");
        })
    };
    let replicas = [replica().await, replica().await, replica().await];
    let mut callers = Vec::new();
    for replica in &replicas {
        let client = replica.cdn(&key).await;
        callers.extend((0..CALLERS).map(|_| {
            let client = client.clone();
            async move || {
                let request = DescribeUserCdnStatusRequest {};
                let described = client.clone().describe_user_cdn_status(request).await;
                let refused = described.map_err(|status| refusal(&status).code).err();
                assert!(refused.is_none() || refused.as_deref() == Some("Throttling.User"));
                refused.is_none()
            }
        }));
    }
    let (admitted, asked) = overload(callers, time).await;
    let whole = LIMIT * time.as_secs_f64();
    println!(
        "a calling service: {admitted} of {asked} calls, {:.3} of the limit",
        admitted / whole
    );
    assert!(asked > 2.0 * whole, "this is no overload");
    admitted / whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_services_admit_the_limit_of_a_calling_service_together() {
    let seconds = 10.0;
    let part = part_of_a_calling_service(Duration::from_secs_f64(seconds)).await;
    // Beside the limit: the burst, and what each service admits before its next report.
    assert!((0.7..=(seconds + 1.0 + 3.0) / seconds).contains(&part), "{part}");
}

/// See above for the command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes a minute"]
async fn over_a_minute_a_calling_service_gets_at_most_a_tenth_more_than_its_limit() {
    let part = part_of_a_calling_service(Duration::from_mins(1)).await;
    assert!((0.9..=1.1).contains(&part), "{part}");
}
