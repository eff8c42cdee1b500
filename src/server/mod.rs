//! Builds the service and serves it: three listeners, the cores that answer, the workers, and the
//! drain at the end.

mod background;
mod binding;
mod bounds;
mod completed;
mod core;
mod database_file;
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
mod reflection;
mod serving;
mod settings;
mod shared;
mod started;
mod tls;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpListener;
use tonic_health::server::HealthReporter;

pub use self::binding::BindError;
use self::binding::bind;
pub use self::bounds::Bounds;
pub use self::database_file::DatabaseUrlFile;
use self::methods::{counted_methods, service_names};
pub use self::proxies::TrustedProxies;
use self::readiness::Readiness;
pub use self::settings::{Listening, ServerSettings};
use self::shared::Shared;
use self::started::Started;
pub use self::tls::{Tls, TlsError, TlsFiles};
use crate::metrics::Metrics;
use crate::storage::Store;

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
            grpc: bind("GRPC_ADDR", &addresses.grpc, Some(of)).await?,
            rest: bind("REST_ADDR", &addresses.rest, Some(of)).await?,
            ops: bind("OPS_ADDR", &addresses.ops, None).await?,
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
        let metrics = Metrics::new(counted_methods());
        let store = store.counted(metrics.database());
        let shared = Shared::new(settings, &store, metrics);
        shared.add_gauges(&readiness);
        let started = Started::start(listeners, &shared, &store, &readiness)?;
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
        started.retire();
        if !stopped_before_ready {
            tokio::time::sleep(shared.settings.drain_delay).await; // no proxy knows it otherwise
        }
        shared.shutdown.cancel();
        started.drain(&shared, &store).await;
        Ok(())
    }
}
