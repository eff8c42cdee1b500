//! What the cores and the background share.

use tokio_util::sync::CancellationToken;

use super::ServerSettings;
use super::readiness::Readiness;
use crate::audit::Audit;
use crate::auth::last_uses::LastUses;
use crate::events::Feed;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::quotas::Quotas;
use crate::runtime::Pulses;
use crate::storage::Store;

/// The settings, and values without connections. It is cheap to clone.
#[derive(Clone)]
pub(super) struct Shared {
    pub settings: ServerSettings,
    pub feed: Feed,
    pub last_uses: LastUses,
    pub metrics: Metrics,
    pub audit: Audit,
    pub quotas: Quotas,
    /// Cancelled when the listeners of callers close.
    pub shutdown: CancellationToken,
    /// Cancelled when the ops listener closes, which is the last one.
    pub ops_shutdown: CancellationToken,
    /// Whether the cores turn their loops.
    pub pulses: Pulses,
}

impl Shared {
    /// Creates what is shared. `store` is that of the background, counted in `metrics`.
    pub fn new(settings: ServerSettings, store: &Store, metrics: Metrics) -> Self {
        let shutdown = CancellationToken::new();
        Self {
            feed: Feed::new(store.clone(), shutdown.clone()),
            last_uses: LastUses::default(),
            audit: Audit::new(metrics.clone()),
            quotas: Quotas::new(settings.quotas, metrics.quota_refusals()),
            settings,
            metrics,
            shutdown,
            ops_shutdown: CancellationToken::new(),
            pulses: Pulses::default(),
        }
    }

    /// Returns where orders are placed. Each caller has a connection and a circuit breaker of its
    /// own, which is among the metrics.
    pub fn orders(&self) -> Orders {
        let orders = Orders::new(self.settings.orders.clone());
        if let Orders::Commerce(commerce) = orders.clone() {
            self.metrics.add_circuit(move || commerce.is_shut_off());
        }
        orders
    }

    /// Adds the gauges that are read at each scrape.
    pub fn add_gauges(&self, readiness: &Readiness) {
        let (metrics, number) = (&self.metrics, |count| u64::try_from(count).unwrap_or(u64::MAX));
        let (feed, audit_waiting) = (self.feed.clone(), self.audit.waiting_count());
        let help = "Followers of events that have a stream";
        metrics.add_gauge("events_followers", help, move || number(feed.followers()));
        let help = "Refused attempts that wait until their audit record is written";
        metrics.add_gauge("audit_refusals_waiting", help, move || number(audit_waiting()));
        let (ready, draining) = (readiness.clone(), readiness.clone());
        let help = "1 if the service accepts traffic";
        metrics.add_gauge("cdn_activation_ready", help, move || ready.is_ready().into());
        let help = "1 from the request to stop on";
        metrics.add_gauge("cdn_activation_draining", help, move || draining.is_draining().into());
        metrics.add_traces(self.settings.traces.clone());
    }
}
