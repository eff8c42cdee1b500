//! What is measured, in the names that dashboards of gRPC services expect.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::Code;

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

#[derive(Debug)]
struct Families {
    registry: Mutex<Registry>,
    /// Paths that have a label of their own; all others are one, so that callers cannot make
    /// labels.
    known_paths: HashSet<String>,
    started: Family<MethodLabels, Counter>,
    handled: Family<CodeLabels, Counter>,
    handling: Family<MethodLabels, Histogram, fn() -> Histogram>,
    connections: Gauge,
    idle_connections: Gauge,
}

/// One call that runs.
#[derive(Debug)]
pub struct Call {
    families: Arc<Families>,
    labels: MethodLabels,
    started: Instant,
    is_counted: bool,
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

impl Metrics {
    /// Metrics for the methods of these paths (`/package.Service/Method`).
    #[must_use]
    pub fn new(known_paths: HashSet<String>) -> Self {
        let mut registry = Registry::default();
        let started = Family::default();
        let handled = Family::default();
        let handling = Family::new_with_constructor(histogram as fn() -> Histogram);
        let (connections, idle_connections) = (Gauge::default(), Gauge::default());
        // The names end in _total in the text: the encoder appends it.
        registry.register("grpc_server_started", "Calls that began", started.clone());
        registry.register(
            "grpc_server_handled",
            "Calls that were answered, by status code",
            handled.clone(),
        );
        registry.register("grpc_server_handling_seconds", "How long calls took", handling.clone());
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
        let registry = Mutex::new(registry);
        Self(Arc::new(Families {
            registry,
            known_paths,
            started,
            handled,
            handling,
            connections,
            idle_connections,
        }))
    }

    /// Counts a call that begins.
    #[must_use]
    pub fn call_started(&self, path: &str) -> Call {
        let known = self.0.known_paths.contains(path);
        let (service, method) = path
            .strip_prefix('/')
            .filter(|_| known)
            .and_then(|p| p.split_once('/'))
            .unwrap_or(("_OTHER", "_OTHER"));
        let labels =
            MethodLabels { grpc_service: service.to_owned(), grpc_method: method.to_owned() };
        self.0.started.get_or_create(&labels).inc();
        Call { families: Arc::clone(&self.0), labels, started: Instant::now(), is_counted: false }
    }

    /// Says how many connections to the database are open, and how many of them idle.
    pub fn set_connections(&self, open: u32, idle: usize) {
        self.0.connections.set(i64::from(open));
        self.0.idle_connections.set(i64::try_from(idle).unwrap_or(i64::MAX));
    }

    /// The text that a scraper reads.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.0.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut text, &registry).expect("a String takes any text");
        text
    }
}

impl Call {
    /// The method, for a log line.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.labels.grpc_method
    }

    /// How long it runs.
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
        let labels = CodeLabels {
            grpc_service: self.labels.grpc_service.clone(),
            grpc_method: self.labels.grpc_method.clone(),
            grpc_code: code_name(code).to_owned(),
        };
        self.families.handled.get_or_create(&labels).inc();
        self.families
            .handling
            .get_or_create(&self.labels)
            .observe(self.started.elapsed().as_secs_f64());
    }
}

/// A call that nobody waits for any more was cancelled.
impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_counted {
            self.count(Code::Cancelled);
        }
    }
}

/// The names that existing dashboards filter by.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
