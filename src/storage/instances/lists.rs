//! Lists of instances. They have the keys only; `facts.rs` reads the contents.

use crate::domain::{AccountId, Product, Time};
use crate::error::Error;
use crate::storage::{Store, failure};

// There is one statement for each set of filters, because PostgreSQL cannot choose an index for a
// filter that may be absent.
macro_rules! list_instances {
    ($which:literal) => {
        concat!(
            "SELECT account_id, product
            FROM instances
            WHERE ",
            $which,
            " ORDER BY account_id, product
            LIMIT $3"
        )
    };
}

pub(in crate::storage) const LIST_INSTANCES: &str =
    list_instances!("(account_id, product) > ($1, $2)");
pub(in crate::storage) const LIST_INSTANCES_OF_ACCOUNT: &str =
    list_instances!("(account_id, product) > ($1, $2) AND account_id = $4");
// All rows are of one product, so the account alone decides which rows come after `$1`.
pub(in crate::storage) const LIST_INSTANCES_OF_PRODUCT: &str =
    list_instances!("account_id > $1 AND product >= $2 AND product = $4");
pub(in crate::storage) const LIST_INSTANCES_OF_BOTH: &str =
    list_instances!("(account_id, product) > ($1, $2) AND account_id = $4 AND product = $5");

// Only `dev --at` runs this, with a few accounts.
const LATEST_SUBMISSION: &str = "
    SELECT greatest(
        (SELECT max(opening_time) FROM instances),
        (SELECT max(submitted_at) FROM charge_type_changes))";

impl Store {
    /// Returns the instances after this account and product, in the order of both. If an account or
    /// a product is given, only its instances are returned.
    pub async fn instances_after(
        &self,
        after: (i64, String),
        account_id: Option<AccountId>,
        product: Option<Product>,
        at_most: i64,
    ) -> Result<Vec<(AccountId, Product)>, Error> {
        let rows: Vec<(i64, String)> = self
            .read(|pool| {
                let list = |statement| {
                    sqlx::query_as(statement).bind(after.0).bind(after.1.clone()).bind(at_most)
                };
                let account_id = account_id.map(AccountId::get);
                let list = match (account_id, product.map(Product::name)) {
                    (None, None) => list(LIST_INSTANCES),
                    (Some(account), None) => list(LIST_INSTANCES_OF_ACCOUNT).bind(account),
                    (None, Some(product)) => list(LIST_INSTANCES_OF_PRODUCT).bind(product),
                    (Some(account), Some(product)) => {
                        list(LIST_INSTANCES_OF_BOTH).bind(account).bind(product)
                    }
                };
                async move { list.fetch_all(&pool).await }
            })
            .await?;
        rows.into_iter().map(|(account_id, product)| key(account_id, &product)).collect()
    }

    /// Returns when an account last opened a product or submitted a change.
    pub async fn latest_submission(&self) -> Result<Option<Time>, Error> {
        self.read(
            |pool| async move { sqlx::query_scalar(LATEST_SUBMISSION).fetch_one(&pool).await },
        )
        .await
    }
}

/// Converts the key columns of an instance.
fn key(account_id: i64, product: &str) -> Result<(AccountId, Product), Error> {
    let key = AccountId::new(account_id).zip(Product::from_name(product));
    key.ok_or_else(|| failure::contradiction("instances", "key", account_id, product))
}
