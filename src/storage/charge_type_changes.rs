//! Charge-type changes: one unsettled at a time per instance and kind, held by
//! `charge_type_changes_one_pending`.

use super::events::{EventRow, with_event, with_event_and_record};
use super::histories::history_written;
use super::{RequestRecord, Store};
use crate::domain::event::{AnyChargeType, ChangeNotice, Event, Stamp};
use crate::domain::{AccountId, Charge, ChargeKind, Time};
use crate::error::Error;

/// A change that has been decided on facts read before.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// Written only while the account is at this version: the decision was made on it.
    pub account_version: i64,
    /// What events tell of it.
    pub notice: ChangeNotice,
    /// When it was submitted.
    pub submitted_at: Time,
    /// The place of its event.
    pub stamp: Stamp,
}

/// A change that has taken effect and whose event is to be written.
#[derive(Clone, Copy, Debug)]
pub struct SettledChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// What events tell of it.
    pub notice: ChangeNotice,
    /// The place of its event.
    pub stamp: Stamp,
}

/// A pending change that is to be cancelled.
#[derive(Clone, Copy, Debug)]
pub struct CancelledChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// What events tell of it.
    pub notice: ChangeNotice,
    /// When.
    pub cancelled_at: Time,
    /// The place of its event.
    pub stamp: Stamp,
}

const SCHEDULE_CHANGE: &str = with_event_and_record!(concat!(
    "account AS (
        SELECT account_id
        FROM accounts
        WHERE account_id = $1 AND version = $12
        FOR SHARE
    ), done AS (
        INSERT INTO charge_type_changes (
            account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
            event_time)
        SELECT account_id, $13, $14, $15, $16, $17, $18, $4
        FROM account
        ON CONFLICT (account_id, product, kind)
            WHERE cancelled_at IS NULL AND in_force_event_at IS NULL DO NOTHING
        RETURNING account_id, product
    ), ",
    history_written!()
));

// Compare-and-set: of all who find the change due, one writes its event.
const SETTLE_CHANGE: &str = with_event!(concat!(
    "done AS (
        UPDATE charge_type_changes
        SET in_force_event_at = $4, event_time = $4
        WHERE account_id = $1 AND change_id = $7
            AND cancelled_at IS NULL AND in_force_event_at IS NULL
        RETURNING account_id, product
    ), ",
    history_written!()
));

// Only what has not taken effect can be taken back.
const CANCEL_CHANGE: &str = with_event_and_record!(concat!(
    "done AS (
        UPDATE charge_type_changes
        SET cancelled_at = $13, event_time = $4
        WHERE account_id = $1 AND change_id = $12 AND effective_time > $13
            AND cancelled_at IS NULL AND in_force_event_at IS NULL
        RETURNING account_id, product
    ), ",
    history_written!()
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
    /// Writes a change with its event; false where the account has changed since it was read or
    /// another change is unsettled.
    pub async fn schedule_change(
        &self,
        change: ScheduledChange,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = Event::ChargeTypeChangeScheduled(change.notice);
        let event = EventRow::new(change.account_id, change.stamp, &event);
        let scheduled = self.write(change.account_id, move |pool| {
            let schedule = event
                .query_recorded(SCHEDULE_CHANGE, record.as_ref())
                .bind(change.account_version)
                .bind(change.notice.change_id)
                .bind(change.notice.product.name())
                .bind(change.notice.charge_type.kind().name())
                .bind(change.notice.charge_type.name())
                .bind(change.submitted_at)
                .bind(change.notice.effective_time);
            async move { schedule.fetch_one(&pool).await }
        });
        Ok(scheduled.await? == 1)
    }

    /// Writes the in-force event of a change; false where someone else has, or the change was
    /// cancelled.
    pub async fn settle_change(&self, change: SettledChange) -> Result<bool, Error> {
        let event = Event::ChargeTypeChangeInForce(change.notice);
        let event = EventRow::new(change.account_id, change.stamp, &event);
        let settled = self.write(change.account_id, move |pool| {
            let settle = event.query(SETTLE_CHANGE).bind(change.notice.change_id);
            async move { settle.fetch_one(&pool).await }
        });
        Ok(settled.await? == 1)
    }

    /// Cancels a pending change with its event; false where it has taken effect or was cancelled.
    pub async fn cancel_change(
        &self,
        change: CancelledChange,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = Event::ChargeTypeChangeCancelled(change.notice);
        let event = EventRow::new(change.account_id, change.stamp, &event);
        let cancelled = self.write(change.account_id, move |pool| {
            let cancel = event
                .query_recorded(CANCEL_CHANGE, record.as_ref())
                .bind(change.notice.change_id)
                .bind(change.cancelled_at);
            async move { cancel.fetch_one(&pool).await }
        });
        Ok(cancelled.await? == 1)
    }
}
