//! What a deployment decides, and how its connections to the database are shared out.

use std::time::Duration;

use super::Addresses;
use super::bounds::Bounds;
use crate::auth::secret::{SealingKey, ServiceToken};
use crate::context::Clock;
use crate::domain::opening::Limits;
use crate::{orders, storage};

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
    /// How many cores answer requests; see [`crate::runtime`].
    pub cores: usize,
    /// What connections, and calls without a token, are held to.
    pub bounds: Bounds,
    /// How long to go on serving, unready, before the listeners close.
    pub drain_delay: Duration,
    /// How long running requests may take to finish.
    pub drain_timeout: Duration,
    /// The two clocks.
    pub clock: Clock,
}

impl Settings {
    /// How many cores answer: none without a connection to the database, beside the background's.
    pub(super) fn cores(&self) -> usize {
        let connections = usize::try_from(self.database.connections).unwrap_or(usize::MAX);
        self.cores.min(connections.saturating_sub(1)).max(1)
    }

    /// The connections of the background: a quarter.
    pub(super) fn share_of_background(&self) -> storage::Options {
        self.database.with_connections((self.database.connections / 4).max(1))
    }

    /// The connections of one core: the rest, shared alike.
    pub(super) fn share_of_core(&self) -> storage::Options {
        let rest = self.database.connections - self.share_of_background().connections;
        let cores = u32::try_from(self.cores()).unwrap_or(u32::MAX);
        self.database.with_connections((rest / cores).max(1))
    }
}
