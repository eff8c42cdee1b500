//! Describe: the reply for a row of the statement at an instant.

use cdn_activation::domain::{Charge, ChargeType, WebsocketChargeType};
use cdn_activation::proto::billing::v1 as billing;
use cdn_activation::proto::convert::timestamp;
use cdn_activation::proto::dcdn::v1::DescribeDcdnServiceResponse;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::super::request_id;

/// The row of the statement of Describe. There is none if the product is not opened.
#[derive(FromRow)]
pub(super) struct DescribeRow {
    instance_id: String,
    internet_charge_type: String,
    websocket_charge_type: Option<String>,
    opening_time: DateTime<Utc>,
    changes: Option<Json<Vec<Change>>>,
    locks: Option<Json<Vec<Lock>>>,
    pub is_uncarried: bool,
}

/// A change: an array in this order. A reply does not need the fields that begin with `_`.
#[derive(Deserialize)]
struct Change {
    id: Uuid,
    kind: String,
    charge_type: String,
    submitted_at: DateTime<Utc>,
    effective_time: DateTime<Utc>,
    _is_settled: IgnoredAny,
    _is_cancelled: IgnoredAny,
    _event_time: IgnoredAny,
}

/// A lock, likewise.
#[derive(Deserialize)]
struct Lock {
    id: Uuid,
    reason: String,
    _locked_by: IgnoredAny,
    locked_at: DateTime<Utc>,
    _is_lifted: IgnoredAny,
    _event_time: IgnoredAny,
}

/// The charge type of one kind of traffic in force, and the change submitted last.
struct Charged<'a> {
    current: &'a str,
    changing: Option<&'a Change>,
}

/// Returns the reply.
pub(super) fn reply(row: DescribeRow, now: DateTime<Utc>) -> DescribeDcdnServiceResponse {
    let changes = row.changes.unwrap_or_default().0;
    let mut locks = row.locks.unwrap_or_default().0;
    locks.sort_by_key(|lock| (lock.locked_at, lock.id));
    let reasons: Vec<_> = locks.iter().map(|lock| lock.reason.as_str()).collect();
    let internet = charged(&changes, ChargeType::KIND.name(), &row.internet_charge_type, now);
    let websocket = row.websocket_charge_type.as_ref();
    let websocket =
        websocket.map(|opening| charged(&changes, WebsocketChargeType::KIND.name(), opening, now));
    let websocket_changing = websocket.as_ref().and_then(|websocket| websocket.changing);
    DescribeDcdnServiceResponse {
        request_id: request_id(),
        instance_id: row.instance_id,
        internet_charge_type: internet_number(internet.current),
        opening_time: Some(timestamp(row.opening_time)),
        changing_charge_type: internet.changing.map(|change| internet_number(&change.charge_type)),
        changing_affect_time: internet.changing.map(|change| timestamp(change.effective_time)),
        operation_locks: Some(billing::OperationLocks::of(&reasons)),
        websocket_type: websocket.as_ref().map(|websocket| websocket_number(websocket.current)),
        websocket_changing_type: websocket_changing
            .map(|change| websocket_number(&change.charge_type)),
        websocket_changing_time: websocket_changing.map(|change| timestamp(change.effective_time)),
    }
}

fn charged<'a>(
    changes: &'a [Change],
    kind: &str,
    opening: &'a str,
    now: DateTime<Utc>,
) -> Charged<'a> {
    let changes = || changes.iter().filter(|change| change.kind == kind);
    let in_force = changes()
        .filter(|change| change.effective_time <= now)
        .max_by_key(|change| (change.effective_time, change.submitted_at, change.id));
    Charged {
        current: in_force.map_or(opening, |change| &change.charge_type),
        changing: changes().max_by_key(|change| (change.submitted_at, change.id)),
    }
}

fn internet_number(name: &str) -> i32 {
    ChargeType::from_name(name).map(billing::ChargeType::from).unwrap_or_default().into()
}

fn websocket_number(name: &str) -> i32 {
    let charge_type = WebsocketChargeType::from_name(name);
    charge_type.map(billing::WebsocketChargeType::from).unwrap_or_default().into()
}
