//! What the cores and the background share.

use tokio_util::sync::CancellationToken;

use super::ServerSettings;
use super::methods::method_paths;
use crate::audit::Audit;
use crate::auth::last_uses::LastUses;
use crate::events::Feed;
use crate::metrics::Metrics;
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
    /// Creates what is shared. `store` is that of the background.
    pub fn new(settings: ServerSettings, store: &Store) -> Self {
        let shutdown = CancellationToken::new();
        let metrics = Metrics::new(method_paths());
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
}
