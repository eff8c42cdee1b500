//! Metrics under the names that dashboards of gRPC services expect. No label has a value that a
//! caller can choose. `docs/operating.md` lists the families, and a test holds the list equal.

mod backlog;
mod codes;
mod database;
mod files;
mod listeners;
mod live;
mod log;
mod methods;
mod process;
mod quotas;
mod text;
mod traces;
mod workers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use self::backlog::Circuits;
pub use self::backlog::{Backlog, Backlogs};
use self::database::Pools;
pub use self::database::{DatabaseMetrics, PoolState, StatementOutcome};
pub use self::files::FileOutcomes;
pub use self::listeners::Listener;
use self::listeners::Listeners;
use self::live::LiveGauge;
use self::methods::Methods;
pub use self::methods::{Call, CallType};
pub use self::quotas::QuotaRefusals;
use self::traces::CountedSpans;
pub use self::workers::WorkerTurns;
use self::workers::Workers;
use crate::traces::Traces;

/// The metrics of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

struct Families {
    registry: Mutex<Registry>,
    methods: Methods,
    listeners: Listeners,
    quota_refusals: QuotaRefusals,
    file_outcomes: FileOutcomes,
    database: DatabaseMetrics,
    pools: Pools,
    workers: Workers,
    backlogs: Backlogs,
    circuits: Circuits,
    audit_refusals_written: Counter,
    audit_refusals_dropped: Counter,
}

impl std::fmt::Debug for Families {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Families(…)")
    }
}

impl Metrics {
    /// Creates metrics for the methods with these paths (`/package.Service/Method`).
    #[must_use]
    pub fn new(methods: HashMap<String, CallType>) -> Self {
        let mut registry = Registry::default();
        let methods = Methods::register(methods, &mut registry);
        log::register(&mut registry);
        process::register(&mut registry);
        let (audit_refusals_written, audit_refusals_dropped) =
            (Counter::default(), Counter::default());
        // The encoder appends _total to these names.
        let help = "Audit records of refused attempts that were written";
        registry.register("audit_refusals_written", help, audit_refusals_written.clone());
        let help = "Refused attempts without an audit record, because there were too many";
        registry.register("audit_refusals_dropped", help, audit_refusals_dropped.clone());
        Self(Arc::new(Families {
            methods,
            listeners: Listeners::register(&mut registry),
            quota_refusals: QuotaRefusals::register(&mut registry),
            file_outcomes: FileOutcomes::register(&mut registry),
            database: DatabaseMetrics::register(&mut registry),
            pools: Pools::register(&mut registry),
            workers: Workers::register(&mut registry),
            backlogs: Backlogs::register(&mut registry),
            circuits: Circuits::register(&mut registry),
            audit_refusals_written,
            audit_refusals_dropped,
            registry: Mutex::new(registry),
        }))
    }

    /// Counts a call that began at an instant.
    #[must_use]
    pub fn call_started(&self, path: &str, started: Instant) -> Call {
        self.0.methods.call_started(path, started)
    }

    /// Returns the counters of one listener.
    #[must_use]
    pub fn listener(&self, name: &'static str) -> Listener {
        self.0.listeners.of(name)
    }

    /// Returns the counters of refusals by quotas.
    #[must_use]
    pub fn quota_refusals(&self) -> QuotaRefusals {
        self.0.quota_refusals.clone()
    }

    /// Returns the outcomes of new contents of files.
    #[must_use]
    pub fn file_outcomes(&self) -> FileOutcomes {
        self.0.file_outcomes.clone()
    }

    /// Returns the counters of statements.
    #[must_use]
    pub fn database(&self) -> DatabaseMetrics {
        self.0.database.clone()
    }

    /// Returns the gauges of rows that wait for a worker.
    #[must_use]
    pub fn backlogs(&self) -> Backlogs {
        self.0.backlogs.clone()
    }

    /// Returns the turns of the worker with this name. `failure` is the sentence that is logged when
    /// a turn fails.
    #[must_use]
    pub fn worker(&self, name: &'static str, failure: &'static str) -> WorkerTurns {
        self.0.workers.turns(name, failure)
    }

    /// Counts audit records of refused attempts that were written.
    pub fn audit_refusals_written(&self, count: usize) {
        self.0.audit_refusals_written.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Counts a refused attempt that gets no audit record.
    pub fn audit_refusal_dropped(&self) {
        self.0.audit_refusals_dropped.inc();
    }

    /// Includes the connections of a pool, and the questions that wait for them.
    pub fn add_pool(
        &self,
        name: &'static str,
        state: impl Fn() -> PoolState + Send + Sync + 'static,
    ) {
        self.0.pools.add(name, state);
    }

    /// Includes a circuit breaker of the commerce system.
    pub fn add_circuit(&self, is_open: impl Fn() -> bool + Send + Sync + 'static) {
        self.0.circuits.add(is_open);
    }

    /// Includes what becomes of the spans of traces.
    pub fn add_traces(&self, traces: Traces) {
        unpoisoned(&self.0.registry).register_collector(Box::new(CountedSpans(traces)));
    }

    /// Adds a gauge that is read at each scrape.
    pub fn add_gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let gauge = LiveGauge::new(name, help, read);
        unpoisoned(&self.0.registry).register_collector(Box::new(gauge));
    }

    /// Returns the page in the older text format of Prometheus.
    #[must_use]
    pub fn render_as_text(&self) -> String {
        text::prometheus(&self.render())
    }

    /// Returns the page that a scraper reads, in `OpenMetrics`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut page = String::new();
        encode(&mut page, &unpoisoned(&self.0.registry)).expect("a String takes any text");
        page
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
