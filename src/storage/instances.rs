//! Step 6 of an opening: instance, order and event in one statement, together or not at all.

use uuid::Uuid;

use super::events::{EventRow, with_event};
use super::{Store, failure};
use crate::domain::event::{Event, Stamp};
use crate::domain::opening::Terms;
use crate::domain::{AccountId, Charge, Product, Time};
use crate::error::Error;

/// An opening that has been decided on facts read before.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The account that opens.
    pub account_id: AccountId,
    /// Written only while the account is at this version: the decision was made on it.
    pub account_version: i64,
    /// What is opened.
    pub terms: Terms,
    /// Id of the new instance.
    pub instance_id: String,
    /// Id of the order, the same for every try of one request.
    pub order_id: Uuid,
    /// When.
    pub opening_time: Time,
    /// When the order was placed.
    pub ordered_at: Time,
    /// The place of its event.
    pub stamp: Stamp,
    /// Its order was placed at a commerce system: written only while the intent of the order is
    /// live, which is settled with it.
    pub has_intent: bool,
}

// The account row is shared, not updated: openings of one account do not wait for each other, and a
// change of the account that commits first is seen. The conflict names no constraint: CDN's instance
// id is the account's, so that a simultaneous opening can meet either of the two, and the one that
// is not named would be an error.
macro_rules! open_instance {
    ($intent:literal, $allowed:literal, $settled:literal) => {
        with_event!(concat!(
            "account AS (
                SELECT account_id
                FROM accounts
                WHERE account_id = $1 AND version = $7
                FOR SHARE
            ), ",
            $intent,
            "done AS (
                INSERT INTO instances (
                    account_id, product, instance_id, internet_charge_type, websocket_charge_type,
                    opening_time, order_id, event_time)
                SELECT account_id, $8, $9, $10, $11, $12, $13, $4
                FROM ",
            $allowed,
            "
                ON CONFLICT DO NOTHING
                RETURNING account_id
            ), ordered AS (
                INSERT INTO orders (
                    account_id, order_id, product, internet_charge_type, websocket_charge_type,
                    ordered_at)
                SELECT account_id, $13, $8, $10, $11, $14
                FROM done
            )",
            $settled
        ))
    };
}

const OPEN_INSTANCE: &str = open_instance!("", "account", "");

// The intent is locked before anything is written: whoever abandons it comes either before, and
// nothing is opened, or after, and finds it opened. It is locked after the account: who waits for
// the account does not hold up the reconciler.
const OPEN_INSTANCE_OF_INTENT: &str = open_instance!(
    "intent AS (
        SELECT order_intents.account_id
        FROM order_intents
        JOIN account ON account.account_id = order_intents.account_id
        WHERE order_intents.account_id = $1
            AND order_intents.order_id = $13
            AND order_intents.opened_at IS NULL
            AND order_intents.abandoned_at IS NULL
        FOR UPDATE OF order_intents
    ), ",
    "intent",
    ", settled AS (
        UPDATE order_intents
        SET opened_at = $14
        FROM done
        WHERE order_intents.account_id = $1
            AND order_intents.account_id = done.account_id
            AND order_intents.order_id = $13
    )"
);

const LIST_INSTANCES: &str = "
    SELECT account_id, product
    FROM instances
    WHERE (account_id, product) > ($1, $2)
        AND ($3::bigint IS NULL OR account_id = $3)
        AND ($4::text IS NULL OR product = $4)
    ORDER BY account_id, product
    LIMIT $5";

// For `dev --at` alone, over a handful of accounts.
const LATEST_SUBMISSION: &str = "
    SELECT greatest(
        (SELECT max(opening_time) FROM instances),
        (SELECT max(submitted_at) FROM charge_type_changes))";

impl Store {
    /// Which instances there are after this account and product, in the order of both; only those
    /// of an account, of a product, where they are given.
    pub async fn instances_after(
        &self,
        after: (i64, String),
        account_id: Option<AccountId>,
        product: Option<Product>,
        at_most: i64,
    ) -> Result<Vec<(AccountId, Product)>, Error> {
        let rows: Vec<(i64, String)> = self
            .read(|pool| {
                let list = sqlx::query_as(LIST_INSTANCES)
                    .bind(after.0)
                    .bind(after.1.clone())
                    .bind(account_id.map(AccountId::get))
                    .bind(product.map(Product::name))
                    .bind(at_most);
                async move { list.fetch_all(&pool).await }
            })
            .await?;
        let key = |(account_id, product): (i64, String)| {
            let key = AccountId::new(account_id).zip(Product::from_name(&product));
            key.ok_or_else(|| failure::contradiction("instances", "key", account_id, &product))
        };
        rows.into_iter().map(key).collect()
    }

    /// When anything was opened or submitted last, of all accounts.
    pub async fn latest_submission(&self) -> Result<Option<Time>, Error> {
        self.read(
            |pool| async move { sqlx::query_scalar(LATEST_SUBMISSION).fetch_one(&pool).await },
        )
        .await
    }

    /// Writes an opening; false where the account has changed since it was read, someone else was
    /// faster, or its intent is not live any more.
    pub async fn open_instance(&self, opening: Opening) -> Result<bool, Error> {
        let event = Event::InstanceOpened {
            terms: opening.terms,
            instance_id: opening.instance_id.clone(),
            order_id: opening.order_id,
            opening_time: opening.opening_time,
        };
        let event = EventRow::new(opening.account_id, opening.stamp, &event);
        let statement = if opening.has_intent { OPEN_INSTANCE_OF_INTENT } else { OPEN_INSTANCE };
        let opened = self.write(move |pool| {
            let open = event
                .query(statement)
                .bind(opening.account_version)
                .bind(opening.terms.product.name())
                .bind(opening.instance_id.clone())
                .bind(opening.terms.internet.name())
                .bind(opening.terms.websocket.map(Charge::name))
                .bind(opening.opening_time)
                .bind(opening.order_id)
                .bind(opening.ordered_at);
            async move { open.fetch_one(&pool).await }
        });
        Ok(opened.await? == 1)
    }
}
