//! Reads the facts of accounts for a product, with one statement for all concurrent callers. The
//! statement returns one row for each account, with its instance, changes and locks. Changes and
//! locks come from the copy in the row of the instance, so no look-up in their tables is needed.

use std::collections::HashMap;

use sqlx::FromRow;
use sqlx::postgres::PgRow;

use super::rows::{FactsRow, InstanceRow, OfAccount};
use crate::domain::bill_type::Period;
use crate::domain::{AccountId, Facts, Instance, Product};
use crate::error::Error;
use crate::storage::Store;
use crate::storage::engine::batch::{Asked, answering};
use crate::storage::engine::connections::limited;

/// The rows of several accounts, at most one of each.
type Rows<R> = HashMap<i64, R>;

/// The columns of an [`InstanceRow`], except the account and the changes.
macro_rules! instance_columns {
    () => {
        "instances.instance_id,
        instances.internet_charge_type,
        instances.websocket_charge_type,
        instances.opening_time,
        instances.order_id,
        instances.event_time,
        instances.locks,
        "
    };
}

/// Reads instances for a Describe, without the accounts.
pub(in crate::storage) const READ_INSTANCES: &str = concat!(
    "SELECT
        instances.account_id,
        ",
    instance_columns!(),
    "instances.changes
    FROM instances
    WHERE instances.account_id = ANY($1) AND instances.product = $2"
);

/// Reads the facts for a decision. The list of accounts is a condition on both tables, so that
/// Citus queries only the servers that have these accounts.
pub(in crate::storage) const READ_FACTS: &str = concat!(
    "SELECT
        accounts.account_id,
        accounts.site,
        accounts.intl_allowed,
        accounts.bid_user,
        accounts.real_name_verified,
        accounts.profile_complete,
        accounts.payment_method_valid,
        accounts.balance,
        accounts.orders_refused,
        accounts.version,
        accounts.created_at,
        accounts.updated_at,
        ",
    instance_columns!(),
    "instances.changes
    FROM accounts
    LEFT JOIN instances
        ON instances.account_id = accounts.account_id
            AND instances.account_id = ANY($1)
            AND instances.product = $2
    WHERE accounts.account_id = ANY($1)"
);

/// Reads one instance with the changes that are in force at some time between `$3` and `$4`. They
/// come from the table of changes, because the copy has only the newest.
const READ_INSTANCE_DURING: &str = concat!(
    "SELECT
        instances.account_id,
        ",
    instance_columns!(),
    "(
            SELECT coalesce(jsonb_object_agg(change_id, jsonb_build_object(
                'kind', kind,
                'charge_type', charge_type,
                'submitted_at', submitted_at,
                'effective_time', effective_time,
                'settled', in_force_event_at IS NOT NULL)), '{}')
            FROM (
                SELECT change_id, kind, charge_type, submitted_at, effective_time,
                    in_force_event_at, lead(effective_time) OVER (
                        PARTITION BY kind ORDER BY effective_time, submitted_at) AS until
                FROM charge_type_changes
                WHERE account_id = $1 AND product = $2 AND cancelled_at IS NULL
            ) AS dated
            WHERE effective_time < $4 AND (until IS NULL OR until > $3)
        ) AS changes
    FROM instances
    WHERE instances.account_id = $1 AND instances.product = $2"
);

impl Store {
    /// Returns the facts of an account for a product; `None` if there is no such account.
    pub async fn facts(
        &self,
        account_id: AccountId,
        product: Product,
    ) -> Result<Option<Facts>, Error> {
        let facts = &self.batches.facts[product as usize];
        facts.ask(account_id, self, move |store, asked| store.answer_facts(product, asked)).await
    }

    /// Returns the instance of an account; `None` if the account has not opened the product, or
    /// does not exist.
    pub async fn instance(
        &self,
        account_id: AccountId,
        product: Product,
    ) -> Result<Option<Instance>, Error> {
        let instances = &self.batches.instances[product as usize];
        instances
            .ask(account_id, self, move |store, asked| store.answer_instances(product, asked))
            .await
    }

    /// Returns the instance of an account with the changes that are in force during a period;
    /// `None` if there is no instance. Other reads return the newest changes only.
    pub async fn instance_during(
        &self,
        account_id: AccountId,
        product: Product,
        period: Period,
    ) -> Result<Option<Instance>, Error> {
        let row = self.read(|pool| async move {
            let read = sqlx::query_as::<_, InstanceRow>(READ_INSTANCE_DURING)
                .bind(account_id.get())
                .bind(product.name())
                .bind(period.start)
                .bind(period.end);
            read.fetch_optional(&pool).await
        });
        row.await?.as_ref().map(InstanceRow::instance).transpose()
    }

    /// Returns the facts of these accounts for a product. Ids that are not accounts are left out.
    pub async fn facts_of(
        &self,
        account_ids: &[AccountId],
        product: Product,
    ) -> Result<Vec<Facts>, Error> {
        let rows = self.rows::<FactsRow>("facts", READ_FACTS, account_ids, product).await?;
        account_ids.iter().filter_map(|id| rows.get(&id.get())).map(FactsRow::facts).collect()
    }

    /// Answers all callers that ask for facts.
    async fn answer_facts(self, product: Product, asked: Vec<Asked<AccountId, Option<Facts>>>) {
        let account_ids = accounts_of(&asked);
        let rows = self.rows("facts", READ_FACTS, &account_ids, product);
        let rows = answering(&asked, &self, rows).await;
        answer_each(&rows, asked, FactsRow::facts);
    }

    /// Answers all callers that ask for an instance.
    async fn answer_instances(
        self,
        product: Product,
        asked: Vec<Asked<AccountId, Option<Instance>>>,
    ) {
        let account_ids = accounts_of(&asked);
        let rows = self.rows("instances", READ_INSTANCES, &account_ids, product);
        let rows = answering(&asked, &self, rows).await;
        answer_each(&rows, asked, InstanceRow::instance);
    }

    /// Runs one of the statements above, with this name in metrics. The accounts may be in any order and may be repeated.
    async fn rows<R>(
        &self,
        name: &'static str,
        statement: &'static str,
        account_ids: &[AccountId],
        product: Product,
    ) -> Result<Rows<R>, Error>
    where
        R: OfAccount + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let numbers = sorted_and_unique(account_ids);
        let rows = self.read_warm(name, |mut connection| {
            let read = sqlx::query_as::<_, R>(statement);
            let read = read.bind(numbers.clone()).bind(product.name());
            async move {
                let rows = limited(read.fetch_all(&mut *connection)).await;
                connection.answered(rows)
            }
        });
        Ok(rows.await?.into_iter().map(|row| (row.account_id(), row)).collect())
    }
}

fn accounts_of<T>(asked: &[Asked<AccountId, T>]) -> Vec<AccountId> {
    asked.iter().map(|asked| asked.question).collect()
}

/// Answers each caller from the row of its account.
fn answer_each<R: OfAccount, T>(
    rows: &Result<Rows<R>, Error>,
    asked: Vec<Asked<AccountId, Option<T>>>,
    convert: impl Fn(&R) -> Result<T, Error>,
) {
    for asked in asked {
        let account_id = asked.question;
        asked.answer(match rows {
            Ok(rows) => rows.get(&account_id.get()).map(&convert).transpose(),
            Err(error) => Err(error.clone()),
        });
    }
}

/// Returns the numbers of the accounts in the order of the index, each once, which makes the scan
/// of the index fast.
fn sorted_and_unique(account_ids: &[AccountId]) -> Vec<i64> {
    let mut numbers: Vec<i64> = account_ids.iter().map(|id| id.get()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_in_order_and_each_once() {
        let ids = [7, 3, 7, 1, 3].map(|number| AccountId::new(number).unwrap());
        assert_eq!(sorted_and_unique(&ids), [1, 3, 7]);
    }
}
