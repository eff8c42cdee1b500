//! Lists of charge-type changes: all changes of an account, and the changes that have taken effect
//! and whose event is not written yet.

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::event::{AnyChargeType, ChangeNotice};
use crate::domain::{
    AccountId, Charge, ChargeKind, ChargeType, Product, Time, WebsocketChargeType,
};
use crate::error::Error;
use crate::storage::{Store, failure};

/// A change as it is stored.
#[derive(Clone, Copy, Debug)]
pub struct StoredChange {
    /// The account that owns the instance.
    pub account_id: AccountId,
    /// Its id, product, charge type and effective time.
    pub notice: ChangeNotice,
    /// When it was submitted.
    pub submitted_at: Time,
    /// When it was cancelled, if it was.
    pub cancelled_at: Option<Time>,
    /// Whether its in-force event has been written.
    pub settled: bool,
}

#[derive(FromRow)]
struct ChangeRow {
    account_id: i64,
    change_id: Uuid,
    product: String,
    kind: String,
    charge_type: String,
    submitted_at: Time,
    effective_time: Time,
    cancelled_at: Option<Time>,
    settled: bool,
}

/// Selects the columns of a [`ChangeRow`], of the changes that `$which` selects.
macro_rules! select_changes {
    ($which:literal) => {
        concat!(
            "SELECT account_id, change_id, product, kind, charge_type, submitted_at, effective_time,
                cancelled_at, in_force_event_at IS NOT NULL AS settled
            FROM charge_type_changes
            WHERE ",
            $which
        )
    };
}

const READ_CHANGE: &str = select_changes!("account_id = $1 AND change_id = $2");

// There is one statement for each set of filters, because PostgreSQL cannot choose an index for a
// filter that may be absent.
pub(in crate::storage) const LIST_CHANGES: &str =
    select_changes!("account_id = $1 AND change_id > $2 ORDER BY change_id LIMIT $3");
pub(in crate::storage) const LIST_CHANGES_OF_PRODUCT: &str = select_changes!(
    "account_id = $1 AND change_id > $2 AND product = $4 ORDER BY change_id LIMIT $3"
);

// The rows are not locked: the statement that writes the event of a change is a compare-and-set.
const DUE_CHANGES: &str = select_changes!(
    "cancelled_at IS NULL AND in_force_event_at IS NULL AND effective_time <= $1
            ORDER BY effective_time
            LIMIT $2"
);

impl Store {
    /// Returns a change of an account; `None` if there is none with this id.
    pub async fn change(
        &self,
        account_id: AccountId,
        change_id: Uuid,
    ) -> Result<Option<StoredChange>, Error> {
        let row = self.read(|pool| async move {
            let read = sqlx::query_as::<_, ChangeRow>(READ_CHANGE);
            read.bind(account_id.get()).bind(change_id).fetch_optional(&pool).await
        });
        row.await?.map(StoredChange::try_from).transpose()
    }

    /// Returns changes of an account that were submitted after this one, in the order of
    /// submission.
    pub async fn changes_after(
        &self,
        account_id: AccountId,
        change_id: Uuid,
        product: Option<Product>,
        at_most: i64,
    ) -> Result<Vec<StoredChange>, Error> {
        let rows = self.read(|pool| async move {
            let list = |statement| {
                sqlx::query_as::<_, ChangeRow>(statement)
                    .bind(account_id.get())
                    .bind(change_id)
                    .bind(at_most)
            };
            let list = match product {
                None => list(LIST_CHANGES),
                Some(product) => list(LIST_CHANGES_OF_PRODUCT).bind(product.name()),
            };
            list.fetch_all(&pool).await
        });
        rows.await?.into_iter().map(StoredChange::try_from).collect()
    }

    /// Returns changes of all accounts that have taken effect by `now` and whose event is not
    /// written yet. The change that has been due for the longest time is the first.
    pub async fn due_changes(&self, now: Time, at_most: i64) -> Result<Vec<StoredChange>, Error> {
        let rows = self.read(|pool| async move {
            let due = sqlx::query_as::<_, ChangeRow>(DUE_CHANGES).bind(now).bind(at_most);
            due.fetch_all(&pool).await
        });
        rows.await?.into_iter().map(StoredChange::try_from).collect()
    }
}

impl TryFrom<ChangeRow> for StoredChange {
    type Error = Error;

    fn try_from(row: ChangeRow) -> Result<Self, Error> {
        let contradiction = |column, value: &str| {
            failure::contradiction("charge_type_changes", column, row.change_id, value)
        };
        let account_id = AccountId::new(row.account_id)
            .ok_or_else(|| contradiction("account_id", &row.account_id.to_string()))?;
        let product = Product::from_name(&row.product)
            .ok_or_else(|| contradiction("product", &row.product))?;
        let charge_type = if row.kind == ChargeKind::Internet.name() {
            ChargeType::from_name(&row.charge_type).map(AnyChargeType::Internet)
        } else {
            WebsocketChargeType::from_name(&row.charge_type).map(AnyChargeType::Websocket)
        };
        let charge_type =
            charge_type.ok_or_else(|| contradiction("charge_type", &row.charge_type))?;
        Ok(Self {
            account_id,
            notice: ChangeNotice {
                change_id: row.change_id,
                product,
                charge_type,
                effective_time: row.effective_time,
            },
            submitted_at: row.submitted_at,
            cancelled_at: row.cancelled_at,
            settled: row.settled,
        })
    }
}
