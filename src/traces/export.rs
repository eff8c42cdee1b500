//! Counts the spans that the exporter of the SDK sends, and says in the log when the collector does
//! not take them. The SDK's own log is not used: it repeats itself with every message.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;

/// Least time between two reports that spans are lost.
const PAUSE: Duration = Duration::from_mins(1);
/// Longest cause in a report, in bytes.
const LONGEST_CAUSE: usize = 256;

/// What became of spans since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// The collector took them.
    pub exported: u64,
    /// The collector did not take them.
    pub refused: u64,
    /// They did not fit into the queue.
    pub lost: u64,
}

/// What the recorder and the exporter share.
#[derive(Debug, Default)]
pub(super) struct ExportState {
    /// Number of spans in the queue.
    pub waiting: AtomicUsize,
    /// Number of spans that have ever been in the queue.
    pub queued: AtomicU64,
    /// Number of spans that did not fit into the queue.
    pub lost: AtomicU64,
    exported: AtomicU64,
    refused: AtomicU64,
    reports: Mutex<Reports>,
}

impl ExportState {
    pub fn counts(&self) -> SpanCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (exported, refused) = (read(&self.exported), read(&self.refused));
        SpanCounts { exported, refused, lost: read(&self.lost) }
    }

    /// Returns how many spans were queued that are neither exported nor refused.
    pub fn unsent(&self) -> u64 {
        let SpanCounts { exported, refused, .. } = self.counts();
        self.queued.load(Ordering::Relaxed).saturating_sub(exported + refused)
    }

    /// Logs how many spans are lost at the end that no report has counted.
    pub fn report_end(&self, limit: Duration) {
        let reported = self.reports().reported;
        let SpanCounts { refused, lost, .. } = self.counts();
        let lost = refused + lost + self.unsent() - reported;
        if lost > 0 {
            tracing::warn!(lost, ?limit, "spans were lost; the service stops");
        }
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The exporter of the SDK, which is counted and has a time limit.
#[derive(Debug)]
pub(super) struct CountedExporter {
    exporter: Arc<OtlpExporter>,
    /// Longest time for one message.
    limit: Duration,
    runtime: Handle,
    state: Arc<ExportState>,
}

impl CountedExporter {
    /// Exports on the current runtime.
    pub fn new(exporter: OtlpExporter, limit: Duration, state: Arc<ExportState>) -> Self {
        Self { exporter: Arc::new(exporter), limit, runtime: Handle::current(), state }
    }

    /// Sends a message, with its repetitions. The limit of the SDK only ends the repetitions. The thread
    /// of the SDK is not on the runtime, which the timer needs.
    async fn send(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (exporter, limit) = (Arc::clone(&self.exporter), self.limit);
        let sending = async move { tokio::time::timeout(limit, exporter.export(batch)).await };
        match self.runtime.spawn(sending).await {
            Ok(in_time) => in_time.unwrap_or(Err(OTelSdkError::Timeout(limit))),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        }
    }
}

impl SpanExporter for CountedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = batch.len();
        self.state.waiting.fetch_sub(number, Ordering::Relaxed);
        let sent = self.send(batch).await;
        let count = if sent.is_ok() { &self.state.exported } else { &self.state.refused };
        count.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
        let SpanCounts { refused, lost, .. } = self.state.counts();
        let failure = sent.as_ref().err().map(|error| cut(error.to_string()));
        self.state.reports().report(failure, refused + lost, Instant::now());
        sent
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        let exporter = Arc::get_mut(&mut self.exporter).expect("no message was sent before");
        exporter.set_resource(resource);
    }
}

/// Cuts the text of an error, and what the collector says in it: HTTP/2 quotes the reason that the peer
/// gives for the end of a connection.
fn cut(mut text: String) -> String {
    let said = text.find(" (b\"").unwrap_or(text.len());
    text.truncate(said.min(text.floor_char_boundary(LONGEST_CAUSE)));
    text
}

/// Logs that spans are lost, and when that has ended.
#[derive(Debug, Default)]
struct Reports {
    /// When the last report was made that spans are lost.
    reported_at: Option<Instant>,
    /// Number of spans that were lost until the last report.
    reported: u64,
    /// Whether the last report was that the collector does not take spans.
    is_failing: bool,
}

impl Reports {
    /// Takes the outcome of a message, and the number of spans that were lost since the start.
    /// Returns whether there was a report.
    fn report(&mut self, failure: Option<String>, total: u64, now: Instant) -> bool {
        let lost = total - self.reported;
        let is_soon = self.reported_at.is_some_and(|at| now.duration_since(at) < PAUSE);
        match failure {
            Some(cause) if !self.is_failing && !is_soon => {
                tracing::warn!(cause, lost, "the collector does not take spans");
                self.is_failing = true;
                self.reported_at = Some(now);
            }
            None if self.is_failing => {
                tracing::warn!(lost, "spans were lost; the collector takes spans again");
                self.is_failing = false;
            }
            None if lost > 0 && !is_soon => {
                tracing::warn!(lost, "spans were lost");
                self.reported_at = Some(now);
            }
            _ => return false,
        }
        self.reported = total;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_collector_is_reported_once_and_not_again_within_a_minute() {
        let (mut reports, start) = (Reports::default(), Instant::now());
        let failure = || Some("UNAVAILABLE".to_owned());
        let mut at = |second, failure, total| {
            reports.report(failure, total, start + Duration::from_secs(second))
        };
        assert!(!at(0, None, 0));
        assert!(at(1, failure(), 5));
        assert!(!at(2, failure(), 9));
        assert!(at(3, None, 9), "the end of a failure that was reported");
        assert!(!at(4, failure(), 12));
        assert!(!at(5, None, 12));
        assert!(at(62, None, 12), "what was lost meanwhile");
        assert!(!at(200, None, 12));
        assert!(at(201, failure(), 13));
    }

    #[test]
    fn a_cause_has_nothing_that_the_collector_says_and_is_cut() {
        let ended = "Operation failed: gRPC code: Unavailable: connection error received: refused";
        assert_eq!(cut(format!("{ended} (b\"hostile\")")), ended);
        assert_eq!(cut(ended.to_owned()), ended);
        assert_eq!(cut("ä".repeat(LONGEST_CAUSE)), "ä".repeat(LONGEST_CAUSE / 2));
        assert_eq!(cut(format!("a{}", "ä".repeat(LONGEST_CAUSE))).len(), LONGEST_CAUSE - 1);
    }

    #[test]
    fn what_is_neither_exported_nor_refused_is_unsent() {
        let state = ExportState::default();
        state.queued.store(9, Ordering::Relaxed);
        state.exported.store(4, Ordering::Relaxed);
        state.refused.store(2, Ordering::Relaxed);
        state.lost.store(7, Ordering::Relaxed);
        assert_eq!(state.unsent(), 3);
    }
}
