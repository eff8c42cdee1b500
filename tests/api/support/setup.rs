//! Accounts in a given state, as operators, the workers and time would have made them. They are
//! written through the storage functions of the service if there is one.

use cdn_activation::domain::event::{AnyChargeType, ChangeNotice};
use cdn_activation::domain::opening::Terms;
use cdn_activation::domain::{AccountId, ChargeType, Facts, Product, WebsocketChargeType, time};
use cdn_activation::proto::{billing, operator::v1 as operator};
use cdn_activation::storage::{Opening, ScheduledChange, Store};

use super::Api;
use super::audit::entry;
use super::rest::Key;

/// A charge-type change: its charge type, when it was submitted, and when it takes effect.
pub type Dated = (AnyChargeType, &'static str, &'static str);

/// Returns a change of the internet charge type.
pub const fn internet(to: ChargeType, submitted: &'static str, effective: &'static str) -> Dated {
    (AnyChargeType::Internet(to), submitted, effective)
}

/// Returns a change of the WebSocket charge type.
pub const fn websocket(
    to: WebsocketChargeType,
    submitted: &'static str,
    effective: &'static str,
) -> Dated {
    (AnyChargeType::Websocket(to), submitted, effective)
}

impl Api {
    /// Schedules changes, oldest first, as an operator may: any type for any instant. All but the
    /// last of each kind of traffic are settled, as the worker would leave them.
    pub async fn schedule_dated(&self, key: &Key, product: Product, changes: &[Dated]) {
        let store = self.store();
        for (charge_type, submitted, effective) in changes {
            self.settle_all(key, product, *charge_type).await;
            let facts = facts(&store, key, product).await;
            let change = ScheduledChange {
                account_id: facts.account.account_id,
                account_version: facts.account.version,
                instance_event_time: facts.instance.as_ref().expect("opened").event_time,
                notice: ChangeNotice {
                    change_id: cdn_activation::ids::new_id(),
                    product,
                    charge_type: *charge_type,
                    effective_time: time::parse(effective).expect("an instant"),
                },
                submitted_at: time::parse(submitted).expect("an instant"),
                event_id: cdn_activation::ids::new_id(),
            };
            assert!(
                store
                    .schedule_change(change, entry("ModifyCdnService"), None)
                    .await
                    .expect("written"),
                "{effective}"
            );
        }
        store.close().await;
    }

    async fn settle_all(&self, key: &Key, product: Product, charge_type: AnyChargeType) {
        let kind = match charge_type {
            AnyChargeType::Internet(_) => "internet",
            AnyChargeType::Websocket(_) => "websocket",
        };
        let mut connection = self.database.connect().await;
        sqlx::query(
            "UPDATE charge_type_changes SET in_force_event_at = effective_time
             WHERE account_id = $1 AND product = $2 AND kind = $3
                 AND cancelled_at IS NULL AND in_force_event_at IS NULL",
        )
        .bind(key.account_id)
        .bind(product.name())
        .bind(kind)
        .execute(&mut connection)
        .await
        .expect("runs");
        self.database.copy_histories(key.account_id).await;
    }

    /// Writes an opening by traffic from before WebSocket charging, at this instant and with this
    /// id.
    pub async fn open_long_ago(&self, key: &Key, product: Product, at: &str, instance_id: &str) {
        let store = self.store();
        let facts = facts(&store, key, product).await;
        let opening = Opening {
            account_id: facts.account.account_id,
            account_version: facts.account.version,
            terms: Terms { product, internet: ChargeType::PayByTraffic, websocket: None },
            instance_id: instance_id.to_owned(),
            order_id: cdn_activation::ids::new_id(),
            opening_time: time::parse(at).expect("an instant"),
            ordered_at: self.clock.wire_now(),
            event_id: cdn_activation::ids::new_id(),
            audit: entry("OpenCdnService"),
            has_intent: false,
        };
        assert!(store.open_instance(opening).await.expect("written"));
        store.close().await;
    }

    /// Updates an account as operators do.
    pub async fn update_account(&self, key: &Key, change: impl FnOnce(&mut operator::Account)) {
        let mut accounts = self.accounts().await;
        let read = operator::GetAccountRequest { account_id: key.account_id };
        let mut account =
            accounts.get_account(read).await.expect("read").into_inner().account.expect("one");
        change(&mut account);
        let update = operator::UpdateAccountRequest {
            account: Some(account),
            update_mask: None,
            request_id: String::new(),
        };
        accounts.update_account(update).await.expect("updated");
    }

    /// Lifts a lock.
    pub async fn unlock(&self, key: &Key, product: billing::v1::Product, reason: &str) {
        let unlock = operator::UnlockRequest {
            account_id: key.account_id,
            product: product.into(),
            reason: reason.to_owned(),
            request_id: String::new(),
        };
        let reply = self.operation_locks().await.unlock(unlock).await.expect("unlocked");
        assert!(reply.into_inner().lifted, "{reason} held");
    }
}

async fn facts(store: &Store, key: &Key, product: Product) -> Facts {
    let account_id = AccountId::new(key.account_id).expect("a positive number");
    store.facts(account_id, product).await.expect("read").expect("the account is there")
}
