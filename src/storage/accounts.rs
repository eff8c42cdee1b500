//! Accounts, which operators create and change.

use sqlx::FromRow;
use uuid::Uuid;

use super::events::outbox::{
    EventQuery, EventRow, audited, event_time_after, with_event, with_event_and_record,
    with_event_and_record_of,
};
use super::{AuditEntry, RequestRecord, Store, failure};
use crate::domain::event::Event;
use crate::domain::{Account, AccountId, Profile, Site, Time};
use crate::error::Error;

#[derive(Clone, FromRow)]
pub(super) struct AccountRow {
    pub account_id: i64,
    pub site: String,
    pub intl_allowed: bool,
    pub bid_user: bool,
    pub real_name_verified: bool,
    pub profile_complete: bool,
    pub payment_method_valid: bool,
    pub balance: i64,
    pub orders_refused: bool,
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
}

impl TryFrom<AccountRow> for Account {
    type Error = Error;

    fn try_from(row: AccountRow) -> Result<Self, Error> {
        let contradiction =
            |column, value: &str| failure::contradiction("accounts", column, row.account_id, value);
        let account_id = AccountId::new(row.account_id)
            .ok_or_else(|| contradiction("account_id", &row.account_id.to_string()))?;
        let site = match row.site.as_str() {
            "domestic" => Site::Domestic,
            "intl" => Site::Intl,
            other => return Err(contradiction("site", other)),
        };
        Ok(Self {
            account_id,
            profile: Profile {
                site,
                intl_allowed: row.intl_allowed,
                bid_user: row.bid_user,
                real_name_verified: row.real_name_verified,
                profile_complete: row.profile_complete,
                payment_method_valid: row.payment_method_valid,
                balance: row.balance,
                orders_refused: row.orders_refused,
            },
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A change of an account that was read at a version.
#[derive(Clone, Debug)]
pub struct AccountUpdate {
    /// The account.
    pub account_id: AccountId,
    /// The change is written only if the account is still at this version.
    pub read_version: i64,
    /// The new profile.
    pub profile: Profile,
    /// When it is changed.
    pub updated_at: Time,
    /// Id of its event.
    pub event_id: Uuid,
}

/// Selects the columns of an [`AccountRow`], of the accounts that `$which` selects.
macro_rules! select_accounts {
    ($which:literal) => {
        concat!(
            "SELECT account_id, site, intl_allowed, bid_user, real_name_verified, profile_complete,
                payment_method_valid, balance, orders_refused, version, created_at, updated_at
            FROM accounts ",
            $which
        )
    };
}

const READ_ACCOUNT: &str = select_accounts!("WHERE account_id = $1");

const CREATE_ACCOUNT: &str = with_event_and_record!(
    "done AS (
        INSERT INTO accounts (
            account_id, site, intl_allowed, bid_user, real_name_verified, profile_complete,
            payment_method_valid, balance, orders_refused, version, created_at, updated_at, event_time)
        VALUES ($1, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $30, statement_timestamp())
        ON CONFLICT (account_id) DO NOTHING
        RETURNING account_id, event_time
    )"
);

const UPDATE_ACCOUNT: &str = with_event_and_record!(concat!(
    "done AS (
        UPDATE accounts
        SET site = $21,
            intl_allowed = $22,
            bid_user = $23,
            real_name_verified = $24,
            profile_complete = $25,
            payment_method_valid = $26,
            balance = $27,
            orders_refused = $28,
            version = $29 + 1,
            updated_at = $30,
            event_time = ",
    event_time_after!("event_time"),
    "
        WHERE account_id = $1 AND version = $29
        RETURNING account_id, event_time
    )"
));

/// Binds `$21` to `$28`.
fn bind_profile(query: EventQuery, profile: &Profile) -> EventQuery {
    query
        .bind(profile.site.name())
        .bind(profile.intl_allowed)
        .bind(profile.bid_user)
        .bind(profile.real_name_verified)
        .bind(profile.profile_complete)
        .bind(profile.payment_method_valid)
        .bind(profile.balance)
        .bind(profile.orders_refused)
}

pub(super) const LIST_ACCOUNTS: &str =
    select_accounts!("WHERE account_id > $1 ORDER BY account_id LIMIT $2");

impl Store {
    /// Returns accounts with larger ids than this one, in the order of their ids.
    pub async fn accounts_after(
        &self,
        account_id: i64,
        at_most: i64,
    ) -> Result<Vec<Account>, Error> {
        let rows = self.read(|pool| async move {
            let list =
                sqlx::query_as::<_, AccountRow>(LIST_ACCOUNTS).bind(account_id).bind(at_most);
            list.fetch_all(&pool).await
        });
        rows.await?.into_iter().map(Account::try_from).collect()
    }

    /// Returns an account; `None` if there is none with this id.
    pub async fn account(&self, account_id: AccountId) -> Result<Option<Account>, Error> {
        let row = self.read(|pool| async move {
            sqlx::query_as::<_, AccountRow>(READ_ACCOUNT)
                .bind(account_id.get())
                .fetch_optional(&pool)
                .await
        });
        row.await?.map(Account::try_from).transpose()
    }

    /// Creates an account, with its event and audit record. Returns false if the id is taken.
    pub async fn create_account(
        &self,
        account: Account,
        event_id: Uuid,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = Event::AccountChanged { version: account.version };
        let event = EventRow::new(account.account_id, event_id, &event);
        self.write_event(account.account_id, move || {
            let query = event.query_recorded(CREATE_ACCOUNT, &audit, record.as_ref());
            bind_profile(query, &account.profile).bind(account.version).bind(account.created_at)
        })
        .await
    }

    /// Changes an account, with its event and audit record. Returns false if it has changed since it
    /// was read.
    pub async fn update_account(
        &self,
        update: AccountUpdate,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = Event::AccountChanged { version: update.read_version + 1 };
        let event = EventRow::new(update.account_id, update.event_id, &event);
        self.write_event(update.account_id, move || {
            let query = event.query_recorded(UPDATE_ACCOUNT, &audit, record.as_ref());
            bind_profile(query, &update.profile).bind(update.read_version).bind(update.updated_at)
        })
        .await
    }
}
