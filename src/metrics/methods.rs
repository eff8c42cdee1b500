//! The metrics of calls, by method. Every method has all its series from the start, with all codes
//! at 0, so that the first failure of a method is an increase.

use std::array::from_fn;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::Code;

use super::codes::code_name;

/// Upper bounds of the histogram, in seconds. The last one is the longest deadline of a call.
const BUCKETS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// The service and the method of a path that is not a method of the service.
const OTHER: &str = "_OTHER";
/// The number of gRPC codes.
const CODES: usize = 17;

/// Whether the sides of a call send one message or a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallType {
    /// Both send one message.
    Unary,
    /// The service sends a stream.
    ServerStream,
    /// Both send a stream.
    BidiStream,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(
    clippy::struct_field_names,
    reason = "the field names are the label names of existing dashboards"
)]
struct MethodLabels {
    grpc_type: &'static str,
    grpc_service: String,
    grpc_method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(
    clippy::struct_field_names,
    reason = "the field names are the label names of existing dashboards"
)]
struct CodeLabels {
    grpc_type: &'static str,
    grpc_service: String,
    grpc_method: String,
    grpc_code: &'static str,
}

/// The counters of all methods.
#[derive(Debug)]
pub(super) struct Methods {
    /// By path. The counters of a method are looked up once, not for each call.
    by_path: HashMap<String, Arc<Method>>,
    /// Counts all paths that are not a method of the service, so that callers cannot create labels.
    other: Arc<Method>,
}

/// The counters of one method.
#[derive(Debug)]
struct Method {
    name: String,
    started: Counter,
    /// By code.
    handled: [Counter; CODES],
    handling: Histogram,
}

/// One running call. If it is dropped before it is finished, its caller has cancelled it.
#[derive(Debug)]
pub struct Call {
    method: Arc<Method>,
    started: Instant,
    is_counted: bool,
}

impl CallType {
    /// Returns the name that dashboards know.
    fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStream => "server_stream",
            Self::BidiStream => "bidi_stream",
        }
    }
}

/// The metric families of methods.
struct MethodFamilies {
    started: Family<MethodLabels, Counter>,
    handled: Family<CodeLabels, Counter>,
    handling: Family<MethodLabels, Histogram, fn() -> Histogram>,
}

impl MethodFamilies {
    fn register(registry: &mut Registry) -> Self {
        let started = Family::default();
        let handled = Family::default();
        let handling =
            Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        // The encoder appends _total to these names.
        registry.register("grpc_server_started", "Calls that began", started.clone());
        let help = "Calls that were answered, by status code";
        registry.register("grpc_server_handled", help, handled.clone());
        registry.register("grpc_server_handling_seconds", "How long calls took", handling.clone());
        Self { started, handled, handling }
    }

    fn method(&self, service: &str, method: &str, call_type: CallType) -> Arc<Method> {
        let (grpc_type, grpc_service) = (call_type.name(), service.to_owned());
        let labels = MethodLabels { grpc_type, grpc_service, grpc_method: method.to_owned() };
        let handled = from_fn(|code| {
            let MethodLabels { grpc_type, grpc_service, grpc_method } = labels.clone();
            let code = Code::from(i32::try_from(code).expect("there are 17 codes"));
            let grpc_code = code_name(code);
            let labels = CodeLabels { grpc_type, grpc_service, grpc_method, grpc_code };
            self.handled.get_or_create_owned(&labels)
        });
        Arc::new(Method {
            name: method.to_owned(),
            started: self.started.get_or_create_owned(&labels),
            handled,
            handling: self.handling.get_or_create_owned(&labels),
        })
    }
}

impl Methods {
    /// Registers the metrics of the methods with these paths (`/package.Service/Method`).
    pub fn register(methods: HashMap<String, CallType>, registry: &mut Registry) -> Self {
        let families = MethodFamilies::register(registry);
        let method = |(path, call_type): (String, CallType)| {
            let (service, method) = path.strip_prefix('/')?.split_once('/')?;
            let method = families.method(service, method, call_type);
            Some((path, method))
        };
        Self {
            by_path: methods.into_iter().filter_map(method).collect(),
            other: families.method(OTHER, OTHER, CallType::Unary),
        }
    }

    /// Counts a call that began at an instant.
    pub fn call_started(&self, path: &str, started: Instant) -> Call {
        let method = Arc::clone(self.by_path.get(path).unwrap_or(&self.other));
        method.started.inc();
        Call { method, started, is_counted: false }
    }
}

impl Call {
    /// Returns the name of the method, for a log line.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method.name
    }

    /// Returns when the call began.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
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
        self.method.handled[code as usize].inc();
        self.method.handling.observe(self.started.elapsed().as_secs_f64());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_counted {
            self.count(Code::Cancelled);
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn a_method_has_all_its_series_before_its_first_call_and_a_dropped_call_is_cancelled() {
        let mut registry = Registry::default();
        let path = "/a.b.Service/Watch".to_owned();
        let methods = HashMap::from([(path.clone(), CallType::ServerStream)]);
        let methods = Methods::register(methods, &mut registry);
        let text = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        let labels = r#"grpc_type="server_stream",grpc_service="a.b.Service",grpc_method="Watch""#;
        let before = text();
        assert!(before.contains(&format!("grpc_server_started_total{{{labels}}} 0")), "{before}");
        let handled = format!("grpc_server_handled_total{{{labels},");
        assert_eq!(before.matches(&handled).count(), CODES, "{before}");
        drop(methods.call_started(&path, Instant::now()));
        methods.call_started(&path, Instant::now()).finished(Code::NotFound);
        let after = text();
        for code in ["Canceled", "NotFound"] {
            assert!(after.contains(&format!("{handled}grpc_code=\"{code}\"}} 1")), "{after}");
        }
    }
}
