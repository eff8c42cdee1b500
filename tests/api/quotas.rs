//! Quotas of one process: how often an account calls an action, how often a calling service calls,
//! and how many unknown access keys an address sends.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::auth::services::ServiceDirectory;
use cdn_activation::clock::Clock;
use cdn_activation::proto::cdn::v1::DescribeUserCdnStatusRequest;
use cdn_activation::quotas::QuotaOptions;
use cdn_activation::server::ServerSettings;
use cdn_activation::workers::forget_quota_counts;
use futures_util::future::join_all;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::callers;
use crate::support::database::Database;
use crate::support::grpc::refusal;
use crate::support::refusals::{Format, NONCE_USED};
use crate::support::rest::{Key, Reply, query};
use crate::support::{Api, SEALING_KEY, eventually};

const USER_FLOW: &str = "Request was denied due to user flow control.";
const FLOW: &str = "Request was denied due to request throttling.";
const STATUS: &str = "Action=DescribeUserCdnStatus";
const OPEN: &str = "Action=OpenCdnService";
const NONCES: &str = "SELECT (SELECT count(*) FROM used_nonces_0)
    + (SELECT count(*) FROM used_nonces_1) + (SELECT count(*) FROM used_nonces_2)
    + (SELECT count(*) FROM used_nonces_3)";

/// Switches quotas on, with the default burst.
pub fn with_quotas(settings: &mut ServerSettings) {
    settings.quotas = Some(QuotaOptions { burst: Duration::from_secs(1) });
}

/// Returns how many calls of five a second, and five at once, can have been admitted by now.
fn most_since(started: Instant) -> usize {
    let added = started.elapsed().as_millis() * 5 / 1000;
    usize::try_from(added).expect("a small number") + 6
}

fn is_throttled(reply: &Reply) -> bool {
    reply.status == 400 && reply.body.contains(USER_FLOW)
}

/// Returns a signed query that can be sent several times.
fn signed_query(api: &Api, key: &Key, given: &str) -> String {
    query(&api.sign(key, "GET", api.common(key, given)))
}

/// Calls an action until it is throttled. Returns the refusal.
async fn exhaust(api: &Api, key: &Key, given: &str) -> Reply {
    loop {
        let replies = join_all((0..20).map(|_| api.get(key, given))).await;
        if let Some(throttled) = replies.into_iter().find(is_throttled) {
            return throttled;
        }
    }
}

#[tokio::test]
async fn an_account_that_calls_too_often_is_told_when_to_call_again() {
    let api = Api::start_with(with_quotas).await;
    let key = api.account().await;
    let started = Instant::now();
    let replies = join_all((0..40).map(|_| api.get(&key, OPEN))).await;
    let most = most_since(started);
    let (throttled, admitted): (Vec<_>, Vec<_>) = replies.iter().partition(|r| is_throttled(r));
    assert!(admitted.len() >= 5, "{} were admitted", admitted.len());
    assert!(admitted.len() <= most, "{} were admitted", admitted.len());
    for reply in throttled {
        reply.refused(400, "Throttling.User", USER_FLOW);
    }
    let throttled = exhaust(&api, &key, OPEN).await;
    let wait: u64 = throttled.headers["x-acs-retry-after"].parse().expect("a number");
    assert!((1..=1000).contains(&wait), "{wait} ms");
    let left = format!("Remain:0,TimeLeft:{wait}");
    assert_eq!(throttled.headers["x-ratelimit-user-api"], left);
    // A client that waits and tries again is admitted, if no other request was first.
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let again = api.get(&key, OPEN).await;
    assert!(!is_throttled(&again), "{again:?}");
    // Another action, and another account, have quotas of their own.
    api.get(&key, STATUS).await.succeeded();
    let other = api.account().await;
    api.get(&other, OPEN).await.succeeded();
}

#[tokio::test]
async fn a_throttled_answer_has_the_headers_in_the_case_that_clients_look_for() {
    let api = Api::start_with(with_quotas).await;
    let key = api.account().await;
    exhaust(&api, &key, OPEN).await;
    for format in ["JSON", "XML"] {
        let signed = signed_query(&api, &key, &format!("{OPEN}&Format={format}"));
        let request = format!("GET /?{signed} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let text = raw(&api, request.as_bytes()).await;
        let head = text.split_once("\r\n\r\n").expect("a head").0;
        assert!(head.contains("\r\nX-RateLimit-User-API: Remain:0,TimeLeft:"), "{head}");
        assert!(head.contains("\r\nX-Acs-Retry-After: "), "{head}");
        assert!(text.contains(USER_FLOW), "{text}");
    }
}

/// Returns the answer to bytes, as it is.
async fn raw(api: &Api, request: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let stream = tokio::net::TcpStream::connect(api.addresses.rest).await;
    let (mut stream, mut answer) = (stream.expect("it listens"), String::new());
    stream.write_all(request).await.expect("sent");
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

#[tokio::test]
async fn all_api_versions_and_signatures_share_the_quota_of_an_action() {
    let api = Api::start_with(with_quotas).await;
    let key = api.account().await;
    let started = Instant::now();
    let old = format!("{OPEN}&Version=2014-11-11");
    let calls = (0..10).map(|_| async {
        let old = api.get(&key, &old).await;
        let new = api.post(&key, OPEN).await;
        let v3 = api.post_v3(&key, "OpenCdnService", "2018-05-10", "").await;
        [old, new, v3].iter().filter(|reply| !is_throttled(reply)).count()
    });
    let admitted: usize = join_all(calls).await.into_iter().sum();
    let most = most_since(started);
    assert!(admitted <= most && admitted >= 5, "{admitted} were admitted");
}

#[tokio::test]
async fn a_throttled_request_writes_no_nonce_and_can_be_sent_again() {
    let api = Api::start_with(with_quotas).await;
    let key = api.account().await;
    let mut throttled = None;
    while throttled.is_none() {
        let signed = signed_query(&api, &key, OPEN);
        let before = api.database.count(NONCES).await;
        let reply = api.send_get(&signed).await;
        let written = api.database.count(NONCES).await - before;
        assert_eq!(written, i64::from(!is_throttled(&reply)), "{reply:?}");
        throttled = is_throttled(&reply).then_some(signed);
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let reply = api.send_get(&throttled.expect("a request")).await;
    assert!(!is_throttled(&reply) && !reply.body.contains("Nonce"), "{reply:?}");
}

#[tokio::test]
async fn a_replay_takes_nothing_from_the_quota_of_its_account() {
    let api = Api::start_with(with_quotas).await;
    let key = api.account().await;
    let signed = signed_query(&api, &key, OPEN);
    api.send_get(&signed).await.succeeded();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for reply in join_all((0..100).map(|_| api.send_get(&signed))).await {
        reply.is(Format::Json, &NONCE_USED);
    }
    for reply in join_all((0..5).map(|_| api.get(&key, OPEN))).await {
        assert_eq!(reply.text("Code"), "CdnService.HasOpened");
    }
}

#[tokio::test]
async fn a_request_that_the_policy_denies_takes_nothing_from_the_quota() {
    let api = Api::start_with(with_quotas).await;
    let key = api.account().await;
    let nothing = api.key_of(key.account_id, r#"{"Version":"1","Statement":[]}"#).await;
    for reply in join_all((0..20).map(|_| api.get(&nothing, OPEN))).await {
        assert_eq!(reply.text("Code"), "Forbidden.RAM");
    }
    for reply in join_all((0..5).map(|_| api.get(&key, OPEN))).await {
        assert!(!is_throttled(&reply), "{reply:?}");
    }
}

#[tokio::test]
async fn a_request_with_a_wrong_signature_takes_nothing_from_the_quota() {
    let api = Api::start_with(with_quotas).await;
    let key = api.account().await;
    let stranger = Key { secret: "wrong".to_owned(), ..key.clone() };
    for reply in join_all((0..50).map(|_| api.get(&stranger, OPEN))).await {
        assert_eq!(reply.text("Code"), "SignatureDoesNotMatch");
    }
    for reply in join_all((0..5).map(|_| api.get(&key, OPEN))).await {
        assert!(!is_throttled(&reply), "{reply:?}");
    }
}

#[tokio::test]
async fn the_burst_is_a_setting() {
    let burst = Duration::from_secs(4);
    let api = Api::start_with(|settings| settings.quotas = Some(QuotaOptions { burst })).await;
    let key = api.account().await;
    for reply in join_all((0..20).map(|_| api.get(&key, OPEN))).await {
        assert!(!is_throttled(&reply), "{reply:?}");
    }
}

#[tokio::test]
async fn without_quotas_no_call_is_throttled() {
    let api = Api::start().await;
    let key = api.account().await;
    for reply in join_all((0..60).map(|_| api.get(&key, OPEN))).await {
        assert!(!is_throttled(&reply), "{reply:?}");
    }
}

#[tokio::test]
async fn a_calling_service_with_a_limit_is_refused_beyond_it_with_details() {
    let unlimited = Api::start_with(with_quotas).await;
    let key = unlimited.account().await;
    let limited = Api::start_on(
        unlimited.database.clone(),
        unlimited.sealing_key.clone(),
        Clock::system(),
        |settings| {
            with_quotas(settings);
            let grants = format!("{}calls_per_second = 5\n", callers::EVERYTHING);
            settings.callers = ServiceDirectory::of(&callers::tokens(), &grants).expect("valid");
        },
    )
    .await;
    let started = Instant::now();
    let client = limited.cdn(&key).await;
    let calls = (0..40).map(|_| {
        let mut client = client.clone();
        async move { client.describe_user_cdn_status(DescribeUserCdnStatusRequest {}).await }
    });
    let outcomes = join_all(calls).await;
    let most = most_since(started);
    let admitted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(admitted >= 5 && admitted <= most, "{admitted} were admitted");
    let status = outcomes.into_iter().find_map(Result::err).expect("a refusal");
    let refused = refusal(&status);
    assert_eq!((refused.grpc, refused.http), (Code::ResourceExhausted, 400));
    assert_eq!((refused.code.as_str(), refused.message.as_str()), ("Throttling.User", USER_FLOW));
    let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(wait.is_some_and(|wait| wait > Duration::ZERO), "{wait:?}");
    let failure = status.get_details_quota_failure().expect("a quota");
    let violation = &failure.violations[0];
    assert_eq!(violation.subject, "service:tests");
    assert_eq!(violation.description, "calls per second: 5");
    // Without a limit, a service calls as often as it wants, also for one account.
    let client = unlimited.cdn(&key).await;
    let calls = (0..60).map(|_| {
        let mut client = client.clone();
        async move { client.describe_user_cdn_status(DescribeUserCdnStatusRequest {}).await }
    });
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    let refusals = limited.metric(r#"quota_refusals_total{kind="service"}"#).await;
    let refused = u32::try_from(40 - admitted).expect("a small number");
    assert_eq!(refusals, Some(f64::from(refused)));
}

/// Starts a service on a database that counts the statements that read access keys.
async fn start_counting_look_ups() -> Api {
    let database = Database::fresh().await;
    // A view counts the statements that read the table.
    database
        .execute(
            "CREATE SEQUENCE looked_up;
             ALTER TABLE access_keys RENAME TO kept_keys;
             CREATE VIEW access_keys AS
                 SELECT * FROM kept_keys WHERE (SELECT nextval('looked_up')) > 0",
        )
        .await;
    let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
    Api::start_on(database, sealing_key, Clock::system(), with_quotas).await
}

async fn looked_up(api: &Api) -> i64 {
    api.database.count("SELECT last_value FROM looked_up").await
}

/// A flood of unknown keys.
#[derive(Default)]
struct Flood {
    sent: AtomicI64,
    not_found: AtomicI64,
    throttled: AtomicI64,
}

impl Flood {
    /// Sends unknown keys, 20 at a time, while the condition holds.
    async fn run(&self, api: &Api, key: &Key, goes_on: impl Fn(&Self) -> bool) {
        join_all((0..20).map(|_| async {
            while goes_on(self) {
                let id = format!("LTAIunknown{}", self.sent.fetch_add(1, Relaxed));
                let reply = api.get(&Key { id, ..key.clone() }, OPEN).await;
                if reply.text("Code") == "InvalidAccessKeyId.NotFound" {
                    self.not_found.fetch_add(1, Relaxed);
                    continue;
                }
                self.throttled.fetch_add(1, Relaxed);
                reply.refused(400, "Throttling", FLOW);
                let wait: u64 = reply.headers["x-acs-retry-after"].parse().expect("a number");
                assert!((1..=1000).contains(&wait), "{wait} ms");
            }
        }))
        .await;
    }
}

/// Returns how many unknown keys one address can have made a process look up by now: its own limit
/// and its overdraft, and what all addresses share.
fn most_look_ups_since(started: Instant) -> i64 {
    let added = started.elapsed().as_millis() * (10 + 100) / 1000;
    i64::try_from(added).expect("a small number") + 100 + 20 + 100 + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_access_keys_of_an_address_are_refused_without_a_look_up() {
    let api = start_counting_look_ups().await;
    let key = api.account().await;
    api.get(&key, STATUS).await.succeeded();
    let before = looked_up(&api).await;
    let (flood, started) = (Flood::default(), Instant::now());
    flood.run(&api, &key, |flood| flood.throttled.load(Relaxed) < 200).await;
    let most = most_look_ups_since(started);
    let (not_found, throttled) = (flood.not_found.into_inner(), flood.throttled.into_inner());
    assert!((200..=most).contains(&not_found), "{not_found} were looked up, at most {most}");
    // Several keys are looked up by one statement.
    assert!(looked_up(&api).await - before <= not_found);
    // A key that was seen to exist is not refused.
    api.get(&key, STATUS).await.succeeded();
    let refusals = api.metric(r#"quota_refusals_total{kind="unknown_key"}"#).await;
    assert_eq!(refusals, Some(f64::from(i32::try_from(throttled).expect("a small number"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_not_seen_gets_in_while_its_address_floods_unknown_keys() {
    let api = start_counting_look_ups().await;
    let keys = join_all((0..3).map(|_| api.account())).await;
    let (flood, started, is_over) = (Flood::default(), Instant::now(), AtomicBool::new(false));
    let flooding = flood.run(&api, &keys[0], |_| !is_over.load(Relaxed));
    let honest = async {
        for key in &keys {
            let refused = flood.throttled.load(Relaxed);
            eventually("the address floods", async || flood.throttled.load(Relaxed) > refused + 50)
                .await;
            let mut refusals = 0;
            while api.get(key, STATUS).await.status != 200 {
                refusals += 1;
            }
            println!("let in after {refusals} refusals");
            api.get(key, STATUS).await.succeeded(); // it is known from now on
        }
        is_over.store(true, Relaxed);
    };
    tokio::join!(flooding, honest);
    let (most, not_found) = (most_look_ups_since(started), flood.not_found.into_inner());
    let throttled = flood.throttled.into_inner();
    println!("{not_found} look-ups and {throttled} refusals in {:?}", started.elapsed());
    assert!(not_found <= most, "{not_found} were looked up, at most {most}");
}

#[tokio::test]
async fn a_process_without_the_shared_counts_goes_on_alone() {
    let api = Api::start_with(with_quotas).await;
    let key = api.account().await;
    api.database.execute("ALTER TABLE quota_counts RENAME TO gone").await;
    for _ in 0..2 {
        let throttled = exhaust(&api, &key, OPEN).await;
        assert!(is_throttled(&throttled));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let reply = api.get(&key, OPEN).await;
        assert!(!is_throttled(&reply), "{reply:?}");
    }
}

#[tokio::test]
async fn counts_of_no_use_are_deleted_and_others_stay() {
    let api = Api::start_without_workers().await;
    api.database
        .execute(
            "INSERT INTO quota_counts
             SELECT number, 'OpenCdnService', 5, 1, 1, clock_timestamp() - interval '11 minutes'
             FROM generate_series(1, 2500) AS number;
             INSERT INTO quota_counts
             VALUES (1, 'ModifyCdnService', 10, 1, 1, clock_timestamp() - interval '9 minutes')",
        )
        .await;
    let store = api.store();
    forget_quota_counts(&store).await.expect("deleted");
    store.close().await;
    assert_eq!(api.database.count("SELECT count(*) FROM quota_counts").await, 1);
}
