//! Intents: the records of orders that are being placed at the commerce system. An intent is
//! written before its order is placed. The statement that opens the instance marks the intent as
//! opened. An abandoned intent cannot open an instance any more; its order is cancelled only after
//! that. Each step is a compare-and-set, so a request and any number of reconcilers may work on one
//! intent at the same time.

use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, failure};
use crate::domain::opening::Order;
use crate::domain::{AccountId, Charge, Time};
use crate::error::Error;

/// An intent that is due: it was neither opened nor cancelled in time.
#[derive(Clone, Copy, Debug)]
pub struct DueIntent {
    /// The account that wanted to open.
    pub account_id: AccountId,
    /// Its order.
    pub order_id: Uuid,
    /// The instant from which it is due. A reconciler that takes the intent compares it.
    pub due_at: Time,
    /// How often a reconciler has taken it.
    pub attempts: u32,
}

#[derive(FromRow)]
struct DueIntentRow {
    account_id: i64,
    order_id: Uuid,
    due_at: Time,
    attempts: i32,
}

const WRITE_INTENT: &str = "
    INSERT INTO order_intents (
        account_id, order_id, product, internet_charge_type, websocket_charge_type,
        created_at, due_at, attempts)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
    ON CONFLICT (account_id, order_id) DO NOTHING";

// Waits for a statement that opens with this order, and then finds the intent opened.
const ABANDON_INTENT: &str = "
    UPDATE order_intents
    SET abandoned_at = $3
    WHERE account_id = $1 AND order_id = $2 AND opened_at IS NULL AND abandoned_at IS NULL";

const SETTLE_CANCELLED_INTENT: &str = "
    UPDATE order_intents
    SET cancelled_at = $3
    WHERE account_id = $1 AND order_id = $2 AND abandoned_at IS NOT NULL AND cancelled_at IS NULL";

// A poll of all accounts, which locks nothing.
const DUE_INTENTS: &str = "
    SELECT account_id, order_id, due_at, attempts
    FROM order_intents
    WHERE opened_at IS NULL AND cancelled_at IS NULL AND due_at <= $1
    ORDER BY due_at
    LIMIT $2";

// A due intent is abandoned first: from then on, nothing can be opened with it.
const TAKE_DUE_INTENT: &str = "
    UPDATE order_intents
    SET abandoned_at = coalesce(abandoned_at, $3), due_at = $4, attempts = attempts + 1
    WHERE account_id = $1 AND order_id = $2 AND due_at = $5
        AND opened_at IS NULL AND cancelled_at IS NULL";

// Deletes intents of all accounts, a bounded number at a time.
const FORGET_SETTLED_INTENTS: &str = "
    DELETE FROM order_intents
    WHERE (account_id, order_id) IN (
        SELECT account_id, order_id
        FROM order_intents
        WHERE created_at < $1 AND (opened_at IS NOT NULL OR cancelled_at IS NOT NULL)
        LIMIT $2)";

impl Store {
    /// Writes the intent to place an order. Repeating this has no effect.
    pub async fn write_intent(&self, order: Order, due_at: Time) -> Result<(), Error> {
        self.write_no_event(move |pool| async move {
            let statement = sqlx::query(WRITE_INTENT)
                .bind(order.account_id.get())
                .bind(order.order_id)
                .bind(order.terms.product.name())
                .bind(order.terms.internet.name())
                .bind(order.terms.websocket.map(Charge::name))
                .bind(order.ordered_at)
                .bind(due_at);
            statement.execute(&pool).await.map(drop)
        })
        .await
    }

    /// Abandons an intent. Returns false if it was opened or abandoned before.
    pub async fn abandon_intent(
        &self,
        account_id: AccountId,
        order_id: Uuid,
        at: Time,
    ) -> Result<bool, Error> {
        self.change_intent(ABANDON_INTENT, account_id, order_id, at).await
    }

    /// Records that the commerce system has no such order. Returns false if the intent was not
    /// abandoned, or this was recorded before.
    pub async fn settle_cancelled_intent(
        &self,
        account_id: AccountId,
        order_id: Uuid,
        at: Time,
    ) -> Result<bool, Error> {
        self.change_intent(SETTLE_CANCELLED_INTENT, account_id, order_id, at).await
    }

    async fn change_intent(
        &self,
        statement: &'static str,
        account_id: AccountId,
        order_id: Uuid,
        at: Time,
    ) -> Result<bool, Error> {
        let rows = self.write_no_event(move |pool| async move {
            let statement = sqlx::query(statement).bind(account_id.get()).bind(order_id).bind(at);
            Ok(statement.execute(&pool).await?.rows_affected())
        });
        Ok(rows.await? == 1)
    }

    /// Returns at most `most` intents that are due. The intent that has been due for the longest
    /// time is the first.
    pub async fn due_intents(&self, now: Time, most: i64) -> Result<Vec<DueIntent>, Error> {
        let rows = self.read(|pool| async move {
            let statement = sqlx::query_as::<_, DueIntentRow>(DUE_INTENTS).bind(now).bind(most);
            statement.fetch_all(&pool).await
        });
        rows.await?.into_iter().map(DueIntent::try_from).collect()
    }

    /// Takes a due intent until `until`, and abandons it. Returns false if another replica has
    /// taken it.
    pub async fn take_due_intent(
        &self,
        intent: DueIntent,
        now: Time,
        until: Time,
    ) -> Result<bool, Error> {
        let rows = self.write_no_event(move |pool| async move {
            let statement = sqlx::query(TAKE_DUE_INTENT)
                .bind(intent.account_id.get())
                .bind(intent.order_id)
                .bind(now)
                .bind(until)
                .bind(intent.due_at);
            Ok(statement.execute(&pool).await?.rows_affected())
        });
        Ok(rows.await? == 1)
    }

    /// Deletes at most `most` settled intents that are older than `before`.
    pub async fn forget_settled_intents(&self, before: Time, most: i64) -> Result<u64, Error> {
        self.write_no_event(move |pool| async move {
            let statement = sqlx::query(FORGET_SETTLED_INTENTS).bind(before).bind(most);
            Ok(statement.execute(&pool).await?.rows_affected())
        })
        .await
    }
}

impl TryFrom<DueIntentRow> for DueIntent {
    type Error = Error;

    fn try_from(row: DueIntentRow) -> Result<Self, Error> {
        let account_id = AccountId::new(row.account_id).ok_or_else(|| {
            let key = row.account_id;
            failure::contradiction("order_intents", "account_id", key, &key.to_string())
        })?;
        let attempts = u32::try_from(row.attempts).unwrap_or_default();
        Ok(Self { account_id, order_id: row.order_id, due_at: row.due_at, attempts })
    }
}
