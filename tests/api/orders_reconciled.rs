//! Reconcilers of several replicas, the removal of old intents, and a commerce system over TLS.

use std::time::Duration;

use cdn_activation::proto::DESCRIPTORS;
use cdn_activation::proto::cdn::v1::OpenCdnServiceRequest;
use prost_reflect::DescriptorPool;
use tonic::Code;

use crate::support::commerce::{CommerceSystem, Mode};
use crate::support::grpc::refusal;
use crate::support::scratch::Scratch;
use crate::support::serve_process::Process;
use crate::support::{Api, eventually};

const TIMEOUT: Duration = Duration::from_secs(2);
const NOT_SOON: Duration = Duration::from_mins(5);

/// Starts another replica on the same database.
async fn replica(api: &Api, system: &CommerceSystem, reconcile_after: Duration) -> Api {
    let orders = system.settings(TIMEOUT, reconcile_after);
    let (database, key, clock) = (api.database.clone(), api.sealing_key.clone(), api.clock.clone());
    Api::start_on(database, key, clock, |all| all.orders = Some(orders)).await
}

#[tokio::test]
async fn replicas_share_the_remaining_orders_and_each_is_cancelled_once() {
    let system = CommerceSystem::start().await;
    let orders = system.settings(TIMEOUT, NOT_SOON);
    let api = Api::start_with(|all| all.orders = Some(orders)).await;
    system.behave(Mode::OrderAndFail(Code::Internal));
    system.refuse_to_cancel(true);
    // On a slow machine, cancellations that are refused open the circuit: nothing is ordered then.
    eventually("six orders remain", async || {
        let key = api.account().await;
        let request = OpenCdnServiceRequest::default();
        let refused = api.cdn(&key).await.open_cdn_service(request).await.expect_err("rule 9");
        assert_eq!(refusal(&refused).code, "LX_CREATE_ORDER_FAILED");
        system.live().len() == 6
    })
    .await;
    // Two more replicas that reconcile as often as possible.
    let second = replica(&api, &system, Duration::from_millis(400)).await;
    let third = replica(&api, &system, Duration::from_millis(400)).await;
    // The requests' own attempts to cancel end with their deadline. Then only reconcilers cancel.
    tokio::time::sleep(2 * TIMEOUT).await;
    system.refuse_to_cancel(false);
    api.database.execute("UPDATE order_intents SET due_at = created_at").await;
    assert!(system.agrees_with(&api.database).await.is_empty());
    let mut cancellations = system.look(|books| books.cancellations.clone());
    cancellations.sort();
    let mut distinct = cancellations.clone();
    distinct.dedup();
    assert_eq!((cancellations.len(), distinct.len()), (6, 6), "{cancellations:?}");
    second.stop().await;
    third.stop().await;
}

#[tokio::test]
async fn old_intents_are_deleted_if_they_are_settled_and_kept_if_not() {
    let system = CommerceSystem::start().await;
    let api = Api::start().await;
    api.database
        .execute(
            "INSERT INTO order_intents (account_id, order_id, product, internet_charge_type,
                created_at, due_at, attempts, opened_at, abandoned_at, cancelled_at)
            SELECT 1, gen_random_uuid(), 'cdn', 'PayByTraffic',
                created_at, 'infinity', 0, opened_at, abandoned_at, cancelled_at
            FROM (VALUES
                (timestamptz '2020-01-01', timestamptz '2020-01-01', NULL::timestamptz, NULL::timestamptz),
                ('2020-01-01', NULL, '2020-01-01', '2020-01-01'),
                ('2020-01-01', NULL, '2020-01-01', NULL),
                ('2020-01-01', NULL, NULL, NULL),
                (clock_timestamp(), clock_timestamp(), NULL, NULL),
                (clock_timestamp(), NULL, clock_timestamp(), clock_timestamp())
            ) AS intents (created_at, opened_at, abandoned_at, cancelled_at)",
        )
        .await;
    let _reconciling = replica(&api, &system, Duration::from_millis(400)).await;
    let count = "SELECT count(*) FROM order_intents";
    eventually("two intents are deleted", async || api.database.count(count).await == 4).await;
    let old = "SELECT count(*) FROM order_intents WHERE created_at < '2021-01-01'
        AND opened_at IS NULL AND cancelled_at IS NULL";
    assert_eq!(api.database.count(old).await, 2);
}

#[tokio::test]
async fn a_commerce_system_is_called_over_tls_if_its_certificate_is_trusted() {
    let scratch = Scratch::new();
    let system = CommerceSystem::start_with_tls(&scratch).await;
    let certificate = scratch.0.join("certificate.pem");
    let certificate = certificate.to_str().expect("UTF-8");
    let control = Api::start().await;
    let key = control.account().await;
    let endpoint = format!("https://{}", system.address);
    let variables = [("ORDER_ENDPOINT", endpoint.as_str()), ("SSL_CERT_FILE", certificate)];
    let distrustful = Process::start(&control.database.url, &variables[..1]).await;
    let refused = distrustful.open_cdn(key.account_id).await.expect_err("not trusted");
    assert_eq!(refusal(&refused).code, "LX_CREATE_ORDER_FAILED");
    assert!(system.look(|books| books.calls.is_empty()));
    let trusting = Process::start(&control.database.url, &variables).await;
    trusting.open_cdn(key.account_id).await.expect("opened");
    assert_eq!(system.live().len(), 1);
}

#[test]
fn the_descriptors_for_reflection_do_not_contain_the_order_service() {
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("descriptors");
    assert!(pool.get_service_by_name("activation.cdn.v1.CdnService").is_some());
    assert!(pool.get_service_by_name("activation.order.v1.OrderService").is_none());
}
