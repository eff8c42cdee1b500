//! What the service has stored, as rows and decoded events, and transactions of another client that
//! lock a row while a request needs it.

use std::time::{Duration, Instant};

use cdn_activation::domain::Time;
use cdn_activation::proto::events::v1::{EventData, event_data::Data};
use prost::Message;
use sqlx::{Connection, FromRow, PgConnection};

use super::database::Database;

/// Longest time that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// Locks the row of an account (`$1`), so that a write for this account waits.
pub const LOCK_THE_ACCOUNT: &str = "SELECT FROM accounts WHERE account_id = $1 FOR UPDATE";

/// Opens CDN for an account (`$1`) without the service, as another client's statement would, but
/// without order and event.
pub const OPENED_BY_ANOTHER: &str = "
    INSERT INTO instances (account_id, product, instance_id, internet_charge_type, opening_time,
        order_id, event_time)
    SELECT account_id, 'cdn', 'another', 'PayByTraffic', created_at, gen_random_uuid(), created_at
    FROM accounts
    WHERE account_id = $1";

/// Creates this many accounts (`$1`), numbered from 1, and opens CDN for each likewise.
const MANY_OPENED: &str = "
    WITH made AS (
        INSERT INTO accounts (account_id, site, intl_allowed, bid_user, real_name_verified,
            profile_complete, payment_method_valid, balance, orders_refused, version, created_at,
            updated_at, event_time)
        SELECT id, 'domestic', false, false, true, true, true, 0, false, 1, day, day, day
        FROM generate_series(1, $1) AS id, (VALUES (timestamptz '2018-03-19')) AS days (day)
        RETURNING account_id, created_at
    )
    INSERT INTO instances (account_id, product, instance_id, internet_charge_type, opening_time,
        order_id, event_time)
    SELECT account_id, 'cdn', account_id::text, 'PayByTraffic', created_at, gen_random_uuid(),
        created_at
    FROM made";

/// The changes that belong in the row of an instance: of each kind, the unsettled one and the two that
/// were settled last.
macro_rules! changes_in_a_row {
    () => {
        "(
            SELECT account_id, product, change_id, kind, charge_type, submitted_at, effective_time,
                in_force_event_at IS NOT NULL AS settled,
                row_number() OVER (PARTITION BY account_id, product, kind, in_force_event_at IS NULL
                    ORDER BY effective_time DESC) AS place
            FROM charge_type_changes
            WHERE cancelled_at IS NULL
        ) AS owned
        WHERE owned.account_id = instances.account_id AND owned.product = instances.product
            AND (place <= 2 OR NOT settled)"
    };
}

/// Makes the copies in the rows of instances anew, of an account (`$1`), or of all (0): after a test has
/// written to the tables past the service.
pub const COPY_HISTORIES: &str = concat!(
    "UPDATE instances
    SET changes = (
            SELECT coalesce(jsonb_object_agg(change_id, jsonb_build_object('kind', kind,
                'charge_type', charge_type, 'submitted_at', submitted_at, 'effective_time',
                effective_time, 'settled', settled)), '{}')
            FROM ",
    changes_in_a_row!(),
    "),
        locks = (
            SELECT coalesce(jsonb_object_agg(reason, jsonb_build_object('lock_id', lock_id,
                'locked_by', locked_by, 'locked_at', locked_at)), '{}')
            FROM operation_locks AS owned
            WHERE owned.account_id = instances.account_id AND owned.product = instances.product
                AND lifted_at IS NULL)
    WHERE account_id = $1 OR $1 = 0"
);

/// Counts the instances whose copies differ from the tables.
const UNTRUE_COPIES: &str = concat!(
    "SELECT count(*)
    FROM instances
    WHERE (SELECT coalesce(jsonb_object_agg(key, value -> 'settled'), '{}') FROM jsonb_each(changes))
            IS DISTINCT FROM (
                SELECT coalesce(jsonb_object_agg(change_id, settled), '{}')
                FROM ",
    changes_in_a_row!(),
    ")
        OR (SELECT coalesce(jsonb_object_agg(key, value -> 'lock_id'), '{}') FROM jsonb_each(locks))
            IS DISTINCT FROM (
                SELECT coalesce(jsonb_object_agg(reason, lock_id), '{}')
                FROM operation_locks AS owned
                WHERE owned.account_id = instances.account_id AND owned.product = instances.product
                    AND lifted_at IS NULL)"
);

/// An event as it is stored.
#[derive(Debug, FromRow)]
pub struct StoredEvent {
    /// The lane in which it is numbered.
    pub lane: i16,
    /// When it happened.
    pub event_time: Time,
    /// The name of its type.
    #[sqlx(rename = "type")]
    pub type_name: String,
    data: Vec<u8>,
}

impl StoredEvent {
    /// Its payload.
    pub fn data(&self) -> Data {
        let decoded = EventData::decode(self.data.as_slice()).expect("an EventData");
        decoded.data.expect("an event says something")
    }
}

impl Database {
    /// Returns the events of an account in order, except those about the account and its keys
    /// themselves.
    pub async fn events(&self, account_id: i64) -> Vec<StoredEvent> {
        let mut connection = self.connect().await;
        sqlx::query_as(
            "SELECT lane, event_time, type, data
             FROM all_events
             WHERE account_id = $1
                 AND type NOT IN ('activation.account.changed', 'activation.access_key.changed')
             ORDER BY event_time, event_id",
        )
        .bind(account_id)
        .fetch_all(&mut connection)
        .await
        .expect("reads")
    }

    /// Returns the result of a statement about one account (`$1`) that counts.
    pub async fn count_of(&self, account_id: i64, statement: &'static str) -> i64 {
        let mut connection = self.connect().await;
        let counting = sqlx::query_scalar(statement).bind(account_id);
        counting.fetch_one(&mut connection).await.expect("counts")
    }

    /// Returns how many instances, orders and opening events an account has. Fails if it has not one
    /// audit record of a success for each order.
    pub async fn openings(&self, account_id: i64) -> (i64, i64, i64) {
        let mut connection = self.connect().await;
        let (instances, orders, events, audited): (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT
                 (SELECT count(*) FROM instances WHERE account_id = $1),
                 (SELECT count(*) FROM orders WHERE account_id = $1),
                 (SELECT count(*) FROM all_events
                  WHERE account_id = $1 AND type = 'activation.instance.opened'),
                 (SELECT count(*) FROM audit_records
                  WHERE account_id = $1 AND action LIKE 'Open%' AND result = 'OK')",
        )
        .bind(account_id)
        .fetch_one(&mut connection)
        .await
        .expect("counts");
        assert_eq!(audited, orders, "audit records and orders of {account_id}");
        (instances, orders, events)
    }

    /// Runs a statement about one account (`$1`) without a result.
    pub async fn execute_for(&self, account_id: i64, statement: &'static str) {
        let mut connection = self.connect().await;
        let done = sqlx::query(statement).bind(account_id).execute(&mut connection).await;
        assert!(done.expect("runs").rows_affected() > 0, "it changed something: {statement}");
        if statement.contains("charge_type_changes") || statement.contains("operation_locks") {
            self.copy_histories(account_id).await;
        }
    }

    /// Makes the copies of histories anew, of an account, or of all (0).
    pub async fn copy_histories(&self, account_id: i64) {
        let mut connection = self.connect().await;
        let copied = sqlx::query(COPY_HISTORIES).bind(account_id).execute(&mut connection).await;
        copied.expect("copied");
    }

    /// Fails where a row of an instance shows another history than the tables have.
    pub async fn assert_copies_are_true(&self) {
        assert_eq!(self.count(UNTRUE_COPIES).await, 0, "copies that differ from the tables");
    }

    /// Creates this many accounts, numbered from 1, that have opened CDN.
    pub async fn open_many(&self, accounts: i64) {
        let mut connection = self.connect().await;
        sqlx::query(MANY_OPENED).bind(accounts).execute(&mut connection).await.expect("opened");
        connection.close().await.expect("closed");
    }

    /// Begins a transaction of another client and runs a statement about one account (`$1`) in it.
    /// What it wrote stays locked and invisible until it is committed or rolled back.
    pub async fn hold(&self, account_id: i64, statement: &'static str) -> Held {
        let mut connection = self.connect().await;
        sqlx::raw_sql("BEGIN").execute(&mut connection).await.expect("begun");
        let mut held = Held { connection };
        held.execute(account_id, statement).await;
        held
    }

    /// Blocks every statement of the service that inserts into a table until the returned value is
    /// dropped. A locked row would block it for milliseconds only.
    pub async fn hold_inserts_into(&self, table: &'static str) -> Held {
        let mut connection = self.connect().await;
        let statement = format!(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = '20s' AS $$
             BEGIN
                 PERFORM pg_advisory_xact_lock(1);
                 RETURN NEW;
             END $$;
             CREATE TRIGGER hold BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION hold()"
        );
        let made = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await;
        made.expect("made");
        let hold = "BEGIN; SELECT pg_advisory_xact_lock(1)";
        sqlx::raw_sql(hold).execute(&mut connection).await.expect("held");
        Held { connection }
    }

    /// Waits until this many statements of the service wait for a lock.
    pub async fn wait_until_blocked(&self, how_many: i64) {
        let blocked = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'cdn-activation'
                 AND wait_event_type = 'Lock'";
        self.wait_until(blocked, how_many).await;
    }

    /// Waits until no statement of the service runs. None of them may have left a transaction open.
    pub async fn wait_until_idle(&self) {
        let busy = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'cdn-activation'
                 AND state <> 'idle'";
        self.wait_until(busy, 0).await;
    }

    /// Ends the waiting for a lock with a statement that counts what it ended, and waits until the
    /// service waits for a lock again.
    pub async fn end_blocked(&self, end: &'static str) {
        let since = "SELECT max(query_start) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'cdn-activation'
                 AND wait_event_type = 'Lock'";
        let mut connection = self.connect().await;
        let first: Option<Time> =
            sqlx::query_scalar(since).fetch_one(&mut connection).await.expect("reads");
        let deadline = Instant::now() + PATIENCE;
        // The service waits repeatedly, and may be between two waits now.
        while self.count(end).await == 0 {
            assert!(Instant::now() < deadline, "nothing waits any more: {end}");
        }
        loop {
            let now: Option<Time> =
                sqlx::query_scalar(since).fetch_one(&mut connection).await.expect("reads");
            if now > first {
                return;
            }
            assert!(Instant::now() < deadline, "it is not tried again: {end}");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    async fn wait_until(&self, statement: &'static str, count: i64) {
        let mut connection = self.connect().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let counted: i64 =
                sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect("counts");
            if counted == count {
                return;
            }
            assert!(Instant::now() < deadline, "{counted} instead of {count}: {statement}");
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

/// An open transaction.
pub struct Held {
    connection: PgConnection,
}

impl Held {
    /// Runs another statement about an account (`$1`) in it.
    pub async fn execute(&mut self, account_id: i64, statement: &'static str) {
        let done = sqlx::query(statement).bind(account_id).execute(&mut self.connection).await;
        assert!(done.expect("runs").rows_affected() > 0, "it changed something: {statement}");
    }

    /// Commits it.
    pub async fn commit(self) {
        self.end("COMMIT").await;
    }

    /// Rolls it back.
    pub async fn roll_back(self) {
        self.end("ROLLBACK").await;
    }

    async fn end(mut self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&mut self.connection).await.expect("ended");
        self.connection.close().await.expect("closed");
    }
}
