//! What the database knows about the sealing keys: a row for each key that has sealed something, and
//! the sealed secrets, which `reseal` encrypts again.

use sqlx::FromRow;

use super::Store;
use crate::domain::AccountId;
use crate::error::Error;

/// What the database keeps about a sealing key. It does not reveal the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealingCheck {
    /// The id of the key.
    pub key_id: [u8; 4],
    /// A value that only this key has.
    pub value: [u8; 32],
}

/// The sealed secret of an access key.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    /// The id of the access key.
    pub access_key_id: String,
    /// The account of the access key.
    pub account_id: AccountId,
    /// The sealed secret.
    pub sealed: Vec<u8>,
}

/// A sealed secret that was sealed again.
#[derive(Clone, Debug)]
pub struct ResealedSecret {
    /// The secret as it was read.
    pub before: SealedSecret,
    /// The same secret, sealed with another key.
    pub after: Vec<u8>,
}

#[derive(FromRow)]
pub(super) struct SealingCheckRow {
    pub key_id: Vec<u8>,
    pub value: Vec<u8>,
}

#[derive(FromRow)]
struct SealedSecretRow {
    access_key_id: String,
    account_id: i64,
    secret_sealed: Vec<u8>,
}

pub(super) const READ_SEALING_CHECKS: &str =
    "SELECT key_id, value FROM sealing_checks ORDER BY key_id";

const WRITE_SEALING_CHECK: &str = "
    INSERT INTO sealing_checks (key_id, value)
    VALUES ($1, $2)
    ON CONFLICT (key_id) DO NOTHING";

// A sealed secret begins with a byte for its form. The id of the sealing key follows.
const FORGET_SEALING_CHECKS: &str = "
    DELETE FROM sealing_checks
    WHERE key_id <> $1
        AND NOT EXISTS (SELECT FROM access_keys WHERE substr(secret_sealed, 2, 4) = key_id)";

const READ_SECRETS_OF_OTHER_KEYS: &str = "
    SELECT access_key_id, account_id, secret_sealed
    FROM access_keys
    WHERE access_key_id > $1 AND substr(secret_sealed, 2, 4) <> $2
    ORDER BY access_key_id
    LIMIT $3";

// A key that was deleted, or whose secret was sealed again, in the meantime is left as it is. The
// version stays: nothing that an operator sees changes. Rows are locked in the order of their ids, so
// two commands do not wait for each other.
const REPLACE_SECRETS: &str = "
    WITH replaced AS (
        SELECT access_key_id, after
        FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS given (id, before, after)
            JOIN access_keys ON access_key_id = id AND secret_sealed = before
        ORDER BY access_key_id
        FOR NO KEY UPDATE OF access_keys
    )
    UPDATE access_keys
    SET secret_sealed = replaced.after
    FROM replaced
    WHERE access_keys.access_key_id = replaced.access_key_id";

impl Store {
    /// Records that a sealing key seals. Nothing changes if that is recorded.
    pub async fn record_sealing_key(&self, check: SealingCheck) -> Result<(), Error> {
        self.write_no_event(move |connections| async move {
            let record = sqlx::query(WRITE_SEALING_CHECK);
            record
                .bind(check.key_id.to_vec())
                .bind(check.value.to_vec())
                .execute(&connections)
                .await?;
            Ok(())
        })
        .await
    }

    /// Forgets the sealing keys, except this one, with which no secret is sealed. Returns how many.
    pub async fn forget_sealing_keys_except(&self, key_id: [u8; 4]) -> Result<u64, Error> {
        self.write_no_event(move |connections| async move {
            let forget = sqlx::query(FORGET_SEALING_CHECKS).bind(key_id.to_vec());
            Ok(forget.execute(&connections).await?.rows_affected())
        })
        .await
    }

    /// Returns secrets of access keys with larger ids than this one that were sealed with another
    /// sealing key, in the order of their ids.
    pub async fn secrets_of_other_keys(
        &self,
        access_key_id: &str,
        key_id: [u8; 4],
        at_most: i64,
    ) -> Result<Vec<SealedSecret>, Error> {
        let rows = self.read(|connections| async move {
            sqlx::query_as::<_, SealedSecretRow>(READ_SECRETS_OF_OTHER_KEYS)
                .bind(access_key_id)
                .bind(key_id.to_vec())
                .bind(at_most)
                .fetch_all(&connections)
                .await
        });
        rows.await?.into_iter().map(SealedSecret::try_from).collect()
    }

    /// Replaces sealed secrets, each only if it is still as it was read. Returns how many were
    /// replaced.
    pub async fn replace_secrets(&self, secrets: Vec<ResealedSecret>) -> Result<u64, Error> {
        let ids: Vec<_> = secrets.iter().map(|one| one.before.access_key_id.clone()).collect();
        let before: Vec<_> = secrets.iter().map(|one| one.before.sealed.clone()).collect();
        let after: Vec<_> = secrets.into_iter().map(|one| one.after).collect();
        self.write_no_event(move |connections| {
            let replace = sqlx::query(REPLACE_SECRETS)
                .bind(ids.clone())
                .bind(before.clone())
                .bind(after.clone());
            async move { Ok(replace.execute(&connections).await?.rows_affected()) }
        })
        .await
    }
}

impl TryFrom<SealedSecretRow> for SealedSecret {
    type Error = Error;

    fn try_from(row: SealedSecretRow) -> Result<Self, Error> {
        let account_id = super::access_keys::account_of(row.account_id, &row.access_key_id)?;
        Ok(Self { access_key_id: row.access_key_id, account_id, sealed: row.secret_sealed })
    }
}
