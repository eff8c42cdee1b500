//! Which instances there are. What one of them is, `facts.rs` reads; how they come to be,
//! `openings.rs` writes.

use super::{Store, histories};
use crate::domain::{AccountId, Product, Time};
use crate::error::Error;

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
        rows.into_iter().map(|(account_id, product)| histories::key(account_id, &product)).collect()
    }

    /// When anything was opened or submitted last, of all accounts.
    pub async fn latest_submission(&self) -> Result<Option<Time>, Error> {
        self.read(
            |pool| async move { sqlx::query_scalar(LATEST_SUBMISSION).fetch_one(&pool).await },
        )
        .await
    }
}
