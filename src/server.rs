//! Builds the service and serves it: three listeners, the workers, and the drain at the end.

mod http;
mod ops;

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use prost_reflect::DescriptorPool;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;

use self::ops::Readiness;
use crate::auth::Authenticator;
use crate::auth::secret::{SealingKey, ServiceToken};
use crate::auth::service::ServiceAuthLayer;
use crate::context::Clock;
use crate::domain::opening::Limits;
use crate::grpc::{Actions, layers};
use crate::metrics::Metrics;
use crate::proto::DESCRIPTORS;
use crate::proto::cdn::v1::cdn_service_server::CdnServiceServer;
use crate::proto::dcdn::v1::dcdn_service_server::DcdnServiceServer;
use crate::proto::operator::v1::access_key_service_server::AccessKeyServiceServer;
use crate::proto::operator::v1::account_service_server::AccountServiceServer;
use crate::proto::operator::v1::operation_lock_service_server::OperationLockServiceServer;
use crate::rest::{Dispatch, Shim};
use crate::storage::{self, Store};
use crate::workers;

/// The largest gRPC message that is read, in bytes; every request of ours is far smaller.
const LARGEST_MESSAGE: usize = 64 * 1024;
/// Clients spread over new replicas as their connections come of age. Never with a grace: tonic then sends no GOAWAY.
const CONNECTION_AGE: Duration = Duration::from_secs(300);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_STREAMS: u32 = 200;
/// Quick cancels that a connection may pile up; h2's own limit of 20 cuts off clients that hedge.
const MOST_PENDING_RESETS: usize = 200;

/// Everything that a deployment decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the three listeners are.
    pub addresses: Addresses<String>,
    /// The database.
    pub database: storage::Options,
    /// The key that seals secrets at rest.
    pub sealing_key: SealingKey,
    /// The token of calling services; without one gRPC refuses everybody.
    pub service_token: Option<ServiceToken>,
    /// How far a signed timestamp may be from the clock.
    pub timestamp_window: chrono::Duration,
    /// What decisions about opening are held to.
    pub limits: Limits,
    /// How long a financial lock may hold before payment counts as overdue.
    pub overdue_grace: chrono::Duration,
    /// How long to go on serving, unready, before the listeners close.
    pub drain_delay: Duration,
    /// How long running requests may take to finish.
    pub drain_timeout: Duration,
    /// The two clocks.
    pub clock: Clock,
}

/// One of something for each listener.
#[derive(Clone, Debug)]
pub struct Addresses<T> {
    /// Actions, operators, health, reflection.
    pub grpc: T,
    /// The RPC query format.
    pub rest: T,
    /// `/livez`, `/readyz`, `/metrics`.
    pub ops: T,
}

impl fmt::Display for Addresses<SocketAddr> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "grpc={} rest={} ops={}", self.grpc, self.rest, self.ops)
    }
}

/// A listener could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct BindError {
    address: String,
    cause: std::io::Error,
}

/// A service with its listeners bound.
pub struct Server {
    settings: Settings,
    listeners: Addresses<TcpListener>,
    core: Core,
    metrics: Metrics,
    readiness: Readiness,
}

/// What one runtime needs to answer requests. Nothing of it crosses runtimes.
struct Core {
    store: Store,
    routes: Routes,
    shim: Shim,
}

impl Server {
    /// Binds the listeners and builds the service. The database is not needed yet.
    pub async fn bind(settings: Settings) -> Result<Self, BindError> {
        let listeners = Addresses {
            grpc: bind(&settings.addresses.grpc).await?,
            rest: bind(&settings.addresses.rest).await?,
            ops: bind(&settings.addresses.ops).await?,
        };
        let metrics = Metrics::new(method_paths());
        let (reporter, health) = tonic_health::server::health_reporter();
        let readiness = Readiness::new(reporter, service_names()).await;
        let core = core(&settings, &metrics, health);
        Ok(Self { settings, listeners, core, metrics, readiness })
    }

    /// The addresses that were bound.
    pub fn addresses(&self) -> std::io::Result<Addresses<SocketAddr>> {
        Ok(Addresses {
            grpc: self.listeners.grpc.local_addr()?,
            rest: self.listeners.rest.local_addr()?,
            ops: self.listeners.ops.local_addr()?,
        })
    }

    /// The database, for what has to be there before the first request.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.core.store
    }

    /// Serves until `stop`, then drains. `announce` is called once, when all three listeners answer and the database
    /// is ready.
    pub async fn run(self, stop: impl Future<Output = ()>, announce: impl FnOnce()) {
        let Self { settings, listeners, core, metrics, readiness } = self;
        let shutdown = CancellationToken::new();
        let store = core.store.clone();
        let workers =
            tokio::spawn(workers::run(store.clone(), settings.clock.clone(), shutdown.clone()));
        let following = readiness.clone().follow(store.clone(), metrics.clone(), shutdown.clone());
        let following = tokio::spawn(following);
        let ops = serve_ops(listeners.ops, readiness.clone(), metrics, shutdown.clone());
        let ops = tokio::spawn(ops);
        let grpc =
            tokio::spawn(serve_grpc(listeners.grpc, core.routes, &settings, shutdown.clone()));
        let rest = tokio::spawn(serve_rest(listeners.rest, core.shim, shutdown.clone()));

        tokio::pin!(stop);
        let stopped_before_ready = tokio::select! {
            () = readiness.first_ready() => false,
            () = &mut stop => true,
        };
        if !stopped_before_ready {
            announce();
            stop.await;
        }
        readiness.drain().await;
        tokio::time::sleep(settings.drain_delay).await;
        shutdown.cancel();
        // A connection that never said anything, or a health watch, would hold the drain for ever.
        let drained = async { tokio::join!(grpc, rest, ops, workers, following) };
        if tokio::time::timeout(settings.drain_timeout, drained).await.is_err() {
            tracing::warn!(timeout = ?settings.drain_timeout, "some connections were cut off");
        }
        store.close().await;
    }
}

async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|cause| BindError { address: address.to_owned(), cause })
}

fn core<H>(settings: &Settings, metrics: &Metrics, health: H) -> Core
where
    H: tower::Service<
            ::http::Request<tonic::body::Body>,
            Response = ::http::Response<tonic::body::Body>,
            Error = std::convert::Infallible,
        > + tonic::server::NamedService
        + Clone
        + Send
        + Sync
        + 'static,
    H::Future: Send + 'static,
{
    let store = Store::connect_lazily(settings.database.clone());
    let actions = Actions::new(
        store.clone(),
        settings.limits,
        settings.overdue_grace,
        settings.sealing_key.clone(),
    );
    let mut routes = Routes::builder();
    routes
        .add_service(
            CdnServiceServer::new(actions.clone()).max_decoding_message_size(LARGEST_MESSAGE),
        )
        .add_service(
            DcdnServiceServer::new(actions.clone()).max_decoding_message_size(LARGEST_MESSAGE),
        )
        .add_service(
            AccountServiceServer::new(actions.clone()).max_decoding_message_size(LARGEST_MESSAGE),
        )
        .add_service(
            AccessKeyServiceServer::new(actions.clone()).max_decoding_message_size(LARGEST_MESSAGE),
        )
        .add_service(
            OperationLockServiceServer::new(actions).max_decoding_message_size(LARGEST_MESSAGE),
        )
        .add_service(health)
        .add_service(
            reflection().build_v1().expect("the descriptors are those that the build made"),
        )
        .add_service(
            reflection().build_v1alpha().expect("the descriptors are those that the build made"),
        );
    let routes = layers::around(routes.routes(), metrics.clone());
    let authenticator =
        Authenticator::new(store.clone(), settings.sealing_key.clone(), settings.timestamp_window);
    let dispatch = Dispatch::new().expect("a test reads the descriptors that the build made");
    let shim = Shim::new(Arc::new(dispatch), authenticator, routes.clone(), settings.clock.clone());
    Core { store, routes, shim }
}

/// Reflection shows the API and the types of error details: a client can decode both without files.
fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    settings: &Settings,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let authentication =
        ServiceAuthLayer::new(settings.clock.clone(), settings.service_token.clone());
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // Up to a tenth more, by chance: the replicas' connections must not come of age together.
    let spread = u32::from(crate::context::new_id().as_bytes()[15]);
    let age = CONNECTION_AGE + CONNECTION_AGE * spread / 2560;
    let serving = tonic::transport::Server::builder()
        .layer(authentication)
        .max_connection_age(age)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(MOST_STREAMS)
        .http2_max_pending_accept_reset_streams(Some(MOST_PENDING_RESETS))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown.cancelled_owned());
    async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the gRPC listener ended");
        }
    }
}

async fn serve_rest(listener: TcpListener, shim: Shim, shutdown: CancellationToken) {
    let handler = move |request| {
        let shim = shim.clone();
        async move {
            // A panic in the shim itself still ends in an answer.
            let answer = AssertUnwindSafe(shim.answer(request)).catch_unwind().await;
            answer.unwrap_or_else(|_| Shim::answer_to_a_panic())
        }
    };
    http::serve(listener, handler, shutdown).await;
}

async fn serve_ops(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    let handler = move |request| {
        let response = ops::answer(&request, &readiness, &metrics);
        async move { response }
    };
    http::serve(listener, handler, shutdown).await;
}

fn descriptors() -> DescriptorPool {
    DescriptorPool::decode(DESCRIPTORS).expect("the descriptors are those that the build made")
}

fn service_names() -> Vec<String> {
    descriptors().services().map(|service| service.full_name().to_owned()).collect()
}

fn method_paths() -> HashSet<String> {
    let pool = descriptors();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect()
}
