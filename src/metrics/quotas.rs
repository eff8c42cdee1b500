//! The number of requests that quotas have refused, by kind.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

/// The counters of refusals by quotas. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct QuotaRefusals(Family<KindLabels, Counter>);

impl QuotaRefusals {
    /// Registers the counters.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let refusals = Self::default();
        for kind in ["action", "service", "in_flight", "unknown_key"] {
            drop(refusals.0.get_or_create(&KindLabels { kind })); // shown from the start, as 0
        }
        // The encoder appends _total to this name.
        let help = "Requests that were refused by a quota, by the kind of the quota";
        registry.register("quota_refusals", help, refusals.0.clone());
        refusals
    }

    /// Counts a call beyond the quota of an account and action.
    pub fn action(&self) {
        self.count("action");
    }

    /// Counts a call beyond the quota of a calling service.
    pub fn service(&self) {
        self.count("service");
    }

    /// Counts a request of a caller with too many running requests.
    pub fn in_flight(&self) {
        self.count("in_flight");
    }

    /// Counts a request of an address that has sent too many unknown access keys.
    pub fn unknown_key(&self) {
        self.count("unknown_key");
    }

    fn count(&self, kind: &'static str) {
        self.0.get_or_create(&KindLabels { kind }).inc();
    }
}
