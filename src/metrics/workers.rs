//! The turns of workers: when each succeeded last, and how many failed.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::clock::Clock;
use crate::error::Error;
use crate::logging::FailureLog;

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WorkerLabels {
    worker: &'static str,
}

/// The families of all workers.
#[derive(Clone, Debug, Default)]
pub(super) struct Workers {
    last_success: Family<WorkerLabels, Seconds>,
    failures: Family<WorkerLabels, Counter>,
}

/// The turns of one worker, which are counted, and logged if they fail.
pub struct WorkerTurns {
    log: FailureLog,
    last_success: Seconds,
    failures: Counter,
}

impl Workers {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let workers = Self::default();
        let help = "When the last turn of a worker succeeded; before that, when the worker started";
        registry.register(
            "worker_last_success_timestamp_seconds",
            help,
            workers.last_success.clone(),
        );
        // The encoder appends _total to this name.
        let help = "Turns of a worker that failed";
        registry.register("worker_failures", help, workers.failures.clone());
        workers
    }

    /// Returns the turns of the worker with this name. `failure` is the sentence that is logged when
    /// a turn fails.
    pub fn turns(&self, worker: &'static str, failure: &'static str) -> WorkerTurns {
        let labels = WorkerLabels { worker };
        let last_success = self.last_success.get_or_create_owned(&labels);
        last_success.set(unix_seconds());
        let failures = self.failures.get_or_create_owned(&labels);
        WorkerTurns { log: FailureLog::new(failure), last_success, failures }
    }
}

impl WorkerTurns {
    /// Counts a turn. Logs it if it begins or ends a failure.
    pub fn outcome(&mut self, outcome: Result<(), Error>) {
        if outcome.is_ok() {
            self.last_success.set(unix_seconds());
        } else {
            self.failures.inc();
        }
        self.log.outcome(outcome);
    }
}

/// Returns the time by the clock of the system, to the millisecond.
fn unix_seconds() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits")]
    let milliseconds = Clock::system().wire_now().timestamp_millis() as f64;
    milliseconds / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_turn_is_counted_and_does_not_change_the_last_success() {
        let workers = Workers::register(&mut Registry::default());
        let mut turns = workers.turns("numbering", "events are not numbered");
        let started = turns.last_success.get();
        assert!(started > 1.7e9, "{started}");
        std::thread::sleep(std::time::Duration::from_millis(2));
        turns.outcome(Err(Error::Contended));
        assert_eq!(turns.failures.get(), 1);
        assert!(turns.last_success.get().total_cmp(&started).is_eq());
        turns.outcome(Ok(()));
        assert!(turns.last_success.get() > started);
        assert_eq!(turns.failures.get(), 1);
    }
}
