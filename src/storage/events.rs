//! Every change of state writes its event in its own statement. This is how: the frame of such a
//! statement, the row of the event, and the parameters that all of them begin with.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use uuid::Uuid;

use super::RequestRecord;
use crate::domain::event::{self, Event, Stamp};
use crate::domain::{AccountId, Time};
use crate::proto;

/// The text of a statement that changes state and writes the event of the change, together or not
/// at all. `$ctes` are its own common table expressions; the one named `done` returns the
/// `account_id` of each row it wrote, and what the statement answers is how many. `$1` to `$6` are
/// the event's ([`EventRow::query`]), its own parameters begin with `$7`; `$1` is the account.
macro_rules! with_event {
    ($ctes:expr) => {
        concat!(
            "WITH ",
            $ctes,
            ", noted AS (
                INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
                SELECT account_id, $2, $3, $4, $5, $6
                FROM done
            )
            SELECT count(*) FROM done WHERE account_id = $1"
        )
    };
}
pub(super) use with_event;

/// The same for a write that may be sent again: its record is written along with it. `$7` to `$11`
/// are the record's ([`EventRow::query_recorded`]), the statement's own parameters begin with
/// `$12`.
macro_rules! with_event_and_record {
    ($ctes:expr) => {
        concat!(
            "WITH ",
            $ctes,
            ", noted AS (
                INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
                SELECT account_id, $2, $3, $4, $5, $6
                FROM done
            ), remembered AS (
                INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
                SELECT $7, $8, $9, $10, $11
                FROM done
                WHERE $8::uuid IS NOT NULL
            )
            SELECT count(*) FROM done WHERE account_id = $1"
        )
    };
}
pub(super) use with_event_and_record;

/// A row of `event_outbox`.
#[derive(Clone, Debug)]
pub(super) struct EventRow {
    pub account_id: i64,
    pub event_id: Uuid,
    pub lane: i16,
    pub time: Time,
    pub type_name: &'static str,
    pub data: Vec<u8>,
}

impl EventRow {
    pub fn new(account_id: AccountId, stamp: Stamp, event: &Event) -> Self {
        Self {
            account_id: account_id.get(),
            event_id: stamp.event_id,
            lane: event::lane(account_id),
            time: stamp.time,
            type_name: event.type_name(),
            data: proto::event::encode(event),
        }
    }

    /// A statement framed by [`with_event`], with `$1` to `$6` bound.
    pub fn query(
        &self,
        statement: &'static str,
    ) -> QueryScalar<'static, Postgres, i64, PgArguments> {
        sqlx::query_scalar(statement)
            .bind(self.account_id)
            .bind(self.event_id)
            .bind(self.lane)
            .bind(self.time)
            .bind(self.type_name)
            .bind(self.data.clone())
    }

    /// A statement framed by [`with_event_and_record`], with `$1` to `$11` bound.
    pub fn query_recorded(
        &self,
        statement: &'static str,
        record: Option<&RequestRecord>,
    ) -> QueryScalar<'static, Postgres, i64, PgArguments> {
        self.query(statement)
            .bind(record.map(|record| record.caller.clone()))
            .bind(record.map(|record| record.request_id))
            .bind(record.map(|record| record.fingerprint.clone()))
            .bind(record.map(|record| record.resource.clone()))
            .bind(record.map(|record| record.recorded_at))
    }
}
