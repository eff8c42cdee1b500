//! The tokens of calling services: several for a name, their expiry, and their rotation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cdn_activation::auth::services::{ServiceDirectory, ServiceToken};
use cdn_activation::domain::time;
use tokio::task::JoinSet;

use crate::support::callers::{self, EVERYTHING, NAME, line};
use crate::support::raw_grpc::RawGrpc;
use crate::support::scratch::Scratch;
use crate::support::{Api, TOKEN};

const DESCRIBE: &str = "/activation.cdn.v1.CdnService/DescribeCdnService";
/// A change of a file is in force within this time.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(10);

/// Returns the code of a Describe that names no account: `MissingAccountId` if the token is valid.
async fn code(grpc: &RawGrpc, token: &str) -> String {
    grpc.call_with(token, DESCRIBE, &[], &()).await.code()
}

#[tokio::test]
async fn several_tokens_of_a_service_are_valid_at_once_each_until_its_not_after() {
    let end = time::parse("2030-01-01T00:00:00Z");
    let [old, new] = ["an-older-token", "a-newer-token"].map(ServiceToken::new);
    let tokens = format!("# rotated\n{}\n\n{}\n", old.line(NAME, end), new.line(NAME, None));
    let callers = ServiceDirectory::of(&tokens, EVERYTHING).expect("valid");
    let api = Api::start_with(|settings| settings.callers = callers).await;
    let grpc = api.raw_grpc().await;
    let valid = "MissingAccountId";
    api.clock.set_wire_now(end.expect("an instant") - chrono::Duration::microseconds(1));
    assert_eq!(code(&grpc, old.expose()).await, valid);
    assert_eq!(code(&grpc, new.expose()).await, valid);
    assert_eq!(code(&grpc, TOKEN).await, "ServiceUnauthenticated");
    api.clock.set_wire_now(end.expect("an instant"));
    assert_eq!(code(&grpc, old.expose()).await, "ServiceUnauthenticated", "exclusive");
    assert_eq!(code(&grpc, new.expose()).await, valid);
}

/// Waits until a token is valid, or is not any more. Returns how long that took.
async fn until_valid(grpc: &RawGrpc, token: &str, valid: bool) -> Duration {
    let begun = Instant::now();
    while (code(grpc, token).await != "ServiceUnauthenticated") != valid {
        assert!(begun.elapsed() < IN_FORCE_WITHIN, "not in force after {IN_FORCE_WITHIN:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begun.elapsed()
}

/// Describes without a pause, with the old token and then with the new one.
struct Load {
    uses_new: AtomicBool,
    ends: AtomicBool,
    calls: [AtomicU64; 2],
}

impl Load {
    async fn run(&self, grpc: RawGrpc, tokens: [&str; 2], account_id: &str) {
        while !self.ends.load(Ordering::SeqCst) {
            let new = self.uses_new.load(Ordering::SeqCst);
            let metadata = [("x-account-id", account_id)];
            let reply = grpc.call_with(tokens[usize::from(new)], DESCRIBE, &metadata, &()).await;
            assert_eq!(reply.code(), "OK", "new token: {new}");
            self.calls[usize::from(new)].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until this many more calls with the token were answered.
    async fn more(&self, new: bool, count: u64) {
        let calls = &self.calls[usize::from(new)];
        let until = calls.load(Ordering::SeqCst) + count;
        while calls.load(Ordering::SeqCst) < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_rotated_under_load_without_a_failed_call() {
    let scratch = Scratch::new();
    let [old, new] = ["token-before-rotation", "token-after-rotation"];
    let own = callers::tokens(); // for the account of the test
    let old_file = scratch.file("tokens", &format!("{own}{}", line(NAME, old)));
    let grants = scratch.file("grants.toml", EVERYTHING);
    let callers = callers::open(old_file.as_ref(), grants.as_ref());
    let api = Api::start_with(|settings| settings.callers = callers).await;
    let key = api.account().await;
    api.open_cdn(&key).await;
    let load = Arc::new(Load {
        uses_new: AtomicBool::new(false),
        ends: AtomicBool::new(false),
        calls: [AtomicU64::new(0), AtomicU64::new(0)],
    });
    let mut running = JoinSet::new();
    for _ in 0..4 {
        let (load, grpc, account) =
            (Arc::clone(&load), api.raw_grpc().await, key.account_id.to_string());
        running.spawn(async move { load.run(grpc, [old, new], &account).await });
    }
    let grpc = api.raw_grpc().await;
    load.more(false, 20).await;
    scratch.file("tokens", &format!("{own}{}{}", line(NAME, old), line(NAME, new)));
    until_valid(&grpc, new, true).await;
    load.more(false, 20).await;
    load.uses_new.store(true, Ordering::SeqCst);
    load.more(true, 20).await;
    let with_old = load.calls[0].load(Ordering::SeqCst);
    scratch.file("tokens", &format!("{own}{}", line(NAME, new)));
    until_valid(&grpc, old, false).await;
    load.more(true, 20).await;
    load.ends.store(true, Ordering::SeqCst);
    while let Some(ended) = running.join_next().await {
        ended.expect("no call failed");
    }
    // Each of the four may have had one call with the old token under way.
    assert!(load.calls[0].load(Ordering::SeqCst) - with_old <= 4);
}
