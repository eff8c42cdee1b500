//! Writes an opening: instance, order, event and audit record in one statement, which writes all of them or none.
//! Concurrent openings form a group, which is one statement and one commit. Each opening of a group
//! is written, or not, independently of the others, and is answered when it is durable.

mod groups;

use std::time::Duration;

use tokio::task::JoinHandle;
use uuid::Uuid;

use self::groups::{GroupFailure, Outcome};
use super::engine::batch::{Asked, answering};
use super::events::outbox::{
    EventRow, audited, event_time_after, with_event, with_event_and_audit,
};
use super::{AuditEntry, Store};
use crate::domain::event::Event;
use crate::domain::opening::Terms;
use crate::domain::{AccountId, Charge, Time};
use crate::error::Error;
use crate::traces;

/// Longest time that the batch waits for a statement that writes a single opening, which may wait
/// for a row. It is longer than a commit takes.
const ALONE: Duration = Duration::from_millis(50);

/// An opening that was decided on facts that were read before.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The account that opens.
    pub account_id: AccountId,
    /// The opening is written only if the account is still at this version, on which the decision
    /// was made.
    pub account_version: i64,
    /// What is opened.
    pub terms: Terms,
    /// Id of the new instance.
    pub instance_id: String,
    /// Id of the order. It is the same for every attempt of one request.
    pub order_id: Uuid,
    /// When the account opens the product.
    pub opening_time: Time,
    /// When the order was placed.
    pub ordered_at: Time,
    /// Id of its event.
    pub event_id: Uuid,
    /// Its audit record.
    pub audit: AuditEntry,
    /// Whether its order was placed at the commerce system. If so, the opening is written only if
    /// the intent of the order is neither opened nor abandoned, and the same statement marks the
    /// intent as opened.
    pub has_intent: bool,
}

// The account row is locked FOR SHARE, not updated. So openings of one account do not wait for each
// other, and a change of the account that commits first is seen. Of simultaneous openings one is
// written; `instances_one_per_product` stops the others.
macro_rules! open_instance {
    ($intent:literal, $allowed:literal, $settled:literal) => {
        with_event_and_audit!(concat!(
            "account AS (
                SELECT account_id, event_time
                FROM accounts
                WHERE account_id = $1 AND version = $16
                FOR SHARE
            ), ",
            $intent,
            "done AS (
                INSERT INTO instances (
                    account_id, product, instance_id, internet_charge_type, websocket_charge_type,
                    opening_time, order_id, event_time)
                SELECT account_id, $17, $18, $19, $20, $21, $22, ",
            event_time_after!("event_time"),
            "
                FROM ",
            $allowed,
            "
                ON CONFLICT (account_id, product) DO NOTHING
                RETURNING account_id, event_time
            ), ordered AS (
                INSERT INTO orders (
                    account_id, order_id, product, internet_charge_type, websocket_charge_type,
                    ordered_at)
                SELECT account_id, $22, $17, $19, $20, $23
                FROM done
            )",
            $settled
        ))
    };
}

pub(super) const OPEN_INSTANCE: &str = open_instance!("", "account", "");

// The intent is locked before anything is written. If a reconciler abandons it before that, nothing
// is opened; if it tries after that, it finds the intent opened. The intent is locked after the
// account, so that an opening that waits for the account does not delay the reconciler. It is not
// joined with the account, because Citus can lock rows of a table, but not of a join.
const OPEN_INSTANCE_OF_INTENT: &str = open_instance!(
    "intent AS (
        SELECT account_id
        FROM order_intents
        WHERE account_id = $1
            AND order_id = $22
            AND opened_at IS NULL
            AND abandoned_at IS NULL
            AND EXISTS (SELECT 1 FROM account)
        FOR UPDATE
    ), ",
    "account
                WHERE EXISTS (SELECT 1 FROM intent)",
    ", settled AS (
        UPDATE order_intents
        SET opened_at = $23
        FROM done
        WHERE order_intents.account_id = $1
            AND order_intents.account_id = done.account_id
            AND order_intents.order_id = $22
    )"
);

impl Opening {
    pub(super) fn event(&self) -> EventRow {
        let event = Event::InstanceOpened {
            terms: self.terms,
            instance_id: self.instance_id.clone(),
            order_id: self.order_id,
            opening_time: self.opening_time,
        };
        EventRow::new(self.account_id, self.event_id, &event)
    }
}

impl Store {
    /// Writes an opening. Returns false if the account has changed since it was read, another
    /// request has opened the product, or the intent was abandoned.
    pub async fn open_instance(&self, opening: Opening) -> Result<bool, Error> {
        if opening.has_intent {
            return self.open_alone(opening).await; // a group does not lock intents
        }
        self.batches.openings.ask(opening, self, Self::answer_openings).await
    }

    /// Writes a group of openings and answers each caller. An opening that cannot be written in a
    /// group is written alone, in a task of its own. So no opening waits for the account of another
    /// one, or fails because of the row of another one.
    async fn answer_openings(self, mut asked: Vec<Asked<Opening, bool>>) {
        if let [_] = asked[..] {
            let alone = self.in_background(asked.remove(0));
            // If the opening waits for its row, it continues while the next openings are written.
            tokio::time::timeout(ALONE, alone).await.ok();
            return;
        }
        // A group locks the rows of several accounts, which Citus refuses.
        if self.engine().distributes() {
            for asked in asked {
                drop(self.in_background(asked));
            }
            return;
        }
        let group = self.open_group(asked.iter().map(|asked| &asked.question));
        let outcomes = answering(&asked, &self, group).await;
        for asked in asked {
            let outcome = match &outcomes {
                Ok(outcomes) => Ok(outcomes.get(&asked.question.order_id)),
                Err(failure) => Err(failure),
            };
            match outcome {
                Ok(Some(Outcome::Written)) => asked.answer(Ok(true)),
                Ok(Some(Outcome::NotWritten)) => asked.answer(Ok(false)),
                Ok(Some(Outcome::LeftOut) | None) | Err(GroupFailure { was_refused: true, .. }) => {
                    drop(self.in_background(asked));
                }
                Err(failure) => asked.answer(Err(failure.error.clone())),
            }
        }
    }

    /// Writes one opening in a task of its own, at the position of its caller in its trace.
    fn in_background(&self, asked: Asked<Opening, bool>) -> JoinHandle<()> {
        let position = asked.position();
        self.finish_in_background(traces::within(position, self.clone().answer_alone(asked)))
    }

    async fn answer_alone(self, mut asked: Asked<Opening, bool>) {
        let opening = asked.question.clone();
        tokio::select! {
            outcome = self.open_alone(opening) => asked.answer(outcome),
            () = asked.gone() => {}
        }
    }

    async fn open_alone(&self, opening: Opening) -> Result<bool, Error> {
        let (event, audit) = (opening.event(), opening.audit.clone());
        let statement = if opening.has_intent { OPEN_INSTANCE_OF_INTENT } else { OPEN_INSTANCE };
        self.write_event(opening.account_id, move || {
            event
                .query_audited(statement, &audit)
                .bind(opening.account_version)
                .bind(opening.terms.product.name())
                .bind(opening.instance_id.clone())
                .bind(opening.terms.internet.name())
                .bind(opening.terms.websocket.map(Charge::name))
                .bind(opening.opening_time)
                .bind(opening.order_id)
                .bind(opening.ordered_at)
        })
        .await
    }
}
