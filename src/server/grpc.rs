//! The gRPC side: which services there are, and how their listener behaves.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::pb::health_server::{Health, HealthServer};

use super::Settings;
use crate::auth::service::ServiceAuthLayer;
use crate::grpc::Actions;
use crate::grpc::layers::Guard;
use crate::grpc::operator::Events;
use crate::grpc::services::Services;
use crate::proto::COMMENTED_DESCRIPTORS;
use crate::proto::cdn::v1::cdn_service_server::CdnServiceServer;
use crate::proto::dcdn::v1::dcdn_service_server::DcdnServiceServer;
use crate::proto::operator::v1::access_key_service_server::AccessKeyServiceServer;
use crate::proto::operator::v1::account_service_server::AccountServiceServer;
use crate::proto::operator::v1::charge_type_change_service_server::ChargeTypeChangeServiceServer;
use crate::proto::operator::v1::event_service_server::EventServiceServer;
use crate::proto::operator::v1::instance_service_server::InstanceServiceServer;
use crate::proto::operator::v1::operation_lock_service_server::OperationLockServiceServer;
use crate::runtime::Connections;

/// The largest gRPC message that is read, in bytes; every request of ours is far smaller.
const LARGEST_MESSAGE: usize = 64 * 1024;
/// Clients spread over new replicas as their connections come of age. Never with a grace: tonic
/// then sends no GOAWAY.
const CONNECTION_AGE: Duration = Duration::from_mins(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_STREAMS: u32 = 200;
/// Quick cancels that a connection may pile up; h2's own limit of 20 cuts off clients that hedge.
const MOST_PENDING_RESETS: usize = 200;

/// The services that need no store: health and reflection. Built once; reading the descriptors takes
/// longer than everything else at a start.
pub(super) fn infrastructure(health: HealthServer<impl Health>) -> Services {
    let reflects = "the descriptors are those that the build made";
    Services::default()
        .with(health)
        .with(reflection().build_v1().expect(reflects))
        .with(reflection().build_v1alpha().expect(reflects))
}

/// Every service.
pub(super) fn services(mut services: Services, actions: &Actions, events: Events) -> Services {
    macro_rules! serve {
        ($($server:ident),*) => {
            $(services = services.with(
                $server::new(actions.clone()).max_decoding_message_size(LARGEST_MESSAGE),
            );)*
        };
    }
    serve!(CdnServiceServer, DcdnServiceServer);
    serve!(AccountServiceServer, AccessKeyServiceServer, InstanceServiceServer);
    serve!(ChargeTypeChangeServiceServer, OperationLockServiceServer);
    let events = EventServiceServer::new(events).max_decoding_message_size(LARGEST_MESSAGE);
    services.with(events)
}

/// Reflection shows the API and the types of error details: a client can decode both without files.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(COMMENTED_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// Serves until `shutdown`, then finishes what runs.
pub(super) fn serve(
    connections: Connections,
    services: Services,
    guard: Guard,
    settings: &Settings,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let authentication =
        ServiceAuthLayer::new(settings.clock.clone(), settings.service_token.clone());
    // Up to a tenth more, by chance: the replicas' connections must not come of age together.
    let spread = u32::from(crate::context::new_id().as_bytes()[15]);
    let age = CONNECTION_AGE + CONNECTION_AGE * spread / 2560;
    let serving = Server::builder()
        .layer(authentication)
        .layer(guard)
        .max_connection_age(age)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(MOST_STREAMS)
        .http2_max_pending_accept_reset_streams(Some(MOST_PENDING_RESETS))
        .serve_with_incoming_shutdown(services, connections, shutdown.cancelled_owned());
    async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the gRPC listener ended");
        }
    }
}
