//! How many calls each account has made of each action, over all processes. A row is a bucket as
//! in GCRA: `full_at` is the instant until which the calls that were admitted use up the limit.
//!
//! The rows are on the coordinator of Citus, like nonces: one statement writes rows of many
//! accounts, and a row is of no use a minute later.

use std::num::NonZeroU32;
use std::time::Duration;

use sqlx::FromRow;

use super::Store;
use crate::domain::Time;
use crate::error::Error;

// Calls that took some time to make are counted from the beginning of that time, as long as the
// calls of other processes do not use up that time. A row is at most a minute ahead, so that a wrong
// number, or a clock that was set back, refuses calls for no longer.
//
// A crash of the database may lose the rows of its last half second, as with nonces. Rows are
// written in the order of their key, so that two statements cannot deadlock.
const ADD_QUOTA_COUNTS: &str = "
    WITH counted AS (
        SELECT account_id, action, calls_per_second, admitted, asked,
            statement_timestamp() + make_interval(
                secs => admitted::float8 / calls_per_second - over) AS full_at
        FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
            $6::float8[]) AS counted (account_id, action, calls_per_second, admitted, asked, over),
            (SELECT set_config('synchronous_commit', 'off', true)) AS unsynced
        ORDER BY account_id, action
    ), added AS (
        INSERT INTO quota_counts (
            account_id, action, calls_per_second, admitted, asked, full_at)
        SELECT account_id, action, calls_per_second, admitted, asked, full_at
        FROM counted
        ON CONFLICT (account_id, action) DO UPDATE
        SET calls_per_second = excluded.calls_per_second,
            admitted = quota_counts.admitted + excluded.admitted,
            asked = quota_counts.asked + excluded.asked,
            full_at = least(
                greatest(
                    quota_counts.full_at + make_interval(
                        secs => excluded.admitted::float8 / excluded.calls_per_second),
                    excluded.full_at),
                excluded.full_at + make_interval(mins => 1))
        RETURNING account_id, action, asked, full_at
    )
    SELECT account_id, action, asked,
        extract(epoch FROM full_at - statement_timestamp())::float8 AS ahead_seconds
    FROM added";

// A row that a process is writing is left to a later turn.
const FORGET_QUOTA_COUNTS: &str = "
    DELETE FROM quota_counts
    WHERE (account_id, action) IN (
        SELECT account_id, action
        FROM quota_counts
        WHERE full_at < $1
        LIMIT $2
        FOR UPDATE SKIP LOCKED)";

/// Calls of an account, or of a calling service, that one process has counted.
#[derive(Clone, Debug)]
pub struct QuotaCount {
    /// The account, or 0 for a calling service.
    pub account_id: i64,
    /// The action, or the calling service.
    pub action: String,
    /// The limit.
    pub calls_per_second: NonZeroU32,
    /// Calls that were admitted.
    pub admitted: u32,
    /// The same and calls that were refused.
    pub asked: u32,
    /// The time over which the calls were made.
    pub over: Duration,
}

/// A row after counts were added.
#[derive(Clone, Debug, FromRow)]
pub struct QuotaRow {
    /// The account, or 0 for a calling service.
    pub account_id: i64,
    /// The action, or the calling service.
    pub action: String,
    /// All calls that all processes have counted.
    pub asked: i64,
    /// For how many seconds the calls that were admitted use up the limit. May be negative.
    pub ahead_seconds: f64,
}

impl Store {
    /// Adds counts to the rows of their accounts and actions, of which each occurs once. Returns the
    /// rows.
    pub async fn add_quota_counts(&self, counts: Vec<QuotaCount>) -> Result<Vec<QuotaRow>, Error> {
        self.write_no_event(move |pool| {
            let numbers = |of: fn(&QuotaCount) -> i64| counts.iter().map(of).collect::<Vec<_>>();
            let actions: Vec<_> = counts.iter().map(|count| count.action.clone()).collect();
            let over: Vec<_> = counts.iter().map(|count| count.over.as_secs_f64()).collect();
            let add = sqlx::query_as(ADD_QUOTA_COUNTS)
                .bind(numbers(|count| count.account_id))
                .bind(actions)
                .bind(numbers(|count| count.calls_per_second.get().into()))
                .bind(numbers(|count| count.admitted.into()))
                .bind(numbers(|count| count.asked.into()))
                .bind(over);
            async move { add.fetch_all(&pool).await }
        })
        .await
    }

    /// Deletes at most `at_most` rows that have been of no use since `before`. Returns how many.
    pub async fn forget_quota_counts(&self, before: Time, at_most: i64) -> Result<u64, Error> {
        self.write_no_event(move |pool| async move {
            let forget = sqlx::query(FORGET_QUOTA_COUNTS).bind(before).bind(at_most);
            Ok(forget.execute(&pool).await?.rows_affected())
        })
        .await
    }
}
