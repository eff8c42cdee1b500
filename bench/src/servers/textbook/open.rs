//! Open: one transaction of four statements, and the conditions in the order in which they are
//! reported.

use cdn_activation::domain::{Charge, ChargeType, Requested};
use cdn_activation::proto::convert::requested_charge_type;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{FromRow, PgPool, PgTransaction};
use tonic::Status;
use uuid::Uuid;

use super::super::new_id;
use super::{database, now};

const READ_ACCOUNT: &str = "
    SELECT site, intl_allowed, bid_user, real_name_verified, profile_complete, payment_method_valid,
        balance, orders_refused, event_time
    FROM accounts WHERE account_id = $1 FOR SHARE";
const INSERT_INSTANCE: &str = "
    INSERT INTO instances (account_id, product, instance_id, internet_charge_type,
        websocket_charge_type, opening_time, order_id, event_time)
    VALUES ($1, 'cdn', $2, $3, NULL, $4, $5, $6) ON CONFLICT DO NOTHING";
const INSERT_ORDER: &str = "
    INSERT INTO orders (account_id, order_id, product, internet_charge_type, websocket_charge_type,
        ordered_at)
    VALUES ($1, $2, 'cdn', $3, NULL, $4)";
const INSERT_EVENT: &str = "
    INSERT INTO event_outbox (account_id, event_id, lane, event_time, type, data)
    VALUES ($1, $2, $1::bigint % 16, $3, 'activation.instance.opened', $4)";
/// In place of an encoded event, with the size of one of ours.
const EVENT_DATA: [u8; 90] = [b'e'; 90];

#[derive(FromRow)]
struct AccountRow {
    site: String,
    intl_allowed: bool,
    bid_user: bool,
    real_name_verified: bool,
    profile_complete: bool,
    payment_method_valid: bool,
    balance: i64,
    orders_refused: bool,
    event_time: DateTime<Utc>,
}

/// Returns the charge type to open with, or `None` if an account may not choose it.
pub(super) fn charge_type(number: i32) -> Option<ChargeType> {
    match requested_charge_type(number) {
        Requested::NotGiven => Some(ChargeType::PayByTraffic),
        Requested::Known(charge_type) => charge_type.is_public().then_some(charge_type),
        Requested::Unknown => None,
    }
}

/// Opens CDN for the account.
pub(super) async fn open(
    pool: &PgPool,
    account_id: i64,
    charge_type: ChargeType,
) -> Result<(), Status> {
    let mut transaction = pool.begin().await.map_err(database)?;
    let account: AccountRow = sqlx::query_as(READ_ACCOUNT)
        .bind(account_id)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(database)?
        .ok_or_else(|| Status::not_found("there is no such account"))?;
    before_opening(&account)?;
    let opening = Opening::now(account_id, charge_type, &account);
    if !opening.insert_instance(&mut transaction).await.map_err(database)? {
        return Err(Status::already_exists("CDN has been opened"));
    }
    // A refusal drops the transaction, which rolls the row back.
    after_opening(&account)?;
    opening.insert_order_and_event(&mut transaction).await.map_err(database)?;
    transaction.commit().await.map_err(database)
}

/// Checks the conditions that are reported before "has been opened".
fn before_opening(account: &AccountRow) -> Result<(), Status> {
    if account.bid_user {
        return Err(Status::permission_denied("bid user"));
    }
    if account.site == "intl" && !account.intl_allowed {
        return Err(Status::permission_denied("international site"));
    }
    Ok(())
}

/// Checks the conditions that are reported after it.
fn after_opening(account: &AccountRow) -> Result<(), Status> {
    if !account.real_name_verified {
        return Err(Status::failed_precondition("no real-name authentication"));
    }
    if !account.profile_complete {
        return Err(Status::failed_precondition("the profile is incomplete"));
    }
    if !account.payment_method_valid {
        return Err(Status::failed_precondition("no payment method"));
    }
    if account.balance < 0 {
        return Err(Status::failed_precondition("the balance is too low"));
    }
    if account.orders_refused {
        return Err(Status::aborted("orders are refused"));
    }
    Ok(())
}

/// The values of the rows.
struct Opening {
    account_id: i64,
    charge_type: ChargeType,
    order_id: Uuid,
    now: DateTime<Utc>,
    event_time: DateTime<Utc>,
}

impl Opening {
    fn now(account_id: i64, charge_type: ChargeType, account: &AccountRow) -> Self {
        let now = now();
        let event_time = now.max(account.event_time + TimeDelta::microseconds(1));
        Self { account_id, charge_type, order_id: new_id(), now, event_time }
    }

    /// Returns false if there is an instance already.
    async fn insert_instance(
        &self,
        transaction: &mut PgTransaction<'_>,
    ) -> Result<bool, sqlx::Error> {
        let inserted = sqlx::query(INSERT_INSTANCE)
            .bind(self.account_id)
            .bind(self.account_id.to_string())
            .bind(self.charge_type.name())
            .bind(self.now)
            .bind(self.order_id)
            .bind(self.event_time)
            .execute(&mut **transaction)
            .await?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn insert_order_and_event(
        &self,
        transaction: &mut PgTransaction<'_>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(INSERT_ORDER)
            .bind(self.account_id)
            .bind(self.order_id)
            .bind(self.charge_type.name())
            .bind(self.now)
            .execute(&mut **transaction)
            .await?;
        sqlx::query(INSERT_EVENT)
            .bind(self.account_id)
            .bind(new_id())
            .bind(self.event_time)
            .bind(EVENT_DATA.as_slice())
            .execute(&mut **transaction)
            .await?;
        Ok(())
    }
}
