//! Takes the spans of sampled calls. They wait in the queue of the SDK, whose thread exports them. A
//! request never waits for it: if the queue is full, the span is lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator, RandomIdGenerator, Sampler,
    SamplingDecision, ShouldSample, SpanData, SpanProcessor,
};

use super::collector::CollectorSettings;
use super::export::{CountedExporter, ExportState, SpanCounts};
use crate::ids::new_id;

/// Largest number of spans that wait for the export.
const LONGEST_QUEUE: usize = 2048;
/// Largest number of spans in one message.
const MOST_IN_A_MESSAGE: usize = 512;
/// How long the first span waits for others that are sent with it.
const INTERVAL: Duration = Duration::from_secs(1);
/// The name of the service unless a setting gives another one.
const SERVICE_NAME: &str = env!("CARGO_PKG_NAME");
const SERVICE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Settings of the traces.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// Where the spans are sent.
    pub collector: CollectorSettings,
    /// Which requests are sampled.
    pub sampler: Sampler,
    /// The attributes of the resource. The last one of a key counts. Those that are not given are
    /// added: the name, version and instance of the service.
    pub resource: Vec<(String, String)>,
}

/// Takes the spans of sampled calls.
#[derive(Debug)]
pub struct Recorder {
    sampler: Sampler,
    ids: RandomIdGenerator,
    /// The library that makes the spans.
    scope: InstrumentationScope,
    processor: BatchSpanProcessor,
    state: Arc<ExportState>,
}

impl Recorder {
    /// Starts the export, over a connection that is made on this runtime.
    pub fn start(settings: TraceSettings) -> Result<Self, String> {
        let state = Arc::new(ExportState::default());
        let limit = settings.collector.timeout();
        let exporter = settings.collector.exporter()?;
        let exporter = CountedExporter::new(exporter, limit, Arc::clone(&state));
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(LONGEST_QUEUE)
            .with_max_export_batch_size(MOST_IN_A_MESSAGE)
            .with_scheduled_delay(INTERVAL);
        let mut processor = BatchSpanProcessor::new(exporter, config.build());
        processor.set_resource(&resource(settings.resource));
        let scope = InstrumentationScope::builder(SERVICE_NAME).with_version(SERVICE_VERSION);
        Ok(Self {
            sampler: settings.sampler,
            ids: RandomIdGenerator::default(),
            scope: scope.build(),
            processor,
            state,
        })
    }

    /// Whether a request is sampled that has this parent, or none and this id of its trace.
    pub fn samples(&self, parent: Option<&SpanContext>, own_id: TraceId) -> bool {
        let trace_id = match (parent, &self.sampler) {
            // The SDK would need a context of its own with the parent.
            (Some(parent), Sampler::ParentBased(_)) => return parent.is_sampled(),
            (parent, _) => parent.map_or(own_id, SpanContext::trace_id),
        };
        // No sampler that can be set looks at the name or the kind.
        let kind = SpanKind::Server;
        let result = self.sampler.should_sample(None, trace_id, "", &kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    pub fn new_trace_id(&self) -> TraceId {
        self.ids.new_trace_id()
    }

    pub fn new_span_id(&self) -> SpanId {
        self.ids.new_span_id()
    }

    pub fn scope(&self) -> InstrumentationScope {
        self.scope.clone()
    }

    /// Queues a span, or loses it if the queue is full.
    pub fn record(&self, span: SpanData) {
        // Counted here, because the SDK counts only in its own log.
        let waiting = self.state.waiting.fetch_add(1, Ordering::Relaxed);
        if waiting < LONGEST_QUEUE {
            self.state.queued.fetch_add(1, Ordering::Relaxed);
            self.processor.on_end(span);
        } else {
            self.state.waiting.fetch_sub(1, Ordering::Relaxed);
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn counts(&self) -> SpanCounts {
        self.state.counts()
    }

    /// Exports what is queued, for at most this long, and ends the export.
    pub async fn end(self: Arc<Self>, limit: Duration) {
        let state = Arc::clone(&self.state);
        let ending = move || self.processor.shutdown_with_timeout(limit);
        // The result does not say whether the collector took the last message.
        _ = tokio::task::spawn_blocking(ending).await;
        state.report_end(limit);
    }
}

/// Returns the attributes of this process in all of its spans.
fn resource(given: Vec<(String, String)>) -> Resource {
    let own = [
        KeyValue::new("service.name", SERVICE_NAME),
        KeyValue::new("service.version", SERVICE_VERSION),
        KeyValue::new("service.instance.id", new_id().to_string()),
    ];
    let given = given.into_iter().map(|(key, value)| KeyValue::new(key, value));
    Resource::builder_empty().with_attributes(own.into_iter().chain(given)).build()
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;
    use opentelemetry::trace::{TraceFlags, TraceState};

    use super::*;
    use crate::traces::{OpenSpan, Position, Traces, sampler};

    /// A recorder whose collector is at this port.
    fn recorder(port: u16) -> Arc<Recorder> {
        let endpoint = format!("http://127.0.0.1:{port}");
        let collector = CollectorSettings::new(&endpoint, None, Duration::from_secs(10));
        let settings = TraceSettings {
            collector: collector.unwrap(),
            sampler: sampler(None, None).unwrap(),
            resource: Vec::new(),
        };
        let Traces(recorder) = Traces::start(settings).unwrap();
        recorder.unwrap()
    }

    fn record(recorder: &Arc<Recorder>) {
        let own_id = recorder.new_trace_id();
        let (position, _) = Position::of_request(own_id, None, (true, recorder));
        drop(OpenSpan::new(position, None, SpanKind::Internal, "span".into()));
    }

    #[tokio::test]
    async fn a_full_queue_loses_further_spans() {
        let recorder = recorder(1); // nobody listens there
        recorder.state.waiting.store(LONGEST_QUEUE, Ordering::Relaxed);
        (0..7).for_each(|_| record(&recorder));
        assert_eq!(recorder.counts().lost, 7);
        recorder.state.waiting.store(LONGEST_QUEUE - 1, Ordering::Relaxed);
        record(&recorder);
        assert_eq!(recorder.counts().lost, 7);
    }

    #[tokio::test]
    async fn the_end_of_the_export_is_bounded() {
        // It takes connections and never answers, so that an export lasts for ten seconds.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let recorder = recorder(silent.local_addr().unwrap().port());
        record(&recorder);
        let started = std::time::Instant::now();
        Arc::clone(&recorder).end(INTERVAL / 4).await;
        // The span is in a message that is on its way.
        assert_eq!((recorder.state.unsent(), recorder.counts()), (1, SpanCounts::default()));
        recorder.end(INTERVAL / 4).await;
        assert!(started.elapsed() < INTERVAL * 8);
    }

    #[tokio::test]
    async fn the_decision_of_a_parent_is_followed_by_the_samplers_that_say_so() {
        for (name, argument, expected) in [
            // without a parent, with a sampled one, with one that is not
            (None, None, [true, true, false]),
            (Some("always_on"), None, [true, true, true]),
            (Some("always_off"), None, [false, false, false]),
            (Some("traceidratio"), Some("0"), [false, false, false]),
            (Some("parentbased_always_off"), None, [false, true, false]),
            (Some("parentbased_traceidratio"), Some("0"), [false, true, false]),
            (Some("parentbased_traceidratio"), Some("1"), [true, true, false]),
        ] {
            let mut recorder = Arc::into_inner(recorder(1)).unwrap();
            recorder.sampler = sampler(name, argument).unwrap();
            let id = recorder.new_trace_id();
            let parent =
                |flags| SpanContext::new(id, recorder.new_span_id(), flags, true, TraceState::NONE);
            let (sampled, not) = (parent(TraceFlags::SAMPLED), parent(TraceFlags::NOT_SAMPLED));
            let found = [None, Some(&sampled), Some(&not)];
            let found = found.map(|parent| recorder.samples(parent, recorder.new_trace_id()));
            assert_eq!(found, expected, "{name:?} {argument:?}");
        }
    }

    #[test]
    fn an_attribute_that_is_given_replaces_that_of_the_service() {
        let given = |key: &str| (key.to_owned(), "given".to_owned());
        let resource = resource(vec![given("service.name"), given("a")]);
        let value = |key| resource.get(&Key::from_static_str(key)).map(|value| value.to_string());
        assert_eq!(resource.len(), 4);
        assert_eq!(value("service.name").as_deref(), Some("given"));
        assert_eq!(value("a").as_deref(), Some("given"));
        assert_eq!(value("service.version").as_deref(), Some(SERVICE_VERSION));
        assert!(value("service.instance.id").is_some());
    }
}
