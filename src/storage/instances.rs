//! Step 6 of an opening: instance, order and event in one statement, together or not at all.

use uuid::Uuid;

use super::Store;
use super::events::{EventRow, with_event};
use crate::domain::event::{Event, Stamp};
use crate::domain::opening::Terms;
use crate::domain::{AccountId, Charge, Time};
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
}

// The account row is shared, not updated: openings of one account do not wait for each other, and a
// change of the account that commits first is seen. The conflict names no constraint: CDN's instance
// id is the account's, so that a simultaneous opening can meet either of the two, and the one that
// is not named would be an error.
const OPEN_INSTANCE: &str = with_event!(
    "account AS (
        SELECT account_id
        FROM accounts
        WHERE account_id = $1 AND version = $7
        FOR SHARE
    ), done AS (
        INSERT INTO instances (
            account_id, product, instance_id, internet_charge_type, websocket_charge_type,
            opening_time, order_id, event_time)
        SELECT account_id, $8, $9, $10, $11, $12, $13, $4
        FROM account
        ON CONFLICT DO NOTHING
        RETURNING account_id
    ), ordered AS (
        INSERT INTO orders (
            account_id, order_id, product, internet_charge_type, websocket_charge_type, ordered_at)
        SELECT account_id, $13, $8, $10, $11, $14
        FROM done
    )"
);

// For `dev --at` alone, over a handful of accounts.
const LATEST_SUBMISSION: &str = "
    SELECT greatest(
        (SELECT max(opening_time) FROM instances),
        (SELECT max(submitted_at) FROM charge_type_changes))";

impl Store {
    /// When anything was opened or submitted last, of all accounts.
    pub async fn latest_submission(&self) -> Result<Option<Time>, Error> {
        self.read(
            |pool| async move { sqlx::query_scalar(LATEST_SUBMISSION).fetch_one(&pool).await },
        )
        .await
    }

    /// Writes an opening; false where the account has changed since it was read or someone else was
    /// faster.
    pub async fn open_instance(&self, opening: Opening) -> Result<bool, Error> {
        let event = Event::InstanceOpened {
            terms: opening.terms,
            instance_id: opening.instance_id.clone(),
            order_id: opening.order_id,
            opening_time: opening.opening_time,
        };
        let event = EventRow::new(opening.account_id, opening.stamp, &event);
        let opened = self.write(move |pool| {
            let open = event
                .query(OPEN_INSTANCE)
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
