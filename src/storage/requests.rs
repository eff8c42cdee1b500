//! Records of writes that may be sent again. A record is written in the statement of the write. It
//! holds what the write was about, and not the answer.

use sqlx::FromRow;
use uuid::Uuid;

use super::Store;
use crate::domain::Time;
use crate::error::Error;

/// How long the record of a request is kept.
pub const REQUEST_IDS_KEPT: chrono::Duration = chrono::Duration::hours(24);

/// The constraint that two concurrent requests with the same request id violate.
pub(super) const ONE_PER_ID: &str = "repeatable_requests_pkey";

/// The record of a write that may be sent again.
#[derive(Clone, Debug, FromRow)]
pub struct RequestRecord {
    /// The caller that sent the write.
    pub caller: String,
    /// The id that the caller gave.
    pub request_id: Uuid,
    /// SHA-256 of the method and the request.
    pub fingerprint: Vec<u8>,
    /// The resource that the answer describes.
    pub resource: String,
    /// When the request was recorded.
    pub recorded_at: Time,
}

const READ_REQUEST: &str = "
    SELECT caller, request_id, fingerprint, resource, recorded_at
    FROM repeatable_requests
    WHERE caller = $1 AND request_id = $2";

const RECORD_REQUEST: &str = "
    INSERT INTO repeatable_requests (caller, request_id, fingerprint, resource, recorded_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (caller, request_id) DO NOTHING";

// Deletes only the record that was read: its id may have been used again in the meantime.
const FORGET_REQUEST: &str = "
    DELETE FROM repeatable_requests
    WHERE caller = $1 AND request_id = $2 AND recorded_at = $3";

const FORGET_REQUESTS: &str = "
    DELETE FROM repeatable_requests
    WHERE (caller, request_id) IN (
        SELECT caller, request_id
        FROM repeatable_requests
        WHERE recorded_at < $1
        ORDER BY recorded_at
        LIMIT $2)";

impl Store {
    /// Returns the record of a request id; `None` if the id was not used.
    pub async fn request_record(
        &self,
        caller: &str,
        request_id: Uuid,
    ) -> Result<Option<RequestRecord>, Error> {
        self.read(|pool| async move {
            sqlx::query_as(READ_REQUEST).bind(caller).bind(request_id).fetch_optional(&pool).await
        })
        .await
    }

    /// Records a request that had nothing to write. Returns false if its id was used in the
    /// meantime.
    pub async fn record_request(&self, record: RequestRecord) -> Result<bool, Error> {
        let rows = self.write_no_event(move |pool| {
            let record = record.clone();
            async move {
                let insert = sqlx::query(RECORD_REQUEST)
                    .bind(record.caller)
                    .bind(record.request_id)
                    .bind(record.fingerprint)
                    .bind(record.resource)
                    .bind(record.recorded_at);
                Ok(insert.execute(&pool).await?.rows_affected())
            }
        });
        Ok(rows.await? == 1)
    }

    /// Deletes the record of one request.
    pub async fn forget_request(&self, record: &RequestRecord) -> Result<(), Error> {
        let (caller, request_id) = (record.caller.clone(), record.request_id);
        let recorded_at = record.recorded_at;
        let done = self.write_no_event(move |pool| {
            let forget =
                sqlx::query(FORGET_REQUEST).bind(caller.clone()).bind(request_id).bind(recorded_at);
            async move { forget.execute(&pool).await }
        });
        done.await.map(|_| ())
    }

    /// Deletes at most `at_most` records of requests from before an instant. Returns how many.
    pub async fn forget_requests(&self, before: Time, at_most: i64) -> Result<u64, Error> {
        self.write_no_event(move |pool| async move {
            let forget = sqlx::query(FORGET_REQUESTS).bind(before).bind(at_most);
            Ok(forget.execute(&pool).await?.rows_affected())
        })
        .await
    }
}
