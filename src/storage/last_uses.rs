//! On which day access keys were used last.

use chrono::NaiveDate;

use super::Store;
use crate::error::Error;

// A row that another transaction holds is left out: its next use notes the day again. The version
// stays: a use is no change of the key.
const RECORD_LAST_USES: &str = "
    WITH used AS (
        SELECT access_key_id
        FROM access_keys
        WHERE access_key_id = ANY($1) AND (last_used_on IS NULL OR last_used_on < $2)
        ORDER BY access_key_id
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE access_keys
    SET last_used_on = $2
    FROM used
    WHERE access_keys.access_key_id = used.access_key_id";

impl Store {
    /// Records that these access keys were used on a day. Returns how many rows changed: a key for
    /// which the day, or a later one, is recorded is left as it is.
    pub async fn record_last_uses(
        &self,
        access_key_ids: Vec<String>,
        day: NaiveDate,
    ) -> Result<u64, Error> {
        self.write_no_event(move |connections| {
            let record = sqlx::query(RECORD_LAST_USES).bind(access_key_ids.clone()).bind(day);
            async move { Ok(record.execute(&connections).await?.rows_affected()) }
        })
        .await
    }
}
