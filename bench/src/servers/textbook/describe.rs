//! Describe: the reply for a row of the statement at an instant.

use std::collections::BTreeMap;

use cdn_activation::domain::{Charge, ChargeType, WebsocketChargeType};
use cdn_activation::proto::billing::v1 as billing;
use cdn_activation::proto::convert::timestamp;
use cdn_activation::proto::dcdn::v1::DescribeDcdnServiceResponse;
use chrono::{DateTime, Utc};
use serde::Deserialize;
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
    changes: Json<BTreeMap<Uuid, Change>>,
    locks: Json<BTreeMap<String, Lock>>,
}

/// A change, by its id.
#[derive(Deserialize)]
struct Change {
    kind: String,
    charge_type: String,
    submitted_at: DateTime<Utc>,
    effective_time: DateTime<Utc>,
}

/// A lock, by its reason.
#[derive(Deserialize)]
struct Lock {
    lock_id: Uuid,
    locked_at: DateTime<Utc>,
}

/// The charge type of one kind of traffic in force, and the change submitted last.
struct Charged<'a> {
    current: &'a str,
    changing: Option<&'a Change>,
}

/// Returns the reply.
pub(super) fn reply(row: DescribeRow, now: DateTime<Utc>) -> DescribeDcdnServiceResponse {
    let changes = row.changes.0;
    let mut locks: Vec<_> = row.locks.0.iter().collect();
    locks.sort_by_key(|(_, lock)| (lock.locked_at, lock.lock_id));
    let reasons: Vec<_> = locks.iter().map(|(reason, _)| reason.as_str()).collect();
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
    changes: &'a BTreeMap<Uuid, Change>,
    kind: &str,
    opening: &'a str,
    now: DateTime<Utc>,
) -> Charged<'a> {
    let changes = || changes.iter().filter(|(_, change)| change.kind == kind);
    let in_force = changes()
        .filter(|(_, change)| change.effective_time <= now)
        .max_by_key(|(id, change)| (change.effective_time, change.submitted_at, **id));
    let last = changes().max_by_key(|(id, change)| (change.submitted_at, **id));
    Charged {
        current: in_force.map_or(opening, |(_, change)| &change.charge_type),
        changing: last.map(|(_, change)| change),
    }
}

fn internet_number(name: &str) -> i32 {
    ChargeType::from_name(name).map(billing::ChargeType::from).unwrap_or_default().into()
}

fn websocket_number(name: &str) -> i32 {
    let charge_type = WebsocketChargeType::from_name(name);
    charge_type.map(billing::WebsocketChargeType::from).unwrap_or_default().into()
}
