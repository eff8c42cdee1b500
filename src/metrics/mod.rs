//! Metrics under the names that dashboards of gRPC services expect.

mod codes;
mod files;
mod listeners;
mod log;
mod quotas;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::Code;

use self::codes::code_name;
pub use self::files::FileOutcomes;
pub use self::listeners::Listener;
use self::listeners::Listeners;
pub use self::quotas::QuotaRefusals;

/// Upper bounds of the histogram, in seconds.
const BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    grpc_service: String,
    grpc_method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(
    clippy::struct_field_names,
    reason = "the field names are the label names of existing dashboards"
)]
struct CodeLabels {
    grpc_service: String,
    grpc_method: String,
    grpc_code: String,
}

/// The metrics of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

struct Families {
    registry: Mutex<Registry>,
    listeners: Listeners,
    quota_refusals: QuotaRefusals,
    file_outcomes: FileOutcomes,
    /// By path. The counters of a method are looked up once, not for each call.
    methods: HashMap<String, Arc<Method>>,
    /// Counts all paths that are not a method of the service, so that callers cannot create labels.
    other: Arc<Method>,
    audit_refusals_dropped: Counter,
    connections: Gauge,
    idle_connections: Gauge,
    pools: Mutex<Vec<Pool>>,
}

/// Returns how many connections of a pool are open, and how many of those are idle.
type Pool = Box<dyn Fn() -> (u32, usize) + Send + Sync>;

impl std::fmt::Debug for Families {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Families(…)")
    }
}

/// The counters of one method.
#[derive(Debug)]
struct Method {
    labels: MethodLabels,
    started: Counter,
    handled: Family<CodeLabels, Counter>,
    /// By code. A counter appears in the output once it has counted something.
    by_code: [OnceLock<Counter>; 17],
    handling: Histogram,
}

/// One running call.
#[derive(Debug)]
pub struct Call {
    method: Arc<Method>,
    started: Instant,
    is_counted: bool,
}

/// The metric families of methods.
#[derive(Debug)]
struct MethodFamilies {
    started: Family<MethodLabels, Counter>,
    handled: Family<CodeLabels, Counter>,
    handling: Family<MethodLabels, Histogram, fn() -> Histogram>,
}

impl MethodFamilies {
    fn register(registry: &mut Registry) -> Self {
        let started = Family::default();
        let handled = Family::default();
        let handling = Family::new_with_constructor(histogram as fn() -> Histogram);
        // The encoder appends _total to these names.
        registry.register("grpc_server_started", "Calls that began", started.clone());
        registry.register(
            "grpc_server_handled",
            "Calls that were answered, by status code",
            handled.clone(),
        );
        registry.register("grpc_server_handling_seconds", "How long calls took", handling.clone());
        Self { started, handled, handling }
    }

    fn method(&self, service: &str, method: &str) -> Arc<Method> {
        let labels =
            MethodLabels { grpc_service: service.to_owned(), grpc_method: method.to_owned() };
        Arc::new(Method {
            started: self.started.get_or_create_owned(&labels),
            handled: self.handled.clone(),
            by_code: Default::default(),
            handling: self.handling.get_or_create_owned(&labels),
            labels,
        })
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    /// Creates metrics for the methods with these paths (`/package.Service/Method`).
    #[must_use]
    pub fn new(paths: HashSet<String>) -> Self {
        let mut registry = Registry::default();
        let families = MethodFamilies::register(&mut registry);
        log::register(&mut registry);
        let listeners = Listeners::register(&mut registry);
        let quota_refusals = QuotaRefusals::register(&mut registry);
        let file_outcomes = FileOutcomes::register(&mut registry);
        let audit_refusals_dropped = Counter::default();
        registry.register(
            "audit_refusals_dropped",
            "Refused attempts without an audit record, because there were too many",
            audit_refusals_dropped.clone(),
        );
        let (connections, idle_connections) = (Gauge::default(), Gauge::default());
        registry.register(
            "db_client_connections",
            "Open database connections",
            connections.clone(),
        );
        registry.register(
            "db_client_connections_idle",
            "Idle database connections",
            idle_connections.clone(),
        );
        let method = |path: String| {
            let (service, method) = path.strip_prefix('/')?.split_once('/')?;
            let method = families.method(service, method);
            Some((path, method))
        };
        Self(Arc::new(Families {
            methods: paths.into_iter().filter_map(method).collect(),
            other: families.method("_OTHER", "_OTHER"),
            registry: Mutex::new(registry),
            listeners,
            quota_refusals,
            file_outcomes,
            audit_refusals_dropped,
            connections,
            idle_connections,
            pools: Mutex::default(),
        }))
    }

    /// Counts a call that began at an instant.
    #[must_use]
    pub fn call_started(&self, path: &str, started: Instant) -> Call {
        let method = Arc::clone(self.0.methods.get(path).unwrap_or(&self.0.other));
        method.started.inc();
        Call { method, started, is_counted: false }
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

    /// Counts a refused attempt that gets no audit record.
    pub fn audit_refusal_dropped(&self) {
        self.0.audit_refusals_dropped.inc();
    }

    /// Includes the connections of a pool in the numbers of database connections.
    pub fn add_pool(&self, pool: impl Fn() -> (u32, usize) + Send + Sync + 'static) {
        unpoisoned(&self.0.pools).push(Box::new(pool));
    }

    /// Returns the text that a scraper reads.
    #[must_use]
    pub fn render(&self) -> String {
        let (mut open, mut idle) = (0, 0);
        for pool in unpoisoned(&self.0.pools).iter() {
            let (is_open, is_idle) = pool();
            open += i64::from(is_open);
            idle += i64::try_from(is_idle).unwrap_or(i64::MAX);
        }
        self.0.connections.set(open);
        self.0.idle_connections.set(idle);
        let mut text = String::new();
        encode(&mut text, &unpoisoned(&self.0.registry)).expect("a String takes any text");
        text
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Method {
    fn handled(&self, code: Code) -> &Counter {
        self.by_code[code as usize].get_or_init(|| {
            let MethodLabels { grpc_service, grpc_method } = self.labels.clone();
            let grpc_code = code_name(code).to_owned();
            self.handled.get_or_create_owned(&CodeLabels { grpc_service, grpc_method, grpc_code })
        })
    }
}

impl Call {
    /// Returns the name of the method, for a log line.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method.labels.grpc_method
    }

    /// Returns how long the call has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Counts the call as answered.
    pub fn finished(mut self, code: Code) {
        self.count(code);
    }

    fn count(&mut self, code: Code) {
        self.is_counted = true;
        self.method.handled(code).inc();
        self.method.handling.observe(self.started.elapsed().as_secs_f64());
    }
}

/// A call that is dropped before it is finished was cancelled by its caller.
impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_counted {
            self.count(Code::Cancelled);
        }
    }
}
