//! Access keys. They are looked up by id, because a signed request names nothing else.

use std::collections::HashMap;

use chrono::NaiveDate;
use sqlx::FromRow;
use uuid::Uuid;

use super::engine::batch::{Asked, answering};
use super::engine::connections::limited;
use super::events::outbox::{
    EventRow, audited, event_time_after, with_event, with_event_and_record,
    with_event_and_record_of,
};
use super::{AuditEntry, RequestRecord, Store, failure};
use crate::domain::event::Event;
use crate::domain::{AccountId, Time};
use crate::error::Error;
use crate::ids::new_id;

/// Largest number of access keys of an account. A constraint of the table has the same number.
pub const MOST_ACCESS_KEYS: usize = 10;

/// An access key as it is stored.
#[derive(Clone, Debug)]
pub struct StoredAccessKey {
    /// Its id.
    pub access_key_id: String,
    /// The account that it signs for.
    pub account_id: AccountId,
    /// The secret, encrypted with the sealing key.
    pub secret_sealed: Vec<u8>,
    /// The policy document: which actions the key may call.
    pub policy: String,
    /// Whether the key is disabled.
    pub disabled: bool,
    /// Rises with every change.
    pub version: i64,
    /// When it was created.
    pub created_at: Time,
    /// When it was changed last.
    pub updated_at: Time,
    /// The day on which it was used last, in UTC.
    pub last_used_on: Option<NaiveDate>,
}

/// A key to create.
#[derive(Clone, Debug)]
pub struct NewAccessKey {
    /// Its id.
    pub access_key_id: String,
    /// The account that it signs for.
    pub account_id: AccountId,
    /// The secret, encrypted with the sealing key.
    pub secret_sealed: Vec<u8>,
    /// The policy document: which actions the key may call.
    pub policy: String,
    /// Whether the key is disabled.
    pub disabled: bool,
    /// When it is created.
    pub created_at: Time,
    /// Id of its event.
    pub event_id: Uuid,
}

#[derive(Clone, FromRow)]
struct AccessKeyRow {
    access_key_id: String,
    account_id: i64,
    secret_sealed: Vec<u8>,
    policy: String,
    disabled: bool,
    version: i64,
    created_at: Time,
    updated_at: Time,
    last_used_on: Option<NaiveDate>,
}

impl TryFrom<AccessKeyRow> for StoredAccessKey {
    type Error = Error;

    fn try_from(row: AccessKeyRow) -> Result<Self, Error> {
        let account_id = account_of(row.account_id, &row.access_key_id)?;
        Ok(Self {
            access_key_id: row.access_key_id,
            account_id,
            secret_sealed: row.secret_sealed,
            policy: row.policy,
            disabled: row.disabled,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_used_on: row.last_used_on,
        })
    }
}

/// Returns the account of a row of `access_keys`.
pub(super) fn account_of(account_id: i64, access_key_id: &str) -> Result<AccountId, Error> {
    AccountId::new(account_id).ok_or_else(|| {
        let number = account_id.to_string();
        failure::contradiction("access_keys", "account_id", access_key_id, &number)
    })
}

/// Selects the columns of an [`AccessKeyRow`], of the keys that `$which` selects.
macro_rules! select_access_keys {
    ($which:literal) => {
        concat!(
            "SELECT access_key_id, account_id, secret_sealed, policy, disabled, version, created_at,
                updated_at, last_used_on
            FROM access_keys ",
            $which
        )
    };
}

const READ_ACCESS_KEYS: &str = select_access_keys!("WHERE access_key_id = ANY($1)");

// A SELECT, because Citus does not allow a sub-select in VALUES. A key takes one of the places of
// its account; two keys that take the same place at the same time meet at a constraint. Each
// statement tries the free places in an order of its own ($26), so that this is rare.
const CREATE_ACCESS_KEY: &str = with_event_and_record!(concat!(
    "done AS (
        INSERT INTO access_keys (
            access_key_id, account_id, place, secret_sealed, policy, disabled, version, created_at,
            updated_at, event_time)
        SELECT $21, $1, place, $22, $23, $24, 1, $25, $25, ",
    event_time_after!("(SELECT event_time FROM accounts WHERE account_id = $1)"),
    "
        FROM generate_series(1, 10) AS place
        WHERE place NOT IN (SELECT place FROM access_keys WHERE account_id = $1)
            AND NOT EXISTS (SELECT FROM access_keys WHERE access_key_id = $21)
        ORDER BY (place + $26) % 10
        LIMIT 1
        ON CONFLICT (account_id, place) DO NOTHING
        RETURNING account_id, event_time
    )"
));

const SET_DISABLED: &str = with_event_and_record!(concat!(
    "done AS (
        UPDATE access_keys
        SET disabled = $23, version = version + 1, updated_at = $24, event_time = ",
    event_time_after!("event_time"),
    "
        WHERE access_key_id = $21 AND version = $22 AND account_id = $1
        RETURNING account_id, event_time
    )"
));

const DELETE_ACCESS_KEY: &str = with_event_and_record!(concat!(
    "done AS (
        DELETE FROM access_keys
        WHERE access_key_id = $21 AND version = $22 AND account_id = $1
        RETURNING account_id, ",
    event_time_after!("event_time"),
    " AS event_time
    )"
));

pub(super) const LIST_ACCESS_KEYS: &str = select_access_keys!(
    "WHERE account_id = $1 AND access_key_id > $2 ORDER BY access_key_id LIMIT $3"
);

impl Store {
    /// Returns an access key; `None` if there is none with this id.
    pub async fn access_key(&self, access_key_id: &str) -> Result<Option<StoredAccessKey>, Error> {
        let access_keys = &self.batches.access_keys;
        access_keys.ask(access_key_id.to_owned(), self, Store::answer_access_keys).await
    }

    /// Answers all callers that ask for an access key. If a row has a value that is not in the
    /// model, only the callers that ask for that key get an error.
    async fn answer_access_keys(self, asked: Vec<Asked<String, Option<StoredAccessKey>>>) {
        let mut ids: Vec<_> = asked.iter().map(|asked| asked.question.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows = self.read_warm("access_keys", |mut connection| {
            let read = sqlx::query_as::<_, AccessKeyRow>(READ_ACCESS_KEYS).bind(ids.clone());
            async move {
                let rows = limited(read.fetch_all(&mut *connection)).await;
                connection.answered(rows)
            }
        });
        let rows = answering(&asked, &self, rows).await.map(|rows| {
            let by_id = rows.into_iter().map(|row| (row.access_key_id.clone(), row));
            by_id.collect::<HashMap<_, _>>()
        });
        for asked in asked {
            let answer = match &rows {
                Ok(rows) => {
                    rows.get(&asked.question).cloned().map(StoredAccessKey::try_from).transpose()
                }
                Err(error) => Err(error.clone()),
            };
            asked.answer(answer);
        }
    }

    /// Returns keys of an account with ids after this one, in the order of their ids.
    pub async fn access_keys_after(
        &self,
        account_id: AccountId,
        access_key_id: &str,
        at_most: i64,
    ) -> Result<Vec<StoredAccessKey>, Error> {
        let rows = self.read(|pool| async move {
            sqlx::query_as::<_, AccessKeyRow>(LIST_ACCESS_KEYS)
                .bind(account_id.get())
                .bind(access_key_id)
                .bind(at_most)
                .fetch_all(&pool)
                .await
        });
        rows.await?.into_iter().map(StoredAccessKey::try_from).collect()
    }

    /// Creates an access key, with its event. Returns false if the account has
    /// [`MOST_ACCESS_KEYS`] keys, if another key took its place at the same time, or if the id is
    /// taken.
    pub async fn create_access_key(
        &self,
        key: NewAccessKey,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let event = key_event(&key.access_key_id, key.disabled, false);
        let event = EventRow::new(key.account_id, key.event_id, &event);
        let first_place = i32::from(new_id().as_bytes()[15]);
        self.write_event(key.account_id, move || {
            event
                .query_recorded(CREATE_ACCESS_KEY, &audit, record.as_ref())
                .bind(key.access_key_id.clone())
                .bind(key.secret_sealed.clone())
                .bind(key.policy.clone())
                .bind(key.disabled)
                .bind(key.created_at)
                .bind(first_place)
        })
        .await
    }

    /// Disables or enables a key that was read, with its event. Returns false if the key has
    /// changed since.
    pub async fn set_access_key_disabled(
        &self,
        key: &StoredAccessKey,
        disabled: bool,
        updated_at: Time,
        event_id: Uuid,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let (access_key_id, version) = (key.access_key_id.clone(), key.version);
        let event = key_event(&access_key_id, disabled, false);
        let event = EventRow::new(key.account_id, event_id, &event);
        self.write_event(key.account_id, move || {
            event
                .query_recorded(SET_DISABLED, &audit, record.as_ref())
                .bind(access_key_id.clone())
                .bind(version)
                .bind(disabled)
                .bind(updated_at)
        })
        .await
    }

    /// Deletes a key that was read, with its event. Returns false if the key has changed since.
    pub async fn delete_access_key(
        &self,
        key: &StoredAccessKey,
        event_id: Uuid,
        audit: AuditEntry,
        record: Option<RequestRecord>,
    ) -> Result<bool, Error> {
        let (access_key_id, version) = (key.access_key_id.clone(), key.version);
        let event = key_event(&access_key_id, key.disabled, true);
        let event = EventRow::new(key.account_id, event_id, &event);
        self.write_event(key.account_id, move || {
            event
                .query_recorded(DELETE_ACCESS_KEY, &audit, record.as_ref())
                .bind(access_key_id.clone())
                .bind(version)
        })
        .await
    }
}

fn key_event(access_key_id: &str, disabled: bool, deleted: bool) -> Event {
    Event::AccessKeyChanged { access_key_id: access_key_id.to_owned(), disabled, deleted }
}
