//! The worker that deletes used nonces when no signed request can contain them any more. It uses the
//! database's clock, so these databases have a clock that the test sets.

use cdn_activation::clock::Clock;
use cdn_activation::domain::time;
use cdn_activation::ids::new_id;
use cdn_activation::storage::{self, SLOT_SECONDS, Store};
use cdn_activation::workers::forget_nonces;
use chrono::Duration;
use sqlx::Connection;

use crate::support::database::Database;

/// The start of a slot that belongs in the first table of the ring.
const SLOT: &str = "2018-03-19T00:00:00Z";

/// A database with a used nonce in every slot, whose clock is a row of a table.
struct Ring {
    database: Database,
    store: Store,
}

impl Ring {
    async fn new() -> Self {
        let database = Database::fresh().await;
        // A function in a schema before pg_catalog in the search path replaces the built-in one.
        database
            .execute(
                "CREATE SCHEMA hand;
                 CREATE TABLE hand.clock (shows timestamptz NOT NULL);
                 INSERT INTO hand.clock VALUES (now());
                 CREATE FUNCTION hand.clock_timestamp() RETURNS timestamptz LANGUAGE sql
                     AS 'SELECT shows FROM hand.clock';
                 DO 'BEGIN EXECUTE format(
                     ''ALTER DATABASE %I SET search_path = hand, pg_catalog, public'', current_database()); END'",
            )
            .await;
        let url = database.url.parse().expect("a URL");
        let store = Store::connect_lazily(&storage::StoreOptions::new(url, 2));
        let ring = Self { database, store };
        ring.fill().await;
        ring
    }

    /// Writes a used nonce to every slot.
    async fn fill(&self) {
        self.database
            .execute(
                "INSERT INTO public.used_nonces_0 VALUES (md5('')::uuid) ON CONFLICT DO NOTHING;
                 INSERT INTO public.used_nonces_1 VALUES (md5('')::uuid) ON CONFLICT DO NOTHING;
                 INSERT INTO public.used_nonces_2 VALUES (md5('')::uuid) ON CONFLICT DO NOTHING;
                 INSERT INTO public.used_nonces_3 VALUES (md5('')::uuid) ON CONFLICT DO NOTHING;",
            )
            .await;
    }

    /// Sets the database's clock to an instant this many seconds after the start of the slot.
    async fn set_clock(&self, seconds: i64) {
        let instant = time::parse(SLOT).expect("an instant") + Duration::seconds(seconds);
        let mut connection = self.database.connect().await;
        let statement = sqlx::query("UPDATE hand.clock SET shows = $1").bind(instant);
        statement.execute(&mut connection).await.expect("set");
        connection.close().await.expect("closed");
        assert_eq!(
            self.store.database_time().await.expect("read"),
            instant,
            "the database uses this clock"
        );
    }

    /// Returns how many nonces each slot holds.
    async fn held(&self) -> [i64; 4] {
        [
            self.database.count("SELECT count(*) FROM used_nonces_0").await,
            self.database.count("SELECT count(*) FROM used_nonces_1").await,
            self.database.count("SELECT count(*) FROM used_nonces_2").await,
            self.database.count("SELECT count(*) FROM used_nonces_3").await,
        ]
    }
}

#[tokio::test]
async fn only_the_slot_that_no_request_can_belong_to_is_emptied() {
    let ring = Ring::new().await;
    let clock = Clock::system();
    let middle = SLOT_SECONDS / 2;
    for (slot, left) in [
        (0, [1, 1, 0, 1]),
        (1, [1, 1, 1, 0]),
        (2, [0, 1, 1, 1]),
        (3, [1, 0, 1, 1]),
        (4, [1, 1, 0, 1]),
    ] {
        ring.fill().await;
        ring.set_clock(slot * SLOT_SECONDS + middle).await;
        forget_nonces(&ring.store, &clock, HOLDER).await.expect("done");
        assert_eq!(ring.held().await, left, "in slot {slot}");
        forget_nonces(&ring.store, &clock, HOLDER).await.expect("nothing is left to do");
        assert_eq!(ring.held().await, left, "in slot {slot}");
    }
}

#[tokio::test]
async fn nothing_is_emptied_near_the_border_of_two_slots() {
    let ring = Ring::new().await;
    let clock = Clock::system();
    let third = SLOT_SECONDS / 3;
    for seconds in [0, 1, third - 1, 2 * third, SLOT_SECONDS - 1] {
        ring.set_clock(seconds).await;
        forget_nonces(&ring.store, &clock, HOLDER).await.expect("done");
        assert_eq!(ring.held().await, [1; 4], "after {seconds} s");
    }
    for seconds in [third, 2 * third - 1] {
        ring.fill().await;
        ring.set_clock(seconds).await;
        forget_nonces(&ring.store, &clock, HOLDER).await.expect("done");
        assert_eq!(ring.held().await, [1, 1, 0, 1], "after {seconds} s");
    }
}

#[tokio::test]
async fn one_replica_at_a_time_empties_a_slot() {
    let ring = Ring::new().await;
    let clock = Clock::system();
    let noon = time::parse("2018-03-19T12:00:00Z").expect("an instant");
    clock.set_wire_now(noon);
    ring.set_clock(SLOT_SECONDS / 2).await;
    let (first, second) = (HOLDER, new_id());
    forget_nonces(&ring.store, &clock, first).await.expect("done");
    assert_eq!(ring.held().await, [1, 1, 0, 1]);
    ring.fill().await;
    forget_nonces(&ring.store, &clock, second).await.expect("another has the lease");
    assert_eq!(ring.held().await, [1; 4]);
    forget_nonces(&ring.store, &clock, first).await.expect("it has the lease");
    assert_eq!(ring.held().await, [1, 1, 0, 1]);
    ring.fill().await;
    clock.set_wire_now(noon + Duration::seconds(SLOT_SECONDS / 3));
    forget_nonces(&ring.store, &clock, second).await.expect("the lease has run out");
    assert_eq!(ring.held().await, [1, 1, 0, 1]);
    assert_eq!(ring.database.count("SELECT count(*) FROM leases").await, 1);
}

#[tokio::test]
async fn of_replicas_that_request_a_lease_at_once_one_gets_it() {
    let ring = Ring::new().await;
    let now = time::parse("2018-03-19T12:00:00Z").expect("an instant");
    let until = now + Duration::minutes(5);
    let take = |name, holder, now, until| ring.store.take_lease(name, holder, now, until);
    let calls = (0..16).map(|_| take("a", new_id(), now, until));
    let taken = futures_util::future::join_all(calls).await;
    let taken = taken.into_iter().filter(|taken| *taken.as_ref().expect("answered"));
    assert_eq!(taken.count(), 1);
    assert!(take("b", HOLDER, now, until).await.expect("answered"), "another lease is free");
}

/// The id of the first replica.
const HOLDER: uuid::Uuid = uuid::Uuid::from_u128(1);
