//! The gRPC listener: its services, and what every answer passes.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, ready};
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic_health::pb::health_server::{Health, HealthServer};
use tower::Service;

use super::entrance::Entrance;
use super::reflection::{Ending, reflection};
use super::{ServerSettings, http2, no_grpc};
use crate::grpc::Actions;
use crate::grpc::advice::Advice;
use crate::grpc::authentication::ServiceAuth;
use crate::grpc::bodies::CountedAtItsEnd;
use crate::grpc::layers::Hold;
use crate::grpc::operator::Events;
use crate::grpc::services::Services;
use crate::grpc::tokenless::OfConnection;
use crate::metrics::Listener;
use crate::proto::cdn::v1::cdn_service_server::CdnServiceServer;
use crate::proto::dcdn::v1::dcdn_service_server::DcdnServiceServer;
use crate::proto::operator::v1::access_key_service_server::AccessKeyServiceServer;
use crate::proto::operator::v1::account_service_server::AccountServiceServer;
use crate::proto::operator::v1::audit_service_server::AuditServiceServer;
use crate::proto::operator::v1::charge_type_change_service_server::ChargeTypeChangeServiceServer;
use crate::proto::operator::v1::event_service_server::EventServiceServer;
use crate::proto::operator::v1::instance_service_server::InstanceServiceServer;
use crate::proto::operator::v1::operation_lock_service_server::OperationLockServiceServer;
use crate::runtime::Connections;

/// Largest gRPC message that is read, in bytes. Every request of the service is far smaller.
const LARGEST_MESSAGE: usize = 64 * 1024;
/// The same for health, which needs no token. A request is the name of a service.
const LARGEST_HEALTH_MESSAGE: usize = 1024;
/// The same for reflection. A request is the name of a symbol.
const LARGEST_REFLECTION_MESSAGE: usize = 16 * 1024;

/// Builds a server that reads messages up to a size, which also holds for a message after
/// decompression, and that compresses its own messages if the caller accepts that.
macro_rules! bounded {
    ($server:expr, $largest:expr) => {
        $server
            .max_decoding_message_size($largest)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip)
    };
}

/// Returns the services that need no store: health and, if it is on, reflection. They are built
/// once, because reading the descriptors takes longer than everything else at a start.
pub(super) fn infrastructure(
    health: HealthServer<impl Health>,
    reflects: bool,
    shutdown: &CancellationToken,
) -> Services {
    let services = Services::default().with(bounded!(health, LARGEST_HEALTH_MESSAGE));
    if !reflects {
        return services;
    }
    let reflects = "the descriptors are those that the build made";
    let v1 = reflection().build_v1().expect(reflects);
    let v1alpha = reflection().build_v1alpha().expect(reflects);
    macro_rules! ending {
        ($server:ident) => {{
            let service = bounded!($server, LARGEST_REFLECTION_MESSAGE);
            Ending { service, shutdown: shutdown.clone() }
        }};
    }
    services.with(ending!(v1)).with(ending!(v1alpha))
}

/// Adds all other services.
pub(super) fn services(mut services: Services, actions: &Actions, events: Events) -> Services {
    macro_rules! serve {
        ($($server:ident),*) => {
            $(services = services.with(bounded!($server::new(actions.clone()), LARGEST_MESSAGE));)*
        };
    }
    serve!(CdnServiceServer, DcdnServiceServer);
    serve!(AccountServiceServer, AccessKeyServiceServer, InstanceServiceServer);
    serve!(ChargeTypeChangeServiceServer, OperationLockServiceServer, AuditServiceServer);
    services.with(bounded!(EventServiceServer::new(events), LARGEST_MESSAGE))
}

/// Serves until the listener closes, then finishes running calls.
pub(super) async fn serve(
    connections: Connections,
    entrance: Entrance,
    services: ServiceAuth<Hold<Services>>,
    settings: &ServerSettings,
    listener: Listener,
) {
    let listener = Arc::new(listener);
    let advice = Advice::new(settings.explorer_url.clone());
    let door = move || {
        let (services, listener) = (services.clone(), Arc::clone(&listener));
        let advice = advice.clone();
        let tokenless = OfConnection::default();
        move |mut request: Request<Body>| {
            if let Some(refused) = no_grpc::answer(&request) {
                listener.refused(refused.status().as_str());
                return Either::Left(ready(refused));
            }
            let (advice, language) = (advice.clone(), Advice::language(request.headers()));
            tokenless.hold(&mut request);
            let (answer, listener) = (services.clone().call(request), Arc::clone(&listener));
            Either::Right(answer.map(move |answer| {
                let Ok(mut response) = answer;
                advice.add_to(&mut response, language);
                count(&listener, &response);
                response
            }))
        }
    };
    http2::serve(connections, entrance, door, settings.bounds).await;
}

/// Counts an answer, whether or not an action gave it. Streams of the service are counted when they
/// end.
fn count(listener: &Listener, response: &Response<Body>) {
    match Status::from_header_map(response.headers()) {
        Some(status) => listener.answered_with(&status),
        None if response.extensions().get::<CountedAtItsEnd>().is_some() => {}
        None => listener.answered(),
    }
}
