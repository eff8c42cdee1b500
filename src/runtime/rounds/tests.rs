//! Tests when a connection is told to end, and why, also during the drain.

use super::super::places::tests::{LIMITS, places, told};
use super::*;

#[tokio::test]
async fn at_shutdown_all_connections_are_told_to_leave_and_new_ones_are_refused() {
    let (_, places) = places(LIMITS);
    let (silent, speaking) = (places.take().await.unwrap(), places.take().await.unwrap());
    speaking.state().spoke();
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
async fn during_the_drain_a_handshake_is_completed_and_a_first_request_has_a_second_after_it() {
    let (_, places) = places(LIMITS);
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(places.take().await.unwrap());
    }
    let (entering, never_enters) = (all[1].state().clone(), all[2].state().clone());
    for state in [&entering, &never_enters] {
        state.enters();
    }
    let begun = Instant::now() + Duration::from_secs(2);
    places.close(begun);
    assert_eq!((told(&all, Signal::End), told(&all, Signal::Leave)), (vec![0], vec![1, 2]));
    let at = |milliseconds| places.look(begun + Duration::from_millis(milliseconds));
    at(1000);
    at(2000);
    entering.entered(); // immediately before the next check
    at(3000);
    at(3900);
    assert_eq!(told(&all, Signal::End), [0], "its request may be on its way");
    at(4000);
    assert_eq!(told(&all, Signal::End), [0, 1]);
    at(7000);
    assert_eq!(told(&all, Signal::End), [0, 1]);
    at(8000); // ten seconds after it was accepted
    assert_eq!(told(&all, Signal::End), [0, 1, 2]);
}

#[tokio::test]
async fn during_the_drain_a_connection_without_a_call_ends_within_a_second_and_others_finish() {
    let (_, places) = places(LIMITS);
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(places.take().await.unwrap());
    }
    let [new, idle, busy, unread] = [0, 1, 2, 3].map(|index: usize| Arc::clone(all[index].state()));
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

#[tokio::test]
async fn after_a_request_to_stop_every_connection_is_old_and_new_ones_are_accepted() {
    let (_, places) = places(LIMITS);
    let before = places.take().await.unwrap();
    places.retire();
    let after = places.take().await.unwrap();
    for place in [&before, &after] {
        assert!(place.state().begin().is_on_an_old_connection());
    }
    places.look(Instant::now());
    assert_eq!(told(&[before, after], Signal::Stay), [0, 1], "they end with their next answer");
}

#[tokio::test]
async fn each_limit_ends_a_connection_for_its_own_reason() {
    let (_, places) = places(LIMITS);
    let begun = Instant::now();
    let at = |seconds| places.look(begun + Duration::from_secs(seconds));
    let (silent, idle) = (places.take().await.unwrap(), places.take().await.unwrap());
    let (stalled, busy) = (places.take().await.unwrap(), places.take().await.unwrap());
    for place in [&idle, &stalled, &busy] {
        place.state().spoke();
    }
    let all = [silent, idle, stalled, busy];
    let reason = |index: usize| places.table().taken.values().nth(index).unwrap().reason;
    let _running = [all[2].state().begin(), all[3].state().begin()];
    all[2].state().write_waits();
    all[3].state().write_waits();
    at(5);
    all[3].state().write_went_on();
    all[3].state().write_waits(); // it reads slowly, but it reads
    at(9);
    assert_eq!(told(&all, Signal::End), [0; 0]);
    at(12);
    assert_eq!(told(&all, Signal::End), [0]);
    at(16);
    assert_eq!(told(&all, Signal::End), [0, 2]);
    all[3].state().write_went_on();
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
