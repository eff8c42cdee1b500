//! Tests which connection gets a place, which one loses its place, and why.

use std::collections::HashMap;

use super::*;
use crate::metrics::Metrics;

const LIMITS: PlaceLimits = PlaceLimits {
    places: 16,
    greeting: Duration::from_secs(10),
    write: Duration::from_secs(10),
    idle: Duration::from_mins(5),
    age: Duration::from_mins(5),
    can_be_asked: true,
    cut_off: Duration::from_secs(35),
    round: Duration::from_secs(1),
};

fn places(limits: PlaceLimits) -> (Metrics, Arc<Places>) {
    let metrics = Metrics::new(HashMap::new());
    let places = Places::new(limits, metrics.listener("rest"));
    (metrics, places)
}

/// Returns places for a test that has few connections.
pub fn many() -> Arc<Places> {
    places(LIMITS).1
}

async fn all_taken(places: &Arc<Places>) -> Vec<Place> {
    let mut all = Vec::new();
    for _ in 0..LIMITS.places {
        all.push(places.take().await.unwrap());
    }
    all
}

/// Returns the indices of the places that have this order.
fn told(places: &[Place], order: Signal) -> Vec<usize> {
    let told = places.iter().enumerate().filter(|(_, place)| place.state.order() == order);
    told.map(|(index, _)| index).collect()
}

#[tokio::test]
async fn a_new_connection_gets_the_place_of_the_oldest_silent_one() {
    let (metrics, places) = places(LIMITS);
    let mut all = all_taken(&places).await;
    all[0].state.spoke();
    let new = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [1]);
    let newer = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [1, 2]);
    all.extend([new, newer]);
    drop(all);
    let page = metrics.render();
    for line in [
        r#"connections_open{listener="rest"} 0"#,
        r#"connections_ended_total{listener="rest",reason="crowded_out"} 2"#,
        r#"connections_ended_total{listener="rest",reason="closed"} 16"#,
    ] {
        assert!(page.lines().any(|said| said == line), "{line}: {page}");
    }
}

#[tokio::test]
async fn a_new_connection_gets_the_place_of_the_one_that_is_idle_longest() {
    let (_, places) = places(LIMITS);
    let all = all_taken(&places).await;
    for place in &all {
        place.state.spoke();
    }
    places.look(Instant::now());
    let running = all[0].state.begin();
    places.look(Instant::now() + Duration::from_secs(1));
    drop(running);
    let new = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [1], "the first one was idle for a shorter time");
    let newer = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [1, 2]);
    assert_eq!(told(&[new, newer], Signal::Stay), [0, 1]);
}

#[tokio::test]
async fn a_new_connection_is_refused_if_all_others_have_work() {
    let (metrics, places) = places(LIMITS);
    let all = all_taken(&places).await;
    let running: Vec<_> = all.iter().map(|place| place.state.begin()).collect();
    assert!(places.take().await.is_none());
    drop(running);
    assert!(places.take().await.is_some());
    let line = r#"connections_ended_total{listener="rest",reason="refused"} 1"#;
    assert!(metrics.render().lines().any(|said| said == line));
}

#[tokio::test]
async fn a_new_connection_waits_while_many_are_about_to_end() {
    let (_, places) = places(LIMITS);
    let mut all = all_taken(&places).await;
    for _ in 0..MOST_ENDING {
        all.push(places.take().await.unwrap());
    }
    let waiting = tokio::spawn({
        let places = Arc::clone(&places);
        async move { places.take().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(all.remove(0));
    assert!(waiting.await.unwrap().is_some());
}

#[tokio::test]
async fn each_limit_ends_a_connection_for_its_own_reason() {
    let (_, places) = places(LIMITS);
    let begun = Instant::now();
    let at = |seconds| places.look(begun + Duration::from_secs(seconds));
    let (silent, idle) = (places.take().await.unwrap(), places.take().await.unwrap());
    let (stalled, busy) = (places.take().await.unwrap(), places.take().await.unwrap());
    for place in [&idle, &stalled, &busy] {
        place.state.spoke();
    }
    let all = [silent, idle, stalled, busy];
    let reason = |index: usize| places.table().taken[&all[index].number].reason;
    let _running = [all[2].state.begin(), all[3].state.begin()];
    all[2].state.write_waits();
    all[3].state.write_waits();
    at(5);
    all[3].state.write_went_on();
    all[3].state.write_waits(); // it reads slowly, but it reads
    at(9);
    assert_eq!(told(&all, Signal::End), [0; 0]);
    at(12);
    assert_eq!(told(&all, Signal::End), [0]);
    at(16);
    assert_eq!(told(&all, Signal::End), [0, 2]);
    all[3].state.write_went_on();
    at(299);
    assert_eq!(told(&all, Signal::End), [0, 2]);
    at(331); // five minutes and a tenth
    assert_eq!(told(&all, Signal::Leave), [1, 3], "running calls may finish");
    at(366);
    assert_eq!(
        told(&all, Signal::End),
        [0, 1, 2, 3],
        "a call that takes longer than any deadline is cut off"
    );
    assert_eq!(told(&all, Signal::Leave), [0; 0]);
    let reasons: Vec<_> = (0..4).map(reason).collect();
    assert_eq!(reasons, [Reason::Silent, Reason::Idle, Reason::Stalled, Reason::Age]);
}

#[tokio::test]
async fn after_a_request_to_stop_every_connection_is_old_and_new_ones_are_accepted() {
    let (_, places) = places(LIMITS);
    let before = places.take().await.unwrap();
    places.retire();
    let after = places.take().await.unwrap();
    for place in [&before, &after] {
        assert!(place.state.begin().is_on_an_old_connection());
    }
    places.look(Instant::now());
    assert_eq!(told(&[before, after], Signal::Stay), [0, 1], "they end with their next answer");
}

#[tokio::test]
async fn at_shutdown_all_connections_are_told_to_leave_and_new_ones_are_refused() {
    let (_, places) = places(LIMITS);
    let (silent, speaking) = (places.take().await.unwrap(), places.take().await.unwrap());
    speaking.state.spoke();
    let shutdown = tokio_util::sync::CancellationToken::new();
    shutdown.cancel();
    let looking = tokio::spawn(Arc::clone(&places).look_after(shutdown));
    tokio::task::yield_now().await;
    assert!(!looking.is_finished(), "connections may still be handed over");
    places.close(Instant::now() + Duration::from_secs(2));
    let all = [silent, speaking];
    assert_eq!((told(&all, Signal::End), told(&all, Signal::Leave)), (vec![0], vec![1]));
    assert!(places.take().await.is_none());
    tokio::task::yield_now().await;
    assert!(!looking.is_finished());
    drop(all);
    looking.await.unwrap();
}

#[tokio::test]
async fn during_the_drain_a_connection_without_a_call_ends_within_a_second_and_others_finish() {
    let (_, places) = places(LIMITS);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(places.take().await.unwrap());
    }
    let [new, idle, busy, unread] = [0, 1, 2, 3].map(|index: usize| all[index].state.clone());
    for state in [&idle, &busy, &unread] {
        state.spoke();
    }
    let running = busy.begin();
    unread.write_waits(); // its answer is being written
    let begun = Instant::now();
    places.close(begun);
    assert_eq!(told(&all, Signal::Leave), [0, 1, 2, 3], "a new one may have sent a request");
    let at = |milliseconds| places.look(begun + Duration::from_millis(milliseconds));
    at(900);
    assert_eq!(told(&all, Signal::End), [0; 0]);
    at(1000);
    assert_eq!(told(&all, Signal::End), [0, 1]);
    at(5000);
    drop(running);
    at(5900);
    assert_eq!(told(&all, Signal::End), [0, 1], "its answer has just been given");
    at(6000);
    assert_eq!(told(&all, Signal::End), [0, 1, 2]);
    at(15_000);
    assert_eq!(told(&all, Signal::End), [0, 1, 2, 3]);
    drop(new);
}
