//! Many followers, slow followers, and followers that reconnect. No follower misses an event, and
//! the cost in statements and memory stays bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use cdn_activation::proto::operator::v1::{WatchEventsRequest, WatchEventsResponse};
use futures_util::future::join_all;
use tokio::sync::Mutex;
use tonic::Code;

use crate::support::Api;
use crate::support::events::{
    Events, Watch, next, next_event, until_count, version, watch, watch_with, write_event,
    write_many,
};
use crate::support::grpc::next_account_id;

/// Returns the memory of this process, which is server and clients, in kilobytes.
fn resident_kilobytes() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_cut_off_again_and_again_sees_every_event() {
    const ACCOUNTS: i64 = 5;
    const EACH: i64 = 500;
    let api = Api::start().await;
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| next_account_id()).collect();
    let writing = async {
        let mut connection = api.database.connect().await;
        for number in 1..=EACH {
            for account_id in &accounts {
                let now = api.clock.wire_now();
                write_event(&mut connection, *account_id, now, number).await;
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    };
    let following = async {
        let (mut cursor, mut older) = (String::new(), String::new());
        let mut seen: BTreeMap<i64, i64> = BTreeMap::new();
        let (mut events, mut cuts, mut repeated) = (api.events().await, 0, 0);
        while seen.values().sum::<i64>() < ACCOUNTS * EACH || cuts < 50 {
            let mut watching = watch(&mut events, &cursor).await;
            next(&mut watching).await.expect("the first response");
            for _ in 0..(cuts * 7) % 90 {
                let response = next(&mut watching).await.expect("the stream continues");
                cursor = response.cursor;
                let Some(event) = response.event else { break }; // it has seen all events
                let newest = seen.entry(event.account_id).or_default();
                if version(&event) == *newest + 1 {
                    *newest += 1;
                } else {
                    assert!(
                        version(&event) <= *newest,
                        "an event of {} was skipped",
                        event.account_id
                    );
                    repeated += 1;
                }
            }
            drop(watching);
            cuts += 1;
            // Sometimes the follower continues from an older cursor over a new connection, as if it
            // had crashed before it stored its last cursor.
            if cuts % 9 == 0 {
                std::mem::swap(&mut cursor, &mut older);
                older.clone_from(&cursor);
                events = api.events().await;
            } else if cuts % 9 == 5 {
                older.clone_from(&cursor);
            }
        }
        (seen, repeated)
    };
    let ((), (seen, repeated)) = tokio::join!(writing, following);
    assert!(repeated > 0, "no event was repeated after an older cursor");
    assert!(seen.values().all(|newest| *newest == EACH), "{seen:?}");
}

/// Opens watches from now on, spread over connections as those of many services would be.
async fn watchers(api: &Api, connections: usize, each: usize) -> Vec<Watch> {
    let mut all = Vec::new();
    for _ in 0..connections {
        let events = api.events().await;
        let opened = (0..each).map(|_| {
            let mut events: Events = events.clone();
            async move {
                let request = WatchEventsRequest { from_now: true, ..Default::default() };
                let mut watching = watch_with(&mut events, request).await.expect("watched");
                next(&mut watching).await.expect("the stream continues");
                watching
            }
        });
        all.extend(join_all(opened).await);
    }
    all
}

const STATEMENTS: &str =
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_followers_cost_no_more_statements_than_one() {
    const EVENTS: i64 = 20;
    let api = Api::start().await;
    let all = watchers(&api, 8, 125).await;
    assert_eq!(all.len(), 1000);
    let (memory, statements) = (resident_kilobytes(), api.database.count(STATEMENTS).await);

    let account_id = next_account_id();
    let writing = async {
        let mut connection = api.database.connect().await;
        for version in 1..=EVENTS {
            write_event(&mut connection, account_id, api.clock.wire_now(), version).await;
        }
    };
    let received = all.into_iter().map(|mut watching| async move {
        for expected in 1..=EVENTS {
            assert_eq!(version(&next_event(&mut watching).await.0), expected);
        }
        watching
    });
    let (kept, ()) = tokio::join!(join_all(received), writing);

    let grown = resident_kilobytes() - memory;
    assert!(grown < 64 * 1024, "1,000 followers and {EVENTS} events took {grown} kB");
    // Sessions report their statements to the statistics within about a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let made = api.database.count(STATEMENTS).await - statements;
    assert!(made < 400, "{made} statements for {EVENTS} events to 1,000 followers");
    println!("1,000 followers: {made} statements, {grown} kB");
    drop(kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_does_not_read_costs_little_memory_and_loses_no_event() {
    const EVENTS: i64 = 20_000; // more than are kept in memory
    let api = Api::start().await;
    let slow = Mutex::new(watchers(&api, 2, 1).await);
    let memory = resident_kilobytes();
    let account_id = next_account_id();
    write_many(&api, account_id, EVENTS).await;
    until_count(&api, "SELECT count(*) FROM event_outbox", 0).await;
    let mut quick = watch(&mut api.events().await, "").await;
    for _ in 0..200 {
        next_event(&mut quick).await; // a follower that reads is not delayed
    }
    let grown = resident_kilobytes() - memory;
    assert!(grown < 48 * 1024, "followers that do not read took {grown} kB");

    println!("two followers that do not read {EVENTS} events: {grown} kB");
    for watching in slow.lock().await.iter_mut() {
        let (mut last, mut events) = (String::new(), 0);
        while events < EVENTS {
            match next(watching).await {
                Ok(WatchEventsResponse { event: Some(event), cursor }) => {
                    assert_eq!(event.account_id, account_id);
                    assert_ne!(cursor, last);
                    events += 1;
                    last = cursor;
                }
                Ok(_) => {}
                // On a slow machine the deadline of the stream can come first. The stream then ends
                // or is reset, and the follower resumes it.
                Err(status) => {
                    let ends = [Code::DeadlineExceeded, Code::Cancelled];
                    assert!(ends.contains(&status.code()), "{status:?}");
                    *watching = watch(&mut api.events().await, &last).await;
                }
            }
        }
    }
}
