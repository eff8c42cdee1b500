//! Counts the spans that the exporter of the SDK sends, and says in the log when the collector does
//! not take them. The SDK's own log is not used: it repeats itself with every message.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// Least time between two reports that spans are lost.
const PAUSE: Duration = Duration::from_mins(1);

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
    /// Number of spans that did not fit into the queue.
    pub lost: AtomicU64,
    exported: AtomicU64,
    refused: AtomicU64,
}

impl ExportState {
    pub fn counts(&self) -> SpanCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (exported, refused) = (read(&self.exported), read(&self.refused));
        SpanCounts { exported, refused, lost: read(&self.lost) }
    }
}

/// The exporter of the SDK, which is counted.
#[derive(Debug)]
pub(super) struct CountedExporter {
    exporter: OtlpExporter,
    state: Arc<ExportState>,
    reports: Mutex<Reports>,
}

impl CountedExporter {
    pub fn new(exporter: OtlpExporter, state: Arc<ExportState>) -> Self {
        Self { exporter, state, reports: Mutex::default() }
    }
}

impl SpanExporter for CountedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let number = batch.len();
        self.state.waiting.fetch_sub(number, Ordering::Relaxed);
        let sent = self.exporter.export(batch).await;
        let count = if sent.is_ok() { &self.state.exported } else { &self.state.refused };
        count.fetch_add(u64::try_from(number).unwrap_or(u64::MAX), Ordering::Relaxed);
        let SpanCounts { refused, lost, .. } = self.state.counts();
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        // The text of the SDK has no text of the collector.
        let failure = sent.as_ref().err().map(ToString::to_string);
        reports.report(failure, refused + lost, Instant::now());
        sent
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
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
}
