//! Step 4: the facts of accounts and a product, in one statement for everybody who asks at the same
//! time. The statement appends what four tables say, each read by its key, and [`Collected`] puts it
//! together: a join that aggregates costs the database half as much again.

use super::Store;
use super::batch::Asked;
use super::collected::{Collected, FactRow};
use crate::domain::{AccountId, Facts, Instance, Product};
use crate::error::Error;

/// Rows of instances, of their changes and of their locks. `$nothing` fills the columns that only
/// accounts have; `$of_changes` and `$of_locks` say which of those are wanted.
// Each part names the account: on a distributed engine it reaches the shards of these accounts only.
macro_rules! select_instances {
    ($nothing:literal, $of_changes:literal, $of_locks:literal) => {
        concat!(
            "SELECT
                'instance' AS fact,
                account_id,
                event_time,
                order_id AS id,
                instance_id AS text_1,
                internet_charge_type AS text_2,
                websocket_charge_type AS text_3,
                opening_time AS time_1,
                NULL::timestamptz AS time_2,
                NULL::boolean AS is_over,
                NULL::boolean AS is_settled",
            $nothing,
            "
            FROM instances
            WHERE account_id = ANY($1) AND product = $2
            UNION ALL
            SELECT
                'change',
                account_id,
                event_time,
                change_id,
                kind,
                charge_type,
                NULL,
                submitted_at,
                effective_time,
                cancelled_at IS NOT NULL,
                in_force_event_at IS NOT NULL",
            $nothing,
            "
            FROM charge_type_changes
            WHERE account_id = ANY($1) AND product = $2",
            $of_changes,
            "
            UNION ALL
            SELECT
                'lock',
                account_id,
                event_time,
                lock_id,
                reason,
                locked_by,
                NULL,
                locked_at,
                NULL,
                lifted_at IS NOT NULL,
                NULL",
            $nothing,
            "
            FROM operation_locks
            WHERE account_id = ANY($1) AND product = $2",
            $of_locks
        )
    };
}

/// What a Describe reads: instances as they are, whatever the account.
pub(super) const READ_INSTANCES: &str =
    select_instances!("", " AND cancelled_at IS NULL", " AND lifted_at IS NULL");

/// What a decision reads. Lifted locks and cancelled changes are read, too: an event that follows
/// must sort after theirs.
pub(super) const READ_FACTS: &str = concat!(
    "SELECT
        'account' AS fact,
        a.account_id,
        a.event_time,
        NULL::uuid AS id,
        a.site AS text_1,
        NULL::text AS text_2,
        NULL::text AS text_3,
        a.created_at AS time_1,
        a.updated_at AS time_2,
        NULL::boolean AS is_over,
        NULL::boolean AS is_settled,
        a.intl_allowed,
        a.bid_user,
        a.real_name_verified,
        a.profile_complete,
        a.payment_method_valid,
        a.orders_refused,
        a.balance,
        a.version
    FROM accounts a
    WHERE a.account_id = ANY($1)
    UNION ALL ",
    select_instances!(", NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL", "", "")
);

impl Store {
    /// The facts of an account and a product; `None` where there is no such account.
    pub async fn facts(
        &self,
        account_id: AccountId,
        product: Product,
    ) -> Result<Option<Facts>, Error> {
        let facts = &self.batches.facts[product as usize];
        facts.ask(account_id, self, move |store, asked| store.answer_facts(product, asked)).await
    }

    /// What an account has opened of a product; `None` where that is nothing, or there is no such
    /// account.
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

    /// The facts of accounts and a product, in any order; what is no account is left out.
    pub async fn facts_of(
        &self,
        account_ids: &[AccountId],
        product: Product,
    ) -> Result<Vec<Facts>, Error> {
        let collected = self.collect(READ_FACTS, account_ids, product).await?;
        let facts = account_ids.iter().map(|account_id| collected.facts(*account_id));
        facts.filter_map(Result::transpose).collect()
    }

    /// Answers everybody who asks for facts.
    async fn answer_facts(self, product: Product, asked: Vec<Asked<AccountId, Option<Facts>>>) {
        self.answer_each(READ_FACTS, product, asked, Collected::facts).await;
    }

    /// Answers everybody who asks for an instance.
    async fn answer_instances(
        self,
        product: Product,
        asked: Vec<Asked<AccountId, Option<Instance>>>,
    ) {
        self.answer_each(READ_INSTANCES, product, asked, Collected::instance).await;
    }

    async fn answer_each<T>(
        &self,
        statement: &'static str,
        product: Product,
        asked: Vec<Asked<AccountId, Option<T>>>,
        of: impl Fn(&Collected, AccountId) -> Result<Option<T>, Error>,
    ) {
        let account_ids: Vec<_> = asked.iter().map(|asked| asked.question).collect();
        let collected = self.collect(statement, &account_ids, product).await;
        for asked in asked {
            let account_id = asked.question;
            asked.answer(match &collected {
                Ok(collected) => of(collected, account_id),
                Err(error) => Err(error.clone()),
            });
        }
    }

    /// Runs one of the statements above for accounts in any order, also for some more than once.
    async fn collect(
        &self,
        statement: &'static str,
        account_ids: &[AccountId],
        product: Product,
    ) -> Result<Collected, Error> {
        let mut numbers: Vec<i64> = account_ids.iter().map(|id| id.get()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let rows = self.read(|pool| {
            let read = sqlx::query_as::<_, FactRow>(statement);
            let read = read.bind(numbers.clone()).bind(product.name());
            async move { read.fetch_all(&pool).await }
        });
        Ok(Collected::new(rows.await?))
    }
}
