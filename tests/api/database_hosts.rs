//! Several hosts in `DATABASE_URL`: the service uses the host that takes writes, and finds it
//! again when it changes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::support::database::{Database, left_out};
use crate::support::rest::Key;
use crate::support::standby::Pair;
use crate::support::{Api, SEALING_KEY, eventually};

const OPEN: &str = "Action=OpenCdnService&InternetChargeType=PayByTraffic";
/// The longest time until a promoted host is found.
const FOUND_WITHIN: Duration = Duration::from_secs(1);

fn sealing_key() -> SealingKey {
    SealingKey::parse(SEALING_KEY).expect("a key")
}

/// The outcome of one call.
struct Call {
    began: Instant,
    account_id: i64,
    status: u16,
    body: String,
}

/// Opens CDN for one account after the other until it is cancelled.
async fn open_one_after_the_other(
    api: Arc<Api>,
    keys: Vec<Key>,
    calls: Arc<Mutex<Vec<Call>>>,
    end: CancellationToken,
) {
    for key in keys {
        if end.is_cancelled() {
            return;
        }
        let began = Instant::now();
        let answer = api.get(&key, OPEN).await;
        let (account_id, status, body) = (key.account_id, answer.status, answer.body);
        calls.lock().expect("not poisoned").push(Call { began, account_id, status, body });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there are too few accounts");
}

#[tokio::test]
async fn the_host_that_takes_writes_is_used_and_found_again_within_a_second_of_a_promotion() {
    if left_out("it stops PostgreSQL") {
        return;
    }
    let mut pair = Pair::start().await;
    let api = Api::start_on(pair.both(), sealing_key(), Clock::system(), |_| {}).await;
    let api = Arc::new(api);
    let mut keys = Vec::new();
    for _ in 0..250 {
        keys.push(api.account().await);
    }
    let (calls, end) = (Arc::default(), CancellationToken::new());
    let opening =
        tokio::spawn(open_one_after_the_other(api.clone(), keys, Arc::clone(&calls), end.clone()));
    let called_since = |since: Instant| {
        let calls = calls.lock().expect("not poisoned");
        calls.iter().filter(|call| call.began >= since).count()
    };
    let started = Instant::now();
    eventually("calls are answered", async || called_since(started) >= 10).await;
    let answered = calls.lock().expect("not poisoned").iter().all(|call| call.status == 200);
    assert!(answered, "all calls succeed");
    pair.kill_primary().await;
    let not_ready = async || api.page("/readyz").await.status == 503;
    eventually("the service is not ready", not_ready).await;
    pair.promote().await;
    let promoted = Instant::now();
    let ready = async || api.page("/readyz").await.status == 200;
    eventually("the service is ready", ready).await;
    assert!(promoted.elapsed() < FOUND_WITHIN, "ready after {:?}", promoted.elapsed());
    let late = promoted + FOUND_WITHIN;
    eventually("calls are answered again", async || called_since(late) >= 10).await;
    end.cancel();
    opening.await.expect("no panic");

    let calls = std::mem::take(&mut *calls.lock().expect("not poisoned"));
    let opened = |call: &&Call| call.status == 200;
    for call in calls.iter().filter(|call| call.status != 200) {
        assert!(call.status == 503 && call.body.contains("ServiceUnavailable"), "{}", call.body);
    }
    for call in calls.iter().filter(|call| call.began >= late) {
        assert!(opened(&call), "{:?} after the promotion: {}", call.began - promoted, call.body);
    }
    let promoted = pair.standby();
    for call in calls.iter().filter(opened) {
        let instances = "SELECT count(*) FROM instances WHERE account_id = $1";
        assert_eq!(
            promoted.count_of(call.account_id, instances).await,
            1,
            "an acknowledged opening is kept"
        );
    }
}

#[tokio::test]
async fn readyz_names_a_standby_and_names_each_host_if_no_host_takes_writes() {
    if left_out("it starts PostgreSQL") {
        return;
    }
    let mut pair = Pair::start().await;
    let (both, standby) = (pair.both(), pair.standby());
    pair.kill_primary().await;
    let socket = |database: &Database| {
        let host = database.url.split("host=").nth(1).expect("a host");
        host.split(['&', ',']).next().expect("a value").to_owned()
    };
    let alone = format!(
        "not ready: PostgreSQL at {} is a standby: DATABASE_URL must lead to the primary\n",
        socket(&standby)
    );
    let of_both =
        format!("not ready: no host of DATABASE_URL takes writes: {}: a standby; ", socket(&both));
    for (database, sentence) in [(standby, alone), (both, of_both)] {
        let (api, _announced) =
            Api::start_unready(database, sealing_key(), Clock::system(), |_| {}).await;
        let reported = async || api.page("/readyz").await.body.starts_with(&sentence);
        eventually(&sentence, reported).await;
        api.stop().await;
    }
}
