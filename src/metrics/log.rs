//! The number of log lines that are missing or that wait, as metrics.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use super::live::LiveGauge;
use crate::logging;

/// Registers the metrics.
pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(MissingLines));
    let (name, help) = ("log_lines_waiting", "Log lines that are not written yet");
    let waiting = || u64::try_from(logging::waiting_lines()).unwrap_or(u64::MAX);
    registry.register_collector(Box::new(LiveGauge::new(name, help, waiting)));
}

/// Reads the counters of `logging`, because a process has one log.
#[derive(Debug)]
struct MissingLines;

impl Collector for MissingLines {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        // The encoder appends _total to these names.
        for (name, help, lines) in [
            (
                "log_lines_dropped",
                "Log lines that were dropped: the queue was full, or they could not be written",
                logging::dropped_lines(),
            ),
            (
                "log_lines_suppressed",
                "Log lines that were not written because callers caused too many",
                logging::suppressed_lines(),
            ),
        ] {
            let counter = ConstCounter::new(lines);
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        Ok(())
    }
}
