//! The export of spans: a bounded queue, and a task that sends what is in it to the collector. A
//! request never waits for it: if the queue is full, the span is lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::collector::{Collector, CollectorSettings};
use super::otlp::{Attribute, Resource, SpanMessage};
use super::sampler::Sampler;
use crate::ids::new_id;

/// Largest number of spans that wait for the export.
const LONGEST_QUEUE: usize = 2048;
/// Largest number of spans in one message.
const MOST_IN_A_MESSAGE: usize = 512;
/// How long the first span waits for others that are sent with it.
const INTERVAL: Duration = Duration::from_secs(1);
/// The name of the service unless a setting gives another one.
const SERVICE_NAME: &str = env!("CARGO_PKG_NAME");

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
    spans: mpsc::Sender<SpanMessage>,
    shared: Arc<ExportState>,
    exporting: Mutex<Option<JoinHandle<()>>>,
}

/// What the recorder and the task share.
#[derive(Debug, Default)]
struct ExportState {
    /// Notified when there are enough spans for a message.
    enough: Notify,
    /// Cancelled when the process ends.
    ending: CancellationToken,
    /// Spans that were lost since the last report.
    lost: AtomicU64,
}

impl Recorder {
    /// Starts the export on this runtime.
    pub fn start(settings: &TraceSettings) -> Self {
        let collector = Collector::new(&settings.collector, resource(&settings.resource));
        let (spans, queue) = mpsc::channel(LONGEST_QUEUE);
        let shared = Arc::new(ExportState::default());
        let task = export(queue, collector, Arc::clone(&shared));
        Self {
            sampler: settings.sampler,
            spans,
            shared,
            exporting: Mutex::new(Some(tokio::spawn(task))),
        }
    }

    pub fn sampler(&self) -> Sampler {
        self.sampler
    }

    /// Queues a span, or loses it if the queue is full.
    pub fn record(&self, span: SpanMessage) {
        if self.spans.try_send(span).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        } else if LONGEST_QUEUE - self.spans.capacity() >= MOST_IN_A_MESSAGE {
            self.shared.enough.notify_one();
        }
    }

    /// Exports what is queued, for at most this long, and ends the export.
    pub async fn end(&self, limit: Duration) {
        let exporting = self.exporting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut exporting) = exporting else { return };
        self.shared.ending.cancel();
        if tokio::time::timeout(limit, &mut exporting).await.is_err() {
            exporting.abort();
            let lost = LONGEST_QUEUE - self.spans.capacity();
            tracing::warn!(lost, ?limit, "the collector did not take the last spans in time");
        }
    }
}

/// Sends the spans of the queue until the process ends, then those that are left.
async fn export(
    mut queue: mpsc::Receiver<SpanMessage>,
    collector: Collector,
    shared: Arc<ExportState>,
) {
    let mut reports = Reports::default();
    loop {
        let mut spans = tokio::select! {
            first = queue.recv() => Vec::from_iter(first),
            () = shared.ending.cancelled() => Vec::new(),
        };
        if !spans.is_empty() && queue.len() < MOST_IN_A_MESSAGE {
            tokio::select! {
                _ = tokio::time::timeout(INTERVAL, shared.enough.notified()) => {}
                () = shared.ending.cancelled() => {}
            }
        }
        while spans.len() < MOST_IN_A_MESSAGE
            && let Ok(span) = queue.try_recv()
        {
            spans.push(span);
        }
        if spans.is_empty() {
            return; // the process ends, and all spans are sent
        }
        let number = spans.len();
        let sent = collector.send(spans).await;
        reports.report(sent.err(), number, shared.lost.swap(0, Ordering::Relaxed));
    }
}

/// Logs when spans begin to be lost, and when that ends.
#[derive(Debug, Default)]
struct Reports {
    is_failing: bool,
    lost: u64,
}

impl Reports {
    fn report(&mut self, failure: Option<String>, sent: usize, lost: u64) {
        self.lost += lost;
        match failure {
            Some(cause) => {
                self.lost += u64::try_from(sent).unwrap_or(u64::MAX);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(cause, lost = self.lost, "the collector does not take spans");
                }
            }
            None if std::mem::take(&mut self.is_failing) || self.lost > 0 => {
                let lost = std::mem::take(&mut self.lost);
                tracing::warn!(lost, "spans were lost; the collector takes spans");
            }
            None => {}
        }
    }
}

/// Returns the attributes of this process in all of its spans.
fn resource(given: &[(String, String)]) -> Resource {
    let own = [
        ("service.name", SERVICE_NAME.to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", new_id().to_string()),
    ];
    let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
    let all: BTreeMap<_, _> = own.chain(given.iter().cloned()).collect();
    let attributes = all.into_iter().map(|(key, value)| Attribute::new(&key, value));
    Resource { attributes: attributes.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recorder whose collector refuses connections.
    fn recorder() -> Recorder {
        let collector = CollectorSettings::new("http://127.0.0.1:1", None, &[], INTERVAL).unwrap();
        let sampler = Sampler::default();
        Recorder::start(&TraceSettings { collector, sampler, resource: Vec::new() })
    }

    #[tokio::test]
    async fn a_full_queue_loses_spans_and_holds_nobody() {
        let recorder = recorder();
        for _ in 0..LONGEST_QUEUE + 7 {
            recorder.record(SpanMessage::default()); // the task of the export does not run meanwhile
        }
        assert_eq!(recorder.shared.lost.load(Ordering::Relaxed), 7);
        assert_eq!(recorder.spans.capacity(), 0);
    }

    #[tokio::test]
    async fn the_end_of_the_export_is_bounded() {
        let recorder = recorder();
        recorder.record(SpanMessage::default());
        let started = std::time::Instant::now();
        recorder.end(INTERVAL / 4).await; // the pause before the next attempt is longer
        recorder.end(INTERVAL).await; // it has ended already
        assert!(started.elapsed() < INTERVAL);
    }

    #[test]
    fn an_attribute_that_is_given_replaces_that_of_the_service() {
        let given = |key: &str| (key.to_owned(), "given".to_owned());
        let resource = resource(&[given("service.name"), given("a")]);
        let keys: Vec<_> = resource.attributes.iter().map(|of| of.key.as_str()).collect();
        assert_eq!(keys, ["a", "service.instance.id", "service.name", "service.version"]);
        assert_eq!(resource.attributes[2], Attribute::new("service.name", "given"));
    }
}
