//! The log lines that are missing, as metrics.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

use crate::logging;

/// Shows the lines that are missing in the log.
pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(MissingLines));
}

/// Counts nothing itself: there is one log of a process.
#[derive(Debug)]
struct MissingLines;

impl Collector for MissingLines {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        // The names end in _total in the text: the encoder appends it.
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
