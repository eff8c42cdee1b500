//! Builds the service and serves it: three listeners, the cores that answer, the workers, and the
//! drain at the end.

mod binding;
mod bounds;
mod completed;
mod core;
pub mod descriptors;
mod entrance;
mod grpc;
mod health;
mod http;
mod http2;
mod incoming_body;
pub mod no_grpc;
mod ops;
mod proxies;
mod readiness;
mod serving;
mod settings;
mod tls;

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use prost_reflect::MethodDescriptor;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

pub use self::binding::BindError;
use self::binding::bind;
pub use self::bounds::Bounds;
use self::core::CoreSetup;
use self::entrance::Entrance;
use self::http::HttpOptions;
pub use self::proxies::TrustedProxies;
use self::readiness::Readiness;
pub use self::settings::{Listening, ServerSettings};
pub use self::tls::{Tls, TlsError, TlsFiles};
use crate::audit::Audit;
use crate::auth::last_uses::LastUses;
use crate::events::Feed;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::proto::POOL;
use crate::quotas::Quotas;
use crate::runtime::{Connections, hand_out};
use crate::storage::Store;
use crate::workers;

/// How long the background tasks may take to end after the cores have ended.
const BACKGROUND_END: Duration = Duration::from_millis(100);

/// One value for each listener.
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

/// A service with its listeners bound.
pub struct Server {
    settings: ServerSettings,
    listeners: Addresses<TcpListener>,
    /// The connections to the database of the background: workers, the feed, readiness.
    store: Store,
}

impl Server {
    /// Binds the listeners. No query is sent to the database yet.
    pub async fn bind(mut settings: ServerSettings) -> Result<Self, BindError> {
        let (of, addresses) = (&settings.listening, &settings.addresses);
        let listeners = Addresses {
            grpc: bind(&addresses.grpc, Some(("GRPC_ADDR", of))).await?,
            rest: bind(&addresses.rest, Some(("REST_ADDR", of))).await?,
            ops: bind(&addresses.ops, None).await?,
        };
        if let Some(explorer) = &mut settings.explorer {
            explorer.grpc = listeners.grpc.local_addr().ok();
        }
        let store = Store::connect_lazily(&settings.share_of_background());
        Ok(Self { settings, listeners, store })
    }

    /// Returns the addresses that were bound.
    pub fn addresses(&self) -> std::io::Result<Addresses<SocketAddr>> {
        Ok(Addresses {
            grpc: self.listeners.grpc.local_addr()?,
            rest: self.listeners.rest.local_addr()?,
            ops: self.listeners.ops.local_addr()?,
        })
    }

    /// Makes errors point to the explorer of this server, unless a setting names another one.
    /// Returns the address of the explorer of this server.
    pub fn point_to_own_explorer(&mut self) -> std::io::Result<String> {
        let mut address = self.listeners.rest.local_addr()?;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let own = format!("{}://{address}/explorer/", self.scheme());
        self.settings.explorer_url.get_or_insert_with(|| own.as_str().into());
        Ok(own)
    }

    /// Returns the scheme of the URLs of the REST listener: `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        self.settings.listening.scheme()
    }

    /// Returns the store, for what must be in the database before the first request.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Serves until `stop`, then drains. `announce` is called once, when all three listeners answer
    /// and the database is ready. An error means that the system cannot start a thread.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        announce: impl FnOnce(),
    ) -> std::io::Result<()> {
        let Self { settings, listeners, store } = self;
        let shutdown = CancellationToken::new(); // cancelled when the listeners close
        let metrics = Metrics::new(method_paths());
        let readiness = Readiness::new(HealthReporter::new(), service_names()).await;
        let counted = store.clone();
        metrics.add_pool(move || counted.connections());
        let feed = Feed::new(store.clone(), shutdown.clone());
        let last_uses = LastUses::default();
        let quotas = Quotas::new(settings.quotas, metrics.quota_refusals());
        let (audit, cores_ended) = (Audit::new(metrics.clone()), CancellationToken::new());
        let audit_writer = tokio::spawn(audit.clone().run(store.clone(), cores_ended.clone()));
        let shared = CoreSetup::new(
            &settings, &feed, &last_uses, &metrics, &readiness, &quotas, &audit, &shutdown,
        );
        let (mut cores, mut grpc, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..settings.cores() {
            let (to_grpc, grpc_connections) = Connections::handed_over();
            let (to_rest, rest_connections) = Connections::handed_over();
            let (shared, store) = (shared.clone(), store.clone());
            cores.push(core::start(index, shared, store, grpc_connections, rest_connections)?);
            grpc.push(to_grpc);
            rest.push(to_rest);
        }
        let (to_ops, ops) = Connections::handed_over();
        let places = settings.bounds.places(&metrics);
        let certificates = stay_current(&settings, &shutdown);
        let background = [
            tokio::spawn(certificates),
            tokio::spawn(places.grpc.clone().look_after(shutdown.clone())),
            tokio::spawn(places.rest.clone().look_after(shutdown.clone())),
            tokio::spawn(places.ops.clone().look_after(shutdown.clone())),
            tokio::spawn(hand_out(listeners.grpc, places.grpc, grpc, shutdown.clone())),
            tokio::spawn(hand_out(listeners.rest, places.rest, rest, shutdown.clone())),
            tokio::spawn(hand_out(listeners.ops, places.ops, vec![to_ops], shutdown.clone())),
            tokio::spawn(serve_ops(
                ops,
                readiness.clone(),
                metrics,
                settings.bounds.keep_alive,
                shutdown.clone(),
            )),
            tokio::spawn(readiness.clone().follow(
                store.clone(),
                settings.key_ring.clone(),
                shutdown.clone(),
            )),
            tokio::spawn(settings.callers.clone().follow(shutdown.clone())),
            tokio::spawn(settings.key_ring.clone().follow(shutdown.clone())),
            tokio::spawn(last_uses.run(store.clone(), shutdown.clone())),
            tokio::spawn(once_ready(readiness.clone(), shutdown.clone(), feed.run())),
            tokio::spawn(once_ready(
                readiness.clone(),
                shutdown.clone(),
                workers::quotas::run(store.clone(), quotas, shutdown.clone()),
            )),
            tokio::spawn(once_ready(
                readiness.clone(),
                shutdown.clone(),
                work(settings.clone(), store.clone(), shutdown.clone()),
            )),
        ];
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
        let ended = async {
            for core in cores {
                core.ended().await; // each drains for at most `drain_timeout`
            }
            cores_ended.cancel();
            audit_writer.await.ok();
            futures_util::future::join_all(background).await;
            store.close().await;
        };
        let limit = settings.drain_timeout + core::CLOSING + BACKGROUND_END;
        if tokio::time::timeout(limit, ended).await.is_err() {
            tracing::warn!(?limit, "cut off the background tasks");
        }
        Ok(())
    }
}

/// Uses new certificates until `shutdown`, if there is TLS.
fn stay_current(
    settings: &ServerSettings,
    shutdown: &CancellationToken,
) -> impl Future<Output = ()> + 'static {
    let (tls, interval) = (settings.listening.tls.clone(), settings.bounds.certificates);
    let shutdown = shutdown.clone();
    async move {
        if let Some(tls) = tls {
            tls.stay_current(interval, shutdown).await;
        }
    }
}

/// Runs work that needs a database that is ready.
async fn once_ready(
    readiness: Readiness,
    shutdown: CancellationToken,
    work: impl Future<Output = ()>,
) {
    tokio::select! {
        () = readiness.first_ready() => work.await,
        () = shutdown.cancelled() => {}
    }
}

/// Runs the workers, if this process has them.
async fn work(settings: ServerSettings, store: Store, shutdown: CancellationToken) {
    if settings.workers {
        let ServerSettings { clock, event_retention, audit_retention, orders, .. } = settings;
        let orders = Orders::new(orders);
        let kept = workers::Kept { events: event_retention, audit_records: audit_retention };
        workers::run(store, orders, clock, kept, shutdown).await;
    }
}

async fn serve_ops(
    connections: Connections,
    readiness: Readiness,
    metrics: Metrics,
    keep_alive: Duration,
    shutdown: CancellationToken,
) {
    let listener = metrics.listener("ops");
    let handler = move |request| {
        let response = ops::answer(&request, &readiness, &metrics);
        match response.status().as_str() {
            "200" => listener.answered(),
            status => listener.refused(status),
        }
        async move { response }
    };
    let options = HttpOptions { keep_alive, complete: Arc::new(ops::answer_to_what_is_no_request) };
    http::serve(connections, Entrance::default(), handler, options, shutdown).await;
}

fn service_names() -> Vec<String> {
    POOL.services().map(|service| service.full_name().to_owned()).collect()
}

fn method_paths() -> HashSet<String> {
    paths_of(|_| true)
}

fn streaming_paths() -> HashSet<String> {
    paths_of(MethodDescriptor::is_server_streaming)
}

/// Returns the paths of the service's own methods that fulfil a condition.
fn paths_of(fulfils: impl Fn(&MethodDescriptor) -> bool) -> HashSet<String> {
    let methods = POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    methods
        .filter(|method| fulfils(method))
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect()
}
