//! What became of the spans of traces, as a metric.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::live;
use crate::traces::{SpanCounts, Traces};

/// Reads the counters of the traces, which start before the metrics.
#[derive(Debug)]
pub(super) struct CountedSpans(pub Traces);

impl Collector for CountedSpans {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let SpanCounts { exported, refused, lost } = self.0.counts();
        let values = [("exported", exported), ("refused", refused), ("lost", lost)];
        let values = values.map(|(outcome, count)| ([("outcome", outcome)], count)).into_iter();
        let help = "Spans of traces: taken by the collector, not taken by it, or beyond the queue";
        live::write(&mut encoder, "trace_spans", help, MetricType::Counter, values)
    }
}
