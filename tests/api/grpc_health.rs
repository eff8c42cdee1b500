//! The health service, as Kubernetes, Envoy and gRPC clients call it. It needs no token.

use std::time::Duration;

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::Api;
use crate::support::grpc::refusal;

/// The names in the health service whose status follows readiness.
const NAMES: [&str; 6] = [
    "",
    "activation.cdn.v1.CdnService",
    "activation.dcdn.v1.DcdnService",
    "activation.operator.v1.AccountService",
    "activation.operator.v1.AccessKeyService",
    "activation.operator.v1.OperationLockService",
];

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn every_service_reports_that_it_serves() {
    let api = Api::start().await;
    let mut health = HealthClient::new(api.channel().await);
    for name in NAMES.into_iter().chain(["liveness"]) {
        let status = health.check(request(name)).await.expect("known").into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{name:?}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_exist_is_not_found() {
    let api = Api::start().await;
    let mut health = HealthClient::new(api.channel().await);
    for name in ["activation.cdn.v1.NoService", "cdn", "Liveness"] {
        let checked = health.check(request(name)).await.expect_err("unknown");
        let refused = refusal(&checked);
        assert_eq!((refused.grpc, refused.http), (Code::NotFound, 404), "{checked:?}");
        assert_eq!(
            (&*refused.code, &*refused.message),
            ("ServiceNotFound", "There is no such service.")
        );
        // The protocol requires that a watch of it gets a status and stays open.
        let mut watched = health.watch(request(name)).await.expect("watched").into_inner();
        let first = watched.message().await.expect("answered").expect("a message");
        assert_eq!(first.status(), ServingStatus::ServiceUnknown);
        let next = tokio::time::timeout(Duration::from_millis(300), watched.message()).await;
        assert!(next.is_err(), "{name}: the watch stays open");
    }
}

#[tokio::test]
async fn a_watch_reports_the_drain_before_the_listener_closes() {
    let mut api =
        Api::start_with(|settings| settings.drain_delay = Duration::from_millis(500)).await;
    let mut health = HealthClient::new(api.channel().await);
    let mut watches = Vec::new();
    for name in NAMES {
        let mut watch = health.watch(request(name)).await.expect("known").into_inner();
        let first = watch.message().await.expect("a message").expect("the watch stays open");
        assert_eq!(first.status(), ServingStatus::Serving, "{name:?}");
        watches.push(watch);
    }
    let mut liveness = health.watch(request("liveness")).await.expect("known").into_inner();
    liveness.message().await.expect("a message");
    let ended = api.begin_stop();
    for watch in &mut watches {
        let next = watch.message().await.expect("a message").expect("the watch stays open");
        assert_eq!(next.status(), ServingStatus::NotServing);
    }
    // The service is still alive, and answers on old and new connections.
    let checked = health.check(request("liveness")).await.expect("answered").into_inner();
    assert_eq!(checked.status(), ServingStatus::Serving);
    let mut new = HealthClient::new(api.channel().await);
    let checked = new.check(request("")).await.expect("answered").into_inner();
    assert_eq!(checked.status(), ServingStatus::NotServing);
    drop((watches, liveness));
    ended.await.expect("the service ends in good order");
}
