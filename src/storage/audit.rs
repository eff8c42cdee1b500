//! Audit records. The record of a change is written in the statement of the change
//! (`events/outbox.rs`, `openings/groups.rs`). This file has their rows, the insertion of refused
//! attempts, the lists and the deletion of old records. No statement changes a record.

use std::borrow::Cow;

use serde_json::Value;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::Store;
use crate::domain::{AccountId, Time};
use crate::error::Error;

/// An audit record, without the account and the result.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Its id.
    pub audit_id: Uuid,
    /// When the request arrived, by the wire clock.
    pub recorded_at: Time,
    /// The caller.
    pub principal: String,
    /// The address of the client.
    pub address: Option<String>,
    /// The name of the rpc.
    pub action: Cow<'static, str>,
    /// What the call is about. Empty if it is the account.
    pub resource: String,
    /// The id of the request.
    pub request_id: String,
    /// The id of the request that the client sent.
    pub correlation_id: Option<String>,
    /// The state before the change; `None` if there was nothing.
    pub before: Option<Value>,
    /// The state after the change; `None` if there is nothing.
    pub after: Option<Value>,
}

/// The audit record of a call that writes nothing else: an attempt that was refused, or the issue of
/// a temporary credential.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// The account that the attempt names.
    pub account_id: Option<AccountId>,
    /// `OK`, or the documented code of the refusal.
    pub result: String,
    /// The rest of the record. It has no state before.
    pub entry: AuditEntry,
}

/// Which audit records a list contains.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    /// Only records about this account.
    pub account_id: Option<AccountId>,
    /// Only records of this principal.
    pub principal: Option<String>,
    /// Only records of this action.
    pub action: Option<String>,
    /// Only records with this result.
    pub result: Option<String>,
    /// Only records from this instant on.
    pub start: Time,
}

/// An audit record as it is stored.
#[derive(Clone, Debug, FromRow)]
pub struct StoredAuditRecord {
    /// The account; 0 if the call named none.
    pub account_id: i64,
    /// Its id.
    pub audit_id: Uuid,
    /// When the request arrived.
    pub recorded_at: Time,
    /// The caller.
    pub principal: String,
    /// The address of the client.
    pub address: Option<String>,
    /// The name of the rpc.
    pub action: String,
    /// What the call was about.
    pub resource: String,
    /// The id of the request.
    pub request_id: String,
    /// The id of the request that the client sent.
    pub correlation_id: Option<String>,
    /// `OK`, or the documented code of the refusal.
    pub result: String,
    /// The state before the change.
    pub before: Option<Json<Value>>,
    /// The state after the change.
    pub after: Option<Json<Value>>,
}

// If the outcome of this statement is unknown, it is run again with the same rows.
const RECORD_CALLS: &str = "
    INSERT INTO audit_records (
        account_id, audit_id, recorded_at, principal, address, action, resource, request_id,
        correlation_id, result, after)
    SELECT account_id, audit_id, recorded_at, principal, address, action, resource, request_id,
        correlation_id, result, after
    FROM unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
        $7::text[], $8::text[], $9::text[], $10::text[], $11::jsonb[])
        AS called (account_id, audit_id, recorded_at, principal, address, action, resource,
            request_id, correlation_id, result, after)
    ON CONFLICT (account_id, recorded_at, audit_id) DO NOTHING";

/// Selects a page of records, newest first, before the time `$1` and the id `$2`. `$which` is
/// a condition that ends with AND. The account and the times choose the index and the part of it
/// that is read. The filters `$5` to `$7` are compared with each of these records.
macro_rules! list_audit_records {
    ($which:literal) => {
        concat!(
            "SELECT account_id, audit_id, recorded_at, principal, address, action, resource,
                request_id, correlation_id, result, before, after
            FROM audit_records
            WHERE ",
            $which,
            "(recorded_at, audit_id) < ($1, $2)
                AND recorded_at >= $3
                AND ($5::text IS NULL OR principal = $5)
                AND ($6::text IS NULL OR action = $6)
                AND ($7::text IS NULL OR result = $7)
            ORDER BY recorded_at DESC, audit_id DESC
            LIMIT $4"
        )
    };
}

pub(super) const LIST_AUDIT_RECORDS: &str = list_audit_records!("");
pub(super) const LIST_AUDIT_RECORDS_OF_ACCOUNT: &str = list_audit_records!("account_id = $8 AND ");

const FORGET_AUDIT_RECORDS: &str = "
    DELETE FROM audit_records
    WHERE (account_id, recorded_at, audit_id) IN (
        SELECT account_id, recorded_at, audit_id
        FROM audit_records
        WHERE recorded_at < $1
        ORDER BY recorded_at, audit_id
        LIMIT $2)";

/// The parameters of [`RECORD_CALLS`], one vector for each column.
#[derive(Clone, Default)]
struct Columns {
    account_ids: Vec<i64>,
    audit_ids: Vec<Uuid>,
    recorded_at: Vec<Time>,
    principals: Vec<String>,
    addresses: Vec<Option<String>>,
    actions: Vec<String>,
    resources: Vec<String>,
    request_ids: Vec<String>,
    correlation_ids: Vec<Option<String>>,
    results: Vec<String>,
    after: Vec<Option<Json<Value>>>,
}

impl Columns {
    fn add(&mut self, attempt: RecordedCall) {
        let RecordedCall { account_id, result, entry } = attempt;
        self.account_ids.push(account_id.map_or(0, AccountId::get));
        self.audit_ids.push(entry.audit_id);
        self.recorded_at.push(entry.recorded_at);
        self.principals.push(entry.principal);
        self.addresses.push(entry.address);
        self.actions.push(entry.action.into_owned());
        self.resources.push(entry.resource);
        self.request_ids.push(entry.request_id);
        self.correlation_ids.push(entry.correlation_id);
        self.results.push(result);
        self.after.push(entry.after.map(Json));
    }
}

impl Store {
    /// Records calls that write nothing else. Recording one again has no effect.
    pub async fn record_calls(&self, attempts: Vec<RecordedCall>) -> Result<(), Error> {
        let mut columns = Columns::default();
        for attempt in attempts {
            columns.add(attempt);
        }
        self.write_no_event(move |pool| {
            let columns = columns.clone();
            async move {
                let insert = sqlx::query(RECORD_CALLS)
                    .bind(columns.account_ids)
                    .bind(columns.audit_ids)
                    .bind(columns.recorded_at)
                    .bind(columns.principals)
                    .bind(columns.addresses)
                    .bind(columns.actions)
                    .bind(columns.resources)
                    .bind(columns.request_ids)
                    .bind(columns.correlation_ids)
                    .bind(columns.results)
                    .bind(columns.after);
                insert.execute(&pool).await.map(drop)
            }
        })
        .await
    }

    /// Returns audit records before this instant and id, the newest first.
    pub async fn audit_records_before(
        &self,
        filter: &AuditFilter,
        before: (Time, Uuid),
        at_most: i64,
    ) -> Result<Vec<StoredAuditRecord>, Error> {
        self.read(|pool| async move {
            let list = |statement| {
                sqlx::query_as(statement)
                    .bind(before.0)
                    .bind(before.1)
                    .bind(filter.start)
                    .bind(at_most)
                    .bind(filter.principal.clone())
                    .bind(filter.action.clone())
                    .bind(filter.result.clone())
            };
            let list = match filter.account_id {
                None => list(LIST_AUDIT_RECORDS),
                Some(account_id) => list(LIST_AUDIT_RECORDS_OF_ACCOUNT).bind(account_id.get()),
            };
            list.fetch_all(&pool).await
        })
        .await
    }

    /// Deletes at most `at_most` records from before an instant, the oldest first. Returns how
    /// many.
    pub async fn forget_audit_records(&self, before: Time, at_most: i64) -> Result<u64, Error> {
        self.write_no_event(move |pool| async move {
            let forget = sqlx::query(FORGET_AUDIT_RECORDS).bind(before).bind(at_most);
            Ok(forget.execute(&pool).await?.rows_affected())
        })
        .await
    }
}
