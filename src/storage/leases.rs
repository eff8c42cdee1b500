//! Leases: a lease gives one replica a job that only one may do at a time. This file also reads the
//! clock of the database, which all replicas share.

use uuid::Uuid;

use super::Store;
use crate::domain::Time;
use crate::error::Error;

const TAKE_LEASE: &str = "
    INSERT INTO leases (name, holder, expires_at)
    VALUES ($1, $2, $4)
    ON CONFLICT (name) DO UPDATE
    SET holder = excluded.holder, expires_at = excluded.expires_at
    WHERE leases.expires_at <= $3 OR leases.holder = excluded.holder";

impl Store {
    /// Takes or keeps a lease until `expires_at`. Returns false if another replica holds it.
    pub async fn take_lease(
        &self,
        name: &'static str,
        holder: Uuid,
        now: Time,
        expires_at: Time,
    ) -> Result<bool, Error> {
        let rows = self.write_no_event(move |pool| async move {
            let statement =
                sqlx::query(TAKE_LEASE).bind(name).bind(holder).bind(now).bind(expires_at);
            Ok(statement.execute(&pool).await?.rows_affected())
        });
        Ok(rows.await? == 1)
    }

    /// Returns the time of the database's clock, which is the same for all replicas.
    pub async fn database_time(&self) -> Result<Time, Error> {
        self.read(|pool| async move {
            sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&pool).await
        })
        .await
    }
}
