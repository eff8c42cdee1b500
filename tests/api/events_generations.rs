//! Generations of the event log: a log that was set back makes no follower skip an event.

use cdn_activation::auth::sealing::SealingKey;
use cdn_activation::clock::Clock;
use cdn_activation::ids::new_id;
use cdn_activation::proto::operator::v1::{ListEventsRequest, WatchEventsRequest};
use sqlx::Connection;
use tonic::{Code, Status};

use crate::support::database::{Database, left_out_on_citus};
use crate::support::events::{
    Events, list_all, list_until, next, next_event, until_count, version, watch, write_event,
};
use crate::support::grpc::{next_account_id, refusal};
use crate::support::process::run;
use crate::support::{Api, SEALING_KEY, eventually};

/// The server of another test would have another origin, too.
const OF_ANOTHER_SERVER: &str = "UPDATE event_generations SET origin = 'another server'";
const GENERATIONS: &str = "SELECT count(*) FROM event_generations";

/// Writes events of an account with these versions.
async fn write(api: &Api, account_id: i64, versions: std::ops::RangeInclusive<i64>) {
    let mut connection = api.database.connect().await;
    let mut transaction = connection.begin().await.expect("begun");
    for version in versions {
        let time = api.clock.wire_now() + chrono::Duration::microseconds(version);
        write_event(&mut transaction, account_id, time, version).await;
    }
    transaction.commit().await.expect("committed");
}

/// Lists a page. Returns its versions and the next cursor.
async fn page(
    events: &mut Events,
    cursor: &str,
    page_size: i32,
) -> Result<(Vec<i64>, String), Status> {
    let request = ListEventsRequest { cursor: cursor.to_owned(), page_size, account_id: 0 };
    let page = events.list_events(request).await?.into_inner();
    Ok((page.events.iter().map(version).collect(), page.next_cursor))
}

/// Lists everything after a cursor. Returns the versions.
async fn versions_after(events: &mut Events, cursor: &str) -> Vec<i64> {
    let request = ListEventsRequest { cursor: cursor.to_owned(), ..Default::default() };
    list_all(events, request).await.0.iter().map(version).collect()
}

fn assert_expired(status: &Status) {
    let reported = refusal(status);
    assert_eq!((reported.grpc, reported.code.as_str()), (Code::OutOfRange, "CursorExpired"));
}

#[tokio::test]
async fn after_the_log_was_set_back_only_followers_that_have_seen_lost_events_start_over() {
    let api = Api::start().await;
    let replica = api.replica().await;
    let account_id = next_account_id();
    write(&api, account_id, 1..=5).await;
    let mut both = [api.events().await, replica.events().await];
    for events in &mut both {
        list_until(events, 5).await;
    }
    let (seen, early) = page(&mut both[0], "", 3).await.expect("listed");
    assert_eq!(seen, [1, 2, 3]);
    let (_, late) = page(&mut both[0], "", 50).await.expect("listed");
    let mut watches = Vec::new();
    for events in &mut both {
        watches.push(watch(events, &late).await);
    }
    // A backup had the first three events.
    api.database
        .execute(
            "DELETE FROM event_log WHERE position > 3;
            UPDATE event_lanes SET last_position = 3 WHERE last_position = 5;
            UPDATE event_generations SET origin = 'another server'",
        )
        .await;
    write(&api, account_id, 11..=20).await;
    until_count(&api, "SELECT count(*) FROM event_log", 13).await;
    for mut watching in watches {
        let ended = loop {
            match next(&mut watching).await {
                Ok(response) => assert_eq!(response.event, None, "events 11 and 12 were skipped"),
                Err(ended) => break ended,
            }
        };
        assert_expired(&ended);
    }
    for events in &mut both {
        assert_expired(&page(events, &late, 50).await.expect_err("refused"));
        let after = versions_after(events, &early).await;
        assert_eq!(after, (11..=20).collect::<Vec<_>>());
        let (first, _) = next_event(&mut watch(events, &early).await).await;
        assert_eq!(version(&first), 11);
        let all = versions_after(events, "").await;
        assert_eq!(all, [1, 2, 3].into_iter().chain(11..=20).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_server_that_was_started_again_and_lost_nothing_makes_no_follower_start_over() {
    let api = Api::start().await;
    let account_id = next_account_id();
    write(&api, account_id, 1..=5).await;
    let mut events = api.events().await;
    list_until(&mut events, 5).await;
    let (_, end) = page(&mut events, "", 50).await.expect("listed");
    let mut watching = watch(&mut events, &end).await;
    let generations = api.database.count(GENERATIONS).await;
    for started in 1..=3 {
        api.database.execute(OF_ANOTHER_SERVER).await;
        write(&api, account_id, started * 10..=started * 10).await;
        let (event, cursor) = next_event(&mut watching).await;
        assert_eq!(version(&event), started * 10);
        let (after, _) = page(&mut events, &cursor, 50).await.expect("valid");
        assert_eq!(after, [0; 0]);
        assert_eq!(api.database.count(GENERATIONS).await, generations + started);
    }
    assert_eq!(versions_after(&mut events, &end).await, [10, 20, 30]);
    assert_eq!(
        api.replica()
            .await
            .events()
            .await
            .list_events(ListEventsRequest { cursor: end, ..Default::default() })
            .await
            .expect("valid on a new replica")
            .into_inner()
            .events
            .len(),
        3
    );
}

#[tokio::test]
async fn processes_that_find_a_new_server_at_the_same_time_begin_one_generation() {
    let api = Api::start_without_workers().await;
    let generations = api.database.count(GENERATIONS).await;
    let begin = async || {
        let store = api.store();
        let now = Clock::system().wire_now();
        let begun = store.begin_generation_of_server(new_id(), now).await.expect("no error");
        store.close().await;
        i64::from(begun.is_some())
    };
    let together = futures_util::future::join_all((0..8).map(|_| begin())).await;
    assert_eq!(together.iter().sum::<i64>(), 1);
    assert_eq!(begin().await, 0, "the newest generation is of this server");
    assert_eq!(api.database.count(GENERATIONS).await, generations + 1);
}

#[tokio::test]
async fn the_newest_100_generations_are_kept_and_a_cursor_of_another_one_has_expired() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let mut events = api.events().await;
    write(&api, account_id, 1..=1).await;
    list_until(&mut events, 1).await;
    let (_, cursor) = page(&mut events, "", 50).await.expect("listed");
    for round in 0..110 {
        api.database.execute(OF_ANOTHER_SERVER).await;
        let store = api.store();
        let now = Clock::system().wire_now();
        let begun = store.begin_generation_of_server(new_id(), now).await.expect("no error");
        assert!(begun.is_some(), "{round}");
        store.close().await;
        // The service has the log of the newest generation at once, also if it has not read it yet.
        if round % 40 == 0 {
            let (listed, newest) = page(&mut events, "", 50).await.expect("listed");
            assert_eq!(listed, [1]);
            page(&mut events, &newest, 50).await.expect("valid");
            page(&mut events, &cursor, 50).await.expect("valid");
        }
    }
    assert_eq!(api.database.count(GENERATIONS).await, 100);
    // The service reads the generations again within a moment. Until then, it knows the old one.
    let refused = async || page(&mut events, &cursor, 50).await.is_err();
    eventually("the service has read the generations", refused).await;
    assert_expired(&page(&mut events, &cursor, 50).await.expect_err("refused"));
    assert_expired(
        &page(&mut api.replica().await.events().await, &cursor, 50).await.expect_err("refused"),
    );
}

/// Returns the database for a role that has what `deploy/database/grants.sql` grants.
async fn of_service(database: &Database) -> Database {
    let role = format!("events_{}", new_id().simple());
    let grants = include_str!("../../deploy/database/grants.sql");
    let grants = grants.replace("TO cdn_activation", &format!("TO {role}"));
    let make = format!("CREATE ROLE {role} LOGIN; {grants}");
    let mut owner = database.connect().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(make)).execute(&mut owner).await.expect("granted");
    owner.close().await.expect("closed");
    database.as_role(&role)
}

#[tokio::test]
async fn the_command_new_generation_makes_every_follower_start_over() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let mut events = api.events().await;
    let (_, unread) = page(&mut events, "", 50).await.expect("listed");
    write(&api, account_id, 1..=4).await;
    list_until(&mut events, 4).await;
    let (_, cursor) = page(&mut events, "", 1).await.expect("listed");
    let mut watching = watch(&mut events, &cursor).await;
    for expected in 2..=4 {
        assert_eq!(version(&next_event(&mut watching).await.0), expected);
    }
    let database = of_service(&api.database).await;
    let ended = run(["new-generation"], &[("DATABASE_URL", &database.url)]).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let mut connection = api.database.connect().await;
    let newest: Vec<String> = sqlx::query_scalar(
        "SELECT generation_id::text FROM event_generations ORDER BY number DESC LIMIT 2",
    )
    .fetch_all(&mut connection)
    .await
    .expect("reads");
    let said = format!(
        "generation {} of the event log began, after generation {}; followers of earlier generations \
         get CursorExpired\n",
        newest[0], newest[1]
    );
    assert_eq!(ended.stdout, said);
    let ended = loop {
        match next(&mut watching).await {
            Ok(response) => assert_eq!(response.event, None),
            Err(ended) => break ended,
        }
    };
    assert_expired(&ended);
    assert_expired(&page(&mut events, &cursor, 50).await.expect_err("refused"));
    let request = WatchEventsRequest { cursor, ..Default::default() };
    let mut refused = events.watch_events(request).await.map(tonic::Response::into_inner);
    if let Ok(watching) = &mut refused {
        assert_expired(&next(watching).await.expect_err("refused"));
    } else {
        assert_expired(&refused.expect_err("refused"));
    }
    for unread in [unread.as_str(), ""] {
        assert_eq!(versions_after(&mut events, unread).await, [1, 2, 3, 4], "it has seen nothing");
    }
    write(&api, account_id, 5..=5).await;
    until_count(&api, "SELECT count(*) FROM event_log", 5).await;
    assert_eq!(versions_after(&mut events, "").await.last(), Some(&5));
}

/// Cursors that were used up are worth nothing, and no follower skips an event: the command can be
/// repeated by an operator who does not know whether it has run.
#[tokio::test]
async fn a_command_new_generation_that_is_repeated_makes_followers_start_over_once_more() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let mut events = api.events().await;
    write(&api, account_id, 1..=3).await;
    list_until(&mut events, 3).await;
    let generations = api.database.count(GENERATIONS).await;
    let mut cursors = vec![page(&mut events, "", 2).await.expect("listed").1];
    for repeated in 1..=2 {
        let ended = run(["new-generation"], &[("DATABASE_URL", &api.database.url)]).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        assert_eq!(api.database.count(GENERATIONS).await, generations + repeated);
        let replica = api.replica().await;
        let mut fresh = replica.events().await;
        for cursor in &cursors {
            assert_expired(&page(&mut fresh, cursor, 50).await.expect_err("refused"));
        }
        let (versions, cursor) = page(&mut fresh, "", 2).await.expect("listed");
        assert_eq!(versions, [1, 2], "it starts over");
        assert_eq!(versions_after(&mut fresh, &cursor).await, [3]);
        cursors.push(cursor);
    }
    let replica = api.replica().await;
    let mut fresh = replica.events().await;
    write(&api, account_id, 4..=4).await;
    until_count(&api, "SELECT count(*) FROM event_log", 4).await;
    assert_eq!(versions_after(&mut fresh, &cursors[2]).await, [3, 4], "of the newest generation");
}

#[tokio::test]
async fn a_log_whose_generations_were_deleted_begins_one_with_the_next_event() {
    let api = Api::start().await;
    let account_id = next_account_id();
    let mut events = api.events().await;
    write(&api, account_id, 1..=2).await;
    list_until(&mut events, 2).await;
    let (_, cursor) = page(&mut events, "", 1).await.expect("listed");
    api.database.execute("DELETE FROM event_generations").await;
    write(&api, account_id, 3..=3).await;
    until_count(&api, "SELECT count(*) FROM event_log", 3).await;
    assert_eq!(api.database.count(GENERATIONS).await, 1);
    let replica = api.replica().await;
    let mut fresh = replica.events().await;
    assert_eq!(versions_after(&mut fresh, "").await, [1, 2, 3]);
    assert_expired(&page(&mut fresh, &cursor, 50).await.expect_err("of an unknown generation"));

    api.database.execute("DELETE FROM event_generations").await;
    let ended = run(["new-generation"], &[("DATABASE_URL", &api.database.url)]).await;
    let begins = ended.stdout.starts_with("generation ")
        && ended.stdout.ends_with(
            " of the event log began; followers of earlier generations get CursorExpired\n",
        );
    assert!(begins && ended.code == Some(0), "{ended:?}");
}

/// Records with which `synchronous_commit` a position or a generation is committed.
const NOTE_COMMITS: &str = "
    CREATE TABLE commits (what text NOT NULL, waits text NOT NULL);
    CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO commits VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
            RETURN NULL;
        END $$;
    CREATE TRIGGER note AFTER INSERT ON event_outbox FOR EACH ROW EXECUTE FUNCTION note_commit();
    CREATE TRIGGER note AFTER INSERT ON event_log FOR EACH ROW EXECUTE FUNCTION note_commit();
    CREATE TRIGGER note AFTER INSERT ON event_generations FOR EACH ROW EXECUTE FUNCTION note_commit()";

#[tokio::test]
async fn positions_and_generations_are_on_the_disk_before_they_are_seen_whatever_the_database_sets()
{
    if left_out_on_citus("a trigger of a distributed table is not created by the coordinator").await
    {
        return;
    }
    for (set, used) in [("off", "local"), ("local", "local"), ("remote_apply", "remote_apply")] {
        let database = Database::fresh().await;
        let alter = format!(
            "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET synchronous_commit = {set}'',
            current_database()); END'"
        );
        let mut owner = database.connect().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(alter)).execute(&mut owner).await.expect("set");
        owner.close().await.expect("closed");
        database.execute(NOTE_COMMITS).await;
        let sealing_key = SealingKey::parse(SEALING_KEY).expect("a key");
        let api = Api::start_on(database, sealing_key, Clock::system(), |_| {}).await;
        api.account().await;
        let logged = "SELECT count(*) FROM commits WHERE what = 'event_log'";
        eventually("numbered", async || api.database.count(logged).await > 0).await;
        let mut connection = api.database.connect().await;
        let noted: Vec<(String, String)> =
            sqlx::query_as("SELECT DISTINCT what, waits FROM commits ORDER BY what")
                .fetch_all(&mut connection)
                .await
                .expect("reads");
        connection.close().await.expect("closed");
        let noted: Vec<_> =
            noted.iter().map(|(what, with)| (what.as_str(), with.as_str())).collect();
        let expected = [("event_generations", used), ("event_log", used), ("event_outbox", set)];
        assert_eq!(noted, expected, "{set}");
        api.stop().await;
    }
}
