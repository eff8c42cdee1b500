//! Writes a group of openings with one statement and one commit. Each opening is written or not,
//! independently of the others.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::Opening;
use crate::domain::{Charge, Time};
use crate::error::Error;
use crate::storage::engine::connections::limited;
use crate::storage::engine::writing::WriteLane;
use crate::storage::events::outbox::event_time_after;
use crate::storage::{AuditEntry, Store, failure};

// A group does not wait for an account that another transaction changes: that opening is left out,
// and written by a statement of its own. The rows are written in the order of their key, so that
// two groups cannot deadlock. Each table names the accounts again, for engines that distribute by
// account.
pub(super) const OPEN_INSTANCES: &str = concat!(
    "
    WITH asked AS (
        SELECT account_id, version, product, instance_id, internet, websocket, opening_time,
            order_id, ordered_at, event_id, lane, data, audit_id, principal, address, action, resource,
            request_id, correlation_id, after
        FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::timestamptz[], $8::uuid[], $9::timestamptz[], $10::uuid[], $11::smallint[],
            $12::bytea[], $14::uuid[], $15::text[], $16::text[], $17::text[], $18::text[],
            $19::text[], $20::text[], $21::jsonb[])
            AS asked (account_id, version, product, instance_id, internet, websocket, opening_time,
                order_id, ordered_at, event_id, lane, data, audit_id, principal, address, action,
                resource, request_id, correlation_id, after)
    ), account AS (
        SELECT account_id, version, event_time
        FROM accounts
        WHERE account_id = ANY($1)
        FOR SHARE SKIP LOCKED
    ), done AS (
        INSERT INTO instances (
            account_id, product, instance_id, internet_charge_type, websocket_charge_type,
            opening_time, order_id, event_time)
        SELECT asked.account_id, product, instance_id, internet, websocket, opening_time, order_id,
            ",
    event_time_after!("account.event_time"),
    "
        FROM asked
        JOIN account ON account.account_id = asked.account_id AND account.version = asked.version
        ORDER BY asked.account_id, product
        ON CONFLICT (account_id, product) DO NOTHING
        RETURNING order_id, event_time
    ), ordered AS (
        INSERT INTO orders (
            account_id, order_id, product, internet_charge_type, websocket_charge_type, ordered_at)
        SELECT account_id, asked.order_id, product, internet, websocket, ordered_at
        FROM asked
        JOIN done ON done.order_id = asked.order_id
        ORDER BY account_id
    ), noted AS (
        INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
        SELECT account_id, event_id, lane, done.event_time, $13, data
        FROM asked
        JOIN done ON done.order_id = asked.order_id
        ORDER BY account_id
    ), audited AS (
        INSERT INTO audit_records (
            account_id, audit_id, recorded_at, principal, address, action, resource, request_id,
            correlation_id, result, after)
        SELECT account_id, audit_id, ordered_at, principal, address, action, resource, request_id,
            correlation_id, 'OK', after
        FROM asked
        JOIN done ON done.order_id = asked.order_id
        ORDER BY account_id
    )
    SELECT asked.order_id, done.order_id IS NOT NULL, account.account_id IS NOT NULL
    FROM asked
    LEFT JOIN account ON account.account_id = asked.account_id
    LEFT JOIN done ON done.order_id = asked.order_id"
);

/// The parameters of [`OPEN_INSTANCES`], one vector for each column.
#[derive(Default)]
struct Group {
    account_ids: Vec<i64>,
    versions: Vec<i64>,
    products: Vec<&'static str>,
    instance_ids: Vec<String>,
    internet: Vec<&'static str>,
    websocket: Vec<Option<&'static str>>,
    opening_times: Vec<Time>,
    order_ids: Vec<Uuid>,
    ordered_at: Vec<Time>,
    event_ids: Vec<Uuid>,
    lanes: Vec<i16>,
    data: Vec<Vec<u8>>,
    event_type: &'static str,
    audit_ids: Vec<Uuid>,
    principals: Vec<String>,
    addresses: Vec<Option<String>>,
    actions: Vec<String>,
    resources: Vec<String>,
    request_ids: Vec<String>,
    correlation_ids: Vec<Option<String>>,
    after: Vec<Option<Json<Value>>>,
}

impl Group {
    fn add(&mut self, opening: &Opening) {
        let event = opening.event();
        self.account_ids.push(opening.account_id.get());
        self.versions.push(opening.account_version);
        self.products.push(opening.terms.product.name());
        self.instance_ids.push(opening.instance_id.clone());
        self.internet.push(opening.terms.internet.name());
        self.websocket.push(opening.terms.websocket.map(Charge::name));
        self.opening_times.push(opening.opening_time);
        self.order_ids.push(opening.order_id);
        self.ordered_at.push(opening.ordered_at);
        self.event_ids.push(event.event_id);
        self.lanes.push(event.lane);
        self.data.push(event.data);
        self.event_type = event.type_name;
        self.add_audit(opening.audit.clone());
    }

    /// Adds the audit record. An opening has no state before, and its time is that of the order.
    fn add_audit(&mut self, audit: AuditEntry) {
        self.audit_ids.push(audit.audit_id);
        self.principals.push(audit.principal);
        self.addresses.push(audit.address);
        self.actions.push(audit.action.into_owned());
        self.resources.push(audit.resource);
        self.request_ids.push(audit.request_id);
        self.correlation_ids.push(audit.correlation_id);
        self.after.push(audit.after.map(Json));
    }
}

/// The outcome of one opening of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Written,
    /// The account has changed, or another request has opened the product.
    NotWritten,
    /// Another transaction has locked the account.
    LeftOut,
}

impl Store {
    /// Writes a group. Returns the outcome of each opening, by order id.
    pub(super) async fn open_group<'a>(
        &self,
        openings: impl Iterator<Item = &'a Opening>,
    ) -> Result<HashMap<Uuid, Outcome>, GroupFailure> {
        let mut group = Group::default();
        openings.for_each(|opening| group.add(opening));
        let open = sqlx::query_as::<_, (Uuid, bool, bool)>(OPEN_INSTANCES)
            .bind(group.account_ids)
            .bind(group.versions)
            .bind(group.products)
            .bind(group.instance_ids)
            .bind(group.internet)
            .bind(group.websocket)
            .bind(group.opening_times)
            .bind(group.order_ids)
            .bind(group.ordered_at)
            .bind(group.event_ids)
            .bind(group.lanes)
            .bind(group.data)
            .bind(group.event_type)
            .bind(group.audit_ids)
            .bind(group.principals)
            .bind(group.addresses)
            .bind(group.actions)
            .bind(group.resources)
            .bind(group.request_ids)
            .bind(group.correlation_ids)
            .bind(group.after);
        let permit = self.lanes.permit(WriteLane::Writes).await;
        let _permit = permit.map_err(|error| GroupFailure { was_refused: false, error })?;
        let written = async {
            let mut connection = self.connections.named("openings").take().await?;
            let rows = limited(open.fetch_all(&mut *connection)).await;
            connection.answered(rows)
        };
        let rows = written.await.map_err(|error| GroupFailure {
            was_refused: failure::was_refused(&error),
            error: failure::of_write(&error),
        })?;
        self.written.notify_one();
        let outcome = |(order_id, written, was_free)| match (written, was_free) {
            (true, _) => (order_id, Outcome::Written),
            (false, true) => (order_id, Outcome::NotWritten),
            (false, false) => (order_id, Outcome::LeftOut),
        };
        Ok(rows.into_iter().map(outcome).collect())
    }
}

/// A group that was not written, or whose outcome is not known.
pub(super) struct GroupFailure {
    /// Nothing was written, because of one of its rows.
    pub was_refused: bool,
    pub error: Error,
}
