//! Builds the service and serves it: three listeners, the cores that answer, the workers, and the
//! drain at the end.

mod background;
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
mod methods;
pub mod no_grpc;
mod ops;
mod proxies;
mod readiness;
mod serving;
mod settings;
mod shared;
mod tls;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

pub use self::binding::BindError;
use self::binding::bind;
pub use self::bounds::Bounds;
use self::core::CoreSetup;
use self::methods::service_names;
pub use self::proxies::TrustedProxies;
use self::readiness::Readiness;
pub use self::settings::{Listening, ServerSettings};
use self::shared::Shared;
pub use self::tls::{Tls, TlsError, TlsFiles};
use crate::runtime::{Connections, hand_out};
use crate::storage::Store;

/// How long the background tasks may take to end after the cores have ended. Some of them write
/// once more.
const BACKGROUND_END: Duration = Duration::from_secs(1);
/// How much longer than the drain of the cores the whole shutdown may take.
const AFTER_DRAIN: Duration = Duration::from_millis(100);

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
        let readiness = Readiness::new(HealthReporter::new(), service_names()).await;
        let shared = Shared::new(settings, &store);
        let Shared { settings, metrics, audit, shutdown, .. } = &shared;
        let counted = store.clone();
        metrics.add_pool(move || counted.connections());
        let cores_ended = CancellationToken::new();
        let audit_writer = tokio::spawn(audit.clone().run(store.clone(), cores_ended.clone()));
        let setup = CoreSetup::new(&shared, &readiness);
        let (mut cores, mut grpc, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..settings.cores() {
            let (to_grpc, grpc_connections) = Connections::handed_over();
            let (to_rest, rest_connections) = Connections::handed_over();
            let (setup, store) = (setup.clone(), store.clone());
            cores.push(core::start(index, setup, store, grpc_connections, rest_connections)?);
            grpc.push(to_grpc);
            rest.push(to_rest);
        }
        let (to_ops, ops) = Connections::handed_over();
        let places = settings.bounds.places(metrics);
        let mut background = background::start(&shared, &store, &readiness);
        background.extend([
            tokio::spawn(places.grpc.clone().look_after(shutdown.clone())),
            tokio::spawn(places.rest.clone().look_after(shutdown.clone())),
            tokio::spawn(places.ops.clone().look_after(shutdown.clone())),
            tokio::spawn(hand_out(listeners.grpc, places.grpc, grpc, shutdown.clone())),
            tokio::spawn(hand_out(listeners.rest, places.rest, rest, shutdown.clone())),
            tokio::spawn(hand_out(listeners.ops, places.ops, vec![to_ops], shutdown.clone())),
            tokio::spawn(ops::serve(ops, readiness.clone(), &shared)),
        ]);
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
            let background_ended = async {
                futures_util::future::join_all(background).await;
                store.close().await; // waits for writes that run
            };
            let background_ended = timeout(BACKGROUND_END, background_ended);
            let ending = tokio::join!(background_ended, settings.traces.end(BACKGROUND_END));
            if ending.0.is_err() {
                tracing::warn!(limit = ?BACKGROUND_END, "cut off the background tasks");
            }
        };
        let limit = settings.drain_timeout + core::CLOSING + AFTER_DRAIN;
        if timeout(limit, ended).await.is_err() {
            tracing::warn!(?limit, "cut off the shutdown");
        }
        Ok(())
    }
}
