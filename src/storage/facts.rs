//! Step 4: the facts of an account and a product, in one statement: the account, what it opened,
//! its changes and locks.

use sqlx::FromRow;
use uuid::Uuid;

use super::accounts::AccountRow;
use super::{Store, failure};
use crate::domain::instance::OperationLock;
use crate::domain::{
    AccountId, Change, Charge, ChargeKind, ChargeType, Facts, Instance, Product, Time, Timeline,
    WebsocketChargeType,
};
use crate::error::Error;

#[derive(FromRow)]
struct FactsRow {
    #[sqlx(flatten)]
    account: AccountRow,
    instance_id: Option<String>,
    internet_charge_type: Option<String>,
    websocket_charge_type: Option<String>,
    opening_time: Option<Time>,
    order_id: Option<Uuid>,
    newest_event_time: Time,
    change_ids: Option<Vec<Uuid>>,
    change_kinds: Option<Vec<String>>,
    change_charge_types: Option<Vec<String>>,
    change_submissions: Option<Vec<Time>>,
    change_effects: Option<Vec<Time>>,
    change_settlements: Option<Vec<bool>>,
    lock_ids: Option<Vec<Uuid>>,
    lock_reasons: Option<Vec<String>>,
    lock_authors: Option<Vec<String>>,
    lock_times: Option<Vec<Time>>,
}

// Each sub-select names the account again: a join condition alone would reach every shard of a
// distributed engine. The newest event time is taken over lifted locks and cancelled changes, too:
// an event that follows must sort after theirs.
const READ_FACTS: &str = "
    SELECT
        a.account_id,
        a.site,
        a.intl_allowed,
        a.bid_user,
        a.real_name_verified,
        a.profile_complete,
        a.payment_method_valid,
        a.balance,
        a.orders_refused,
        a.version,
        a.created_at,
        a.updated_at,
        a.event_time,
        i.instance_id,
        i.internet_charge_type,
        i.websocket_charge_type,
        i.opening_time,
        i.order_id,
        greatest(a.event_time, i.event_time, c.event_time, l.event_time) AS newest_event_time,
        c.change_ids,
        c.change_kinds,
        c.change_charge_types,
        c.change_submissions,
        c.change_effects,
        c.change_settlements,
        l.lock_ids,
        l.lock_reasons,
        l.lock_authors,
        l.lock_times
    FROM accounts a
    LEFT JOIN instances i
        ON i.account_id = a.account_id AND i.account_id = ANY($1) AND i.product = $2
    LEFT JOIN (
        SELECT
            account_id,
            max(event_time) AS event_time,
            array_agg(change_id ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_ids,
            array_agg(kind ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_kinds,
            array_agg(charge_type ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_charge_types,
            array_agg(submitted_at ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_submissions,
            array_agg(effective_time ORDER BY change_id) FILTER (WHERE cancelled_at IS NULL) AS change_effects,
            array_agg(in_force_event_at IS NOT NULL ORDER BY change_id)
                FILTER (WHERE cancelled_at IS NULL) AS change_settlements
        FROM charge_type_changes
        WHERE account_id = ANY($1) AND product = $2
        GROUP BY account_id
    ) c ON c.account_id = a.account_id
    LEFT JOIN (
        SELECT
            account_id,
            max(event_time) AS event_time,
            array_agg(lock_id ORDER BY locked_at, lock_id) FILTER (WHERE lifted_at IS NULL) AS lock_ids,
            array_agg(reason ORDER BY locked_at, lock_id) FILTER (WHERE lifted_at IS NULL) AS lock_reasons,
            array_agg(locked_by ORDER BY locked_at, lock_id) FILTER (WHERE lifted_at IS NULL) AS lock_authors,
            array_agg(locked_at ORDER BY locked_at, lock_id) FILTER (WHERE lifted_at IS NULL) AS lock_times
        FROM operation_locks
        WHERE account_id = ANY($1) AND product = $2
        GROUP BY account_id
    ) l ON l.account_id = a.account_id
    WHERE a.account_id = ANY($1)";

impl Store {
    /// The facts of an account and a product; `None` where there is no such account.
    pub async fn facts(
        &self,
        account_id: AccountId,
        product: Product,
    ) -> Result<Option<Facts>, Error> {
        Ok(self.facts_of(&[account_id], product).await?.pop())
    }

    /// The facts of accounts and a product, in any order; what is no account is left out.
    pub async fn facts_of(
        &self,
        account_ids: &[AccountId],
        product: Product,
    ) -> Result<Vec<Facts>, Error> {
        let account_ids: Vec<i64> = account_ids.iter().map(|account_id| account_id.get()).collect();
        let rows = self.read(|pool| {
            let read = sqlx::query_as::<_, FactsRow>(READ_FACTS);
            let read = read.bind(account_ids.clone()).bind(product.name());
            async move { read.fetch_all(&pool).await }
        });
        rows.await?.into_iter().map(Facts::try_from).collect()
    }
}

impl TryFrom<FactsRow> for Facts {
    type Error = Error;

    fn try_from(mut row: FactsRow) -> Result<Self, Error> {
        let instance = instance(&mut row)?;
        Ok(Self { account: row.account.try_into()?, instance })
    }
}

fn instance(row: &mut FactsRow) -> Result<Option<Instance>, Error> {
    let key = row.account.account_id;
    let (Some(instance_id), Some(internet), Some(opening_time), Some(order_id)) =
        (row.instance_id.take(), row.internet_charge_type.take(), row.opening_time, row.order_id)
    else {
        return Ok(None);
    };
    let internet = charge_type::<ChargeType>("instances", key, &internet)?;
    let websocket = row.websocket_charge_type.take();
    let websocket = websocket
        .map(|name| charge_type::<WebsocketChargeType>("instances", key, &name))
        .transpose()?;
    let websocket = match websocket {
        Some(opening) => Some(Timeline::new(opening, changes(row)?)),
        None => None,
    };
    Ok(Some(Instance {
        instance_id,
        opening_time,
        order_id,
        internet: Timeline::new(internet, changes(row)?),
        websocket,
        locks: locks(row),
        event_time: row.newest_event_time,
    }))
}

/// The changes of one kind. The arrays come from one aggregate over the same rows, so they have one
/// length.
fn changes<T: Charge>(row: &FactsRow) -> Result<Vec<Change<T>>, Error> {
    let kinds = row.change_kinds.as_deref().unwrap_or_default();
    let mut changes = Vec::with_capacity(kinds.len());
    for (index, kind) in kinds.iter().enumerate() {
        if kind != T::KIND.name() {
            continue;
        }
        let name = &at(row.change_charge_types.as_ref(), index)?;
        changes.push(Change {
            change_id: at(row.change_ids.as_ref(), index)?,
            charge_type: charge_type("charge_type_changes", row.account.account_id, name)?,
            submitted_at: at(row.change_submissions.as_ref(), index)?,
            effective_time: at(row.change_effects.as_ref(), index)?,
            settled: at(row.change_settlements.as_ref(), index)?,
        });
    }
    Ok(changes)
}

fn locks(row: &mut FactsRow) -> Vec<OperationLock> {
    let lock_ids = row.lock_ids.take().unwrap_or_default();
    let reasons = row.lock_reasons.take().unwrap_or_default();
    let authors = row.lock_authors.take().unwrap_or_default();
    let times = row.lock_times.take().unwrap_or_default();
    let rows = lock_ids.into_iter().zip(reasons).zip(authors).zip(times);
    rows.map(|(((lock_id, reason), locked_by), locked_at)| OperationLock {
        lock_id,
        reason,
        locked_by,
        locked_at,
    })
    .collect()
}

fn at<T: Clone>(values: Option<&Vec<T>>, index: usize) -> Result<T, Error> {
    let value = values.and_then(|values| values.get(index)).cloned();
    value.ok_or_else(|| Error::internal("the arrays of an aggregate differ in length"))
}

fn charge_type<T: Charge>(table: &str, key: i64, name: &str) -> Result<T, Error> {
    let column = match T::KIND {
        ChargeKind::Internet => "internet charge type",
        ChargeKind::Websocket => "websocket charge type",
    };
    T::from_name(name).ok_or_else(|| failure::contradiction(table, column, key, name))
}
