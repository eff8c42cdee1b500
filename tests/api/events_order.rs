//! Events of an account are delivered in the order in which their writes were answered, whichever
//! replicas wrote them and whatever the clocks of the replicas show. The last event of a lock says
//! whether the lock holds.

use std::collections::BTreeMap;

use cdn_activation::clock::Clock;
use cdn_activation::proto::billing::v1::{ChargeType, Product, WebsocketChargeType};
use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use cdn_activation::proto::cdn::v1::cdn_service_client::CdnServiceClient;
use cdn_activation::proto::dcdn::v1::OpenDcdnServiceRequest;
use cdn_activation::proto::dcdn::v1::dcdn_service_client::DcdnServiceClient;
use cdn_activation::proto::events::v1::event_data::Data;
use cdn_activation::proto::events::v1::{ChargeTypeChange, Event};
use cdn_activation::proto::operator::v1 as wire;
use cdn_activation::proto::operator::v1::access_key_service_client::AccessKeyServiceClient;
use cdn_activation::proto::operator::v1::account_service_client::AccountServiceClient;
use cdn_activation::proto::operator::v1::charge_type_change_service_client::ChargeTypeChangeServiceClient;
use cdn_activation::proto::operator::v1::operation_lock_service_client::OperationLockServiceClient;
use chrono::Duration;
use futures_util::StreamExt;
use futures_util::stream;
use tonic::transport::Channel;

use crate::support::Api;
use crate::support::events::{list_until, until_count};
use crate::support::grpc::{Caller, calling, next_account_id};
use crate::support::operators::schedule;
use crate::support::rest::Key;

const WAITING: &str = "SELECT count(*) FROM event_outbox";

/// The number of writes of one account. Each write begins after the answer to the one before.
const WRITES: usize = 13;
/// The least number of pairs of consecutive writes that are compared.
const PAIRS: usize = 1000;

/// Two replicas that take turns: a write goes to one, and the next write to the other.
struct Turns {
    channels: [Channel; 2],
    operators: [Caller; 2],
    next: usize,
}

impl Turns {
    async fn between(one: &Api, other: &Api) -> Self {
        let channels = [one.channel().await, other.channel().await];
        let operators = [one.operator().await, other.operator().await];
        Self { channels, operators, next: 0 }
    }

    fn turn(&mut self) -> usize {
        self.next = 1 - self.next;
        self.next
    }

    fn operator(&mut self) -> Caller {
        let turn = self.turn();
        self.operators[turn].clone()
    }

    fn account(&mut self, key: &Key) -> Caller {
        let turn = self.turn();
        calling(&self.channels[turn], key)
    }
}

/// Makes writes of every kind, one after the other. Returns the account and the expected events, in
/// order.
async fn write_all(turns: &mut Turns) -> (i64, Vec<String>) {
    let account_id = next_account_id();
    let account = wire::Account {
        account_id,
        real_name_verified: true,
        profile_complete: true,
        payment_method_valid: true,
        ..Default::default()
    };
    let create =
        wire::CreateAccountRequest { account: Some(account.clone()), ..Default::default() };
    AccountServiceClient::new(turns.operator()).create_account(create).await.expect("created");
    let id = write_account_and_key(turns, account).await;
    let key = Key { account_id, id: id.clone(), secret: String::new() };
    write_instances(turns, &key).await;
    let delete = wire::DeleteAccessKeyRequest { access_key_id: id, ..Default::default() };
    AccessKeyServiceClient::new(turns.operator()).delete_access_key(delete).await.expect("deleted");
    let expected = [
        "account 1",
        "account 2",
        "key enabled",
        "key disabled",
        "key enabled",
        "Cdn opened",
        "Dcdn opened",
        "Cdn scheduled",
        "Dcdn locked",
        "Cdn cancelled",
        "Cdn locked",
        "Dcdn unlocked",
        "key deleted",
    ];
    let expected: [&str; WRITES] = expected;
    (account_id, expected.map(str::to_owned).to_vec())
}

/// Updates the account, and creates, disables and enables a key. Returns the id of the key.
async fn write_account_and_key(turns: &mut Turns, account: wire::Account) -> String {
    let account_id = account.account_id;
    let account = Some(wire::Account { balance: 1, ..account });
    let update = wire::UpdateAccountRequest { account, ..Default::default() };
    AccountServiceClient::new(turns.operator()).update_account(update).await.expect("updated");
    let create = wire::CreateAccessKeyRequest { account_id, ..Default::default() };
    let created = AccessKeyServiceClient::new(turns.operator()).create_access_key(create).await;
    let access_key_id =
        created.expect("created").into_inner().access_key.expect("a key").access_key_id;
    let disable = wire::DisableAccessKeyRequest {
        access_key_id: access_key_id.clone(),
        ..Default::default()
    };
    let mut keys = AccessKeyServiceClient::new(turns.operator());
    keys.disable_access_key(disable).await.expect("disabled");
    let enable =
        wire::EnableAccessKeyRequest { access_key_id: access_key_id.clone(), ..Default::default() };
    let mut keys = AccessKeyServiceClient::new(turns.operator());
    keys.enable_access_key(enable).await.expect("enabled");
    access_key_id
}

/// Opens both products, schedules and cancels a change of one, and locks both and unlocks one.
async fn write_instances(turns: &mut Turns, key: &Key) {
    let mut cdn = CdnServiceClient::new(turns.account(key));
    cdn.open_cdn_service(OpenCdnServiceRequest::default()).await.expect("opened");
    let open = OpenDcdnServiceRequest {
        bill_type: ChargeType::PayByTraffic.into(),
        websocket_bill_type: WebsocketChargeType::Websockettraffic.into(),
    };
    DcdnServiceClient::new(turns.account(key)).open_dcdn_service(open).await.expect("opened");
    let request = schedule(key, Product::Cdn, ChargeType::PayByBandwidth, None);
    let mut changes = ChargeTypeChangeServiceClient::new(turns.operator());
    let scheduled = changes.schedule_charge_type_change(request).await.expect("scheduled");
    lock(turns.operator(), key.account_id, Product::Dcdn).await;
    let cancel = wire::CancelChargeTypeChangeRequest {
        account_id: key.account_id,
        change_id: scheduled.into_inner().charge_type_change.expect("a change").change_id,
        ..Default::default()
    };
    let mut changes = ChargeTypeChangeServiceClient::new(turns.operator());
    changes.cancel_charge_type_change(cancel).await.expect("cancelled");
    lock(turns.operator(), key.account_id, Product::Cdn).await;
    unlock(turns.operator(), key.account_id, Product::Dcdn).await;
}

async fn lock(caller: Caller, account_id: i64, product: Product) {
    let (product, reason) = (product.into(), "security".to_owned());
    let request = wire::LockRequest { account_id, product, reason, ..Default::default() };
    OperationLockServiceClient::new(caller).lock(request).await.expect("locked");
}

async fn unlock(caller: Caller, account_id: i64, product: Product) {
    let (product, reason) = (product.into(), "security".to_owned());
    let request = wire::UnlockRequest { account_id, product, reason, ..Default::default() };
    OperationLockServiceClient::new(caller).unlock(request).await.expect("unlocked");
}

/// Returns a short description of an event.
fn description(event: &Event) -> String {
    let product = |number: i32| format!("{:?}", Product::try_from(number).expect("known"));
    let of =
        |change: &Option<ChargeTypeChange>| product(change.as_ref().expect("a change").product);
    match event.data.as_ref().and_then(|data| data.data.as_ref()).expect("data") {
        Data::InstanceOpened(opened) => format!("{} opened", product(opened.product)),
        Data::ChargeTypeChangeScheduled(change) => format!("{} scheduled", of(&change.change)),
        Data::ChargeTypeChangeCancelled(change) => format!("{} cancelled", of(&change.change)),
        Data::ChargeTypeChangeInForce(change) => format!("{} in force", of(&change.change)),
        Data::OperationLocked(locked) => format!("{} locked", product(locked.product)),
        Data::OperationUnlocked(unlocked) => format!("{} unlocked", product(unlocked.product)),
        Data::AccountChanged(changed) => format!("account {}", changed.version),
        Data::AccessKeyChanged(key) if key.deleted => "key deleted".to_owned(),
        Data::AccessKeyChanged(key) if key.disabled => "key disabled".to_owned(),
        Data::AccessKeyChanged(_) => "key enabled".to_owned(),
    }
}

/// Starts another replica whose wire clock is this far behind.
async fn behind(api: &Api, by: Duration) -> Api {
    let clock = Clock::system();
    clock.run_wire_ahead(-by);
    Api::start_on(api.database.clone(), api.sealing_key.clone(), clock, |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_1000_pairs_of_writes_are_in_order_whatever_the_clocks_show() {
    let api = Api::start().await;
    let others =
        [behind(&api, Duration::milliseconds(10)).await, behind(&api, Duration::minutes(5)).await];
    let accounts = PAIRS.div_ceil(WRITES - 1);
    let written = stream::iter(0..accounts).map(|index| {
        let (api, other) = (&api, &others[index % 2]);
        async move { write_all(&mut Turns::between(api, other).await).await }
    });
    let expected: BTreeMap<_, _> = written.buffer_unordered(6).collect().await;
    until_count(&api, WAITING, 0).await;
    let mut delivered: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in list_until(&mut api.events().await, accounts * WRITES).await {
        delivered.entry(event.account_id).or_default().push(description(&event));
    }
    for (account_id, expected) in expected {
        assert_eq!(delivered[&account_id], expected);
    }
}

/// Counts the events that have the type of the event before, of the same account.
const NEIGHBOURS_ALIKE: &str = "
    SELECT count(*)
    FROM (
        SELECT type, lag(type) OVER (PARTITION BY account_id ORDER BY position) AS before
        FROM event_log
    ) AS events
    WHERE type = before";

/// Counts the accounts whose last event differs from the table of locks.
const WRONG_AT_LAST: &str = "
    SELECT count(*)
    FROM (
        SELECT DISTINCT ON (account_id) account_id, type
        FROM event_log
        ORDER BY account_id, position DESC
    ) AS last
    WHERE (type = 'activation.operation.locked') <> (account_id IN (
        SELECT account_id FROM operation_locks WHERE lifted_at IS NULL))";

/// Counts the events whose time is not after that of the event before in the log.
const NOT_RISING: &str = "
    SELECT count(*)
    FROM (
        SELECT event_time, lag(event_time) OVER (PARTITION BY account_id ORDER BY position) AS before
        FROM event_log
    ) AS events
    WHERE event_time <= before";

const LOCKED_ACCOUNTS: i64 = 300;
const CALLERS: usize = 12;
/// How often each caller locks or unlocks.
const ROUNDS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn after_twelve_callers_lock_and_unlock_the_last_event_says_whether_the_lock_holds() {
    let api = Api::start().await;
    let replica = behind(&api, Duration::milliseconds(10)).await;
    api.database.open_many(LOCKED_ACCOUNTS).await;
    let (of_first, of_second) = (api.operator().await, replica.operator().await);
    let accounts = stream::iter(1..=LOCKED_ACCOUNTS).map(|account_id| {
        let (of_first, of_second) = (of_first.clone(), of_second.clone());
        let calls = (0..CALLERS).map(move |caller| {
            let at = if caller % 4 < 2 { of_first.clone() } else { of_second.clone() };
            async move {
                for turn in caller..caller + ROUNDS {
                    if turn % 2 == 0 {
                        lock(at.clone(), account_id, Product::Cdn).await;
                    } else {
                        unlock(at.clone(), account_id, Product::Cdn).await;
                    }
                }
            }
        });
        futures_util::future::join_all(calls)
    });
    accounts.buffer_unordered(2).for_each(|_| async {}).await;
    until_count(&api, WAITING, 0).await;
    let events = api.database.count("SELECT count(*) FROM event_log").await;
    assert!(events > LOCKED_ACCOUNTS, "{events} events: no two callers competed");
    assert_eq!(api.database.count(NEIGHBOURS_ALIKE).await, 0);
    assert_eq!(api.database.count(WRONG_AT_LAST).await, 0);
    assert_eq!(api.database.count(NOT_RISING).await, 0);
}
