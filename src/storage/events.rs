//! Every change of state writes its event in its own statement. This is how: the frame of such a
//! statement, the row of the event, and the parameters that all of them begin with.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use uuid::Uuid;

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

/// A row of `event_outbox`.
#[derive(Clone, Debug)]
pub(super) struct EventRow {
    account_id: i64,
    event_id: Uuid,
    lane: i16,
    time: Time,
    type_name: &'static str,
    data: Vec<u8>,
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
}
