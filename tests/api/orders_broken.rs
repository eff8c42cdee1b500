//! Orders at a commerce system that does not answer, answers too late or loses its connection; and a
//! connection to the database that is lost while an opening is written.

use std::time::{Duration, Instant};

use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use tonic::Code;

use crate::support::commerce::{CommerceSystem, Mode, settings};
use crate::support::database::left_out_on_citus;
use crate::support::grpc::refusal;
use crate::support::proxy::Proxy;
use crate::support::rest::Key;
use crate::support::{Api, eventually};

const TIMEOUT: Duration = Duration::from_millis(400);
const SOON: Duration = Duration::from_millis(500);
const NOT_SOON: Duration = Duration::from_mins(5);
/// Time that a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(2);

async fn start(orders: cdn_activation::orders::CommerceSettings) -> Api {
    Api::start_with(|all| all.orders = Some(orders)).await
}

async fn open(api: &Api, key: &Key) -> Result<(), String> {
    let opened = api.cdn(key).await.open_cdn_service(OpenCdnServiceRequest::default()).await;
    opened.map(drop).map_err(|status| refusal(&status).code)
}

/// The refusal by rule 9 of the opening table: the order failed.
fn order_failed() -> Result<(), String> {
    Err("LX_CREATE_ORDER_FAILED".to_owned())
}

#[tokio::test]
async fn without_an_answer_in_time_the_opening_is_refused_within_the_deadline_and_leaves_no_order()
{
    for mode in [Mode::HoldBeforeOrdering, Mode::HoldAfterOrdering] {
        let system = CommerceSystem::start().await;
        let api = start(system.settings(TIMEOUT, SOON)).await;
        let key = api.account().await;
        system.behave(mode);
        system.refuse_to_cancel(true);
        let started = Instant::now();
        assert_eq!(open(&api, &key).await, order_failed(), "{mode:?}");
        let elapsed = started.elapsed();
        assert!(elapsed >= TIMEOUT && elapsed < TIMEOUT + SLACK, "{mode:?}: {elapsed:?}");
        // The held call continues now, long after the service stopped waiting for it.
        system.behave(Mode::Accept);
        system.until("the order is placed", |books| books.ordered.len() == 1).await;
        assert_eq!(system.live().len(), 1);
        system.refuse_to_cancel(false);
        assert!(system.agrees_with(&api.database).await.is_empty(), "{mode:?}");
        // The same account can open when the commerce system answers.
        assert_eq!(open(&api, &key).await, Ok(()));
        assert_eq!(system.agrees_with(&api.database).await.len(), 1);
    }
}

#[tokio::test]
async fn an_order_that_arrives_after_its_cancellation_is_not_placed() {
    let system = CommerceSystem::start().await;
    let api = start(system.settings(TIMEOUT, NOT_SOON)).await;
    let key = api.account().await;
    system.behave(Mode::HoldBeforeOrdering);
    assert_eq!(open(&api, &key).await, order_failed());
    system.until("the order is cancelled", |books| books.cancelled.len() == 1).await;
    system.behave(Mode::Accept);
    assert!(system.agrees_with(&api.database).await.is_empty());
}

#[tokio::test]
async fn a_call_whose_connection_is_lost_is_repeated_with_the_same_id_and_orders_once() {
    let system = CommerceSystem::start().await;
    let proxy = Proxy::before(system.address).await;
    let api = start(settings(proxy.address, Duration::from_secs(3), NOT_SOON)).await;
    let key = api.account().await;
    system.behave(Mode::HoldAfterOrdering);
    let break_off = async {
        system.until("the order is placed", |books| books.ordered.len() == 1).await;
        proxy.cut();
        system.behave(Mode::Accept);
    };
    let (opened, ()) = tokio::join!(open(&api, &key), break_off);
    assert_eq!(opened, Ok(()));
    assert_eq!(system.agrees_with(&api.database).await.len(), 1);
    let calls = system.look(|books| books.calls.clone());
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert_eq!(calls[0], calls[1]);
}

#[tokio::test]
async fn a_call_to_a_system_that_is_not_ready_is_repeated_with_the_same_id() {
    let system = CommerceSystem::start().await;
    let api = start(system.settings(Duration::from_secs(3), NOT_SOON)).await;
    for code in [Code::Unavailable, Code::DeadlineExceeded] {
        let key = api.account().await;
        let before = system.look(|books| books.calls.len());
        system.behave(Mode::OrderAndFail(code));
        let recover = async {
            system.until("it was called", |books| books.calls.len() > before).await;
            system.behave(Mode::Accept);
        };
        let (opened, ()) = tokio::join!(open(&api, &key), recover);
        assert_eq!(opened, Ok(()), "{code:?}");
        let calls = system.look(|books| books.calls[before..].to_vec());
        assert!(calls.len() >= 2 && calls.iter().all(|id| *id == calls[0]), "{calls:?}");
    }
    assert_eq!(system.agrees_with(&api.database).await.len(), 2);
}

#[tokio::test]
async fn while_the_commerce_system_is_down_openings_are_refused_at_once_until_it_is_back() {
    if left_out_on_citus("a two-phase commit takes as long as it allows").await {
        return;
    }
    let system = CommerceSystem::start().await;
    let proxy = Proxy::before(system.address).await;
    // The circuit stays open for twice the timeout.
    let timeout = Duration::from_secs(1);
    let api = start(settings(proxy.address, timeout, NOT_SOON)).await;
    let key = api.account().await;
    proxy.turn_away(true);
    // At most two calls of four attempts each, and the cancellations after them, open the circuit.
    let intents = "SELECT count(*) FROM order_intents";
    eventually("openings are refused without an intent", async || {
        let before = api.database.count(intents).await;
        assert_eq!(open(&api, &key).await, order_failed());
        api.database.count(intents).await == before
    })
    .await;
    let (connections, written) = (proxy.connections(), api.database.count(intents).await);
    assert!(connections <= 16, "{connections}");
    let started = Instant::now();
    for _ in 0..20 {
        assert_eq!(open(&api, &key).await, order_failed());
    }
    let elapsed = started.elapsed();
    assert!(elapsed < timeout, "20 refusals took {elapsed:?}");
    assert!(proxy.connections() <= connections + 4, "at most one probe in that time");
    assert!(api.database.count(intents).await <= written + 1);
    assert!(system.look(|books| books.calls.is_empty()));

    proxy.turn_away(false);
    eventually("an opening succeeds again", async || open(&api, &key).await.is_ok()).await;
    assert_eq!(system.live().len(), 1);
}

#[tokio::test]
async fn if_the_commerce_system_is_unreachable_openings_are_refused_and_other_actions_work() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr());
    let api = start(settings(unused.expect("a free port"), TIMEOUT, NOT_SOON)).await;
    let key = api.account().await;
    assert_eq!(open(&api, &key).await, order_failed());
    let described = api.get(&key, "Action=DescribeCdnService").await;
    assert_eq!(described.text("Code"), "CdnServiceNotFound");
    assert_eq!(api.database.count("SELECT count(*) FROM instances").await, 0);
}

#[tokio::test]
async fn an_order_that_could_not_be_cancelled_is_cancelled_when_the_commerce_system_is_back() {
    let system = CommerceSystem::start().await;
    let proxy = Proxy::before(system.address).await;
    let api = start(settings(proxy.address, TIMEOUT, SOON)).await;
    let key = api.account().await;
    system.behave(Mode::HoldAfterOrdering);
    let go_down = async {
        system.until("the order is placed", |books| books.ordered.len() == 1).await;
        proxy.turn_away(true);
        proxy.cut();
    };
    let (opened, ()) = tokio::join!(open(&api, &key), go_down);
    assert_eq!(opened, order_failed());
    let taken = "SELECT count(*) FROM order_intents WHERE attempts > 0 AND cancelled_at IS NULL";
    eventually("the reconciler tries", async || api.database.count(taken).await == 1).await;
    assert_eq!(system.live().len(), 1);
    system.behave(Mode::Accept);
    proxy.turn_away(false);
    assert!(system.agrees_with(&api.database).await.is_empty());
}

#[tokio::test]
async fn a_late_writer_does_not_open_with_an_order_that_the_reconciler_has_cancelled() {
    let system = CommerceSystem::start().await;
    let api = start(system.settings(Duration::from_secs(5), NOT_SOON)).await;
    // Another replica reconciles sooner, as it would if its clock was ahead.
    let (database, key, clock) = (api.database.clone(), api.sealing_key.clone(), api.clock.clone());
    let orders = system.settings(TIMEOUT, SOON);
    let _hasty = Api::start_on(database, key, clock, |all| all.orders = Some(orders)).await;
    let key = api.account().await;
    system.behave(Mode::HoldAfterOrdering);
    let reconcile = async {
        system.until("the order is placed", |books| books.ordered.len() == 1).await;
        api.database.execute("UPDATE order_intents SET due_at = created_at").await;
        system.until("the order is cancelled", |books| books.cancelled.len() == 1).await;
        system.behave(Mode::Accept);
    };
    let (opened, ()) = tokio::join!(open(&api, &key), reconcile);
    assert_eq!(opened, Err("ServiceUnavailable".to_owned()));
    assert!(system.agrees_with(&api.database).await.is_empty());
    assert_eq!(open(&api, &key).await, Ok(()));
}

/// Runs an opening whose COMMIT succeeds and whose reply is lost with its connection. Checks that it
/// is a success.
async fn open_and_lose_the_reply(orders: Option<CommerceSystem>) {
    let control = Api::start().await;
    let (proxy, url) = Proxy::before_database(&control.database).await;
    let (database, sealing_key, clock) =
        (control.database.clone(), control.sealing_key.clone(), control.clock.clone());
    let settings = orders.as_ref().map(|system| system.settings(SLACK, NOT_SOON));
    let api = Api::start_on(database, sealing_key, clock, |all| {
        all.orders = settings;
        all.database.url = url.parse().expect("a URL");
    })
    .await;
    let key = control.account().await;
    // The opening is held. From then on, no reply of the database reaches the service.
    let held = control.database.hold_inserts_into("instances").await;
    let lose = async {
        control.database.waits_for_a_lock("INSERT INTO instances").await;
        proxy.hold_replies(true);
        held.commit().await;
        let opened = async || control.database.count("SELECT count(*) FROM instances").await == 1;
        eventually("the opening is written", opened).await;
        proxy.cut();
        proxy.hold_replies(false);
    };
    let (opened, ()) = tokio::join!(open(&api, &key), lose);
    assert_eq!(opened, Ok(()), "the stored order is this request's own");
    assert_eq!(open(&api, &key).await, Err("CdnService.HasOpened".to_owned()));
    if let Some(system) = orders {
        assert_eq!(system.agrees_with(&control.database).await.len(), 1);
        assert!(system.look(|books| books.cancelled.is_empty()));
    }
}

#[tokio::test]
async fn an_opening_with_an_unknown_outcome_succeeds_if_the_stored_order_is_its_own() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    open_and_lose_the_reply(None).await;
}

#[tokio::test]
async fn an_opening_with_an_unknown_outcome_succeeds_if_a_commerce_system_took_its_order() {
    if left_out_on_citus("it holds or refuses rows by a trigger of a distributed table").await {
        return;
    }
    open_and_lose_the_reply(Some(CommerceSystem::start().await)).await;
}
