//! The settings of a deployment, and how its connections to the database are divided.

use std::sync::Arc;
use std::time::Duration;

use super::Addresses;
use super::bounds::Bounds;
use super::database_file::DatabaseUrlFile;
use super::entrance::Entrance;
use super::proxies::TrustedProxies;
use super::tls::{Handshakes, Tls};
use crate::auth::sealing::KeyRing;
use crate::auth::services::ServiceDirectory;
use crate::clock::Clock;
use crate::domain::opening::Limits;
use crate::explorer::ExplorerSettings;
use crate::quotas::QuotaOptions;
use crate::traces::Traces;
use crate::{orders, storage};

/// All settings of a deployment.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The addresses of the three listeners.
    pub addresses: Addresses<String>,
    /// How the listeners are reached.
    pub listening: Listening,
    /// The database.
    pub database: storage::StoreOptions,
    /// The file with the address of the database, if it is in one. It is followed.
    pub database_file: Option<DatabaseUrlFile>,
    /// The commerce system that takes orders. Without one, orders are rows of the service.
    pub orders: Option<orders::CommerceSettings>,
    /// The keys that encrypt secrets in the database.
    pub key_ring: KeyRing,
    /// The services that may call over gRPC, and what each is granted.
    pub callers: ServiceDirectory,
    /// Whether gRPC has the reflection service.
    pub reflection: bool,
    /// How far a signed timestamp may be from the clock.
    pub timestamp_window: chrono::Duration,
    /// The limits that decisions about openings obey.
    pub limits: Limits,
    /// How long a financial lock may hold before payment counts as overdue.
    pub overdue_grace: chrono::Duration,
    /// How long events are kept.
    pub event_retention: chrono::Duration,
    /// How long audit records are kept.
    pub audit_retention: chrono::Duration,
    /// Whether the workers run in this process.
    pub workers: bool,
    /// How many cores answer requests; see [`crate::runtime`].
    pub cores: usize,
    /// The limits for connections and for calls without a token.
    pub bounds: Bounds,
    /// How long the service goes on serving while it reports that it is not ready, before the
    /// listeners close.
    pub drain_delay: Duration,
    /// How long running requests may take to finish.
    pub drain_timeout: Duration,
    /// The explorer, if the listener of the RPC query format has it.
    pub explorer: Option<ExplorerSettings>,
    /// The address of the explorer, to whose pages errors point. It ends with a slash.
    pub explorer_url: Option<Arc<str>>,
    /// How the service limits calls, if it does.
    pub quotas: Option<QuotaOptions>,
    /// Where the spans of calls go.
    pub traces: Traces,
    /// The two clocks.
    pub clock: Clock,
}

/// How the gRPC and the REST listener are reached. The default is plaintext on loopback, without
/// proxies.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    /// Their TLS, if they have it.
    pub tls: Option<Tls>,
    /// The proxies in front of them.
    pub proxies: TrustedProxies,
    /// Whether they may be reached without TLS from other hosts.
    pub insecure_plaintext: bool,
}

impl Listening {
    /// Returns the entrances of both listeners on one core. Each has its own turns of handshakes.
    pub(super) fn entrances(&self) -> (Entrance, Entrance) {
        let entrance = |config: fn(&Tls) -> _| {
            let handshakes = self.tls.as_ref().map(|tls| Handshakes::new(config(tls)));
            Entrance::new(self.proxies.clone(), handshakes)
        };
        (entrance(Tls::grpc), entrance(Tls::rest))
    }

    /// Whether a listener at this address would be reached from other hosts without TLS, and no
    /// setting says that it may be.
    pub(super) fn exposes(&self, address: std::net::SocketAddr) -> bool {
        let is_local = address.ip().to_canonical().is_loopback();
        !is_local && self.tls.is_none() && !self.insecure_plaintext
    }

    /// Returns the scheme of the URLs of the REST listener.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl ServerSettings {
    /// Returns how many cores answer. Each needs a connection to the database, in addition to one
    /// of the background.
    pub(super) fn cores(&self) -> usize {
        let connections = usize::try_from(self.database.connections).unwrap_or(usize::MAX);
        self.cores.min(connections.saturating_sub(1)).max(1)
    }

    /// Returns the options of the background, which gets a quarter of the connections.
    pub(super) fn share_of_background(&self) -> storage::StoreOptions {
        self.database.with_connections((self.database.connections / 4).max(1))
    }

    /// Returns the options of one core, which gets an equal share of the rest.
    pub(super) fn share_of_core(&self) -> storage::StoreOptions {
        let rest = self.database.connections - self.share_of_background().connections;
        let cores = u32::try_from(self.cores()).unwrap_or(u32::MAX);
        self.database.with_connections((rest / cores).max(1))
    }
}
