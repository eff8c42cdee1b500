//! Describe: what the rows of the statement say at an instant.

use cdn_activation::domain::{Charge, ChargeType, WebsocketChargeType};
use cdn_activation::proto::billing::v1 as billing;
use cdn_activation::proto::convert::timestamp;
use cdn_activation::proto::dcdn::v1::DescribeDcdnServiceResponse;
use chrono::{DateTime, Utc};
use sqlx::FromRow;
use uuid::Uuid;

use super::super::request_id;

/// One row of the statement of Describe: an instance, a change or a lock, as `fact` says.
#[derive(FromRow)]
pub(super) struct DescribeRow {
    fact: String,
    id: Uuid,
    text_1: String,
    text_2: String,
    text_3: Option<String>,
    time_1: DateTime<Utc>,
    time_2: Option<DateTime<Utc>>,
}

/// The charge type of one kind of traffic in force, and the change submitted last.
struct Charged<'a> {
    current: &'a str,
    changing: Option<&'a DescribeRow>,
}

/// The reply; `None` where there is no instance.
pub(super) fn reply(
    rows: &[DescribeRow],
    now: DateTime<Utc>,
) -> Option<DescribeDcdnServiceResponse> {
    let instance = rows.iter().find(|row| row.fact == "instance")?;
    let mut locks: Vec<_> = rows.iter().filter(|row| row.fact == "lock").collect();
    locks.sort_by_key(|lock| (lock.time_1, lock.id));
    let reasons: Vec<_> = locks.iter().map(|lock| lock.text_1.as_str()).collect();
    let internet = charged(rows, ChargeType::KIND.name(), &instance.text_2, now);
    let websocket = instance.text_3.as_ref();
    let websocket =
        websocket.map(|opening| charged(rows, WebsocketChargeType::KIND.name(), opening, now));
    let websocket_changing = websocket.as_ref().and_then(|websocket| websocket.changing);
    Some(DescribeDcdnServiceResponse {
        request_id: request_id(),
        instance_id: instance.text_1.clone(),
        internet_charge_type: internet_number(internet.current),
        opening_time: Some(timestamp(instance.time_1)),
        changing_charge_type: internet.changing.map(|change| internet_number(&change.text_2)),
        changing_affect_time: internet.changing.and_then(|change| change.time_2).map(timestamp),
        operation_locks: Some(billing::OperationLocks::of(&reasons)),
        websocket_type: websocket.as_ref().map(|websocket| websocket_number(websocket.current)),
        websocket_changing_type: websocket_changing.map(|change| websocket_number(&change.text_2)),
        websocket_changing_time: websocket_changing.and_then(|change| change.time_2).map(timestamp),
    })
}

fn charged<'a>(
    rows: &'a [DescribeRow],
    kind: &str,
    opening: &'a str,
    now: DateTime<Utc>,
) -> Charged<'a> {
    let changes = || rows.iter().filter(|row| row.fact == "change" && row.text_1 == kind);
    let in_force = changes()
        .filter(|change| change.time_2.is_some_and(|effective_time| effective_time <= now))
        .max_by_key(|change| (change.time_2, change.time_1, change.id));
    Charged {
        current: in_force.map_or(opening, |change| &change.text_2),
        changing: changes().max_by_key(|change| (change.time_1, change.id)),
    }
}

fn internet_number(name: &str) -> i32 {
    ChargeType::from_name(name).map(billing::ChargeType::from).unwrap_or_default().into()
}

fn websocket_number(name: &str) -> i32 {
    let charge_type = WebsocketChargeType::from_name(name);
    charge_type.map(billing::WebsocketChargeType::from).unwrap_or_default().into()
}
