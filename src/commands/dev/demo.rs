//! The demo accounts (docs/behaviour.md, "Demo accounts"). Together they show every row of the
//! opening table. They are created once, with the functions of the storage, and are never reset.
//! Only this file names them.

use serde_json::Value;

use crate::audit::states;
use crate::auth::sealing::KeyRing;
use crate::auth::secret::Secret;
use crate::domain::event::{AnyChargeType, ChangeNotice};
use crate::domain::instance::{FINANCIAL, OperationLock};
use crate::domain::opening::Terms;
use crate::domain::policy::EVERYTHING;
use crate::domain::{
    Account, AccountId, ChargeType, Facts, Product, Profile, Refusal, Site, Time, time,
};
use crate::error::Error;
use crate::explorer::DemoAccount;
use crate::ids::{RequestId, new_id};
use crate::storage::{AuditEntry, NewAccessKey, NewLock, Opening, ScheduledChange, Store};

/// The access key of the account that shows the sample of `tests/seeds/DescribeDcdnService.md`.
pub(super) const OPENED: &str = "testid-opened";
/// That account.
pub(super) const OPENED_ACCOUNT: i64 = 1_000_000_000_000_002;
/// The secret of every demo key.
pub(super) const SECRET: &str = "testsecret";

const DESCRIBE_ONLY: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["cdn:Describe*","dcdn:Describe*"],"Resource":"*"}]}"#;

/// A row of the table of demo accounts.
struct Demo {
    account_id: i64,
    access_key_id: &'static str,
    /// What it shows, in English and in Chinese.
    notes: [&'static str; 2],
    /// Changes the profile of an account that can open everything.
    differs: fn(&mut Profile),
    policy: &'static str,
    disabled: bool,
}

const fn demo(
    account_id: i64,
    access_key_id: &'static str,
    notes: [&'static str; 2],
    differs: fn(&mut Profile),
) -> Demo {
    Demo { account_id, access_key_id, notes, differs, policy: EVERYTHING, disabled: false }
}

const DEMOS: [Demo; 11] = [
    demo(1_000_000_000_000_001, "testid", ["may open everything", "可以开通全部产品"], |_| {}),
    demo(OPENED_ACCOUNT, OPENED, ["has opened CDN and DCDN", "已开通 CDN 和 DCDN"], |_| {}),
    demo(1_000_000_000_000_003, "testid-bid", ["is a bid user", "bid 用户"], |profile| {
        profile.bid_user = true;
    }),
    demo(
        1_000_000_000_000_004,
        "testid-intl",
        ["is of the international site", "国际站账号"],
        |profile| profile.site = Site::Intl,
    ),
    demo(
        1_000_000_000_000_005,
        "testid-noname",
        ["has no real-name authentication", "未实名认证"],
        |profile| profile.real_name_verified = false,
    ),
    demo(
        1_000_000_000_000_006,
        "testid-noprofile",
        ["has an incomplete profile", "资料不完整"],
        |profile| profile.profile_complete = false,
    ),
    demo(
        1_000_000_000_000_007,
        "testid-nopay",
        ["has no valid payment method", "没有有效的支付方式"],
        |profile| profile.payment_method_valid = false,
    ),
    demo(
        1_000_000_000_000_008,
        "testid-poor",
        ["has not enough balance", "余额不足"],
        |profile| profile.balance = i64::MIN,
    ),
    demo(
        1_000_000_000_000_009,
        "testid-noorder",
        ["its orders are refused", "订单被拒绝"],
        |profile| profile.orders_refused = true,
    ),
    Demo {
        policy: DESCRIBE_ONLY,
        ..demo(
            1_000_000_000_000_010,
            "testid-readonly",
            ["its key may only describe", "密钥只有查询权限"],
            |_| {},
        )
    },
    Demo {
        disabled: true,
        ..demo(
            1_000_000_000_000_011,
            "testid-disabled",
            ["its key is disabled", "密钥已禁用"],
            |_| {},
        )
    },
];

/// Returns the demo accounts for the explorer.
pub(super) fn accounts() -> Vec<DemoAccount> {
    let shown = |demo: &Demo| DemoAccount {
        account_id: demo.account_id,
        access_key_id: demo.access_key_id,
        access_key_secret: SECRET,
        notes: demo.notes,
    };
    DEMOS.iter().map(shown).collect()
}

/// Creates the demo accounts that are missing.
pub(super) async fn create(store: &Store, key_ring: &KeyRing, wire_now: Time) -> Result<(), Error> {
    for demo in &DEMOS {
        create_account(store, demo, key_ring, wire_now).await?;
    }
    create_sample(store, wire_now).await
}

async fn create_account(
    store: &Store,
    demo: &Demo,
    key_ring: &KeyRing,
    wire_now: Time,
) -> Result<(), Error> {
    let account_id =
        AccountId::new(demo.account_id).ok_or(Error::account_id_field("account_id"))?;
    let mut profile = Profile {
        site: Site::Domestic,
        intl_allowed: false,
        bid_user: false,
        real_name_verified: true,
        profile_complete: true,
        payment_method_valid: true,
        balance: 1_000_000,
        orders_refused: false,
    };
    (demo.differs)(&mut profile);
    let account =
        Account { account_id, profile, version: 1, created_at: wire_now, updated_at: wire_now };
    let after = states::account(&account.profile);
    let audit = entry("CreateAccount", "", wire_now, None, after);
    store.create_account(account, new_id(), audit, None).await?;
    let secret = Secret::new(SECRET.to_owned());
    let key = NewAccessKey {
        access_key_id: demo.access_key_id.to_owned(),
        account_id,
        secret_sealed: key_ring.first().seal_secret(demo.access_key_id, account_id, &secret)?,
        policy: demo.policy.to_owned(),
        disabled: demo.disabled,
        created_at: wire_now,
        event_id: new_id(),
    };
    let after = states::access_key(demo.disabled, demo.policy);
    let audit = entry("CreateAccessKey", demo.access_key_id, wire_now, None, after);
    store.create_access_key(key, audit, None).await.map(|_| ())
}

/// Creates the sample: DCDN with a change and a lock, and then CDN. If CDN is opened, everything
/// else exists, even after a start that was interrupted.
async fn create_sample(store: &Store, wire_now: Time) -> Result<(), Error> {
    let account_id = AccountId::new(OPENED_ACCOUNT).ok_or(Error::account_id_field("account_id"))?;
    let facts =
        async |product| store.facts(account_id, product).await?.ok_or(Error::AccountNotFound);
    if facts(Product::Cdn).await?.instance.is_some() {
        return Ok(());
    }
    let dcdn = facts(Product::Dcdn).await?;
    if dcdn.instance.is_none() {
        open(store, &dcdn, Product::Dcdn, "Eexample ID", wire_now).await?;
    }
    let dcdn = facts(Product::Dcdn).await?;
    let instance = dcdn.instance.as_ref().ok_or(Error::from(Refusal::NotOpened(Product::Dcdn)))?;
    let submitted_at = instant("2018-03-19T12:00:00Z")?;
    if instance.internet.last_submitted().is_none() {
        let change = ScheduledChange {
            account_id,
            account_version: dcdn.account.version,
            instance_event_time: instance.event_time,
            notice: ChangeNotice {
                change_id: new_id(),
                product: Product::Dcdn,
                charge_type: AnyChargeType::Internet(ChargeType::PayByBandwidth),
                effective_time: instant("2018-03-31T16:00:00Z")?,
            },
            submitted_at,
            event_id: new_id(),
        };
        let (before, after) = states::without_and_with(&change.notice, instance, submitted_at);
        let audit = entry("ModifyDcdnService", "dcdn", wire_now, Some(before), after);
        store.schedule_change(change, audit, None).await?;
    }
    let lock = NewLock {
        account_id,
        product: Product::Dcdn,
        lock: OperationLock {
            lock_id: new_id(),
            reason: FINANCIAL.to_owned(),
            locked_by: "demo".to_owned(),
            locked_at: submitted_at,
        },
        event_id: new_id(),
    };
    let (before, after) = states::unlocked_and_locked(Product::Dcdn, &lock.lock);
    let audit = entry("Lock", "dcdn financial", wire_now, Some(before), after);
    store.lock(lock, audit, None).await?;
    let cdn = facts(Product::Cdn).await?;
    open(store, &cdn, Product::Cdn, &account_id.to_string(), wire_now).await
}

/// Opens a product with traffic charging and without a WebSocket charge type, as before WebSocket
/// charging.
async fn open(
    store: &Store,
    facts: &Facts,
    product: Product,
    instance_id: &str,
    wire_now: Time,
) -> Result<(), Error> {
    let terms = Terms { product, internet: ChargeType::PayByTraffic, websocket: None };
    let action = match product {
        Product::Cdn => "OpenCdnService",
        Product::Dcdn => "OpenDcdnService",
    };
    let after = states::opened(terms, instance_id);
    let audit = entry(action, product.name(), wire_now, None, after);
    let opening = Opening {
        account_id: facts.account.account_id,
        account_version: facts.account.version,
        terms,
        instance_id: instance_id.to_owned(),
        order_id: new_id(),
        opening_time: instant("2018-03-19T11:16:11Z")?,
        ordered_at: wire_now,
        event_id: new_id(),
        audit,
        has_intent: false,
    };
    store.open_instance(opening).await.map(|_| ())
}

/// Returns the audit record of a change. No request made it.
fn entry(
    action: &'static str,
    resource: &str,
    wire_now: Time,
    before: Option<Value>,
    after: Value,
) -> AuditEntry {
    AuditEntry {
        audit_id: new_id(),
        recorded_at: wire_now,
        principal: "demo".to_owned(),
        address: None,
        action: action.into(),
        resource: resource.to_owned(),
        request_id: RequestId::random().as_str().to_owned(),
        correlation_id: None,
        before,
        after: Some(after),
    }
}

fn instant(text: &str) -> Result<Time, Error> {
    time::parse(text).ok_or_else(|| Error::internal("an instant of the demo data is not valid"))
}
