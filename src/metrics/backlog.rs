//! The rows that wait for a worker, and what the workers have done about them.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
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

/// The gauges of one kind of rows.
#[derive(Clone, Debug, Default)]
struct BacklogGauges {
    rows: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

impl BacklogGauges {
    fn set(&self, backlog: Backlog) {
        self.rows.set(backlog.rows);
        self.oldest.set(backlog.oldest_seconds);
    }
}

/// The gauges of rows that wait. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Backlogs {
    outbox: BacklogGauges,
    intents: BacklogGauges,
    numbered: Counter,
}

impl Backlogs {
    /// Registers the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let backlogs = Self::default();
        let Self { outbox, intents, numbered } = &backlogs;
        let help = "Events that wait for their position, at the last look";
        registry.register("event_outbox_waiting", help, outbox.rows.clone());
        let help = "How long the oldest of them had been waiting";
        registry.register("event_outbox_oldest_seconds", help, outbox.oldest.clone());
        let help = "Intents of orders that are neither opened nor cancelled, at the last look";
        registry.register("order_intents_open", help, intents.rows.clone());
        let help = "How long the oldest of them had been open";
        registry.register("order_intents_oldest_seconds", help, intents.oldest.clone());
        // The encoder appends _total to this name.
        let help = "Events to which this process gave a position";
        registry.register("events_numbered", help, numbered.clone());
        backlogs
    }

    /// Sets the events that wait for their position.
    pub fn outbox(&self, backlog: Backlog) {
        self.outbox.set(backlog);
    }

    /// Sets the intents of orders that are open.
    pub fn intents(&self, backlog: Backlog) {
        self.intents.set(backlog);
    }

    /// Counts events that got a position.
    pub fn numbered(&self, events: i64) {
        self.numbered.inc_by(u64::try_from(events).unwrap_or_default());
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
