//! Charge-type changes: scheduled, settled, cancelled. The index `charge_type_changes_one_pending`
//! allows one unsettled change for each instance and kind.

pub(super) mod lists;

use sqlx::types::Json;
use uuid::Uuid;

pub use self::lists::StoredChange;
use super::events::outbox::{
    EventRow, audited, event_time_after, with_event, with_event_and_record,
    with_event_and_record_of,
};
use super::instances::{ChangeEntry, Changes, touched};
use super::{AuditEntry, RequestRecord, Store};
use crate::domain::event::{AnyChargeType, ChangeNotice, Event};
use crate::domain::{AccountId, Charge, ChargeKind, Time};
use crate::error::Error;

/// A change to schedule, and the versions of the facts on which it was decided.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// The version of the account that was read. The change is written only if it is the same.
    pub account_version: i64,
    /// The time of the newest event of the instance that was read. The change is written only if it
    /// is the same.
    pub instance_event_time: Time,
    /// The change as events describe it.
    pub notice: ChangeNotice,
    /// When it was submitted.
    pub submitted_at: Time,
    /// Id of its event.
    pub event_id: Uuid,
}

/// A change that has taken effect and whose event is to be written.
#[derive(Clone, Copy, Debug)]
pub struct SettledChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// The change as events describe it.
    pub notice: ChangeNotice,
    /// Id of its event.
    pub event_id: Uuid,
}

/// A pending change that is to be cancelled. It has not taken effect; a change that has taken
/// effect is settled instead.
#[derive(Clone, Copy, Debug)]
pub struct CancelledChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// The change as events describe it.
    pub notice: ChangeNotice,
    /// When it is cancelled.
    pub cancelled_at: Time,
    /// Id of its event.
    pub event_id: Uuid,
}

// The statement compares the event time of the instance with the one that was read for the
// decision. If they are equal, no change or lock of the instance was written since, so the decision
// holds.
const SCHEDULE_CHANGE: &str = with_event_and_record!(concat!(
    "account AS (
        SELECT account_id
        FROM accounts
        WHERE account_id = $1 AND version = $21
        FOR SHARE
    ), ",
    touched!(
        "$24",
        "changes = instances.changes || $29",
        "
                FROM account",
        "
                    AND instances.account_id = account.account_id
                    AND instances.event_time = $22"
    ),
    "done AS (
        INSERT INTO charge_type_changes (
            account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
            event_time)
        SELECT account_id, $23, product, $25, $26, $27, $28, event_time
        FROM touched
        RETURNING account_id, event_time
    )"
));

// If several replicas find that the change is due, one of them writes its event: the others see in
// the copy that it is settled. Of the changes of this kind that were settled before, the statement
// keeps the newest one in the copy and removes the others. All effective times have the same length
// as text, so their order as text is their order in time.
const SETTLE_CHANGE: &str = with_event!(concat!(
    touched!(
        "$7",
        "changes = jsonb_set(instances.changes, ARRAY[$8, 'settled'], 'true') - ARRAY(
                    SELECT key
                    FROM jsonb_each(instances.changes)
                    WHERE value ->> 'kind' = $9 AND value ->> 'settled' = 'true'
                    ORDER BY value ->> 'effective_time' DESC
                    OFFSET 1)",
        "",
        "
                    AND instances.changes #>> ARRAY[$8, 'settled'] = 'false'"
    ),
    "done AS (
        UPDATE charge_type_changes
        SET in_force_event_at = touched.event_time, event_time = touched.event_time
        FROM touched
        WHERE charge_type_changes.account_id = $1
            AND charge_type_changes.account_id = touched.account_id
            AND change_id = $6
        RETURNING charge_type_changes.account_id, charge_type_changes.event_time
    )"
));

const CANCEL_CHANGE: &str = with_event_and_record!(concat!(
    touched!(
        "$22",
        "changes = instances.changes - $24",
        "",
        "
                    AND instances.changes #>> ARRAY[$24, 'settled'] = 'false'"
    ),
    "done AS (
        UPDATE charge_type_changes
        SET cancelled_at = $23, event_time = touched.event_time
        FROM touched
        WHERE charge_type_changes.account_id = $1
            AND charge_type_changes.account_id = touched.account_id
            AND change_id = $21
        RETURNING charge_type_changes.account_id, charge_type_changes.event_time
    )"
));

impl AnyChargeType {
    fn kind(self) -> ChargeKind {
        match self {
            Self::Internet(_) => ChargeKind::Internet,
            Self::Websocket(_) => ChargeKind::Websocket,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Internet(charge_type) => charge_type.name(),
            Self::Websocket(charge_type) => charge_type.name(),
        }
    }
}

impl Store {
    /// Writes a change, with its event. Returns false if the account or the instance has changed
    /// since it was read.
    pub async fn schedule_change(
        &self,
        change: ScheduledChange,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = Event::ChargeTypeChangeScheduled(change.notice);
        let event = EventRow::new(change.account_id, change.event_id, &event);
        let entry = ChangeEntry {
            kind: change.notice.charge_type.kind().name().to_owned(),
            charge_type: change.notice.charge_type.name().to_owned(),
            submitted_at: change.submitted_at,
            effective_time: change.notice.effective_time,
            settled: false,
        };
        let copy = Changes::from([(change.notice.change_id, entry)]);
        self.write_event(change.account_id, move || {
            event
                .query_recorded(SCHEDULE_CHANGE, &audit, record.as_ref())
                .bind(change.account_version)
                .bind(change.instance_event_time)
                .bind(change.notice.change_id)
                .bind(change.notice.product.name())
                .bind(change.notice.charge_type.kind().name())
                .bind(change.notice.charge_type.name())
                .bind(change.submitted_at)
                .bind(change.notice.effective_time)
                .bind(Json(copy.clone()))
        })
        .await
    }

    /// Writes the in-force event of a change, and removes older settled changes from the copy.
    /// Returns false if another replica has written the event, or the change was cancelled.
    pub async fn settle_change(&self, change: SettledChange) -> Result<bool, Error> {
        let event = Event::ChargeTypeChangeInForce(change.notice);
        let event = EventRow::new(change.account_id, change.event_id, &event);
        self.write_event(change.account_id, move || {
            event
                .query(SETTLE_CHANGE)
                .bind(change.notice.change_id)
                .bind(change.notice.product.name())
                .bind(change.notice.change_id.to_string())
                .bind(change.notice.charge_type.kind().name())
        })
        .await
    }

    /// Cancels a pending change, with its event. Returns false if the change is settled or was
    /// cancelled before.
    pub async fn cancel_change(
        &self,
        change: CancelledChange,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = Event::ChargeTypeChangeCancelled(change.notice);
        let event = EventRow::new(change.account_id, change.event_id, &event);
        self.write_event(change.account_id, move || {
            event
                .query_recorded(CANCEL_CHANGE, &audit, record.as_ref())
                .bind(change.notice.change_id)
                .bind(change.notice.product.name())
                .bind(change.cancelled_at)
                .bind(change.notice.change_id.to_string())
        })
        .await
    }
}
