//! Which instances there are, and how one comes to have a history. What one of them is, `facts.rs`
//! reads; how they come to be, `openings.rs` writes.

use super::{Store, failure};
use crate::domain::{AccountId, Product, Time};
use crate::error::Error;

/// The common table expression of a statement that writes a change or a lock: its instance, of the
/// product `$product`, has a history from then on. Only the first one writes the row.
macro_rules! with_history {
    ($product:literal) => {
        concat!(
            "marked AS (
                UPDATE instances
                SET has_history = true
                FROM done
                WHERE instances.account_id = $1
                    AND instances.account_id = done.account_id
                    AND instances.product = ",
            $product,
            "
                    AND NOT instances.has_history
            )"
        )
    };
}
pub(super) use with_history;

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
}
