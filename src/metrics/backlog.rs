//! The rows that wait for a worker, and what the workers have done about them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::live::write;

/// Rows that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backlog {
    /// How many rows wait.
    pub rows: i64,
    /// How long the oldest of them has been waiting, in seconds; 0 if there is none.
    pub oldest_seconds: f64,
}

/// What was counted last of one kind of rows; `None` if it is not known.
type LastCount = Arc<Mutex<Option<Backlog>>>;

/// The rows that wait, as they were counted last. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Backlogs {
    outbox: LastCount,
    intents: LastCount,
    numbered: Counter,
}

impl Backlogs {
    /// Registers the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let backlogs = Self::default();
        registry.register_collector(Box::new(backlogs.clone()));
        // The encoder appends _total to this name.
        let help = "Events to which this process gave a position";
        registry.register("events_numbered", help, backlogs.numbered.clone());
        backlogs
    }

    /// Sets the events that wait for their position; `None` if they could not be counted.
    pub fn outbox(&self, backlog: Option<Backlog>) {
        *self.outbox.lock().unwrap_or_else(PoisonError::into_inner) = backlog;
    }

    /// Sets the intents of orders that are open; `None` if they could not be counted.
    pub fn intents(&self, backlog: Option<Backlog>) {
        *self.intents.lock().unwrap_or_else(PoisonError::into_inner) = backlog;
    }

    /// Counts events that got a position.
    pub fn numbered(&self, events: i64) {
        self.numbered.inc_by(u64::try_from(events).unwrap_or_default());
    }
}

/// Writes the number of rows and the age of the oldest, or nothing if they are not known.
fn write_rows(
    encoder: &mut DescriptorEncoder<'_>,
    last: &LastCount,
    (rows, rows_help): (&str, &str),
    (oldest, oldest_help): (&str, &str),
) -> fmt::Result {
    let last = *last.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Backlog { rows: count, oldest_seconds }) = last else { return Ok(()) };
    let gauge = MetricType::Gauge;
    ConstGauge::new(count).encode(encoder.encode_descriptor(rows, rows_help, None, gauge)?)?;
    let age = ConstGauge::new(oldest_seconds);
    age.encode(encoder.encode_descriptor(oldest, oldest_help, None, gauge)?)
}

impl Collector for Backlogs {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let rows =
            ("event_outbox_waiting", "Events that wait for their position, at the last look");
        let oldest =
            ("event_outbox_oldest_seconds", "How long the oldest of them had been waiting");
        write_rows(&mut encoder, &self.outbox, rows, oldest)?;
        let help = "Intents of orders that are neither opened nor cancelled, at the last look";
        let rows = ("order_intents_open", help);
        let oldest = ("order_intents_oldest_seconds", "How long the oldest of them had been open");
        write_rows(&mut encoder, &self.intents, rows, oldest)
    }
}

type IsOpen = Box<dyn Fn() -> bool + Send + Sync>;

/// The circuit breakers of the commerce system, which are asked for their state at each scrape.
/// Clones share them.
#[derive(Clone, Default)]
pub(super) struct Circuits(Arc<Mutex<Vec<IsOpen>>>);

impl Circuits {
    /// Registers the metric.
    pub fn register(registry: &mut Registry) -> Self {
        let circuits = Self::default();
        registry.register_collector(Box::new(circuits.clone()));
        circuits
    }

    /// Adds a circuit breaker.
    pub fn add(&self, is_open: impl Fn() -> bool + Send + Sync + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(is_open));
    }
}

impl fmt::Debug for Circuits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Circuits(…)")
    }
}

impl Collector for Circuits {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut open, mut closed) = (0, 0);
        for is_open in circuits.iter() {
            *(if is_open() { &mut open } else { &mut closed }) += 1;
        }
        let states = [("open", open), ("closed", closed)];
        let states = states.into_iter().filter(|_| !circuits.is_empty());
        let states = states.map(|(state, count)| ([("state", state)], count));
        let help = "Circuit breakers of the commerce system: open ones refuse openings at once";
        write(&mut encoder, "order_circuits", help, MetricType::Gauge, states)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn rows_that_could_not_be_counted_have_no_series() {
        let mut registry = Registry::default();
        let backlogs = Backlogs::register(&mut registry);
        let names = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let samples = text.lines().filter(|line| !line.starts_with('#'));
            samples.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names(), ["events_numbered_total 0"]);
        backlogs.outbox(Some(Backlog { rows: 7, oldest_seconds: 1.5 }));
        let counted = ["event_outbox_waiting 7", "event_outbox_oldest_seconds 1.5"];
        assert_eq!(names(), ["events_numbered_total 0", counted[0], counted[1]]);
        backlogs.outbox(None);
        assert_eq!(names(), ["events_numbered_total 0"]);
    }

    #[test]
    fn circuits_are_counted_by_state_and_without_circuits_there_is_no_series() {
        let mut registry = Registry::default();
        let circuits = Circuits::register(&mut registry);
        let text = || {
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            text
        };
        assert_eq!(text(), "# EOF\n");
        for is_open in [true, false, false] {
            circuits.add(move || is_open);
        }
        let text = text();
        for line in [r#"order_circuits{state="open"} 1"#, r#"order_circuits{state="closed"} 2"#] {
            assert!(text.lines().any(|said| said == line), "{line}: {text}");
        }
    }
}
