//! Tests which connection gets a place, and which one loses its place for it.

use std::collections::HashMap;

use super::*;
use crate::metrics::Metrics;

/// Limits as in production, with few places.
pub const LIMITS: PlaceLimits = PlaceLimits {
    places: 16,
    greeting: Duration::from_secs(10),
    beginning: Duration::ZERO,
    first_bytes: Duration::ZERO,
    write: Duration::from_secs(10),
    idle: Duration::from_mins(5),
    age: Duration::from_mins(5),
    can_be_asked: true,
    cut_off: Duration::from_secs(35),
    round: Duration::from_secs(1),
};

/// Returns places, and the metrics that count them.
pub fn places(limits: PlaceLimits) -> (Metrics, Arc<Places>) {
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

/// Takes all places, and as many as possible of connections that must end for them.
pub async fn all_taken_and_as_many_ending(places: &Arc<Places>) -> Vec<Place> {
    let mut all = all_taken(places).await;
    for _ in 0..MOST_ENDING {
        all.push(places.take().await.unwrap());
    }
    all
}

/// Returns the indices of the places that have this order.
pub fn told(places: &[Place], order: Signal) -> Vec<usize> {
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
    for taken in places.table().taken.values_mut() {
        taken.seen.idle_since -= Duration::from_secs(2);
    }
    let new = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [1], "the first one was idle for a shorter time");
    let newer = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [1, 2]);
    assert_eq!(told(&[new, newer], Signal::Stay), [0, 1]);
}

/// Begins and finishes a call on each of these connections.
fn call(places: &[Place]) {
    for place in places {
        drop(place.state.begin());
    }
}

#[tokio::test]
async fn a_caller_that_has_called_since_the_last_check_keeps_its_place() {
    let (_, places) = places(LIMITS);
    let all = all_taken(&places).await;
    call(&all);
    places.look(Instant::now()); // for the table, all were busy until now
    call(&all[..15]);
    let _new = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [15]);
}

#[tokio::test]
async fn a_new_connection_gets_the_place_of_a_silent_one_rather_than_of_a_caller_between_two_calls()
{
    let (_, places) = places(LIMITS);
    let mut all = Vec::new();
    for _ in 1..LIMITS.places {
        all.push(places.take().await.unwrap());
    }
    call(&all);
    places.look(Instant::now());
    all.push(places.take().await.unwrap());
    let _new = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [15]);
}

/// Limits whose time to begin passes only if `age` is called.
const PATIENT: PlaceLimits = PlaceLimits {
    beginning: Duration::from_mins(3),
    first_bytes: Duration::from_mins(1),
    ..LIMITS
};

/// Makes all connections older.
fn age(places: &Places, by: Duration) {
    for taken in places.table().taken.values_mut() {
        taken.since -= by;
        taken.seen.begun_since -= by;
    }
}

fn takes(places: &Arc<Places>) -> tokio::task::JoinHandle<Option<Place>> {
    let places = Arc::clone(places);
    tokio::spawn(async move { places.take().await })
}

#[tokio::test]
async fn in_a_crowd_of_new_connections_the_next_one_waits_until_the_oldest_has_had_its_time_to_begin()
 {
    let (_, places) = places(PATIENT);
    let all = all_taken(&places).await;
    let waiting = takes(&places);
    tokio::task::yield_now().await;
    assert_eq!(told(&all, Signal::End), [0; 0]);
    all[0].state.spoke();
    drop(all[0].state.begin());
    age(&places, PATIENT.first_bytes);
    assert!(waiting.await.unwrap().is_some());
    assert_eq!(told(&all, Signal::End), [1], "the first one has sent its request");
}

#[tokio::test]
async fn a_connection_that_has_begun_its_handshake_has_more_time_to_complete_it() {
    let (_, places) = places(PATIENT);
    let mut all = all_taken(&places).await;
    all[0].state.enters();
    all[1].state.enters();
    all[1].state.entered();
    age(&places, PATIENT.first_bytes);
    all.push(places.take().await.unwrap());
    assert_eq!(told(&all, Signal::End), [2], "those before it have begun");
    age(&places, PATIENT.beginning);
    all.push(places.take().await.unwrap());
    assert_eq!(told(&all, Signal::End), [0, 2]);
}

#[tokio::test]
async fn in_a_crowd_of_new_connections_the_next_one_does_not_wait_if_another_one_is_idle() {
    let (_, places) = places(PATIENT);
    let all = all_taken(&places).await;
    call(&all[5..6]);
    places.look(Instant::now());
    let idle_since = Instant::now() - SILENCE;
    places.table().taken.values_mut().nth(5).unwrap().seen.idle_since = idle_since;
    let _new = places.try_take().ok().unwrap();
    assert_eq!(told(&all, Signal::End), [5]);
}

#[tokio::test]
async fn a_single_new_connection_keeps_its_place_in_its_time_to_begin() {
    let (_, places) = places(PATIENT);
    let all = all_taken(&places).await;
    call(&all[..15]);
    let _new = places.try_take().ok().unwrap();
    assert_eq!(told(&all, Signal::End), [0]);
}

#[tokio::test]
async fn a_new_connection_gets_the_place_of_a_request_that_stopped_rather_than_of_an_active_caller()
{
    let (_, places) = places(LIMITS);
    let all = all_taken(&places).await;
    call(&all[..1]);
    let stopped: Vec<_> =
        all[1..].iter().map(|place| (place.state.begin(), place.state.arrives())).collect();
    places.look(Instant::now());
    age(&places, SILENCE);
    drop(all[1].state.begin());
    let _new = places.take().await.unwrap();
    assert_eq!(told(&all, Signal::End), [2], "the second one has begun another call");
    drop(stopped);
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
    let mut all = all_taken_and_as_many_ending(&places).await;
    let waiting = takes(&places);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(all.remove(0));
    assert!(waiting.await.unwrap().is_some());
}
