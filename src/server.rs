//! Builds the service and serves it: three listeners, the workers, and the drain at the end.

mod grpc;
mod http;
mod ops;

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};

use self::ops::Readiness;
use crate::auth::Authenticator;
use crate::auth::secret::{SealingKey, ServiceToken};
use crate::context::Clock;
use crate::domain::opening::Limits;
use crate::events::{CursorKey, Feed};
use crate::grpc::Actions;
use crate::grpc::layers::Guard;
use crate::grpc::operator::Events;
use crate::metrics::Metrics;
use crate::orders::{self, Orders};
use crate::proto::DESCRIPTORS;
use crate::rest::{Dispatch, Shim};
use crate::storage::{self, Store};
use crate::workers;

/// Everything that a deployment decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the three listeners are.
    pub addresses: Addresses<String>,
    /// The database.
    pub database: storage::Options,
    /// The commerce system that takes orders; without one they are rows of our own.
    pub orders: Option<orders::Settings>,
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
    /// How long events are kept.
    pub event_retention: chrono::Duration,
    /// Whether the workers run in this process, too.
    pub workers: bool,
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
    /// Cancelled when the listeners close.
    shutdown: CancellationToken,
}

/// What one runtime needs to answer requests. Nothing of it crosses runtimes.
struct Core {
    store: Store,
    orders: Orders,
    feed: Feed,
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
        let shutdown = CancellationToken::new();
        let core = core(&settings, &metrics, health, &shutdown);
        Ok(Self { settings, listeners, core, metrics, readiness, shutdown })
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

    /// Serves until `stop`, then drains. `announce` is called once, when all three listeners answer
    /// and the database is ready.
    pub async fn run(self, stop: impl Future<Output = ()>, announce: impl FnOnce()) {
        let Self { settings, listeners, core, metrics, readiness, shutdown } = self;
        let store = core.store.clone();
        let (clock, retention) = (settings.clock.clone(), settings.event_retention);
        let workers = workers::run(store.clone(), core.orders, clock, retention, shutdown.clone());
        let workers = settings.workers.then(|| tokio::spawn(workers));
        let workers = futures_util::future::OptionFuture::from(workers);
        let feeding = tokio::spawn(core.feed.run());
        let following = readiness.clone().follow(store.clone(), metrics.clone(), shutdown.clone());
        let following = tokio::spawn(following);
        let ops = serve_ops(listeners.ops, readiness.clone(), metrics, shutdown.clone());
        let ops = tokio::spawn(ops);
        let calls =
            tokio::spawn(grpc::serve(listeners.grpc, core.routes, &settings, shutdown.clone()));
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
        let drained = async { tokio::join!(calls, rest, ops, workers, feeding, following) };
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

fn core(
    settings: &Settings,
    metrics: &Metrics,
    health: HealthServer<impl Health>,
    shutdown: &CancellationToken,
) -> Core {
    let store = Store::connect_lazily(settings.database.clone());
    let orders = Orders::new(settings.orders.clone());
    let (limits, grace, sealing_key) =
        (settings.limits, settings.overdue_grace, settings.sealing_key.clone());
    let actions = Actions::new(store.clone(), orders.clone(), limits, grace, sealing_key);
    let feed = Feed::new(store.clone(), shutdown.clone());
    let events = Events::new(feed.clone(), CursorKey::new(&settings.sealing_key));
    let around = Guard::new(metrics.clone(), streaming_paths());
    let routes = grpc::routes(&actions, events, health, around);
    let authenticator =
        Authenticator::new(store.clone(), settings.sealing_key.clone(), settings.timestamp_window);
    let dispatch = Dispatch::new().expect("a test reads the descriptors that the build made");
    let clock = settings.clock.clone();
    let shim = Shim::new(Arc::new(dispatch), authenticator, routes.clone(), clock);
    Core { store, orders, feed, routes, shim }
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
    paths_of(|_| true)
}

fn streaming_paths() -> HashSet<String> {
    paths_of(MethodDescriptor::is_server_streaming)
}

/// The paths of our own methods that fulfil a condition.
fn paths_of(fulfils: impl Fn(&MethodDescriptor) -> bool) -> HashSet<String> {
    let pool = descriptors();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods
        .filter(|method| fulfils(method))
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect()
}
