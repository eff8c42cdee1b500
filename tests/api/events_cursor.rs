//! Cursors, pages and filters of `EventService`: the position of a follower, the requests that are
//! accepted, and what happens to a follower that was away for too long.

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::ids::new_id;
use cdn_activation::proto::operator::v1::{ListEventsRequest, WatchEventsRequest};
use cdn_activation::workers::retention::forget_events;
use sqlx::Connection;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::support::Api;
use crate::support::database::Database;
use crate::support::events::{
    Events, list_all, list_until, next, next_event, until_count, version, watch_with, write_event,
};
use crate::support::grpc::{next_account_id, refusal};

/// Writes events with the versions 1 to `count` for each account.
async fn write(api: &Api, accounts: &[i64], count: i64) {
    let mut connection = api.database.connect().await;
    let mut transaction = connection.begin().await.expect("begun");
    for version in 1..=count {
        for account_id in accounts {
            let time = api.clock.wire_now() + chrono::Duration::microseconds(version);
            write_event(&mut transaction, *account_id, time, version).await;
        }
    }
    transaction.commit().await.expect("committed");
}

/// Returns the refusal of a cursor. Checks that listing and watching refuse it with the same code.
async fn refused(events: &mut Events, cursor: &str) -> Status {
    let list = ListEventsRequest { cursor: cursor.to_owned(), ..Default::default() };
    let listed = events.list_events(list).await.expect_err("refused");
    let watch = WatchEventsRequest { cursor: cursor.to_owned(), ..Default::default() };
    let watched = events.watch_events(watch).await.expect_err("refused");
    assert_eq!(refusal(&listed).code, refusal(&watched).code);
    listed
}

/// Returns the cursor after the first page.
async fn cursor(events: &mut Events, account_id: i64) -> String {
    let request = ListEventsRequest { account_id, ..Default::default() };
    events.list_events(request).await.expect("listed").into_inner().next_cursor
}

#[tokio::test]
async fn events_are_listed_in_pages_of_the_requested_size() {
    let api = Api::start().await;
    let accounts: Vec<_> = (0..5).map(|_| next_account_id()).collect();
    write(&api, &accounts, 300).await;
    let mut events = api.events().await;
    let all = list_until(&mut events, 1500).await;
    assert_eq!(all.len(), 1500);
    for (page_size, expected) in [(0, 50), (7, 7), (1, 1), (5000, 1000)] {
        let request = ListEventsRequest { page_size, ..Default::default() };
        let page = events.list_events(request).await.expect("listed").into_inner();
        assert_eq!(page.events.len(), expected, "page_size {page_size}");
    }
    let request = ListEventsRequest { page_size: -1, ..Default::default() };
    let negative = events.list_events(request).await.expect_err("refused");
    assert_eq!(
        (negative.code(), refusal(&negative).code.as_str()),
        (Code::InvalidArgument, "InvalidFields")
    );
    // At the end a page is empty, and a watch can continue from its cursor.
    let (_, end) = list_all(&mut events, ListEventsRequest::default()).await;
    write(&api, &accounts[..1], 1).await;
    until_count(&api, "SELECT count(*) FROM event_outbox", 0).await;
    let request = WatchEventsRequest { cursor: end, account_id: 0, ..Default::default() };
    let mut watching = watch_with(&mut events, request).await.expect("watched");
    assert_eq!(version(&next_event(&mut watching).await.0), 1);
}

#[tokio::test]
async fn the_events_of_one_account_can_be_followed_alone() {
    let api = Api::start().await;
    let one = next_account_id();
    let same_lane = one + 16;
    write(&api, &[one, same_lane, one + 1], 200).await;
    let mut events = api.events().await;
    list_until(&mut events, 600).await;
    let request = ListEventsRequest { account_id: one, page_size: 33, ..Default::default() };
    let (all, end) = list_all(&mut events, request.clone()).await;
    let versions: Vec<_> = all.iter().map(version).collect();
    assert_eq!(versions, (1..=200).collect::<Vec<_>>());
    assert!(all.iter().all(|event| event.account_id == one));

    // A replica that starts now has no events in memory. It reads the same events from the
    // database.
    let replica = api.replica().await;
    let (again, _) = list_all(&mut replica.events().await, request).await;
    assert_eq!(again, all);

    let watch = WatchEventsRequest { account_id: one, cursor: end.clone(), from_now: false };
    let mut watching = watch_with(&mut events, watch).await.expect("watched");
    let first = next(&mut watching).await.expect("the stream continues");
    assert_eq!((first.event, &first.cursor), (None, &end));
    // Events of other accounts also move the cursor.
    write(&api, &[same_lane], 3).await;
    let moved = loop {
        let response = next(&mut watching).await.expect("the stream continues");
        assert!(response.event.is_none());
        if response.cursor != end {
            break response.cursor;
        }
    };
    write(&api, &[one], 1).await;
    let (event, _) = next_event(&mut watching).await;
    assert_eq!((event.account_id, version(&event)), (one, 1));
    let request = ListEventsRequest { account_id: one, cursor: moved, ..Default::default() };
    assert_eq!(list_all(&mut events, request).await.0.len(), 1);
}

#[tokio::test]
async fn a_cursor_of_another_service_or_another_filter_is_refused() {
    let api = Api::start().await;
    let mut events = api.events().await;
    let good = cursor(&mut events, 0).await;
    let of_account = cursor(&mut events, 7).await;
    let another_key = SealingKey::generate().expect("random bytes");
    let another_key = SealingKey::parse(&another_key).expect("a key");
    let other = Api::start_on(Database::fresh().await, another_key, Clock::system(), |_| {}).await;
    let foreign = cursor(&mut other.events().await, 0).await;
    let mut tampered = good.clone().into_bytes();
    tampered[5] = if tampered[5] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).expect("ASCII");
    let truncated = &good[..good.len() - 4];
    for wrong in [tampered.as_str(), truncated, &foreign, &of_account, "?", &"A".repeat(5000)] {
        let status = refused(&mut events, wrong).await;
        let reported = refusal(&status);
        assert_eq!(
            (reported.grpc, reported.code.as_str()),
            (Code::InvalidArgument, "InvalidFields")
        );
        assert!(reported.message.starts_with("cursor: "), "{}", reported.message);
    }
    let request =
        ListEventsRequest { account_id: 8, cursor: of_account.clone(), ..Default::default() };
    assert!(events.list_events(request).await.is_err(), "the cursor is for account 7");
    let request = ListEventsRequest { account_id: -1, ..Default::default() };
    let negative = events.list_events(request).await.expect_err("refused");
    assert_eq!(refusal(&negative).code, "InvalidAccountId");
    let watch = WatchEventsRequest { cursor: good.clone(), from_now: true, account_id: 0 };
    let both = events.watch_events(watch).await.expect_err("refused");
    assert_eq!(refusal(&both).code, "InvalidFields");
    let request = ListEventsRequest { cursor: good, ..Default::default() };
    events.list_events(request).await.expect("the unchanged cursor is accepted");
}

/// Deletes the events that are older than this, as the worker does.
async fn forget(api: &Api, retention: chrono::Duration) {
    let (store, clock, shutdown) = (api.store(), Clock::system(), CancellationToken::new());
    let forgotten = forget_events(&store, &clock, new_id(), retention, &shutdown).await;
    forgotten.expect("forgotten");
    store.close().await;
}

/// Deletes every lease, so that another holder can take it at once.
async fn free_the_lease(api: &Api) {
    api.database.execute("DELETE FROM leases").await;
}

fn assert_expired(status: &Status) {
    let reported = refusal(status);
    assert_eq!((reported.grpc, reported.code.as_str()), (Code::OutOfRange, "CursorExpired"));
    assert!(reported.message.contains("start over with an empty cursor"), "{}", reported.message);
}

#[tokio::test]
async fn a_cursor_after_which_events_were_deleted_has_expired() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let mut events = api.events().await;
    let before = cursor(&mut events, 0).await;
    let before_of_one = cursor(&mut events, account_id).await;
    write(&api, &[account_id, account_id + 3], 30).await;
    list_until(&mut events, 60).await;
    let (_, end) = list_all(&mut events, ListEventsRequest::default()).await;

    forget(&api, chrono::Duration::hours(1)).await;
    free_the_lease(&api).await;
    assert_eq!(
        api.database.count("SELECT count(*) FROM event_log").await,
        60,
        "the events are too young"
    );
    forget(&api, chrono::Duration::zero()).await;
    assert_eq!(api.database.count("SELECT count(*) FROM event_log").await, 0);
    let ends = "SELECT count(*) FROM event_lanes
        WHERE expired_position = 30 AND last_position = 30";
    assert_eq!(api.database.count(ends).await, 2);

    // A process that has read these events still delivers them. A process that has not read them
    // refuses the cursors.
    let replica = api.replica().await;
    let mut events = replica.events().await;
    for (cursor, account_id) in [(&before, 0), (&before_of_one, account_id)] {
        let cursor = cursor.clone();
        let list = ListEventsRequest { cursor: cursor.clone(), account_id, ..Default::default() };
        assert_expired(&events.list_events(list).await.expect_err("refused"));
        let watch = WatchEventsRequest { cursor, account_id, ..Default::default() };
        let mut watching = watch_with(&mut events, watch).await.expect("begun");
        assert!(next(&mut watching).await.expect("the first response").event.is_none());
        assert_expired(&next(&mut watching).await.expect_err("refused"));
    }
    // A follower that has seen all events continues, and so does one that starts over. Positions
    // continue, too.
    free_the_lease(&api).await;
    write(&api, &[account_id], 1).await;
    for cursor in [end.clone(), String::new()] {
        let watch = WatchEventsRequest { cursor, ..Default::default() };
        let mut watching = watch_with(&mut events, watch).await.expect("watched");
        assert_eq!(version(&next_event(&mut watching).await.0), 1);
    }
    assert_eq!(api.database.count("SELECT max(position) FROM event_log").await, 31);
}

#[tokio::test]
async fn a_cursor_past_the_end_of_a_restored_database_has_expired() {
    let api = Api::start().await;
    let account_id = next_account_id();
    write(&api, &[account_id], 5).await;
    let mut events = api.events().await;
    list_until(&mut events, 5).await;
    let (_, end) = list_all(&mut events, ListEventsRequest::default()).await;
    api.database
        .execute("DELETE FROM event_log WHERE position > 3; UPDATE event_lanes SET last_position = 3 WHERE last_position = 5")
        .await;
    let replica = api.replica().await;
    let list = ListEventsRequest { cursor: end, ..Default::default() };
    let status = replica.events().await.list_events(list).await.expect_err("refused");
    assert_expired(&status);
}
