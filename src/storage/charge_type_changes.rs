//! Charge-type changes: one unsettled at a time per instance and kind, held by
//! `charge_type_changes_one_pending`.

use uuid::Uuid;

use super::Store;
use super::events::{EventRow, with_event};
use crate::domain::event::{AnyChargeType, ChangeNotice, Event, Stamp};
use crate::domain::{AccountId, Charge, ChargeKind, Product, Time};
use crate::error::Error;

/// A change that has been decided on facts read before.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// Written only while the account is at this version: the decision was made on it.
    pub account_version: i64,
    /// The product of the instance.
    pub product: Product,
    /// Id of the change.
    pub change_id: Uuid,
    /// The new charge type.
    pub charge_type: AnyChargeType,
    /// When it was submitted.
    pub submitted_at: Time,
    /// From when it holds.
    pub effective_time: Time,
    /// The place of its event.
    pub stamp: Stamp,
}

/// A change that has taken effect and whose event is to be written.
#[derive(Clone, Copy, Debug)]
pub struct SettledChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// The product of the instance.
    pub product: Product,
    /// Id of the change.
    pub change_id: Uuid,
    /// The charge type now in force.
    pub charge_type: AnyChargeType,
    /// Since when it holds.
    pub effective_time: Time,
    /// The place of its event.
    pub stamp: Stamp,
}

const SCHEDULE_CHANGE: &str = with_event!(
    "account AS (
        SELECT account_id
        FROM accounts
        WHERE account_id = $1 AND version = $7
        FOR SHARE
    ), done AS (
        INSERT INTO charge_type_changes (
            account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
            event_time)
        SELECT account_id, $8, $9, $10, $11, $12, $13, $4
        FROM account
        ON CONFLICT (account_id, product, kind)
            WHERE cancelled_at IS NULL AND in_force_event_at IS NULL DO NOTHING
        RETURNING account_id
    )"
);

// Compare-and-set: of all who find the change due, one writes its event.
const SETTLE_CHANGE: &str = with_event!(
    "done AS (
        UPDATE charge_type_changes
        SET in_force_event_at = $4, event_time = $4
        WHERE account_id = $1 AND change_id = $7
            AND cancelled_at IS NULL AND in_force_event_at IS NULL
        RETURNING account_id
    )"
);

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
    /// Writes a change with its event; false where the account has changed since it was read or
    /// another change is unsettled.
    pub async fn schedule_change(&self, change: ScheduledChange) -> Result<bool, Error> {
        let event = Event::ChargeTypeChangeScheduled(ChangeNotice {
            change_id: change.change_id,
            product: change.product,
            charge_type: change.charge_type,
            effective_time: change.effective_time,
        });
        let event = EventRow::new(change.account_id, change.stamp, &event);
        let scheduled = self.write(move |pool| {
            let schedule = event
                .query(SCHEDULE_CHANGE)
                .bind(change.account_version)
                .bind(change.change_id)
                .bind(change.product.name())
                .bind(change.charge_type.kind().name())
                .bind(change.charge_type.name())
                .bind(change.submitted_at)
                .bind(change.effective_time);
            async move { schedule.fetch_one(&pool).await }
        });
        Ok(scheduled.await? == 1)
    }

    /// Writes the in-force event of a change; false where someone else has, or the change was
    /// cancelled.
    pub async fn settle_change(&self, change: SettledChange) -> Result<bool, Error> {
        let event = Event::ChargeTypeChangeInForce(ChangeNotice {
            change_id: change.change_id,
            product: change.product,
            charge_type: change.charge_type,
            effective_time: change.effective_time,
        });
        let event = EventRow::new(change.account_id, change.stamp, &event);
        let settled = self.write(move |pool| {
            let settle = event.query(SETTLE_CHANGE).bind(change.change_id);
            async move { settle.fetch_one(&pool).await }
        });
        Ok(settled.await? == 1)
    }
}
