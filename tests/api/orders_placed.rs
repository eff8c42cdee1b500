//! Orders at a commerce system (`ORDER_ENDPOINT`) that answers: accepted and refused orders, and
//! orders of simultaneous openings.

use std::time::Duration;

use cdn_activation::orders::{CommerceIdentity, CommerceSettings};
use cdn_activation::proto::billing::v1::{ChargeType, Product, WebsocketChargeType};
use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use cdn_activation::proto::operator::v1 as operator;
use tonic::Code;
use zeroize::Zeroizing;

use crate::support::commerce::{CommerceSystem, Mode};
use crate::support::grpc::refusal;
use crate::support::rest::Key;
use crate::support::tls::Authority;
use crate::support::{Api, eventually};

/// A change of an account after which it may not open.
type Difference = fn(&mut operator::Account);

const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than a test takes: no test here waits for the reconciler.
const NOT_SOON: Duration = Duration::from_mins(5);

async fn start(system: &CommerceSystem) -> Api {
    let settings = system.settings(TIMEOUT, NOT_SOON);
    Api::start_with(|all| all.orders = Some(settings)).await
}

/// Starts another replica on the same database.
async fn start_replica(api: &Api, system: &CommerceSystem) -> Api {
    let settings = system.settings(TIMEOUT, NOT_SOON);
    let (database, key, clock) = (api.database.clone(), api.sealing_key.clone(), api.clock.clone());
    Api::start_on(database, key, clock, |all| all.orders = Some(settings)).await
}

/// Opens CDN. Returns the documented code if it is refused.
async fn open(api: &Api, key: &Key) -> Result<(), String> {
    let opened = api.cdn(key).await.open_cdn_service(OpenCdnServiceRequest::default()).await;
    opened.map(drop).map_err(|status| refusal(&status).code)
}

#[tokio::test]
async fn an_order_has_the_same_id_in_the_instance_in_the_database_and_at_the_commerce_system() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    let key = api.account().await;
    let request = "Action=OpenCdnService&InternetChargeType=PayByBandwidth";
    api.get(&key, request).await.succeeded();
    api.open_dcdn(&key).await;
    let ids = system.agrees_with(&api.database).await;
    assert_eq!(ids.len(), 2);
    let orders = system.look(|books| books.ordered.clone());
    let of = |product: Product| {
        let order = orders.values().find(|order| order.product() == product);
        order.unwrap_or_else(|| panic!("no order of {product:?}"))
    };
    let (cdn, dcdn) = (of(Product::Cdn), of(Product::Dcdn));
    assert_eq!((cdn.account_id, dcdn.account_id), (key.account_id, key.account_id));
    assert_eq!(cdn.internet_charge_type(), ChargeType::PayByBandwidth);
    assert_eq!(cdn.websocket_charge_type(), WebsocketChargeType::Unspecified);
    assert_eq!(dcdn.internet_charge_type(), ChargeType::PayByTraffic);
    assert_eq!(dcdn.websocket_charge_type(), WebsocketChargeType::Websockettraffic);
    let now = api.clock.wire_now().timestamp();
    let ordered_at = cdn.order_time.expect("a time").seconds;
    assert!((now - 60..=now).contains(&ordered_at), "{ordered_at} is about {now}");
    let opened = "SELECT count(*) FROM order_intents WHERE opened_at IS NOT NULL";
    assert_eq!(api.database.count(opened).await, 2);
}

#[tokio::test]
async fn a_commerce_system_gets_the_certificate_and_the_token_of_the_service() {
    let (theirs, ours) = (Authority::new("commerce system"), Authority::new("services"));
    let system = CommerceSystem::start_with_client_ca(&theirs.issue(&[]), &ours.pem()).await;
    let endpoint = format!("https://{}", system.address);
    let issued = ours.issue(&["spiffe://example.org/cdn-activation"]);
    let settings = |certificate| {
        let identity = CommerceIdentity {
            authorities: Some(theirs.pem().into_bytes()),
            certificate,
            token: Some(Zeroizing::new("a-token-of-the-service\n".to_owned())),
        };
        CommerceSettings::new(&endpoint, &identity, TIMEOUT, NOT_SOON).expect("an endpoint")
    };
    let certificate = (issued.certificate.into_bytes(), Zeroizing::new(issued.key));
    let known = settings(Some(certificate));
    let api = Api::start_with(|all| all.orders = Some(known)).await;
    let key = api.account().await;
    assert_eq!(open(&api, &key).await, Ok(()));
    let authorizations = system.look(|books| books.authorizations.clone());
    assert_eq!(authorizations, [Some("Bearer a-token-of-the-service".to_owned())]);

    let unknown = settings(None);
    let api = Api::start_with(|all| all.orders = Some(unknown)).await;
    let key = api.account().await;
    assert_eq!(open(&api, &key).await, Err("LX_CREATE_ORDER_FAILED".to_owned()));
    assert_eq!(system.look(|books| books.calls.len()), 1);
}

#[tokio::test]
async fn a_refused_order_refuses_the_opening_over_both_wires() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    let refusals = [
        Code::InvalidArgument,
        Code::FailedPrecondition,
        Code::PermissionDenied,
        Code::NotFound,
        Code::AlreadyExists,
        Code::OutOfRange,
        Code::Unauthenticated,
        Code::Unimplemented,
    ];
    let mut calls = 0;
    for code in refusals {
        system.behave(Mode::Refuse(code));
        let key = api.account().await;
        let refused = api.get(&key, "Action=OpenCdnService").await;
        refused.refused(400, "LX_CREATE_ORDER_FAILED", "Create order failed");
        let request = OpenCdnServiceRequest::default();
        let refused = api.cdn(&key).await.open_cdn_service(request).await.expect_err("refused");
        let refused = refusal(&refused);
        assert_eq!((refused.grpc, refused.http), (Code::Aborted, 400));
        assert_eq!(refused.code, "LX_CREATE_ORDER_FAILED");
        assert_eq!(refused.message, "Create order failed");
        calls += 2;
        assert_eq!(system.look(|books| books.calls.len()), calls, "{code:?} is not repeated");
    }
    assert!(system.agrees_with(&api.database).await.is_empty());
    assert!(system.look(|books| books.cancelled.is_empty()), "there was nothing to cancel");
    let opened = "SELECT count(*) FROM all_events WHERE type = 'activation.instance.opened'";
    assert_eq!(api.database.count(opened).await, 0);
}

#[tokio::test]
async fn an_unclear_answer_refuses_the_opening_and_the_order_is_cancelled() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    for code in [Code::Internal, Code::Unknown, Code::ResourceExhausted, Code::Aborted] {
        system.behave(Mode::OrderAndFail(code));
        let key = api.account().await;
        assert_eq!(open(&api, &key).await, Err("LX_CREATE_ORDER_FAILED".to_owned()), "{code:?}");
    }
    assert_eq!(system.look(|books| books.calls.len()), 4, "not repeated");
    assert!(system.agrees_with(&api.database).await.is_empty());
    assert_eq!(system.look(|books| books.cancelled.len()), 4);
}

#[tokio::test]
async fn the_rules_are_checked_before_an_order_is_placed() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    let differences: [(Difference, &str); 7] = [
        (|account| account.bid_user = true, "Forbidden.BidUser"),
        (|account| account.site = operator::Site::Intl.into(), "Forbidden.Intl"),
        (|account| account.real_name_verified = false, "NoRealNameAuthentication"),
        (
            |account| account.profile_complete = false,
            "FUWU_BIZ_COMMODITY_VERIFY_FAIL_USERPROFILECOMPLETE",
        ),
        (
            |account| account.payment_method_valid = false,
            "FUWU_BIZ_COMMODITY_VERIFY_FAIL_INVALID_PAY_METHOD",
        ),
        (|account| account.balance = -1, "InsufficientBalance"),
        (|account| account.orders_refused = true, "LX_CREATE_ORDER_FAILED"),
    ];
    for (difference, code) in differences {
        let key = api.account_with(difference).await;
        assert_eq!(open(&api, &key).await, Err(code.to_owned()));
    }
    let key = api.account().await;
    let wrong = api.get(&key, "Action=OpenCdnService&InternetChargeType=Free").await;
    assert_eq!(wrong.text("Code"), "InvalidInternetChargeType.ValueNotSupported");
    assert!(system.look(|books| books.calls.is_empty()));
    assert_eq!(api.database.count("SELECT count(*) FROM order_intents").await, 0);

    assert_eq!(open(&api, &key).await, Ok(()));
    assert_eq!(open(&api, &key).await, Err("CdnService.HasOpened".to_owned()));
    assert_eq!(system.look(|books| books.calls.len()), 1);
}

/// Runs two openings whose orders are both placed before either opening is written. Returns the
/// codes of their refusals in order.
async fn race(system: &CommerceSystem, one: &Api, other: &Api, key: &Key) -> Vec<Option<String>> {
    system.behave(Mode::HoldAfterOrdering);
    let before = system.look(|books| books.ordered.len());
    let release = async {
        system.until("both orders are placed", |books| books.ordered.len() == before + 2).await;
        system.behave(Mode::Accept);
    };
    let (one, other, ()) = tokio::join!(open(one, key), open(other, key), release);
    let mut outcomes = vec![one.err(), other.err()];
    outcomes.sort();
    outcomes
}

#[tokio::test]
async fn of_two_simultaneous_openings_one_succeeds_and_the_order_of_the_other_is_cancelled() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    let replica = start_replica(&api, &system).await;
    let expected = vec![None, Some("CdnService.HasOpened".to_owned())];
    for round in 0..8 {
        let key = api.account().await;
        let other = if round % 2 == 0 { &api } else { &replica };
        assert_eq!(race(&system, &api, other, &key).await, expected);
    }
    assert_eq!(system.agrees_with(&api.database).await.len(), 8);
    assert_eq!(system.look(|books| (books.ordered.len(), books.cancelled.len())), (16, 8));
}

#[tokio::test]
async fn if_the_account_changes_while_the_order_is_placed_the_opening_is_decided_again() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    let key = api.account().await;
    system.behave(Mode::HoldAfterOrdering);
    let change = async {
        system.until("the order is placed", |books| books.ordered.len() == 1).await;
        let account =
            operator::Account { account_id: key.account_id, bid_user: true, ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["bid_user".to_owned()] });
        let update = operator::UpdateAccountRequest {
            account: Some(account),
            update_mask,
            request_id: String::new(),
        };
        api.accounts().await.update_account(update).await.expect("updated");
        system.behave(Mode::Accept);
    };
    let (opened, ()) = tokio::join!(open(&api, &key), change);
    assert_eq!(opened, Err("Forbidden.BidUser".to_owned()));
    assert!(system.agrees_with(&api.database).await.is_empty());
    assert_eq!(system.look(|books| books.cancelled.len()), 1);
}

#[tokio::test]
async fn an_account_opened_in_the_meantime_has_opened_even_if_its_order_is_refused() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    let embedded = api.replica().await;
    let key = api.account().await;
    system.behave(Mode::HoldBeforeOrdering);
    let meanwhile = async {
        system.until("the order is requested", |books| books.calls.len() == 1).await;
        embedded.open_cdn(&key).await;
        system.behave(Mode::Refuse(Code::FailedPrecondition));
    };
    let (opened, ()) = tokio::join!(open(&api, &key), meanwhile);
    assert_eq!(opened, Err("CdnService.HasOpened".to_owned()));
    assert!(system.live().is_empty());
}

#[tokio::test]
async fn an_opening_whose_caller_disconnects_is_completed_and_a_stop_waits_for_it() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    let key = api.account().await;
    system.behave(Mode::HoldAfterOrdering);
    {
        let opening = open(&api, &key);
        let placed = system.until("the order is placed", |books| books.ordered.len() == 1);
        tokio::select! {
            _ = opening => panic!("the order is held"),
            () = placed => {} // and the call is dropped
        }
    }
    let database = api.database.clone();
    let stopping = tokio::spawn(api.stop());
    tokio::time::sleep(Duration::from_millis(100)).await; // the stop has begun, or begins later
    assert!(!stopping.is_finished());
    system.behave(Mode::Accept);
    stopping.await.expect("stopped");
    let opened = "SELECT count(*) FROM order_intents WHERE opened_at IS NOT NULL";
    assert_eq!(database.count(opened).await, 1);
    assert_eq!(system.agrees_with(&database).await.len(), 1);
}

#[tokio::test]
async fn a_caller_with_a_short_deadline_is_answered_in_time_and_the_opening_is_completed() {
    let system = CommerceSystem::start().await;
    let api = start(&system).await;
    let key = api.account().await;
    system.behave(Mode::HoldAfterOrdering);
    let mut request = tonic::Request::new(OpenCdnServiceRequest::default());
    request.metadata_mut().insert("grpc-timeout", "200m".parse().expect("visible"));
    let late = api.cdn(&key).await.open_cdn_service(request).await.expect_err("too late");
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    system.behave(Mode::Accept);
    let opened = async || api.database.count("SELECT count(*) FROM instances").await == 1;
    eventually("the account is opened", opened).await;
    assert_eq!(system.agrees_with(&api.database).await.len(), 1);
    assert_eq!(open(&api, &key).await, Err("CdnService.HasOpened".to_owned()));
}
