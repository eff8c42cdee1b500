//! Access keys with ids and secrets that a test chooses. No interface creates such a key, so it is
//! written to the database, as the demo accounts are.

use cdn_activation::auth::secret::Secret;
use cdn_activation::domain::AccountId;
use cdn_activation::domain::policy::EVERYTHING;
use cdn_activation::ids::new_id;
use cdn_activation::storage::{NewAccessKey, Store, StoreOptions};

use super::Api;
use super::audit::entry;
use super::rest::Key;

impl Api {
    /// Creates a key of an account with this id and this secret.
    pub async fn store_key(&self, account_id: i64, id: &str, secret: &str) -> Key {
        let url = self.database.url.parse().expect("a URL");
        let store = Store::connect_lazily(&StoreOptions::new(url, 1));
        let owner = AccountId::new(account_id).expect("a positive number");
        let sealed = self.sealing_key.seal_secret(id, owner, &Secret::new(secret.to_owned()));
        let created_at = self.clock.wire_now();
        let key = NewAccessKey {
            access_key_id: id.to_owned(),
            account_id: owner,
            secret_sealed: sealed.expect("random bytes"),
            policy: EVERYTHING.to_owned(),
            disabled: false,
            created_at,
            event_id: new_id(),
        };
        assert!(
            store.create_access_key(key, entry("CreateAccessKey"), None).await.expect("stored"),
            "{id} is new"
        );
        store.close().await;
        Key { account_id, id: id.to_owned(), secret: secret.to_owned() }
    }
}
