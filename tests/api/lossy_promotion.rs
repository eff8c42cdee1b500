//! A standby is promoted that lacks the newest events, because the replication was asynchronous. No
//! follower skips an event of the promoted server.

use std::sync::Arc;
use std::time::Duration;

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;

use crate::support::database::left_out;
use crate::support::events::{next, watch};
use crate::support::follower::Follower;
use crate::support::grpc::refusal;
use crate::support::openings::Openings;
use crate::support::standby::Pair;
use crate::support::{Api, SEALING_KEY, eventually};

/// The longest time until a promoted host is found.
const FOUND_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_promotion_of_a_standby_that_lacks_events_no_follower_skips_an_event() {
    if left_out("it stops PostgreSQL") {
        return;
    }
    let mut pair = Pair::start().await;
    let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
    let api = Api::start_on(pair.both(), sealing_key, Clock::system(), |_| {}).await;
    let api = Arc::new(api);
    let openings = Openings::start(Arc::clone(&api));
    openings.more(5).await;
    let key = openings.acknowledged().remove(0);
    openings.end().await;
    let mut early = Follower::default();
    early.read_to_the_end(&api, &pair.primary()).await;
    pair.disconnect_standby().await;
    let openings = Openings::start(Arc::clone(&api));
    openings.more(10).await;
    openings.end().await;
    let mut late = early.clone();
    late.read_to_the_end(&api, &pair.primary()).await;
    assert!(late.seen.len() > early.seen.len());
    let mut events = api.events().await;
    let mut watching = watch(&mut events, &late.cursor).await;

    pair.kill_primary().await;
    let not_ready = async || api.page("/readyz").await.status == 503;
    eventually("the service is not ready", not_ready).await;
    pair.promote().await;
    let ready = async || api.page("/readyz").await.status == 200;
    eventually("the service is ready", ready).await;
    tokio::time::sleep(FOUND_WITHIN).await;
    api.get(&key, "Action=DescribeCdnService").await.succeeded();
    let promoted = pair.standby();
    let count = i64::try_from(late.seen.len()).expect("few");
    let openings = Openings::start(Arc::clone(&api));
    while promoted.count("SELECT count(*) FROM event_log").await <= count {
        openings.more(5).await;
    }
    openings.more(10).await;
    openings.end().await;
    let ended = loop {
        match next(&mut watching).await {
            Ok(response) => assert_eq!(response.event, None, "events were skipped before it"),
            Err(ended) => break ended,
        }
    };
    // On a slow machine, the deadline of the watch comes first.
    let code = refusal(&ended).code;
    assert!(["CursorExpired", "DeadlineExceeded"].contains(&code.as_str()), "{ended:?}");
    early.read_to_the_end(&api, &promoted).await;
    assert_eq!(early.expired, 0, "it has seen nothing that was lost");
    late.read_to_the_end(&api, &promoted).await;
    assert_eq!(late.expired, 1, "it has seen events that were lost");
    Arc::into_inner(api).expect("nothing else has it").stop().await;
}
