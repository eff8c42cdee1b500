//! How a change of state writes its event and its audit record, which it does in its own statement:
//! the frame of such a statement, the time of the event, its row, and the first parameters, which all
//! of them share.
//!
//! Events are numbered in the order of their times. The time is read from the clock of the database
//! in the writing statement, never from the clock of a replica. So a write that begins after
//! another one was answered has the later time, even if the two went to different replicas.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::AccountId;
use crate::domain::event::{self, Event};
use crate::error::Error;
use crate::proto;
use crate::storage::engine::observed::name_of;
use crate::storage::{AuditEntry, RequestRecord, Store};

/// The time of an event that comes after another event, whose time is `$seen`, or NULL if there is
/// none. It is later even if the clock of the database was set back in the meantime. The
/// microsecond is added to a time without a zone: Citus considers the sum of a time with a zone and
/// an interval to depend on the session, and refuses it in an UPDATE.
macro_rules! event_time_after {
    ($seen:literal) => {
        concat!(
            "greatest(statement_timestamp(), timezone(interval '0', timezone(interval '0', ",
            $seen,
            ") + interval '1 microsecond'))"
        )
    };
}
pub(in crate::storage) use event_time_after;

/// The text of a statement that changes state and writes the event of the change, both or none.
/// `$ctes` are the common table expressions of the statement. The one named `done` returns the
/// `account_id` and the `event_time` of each row that it wrote; the statement returns how many.
/// `$1` to `$5` are the parameters of the event ([`EventRow::query`]); `$1` is the account. The own
/// parameters of the statement begin with `$6`.
macro_rules! with_event {
    ($ctes:expr) => {
        concat!(
            "WITH ",
            $ctes,
            ", noted AS (
                INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
                SELECT account_id, $2, $3, event_time, $4, $5
                FROM done
            )
            SELECT count(*) FROM done WHERE account_id = $1"
        )
    };
}
pub(in crate::storage) use with_event;

/// The common table expression that writes the audit record of a change, in its statement. `$6` to
/// `$15` are the parameters of the record ([`EventRow::query_audited`]). `$before` and `$after` are
/// the expressions of the states, usually the parameters `$14` and `$15`.
macro_rules! audited {
    ($before:expr, $after:expr) => {
        concat!(
            ", audited AS (
                INSERT INTO audit_records (
                    account_id, audit_id, recorded_at, principal, address, action, resource,
                    request_id, correlation_id, result, before, after)
                SELECT account_id, $6, $7, $8, $9, $10, $11, $12, $13, 'OK', ",
            $before,
            ", ",
            $after,
            "
                FROM done
            )"
        )
    };
}
pub(in crate::storage) use audited;

/// The same as [`with_event`] for a write of a caller, with its audit record. The own parameters of
/// the statement begin with `$16`.
macro_rules! with_event_and_audit {
    ($ctes:expr) => {
        with_event!(concat!($ctes, audited!("$14", "$15")))
    };
}
pub(in crate::storage) use with_event_and_audit;

/// The same for a write that may be sent again: its record is written in the same statement. `$16`
/// to `$20` are the parameters of the record ([`EventRow::query_recorded`]). The own parameters of
/// the statement begin with `$21`.
macro_rules! with_event_and_record {
    ($ctes:expr) => {
        with_event_and_record_of!($ctes, "$14", "$15")
    };
}
pub(in crate::storage) use with_event_and_record;

/// The same with the expressions of the states before and after the change.
macro_rules! with_event_and_record_of {
    ($ctes:expr, $before:expr, $after:expr) => {
        with_event!(concat!(
            $ctes,
            audited!($before, $after),
            ", remembered AS (
                INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
                SELECT $16, $17, $18, $19, $20
                FROM done
                WHERE $17::uuid IS NOT NULL
            )"
        ))
    };
}
pub(in crate::storage) use with_event_and_record_of;

/// A statement that writes an event. It returns how many rows it wrote.
pub(in crate::storage) type EventQuery = QueryScalar<'static, Postgres, i64, PgArguments>;

/// A row of `event_outbox`, except its time.
#[derive(Clone, Debug)]
pub(in crate::storage) struct EventRow {
    pub account_id: i64,
    pub event_id: Uuid,
    pub lane: i16,
    pub type_name: &'static str,
    pub data: Vec<u8>,
}

impl EventRow {
    pub fn new(account_id: AccountId, event_id: Uuid, event: &Event) -> Self {
        Self {
            account_id: account_id.get(),
            event_id,
            lane: event::lane(account_id),
            type_name: event.type_name(),
            data: proto::event::encode(event),
        }
    }

    /// Returns a statement in the frame of [`with_event`], with `$1` to `$5` bound.
    pub fn query(&self, statement: &'static str) -> EventQuery {
        sqlx::query_scalar(statement)
            .bind(self.account_id)
            .bind(self.event_id)
            .bind(self.lane)
            .bind(self.type_name)
            .bind(self.data.clone())
    }

    /// Returns a statement in the frame of [`with_event_and_audit`], with `$1` to `$15` bound.
    pub fn query_audited(&self, statement: &'static str, audit: &AuditEntry) -> EventQuery {
        self.query(statement)
            .bind(audit.audit_id)
            .bind(audit.recorded_at)
            .bind(audit.principal.clone())
            .bind(audit.address.clone())
            .bind(audit.action.clone())
            .bind(audit.resource.clone())
            .bind(audit.request_id.clone())
            .bind(audit.correlation_id.clone())
            .bind(audit.before.clone().map(Json))
            .bind(audit.after.clone().map(Json))
    }

    /// Returns a statement in the frame of [`with_event_and_record`], with `$1` to `$20` bound.
    pub fn query_recorded(
        &self,
        statement: &'static str,
        audit: &AuditEntry,
        record: Option<&RequestRecord>,
    ) -> EventQuery {
        self.query_audited(statement, audit)
            .bind(record.map(|record| record.caller.clone()))
            .bind(record.map(|record| record.request_id))
            .bind(record.map(|record| record.fingerprint.clone()))
            .bind(record.map(|record| record.resource.clone()))
            .bind(record.map(|record| record.recorded_at))
    }
}

impl Store {
    /// Runs a statement about an account that writes an event. Returns whether it wrote something.
    pub(in crate::storage) async fn write_event(
        &self,
        account_id: AccountId,
        statement: impl Fn() -> EventQuery + Send + 'static,
    ) -> Result<bool, Error> {
        let name = name_of(&statement);
        let written = self.write(name, account_id, move |connections| {
            let statement = statement();
            async move { statement.fetch_one(&connections).await }
        });
        Ok(written.await? == 1)
    }
}
