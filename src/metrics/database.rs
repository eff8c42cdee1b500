//! The metrics of the database: statements, batches of questions, and the pools of connections.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::live::write;

/// Upper bounds of the times of statements, in seconds. The last one is the time after which the
/// database cancels a statement.
const SECONDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// Upper bounds of the number of questions in a statement.
const QUESTIONS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatementLabels {
    statement: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BatchLabels {
    batch: &'static str,
}

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementOutcome {
    /// The database did it.
    Done,
    /// Another transaction holds its row, or has written the same key.
    Conflict,
    /// It failed.
    Failed,
}

/// Counts statements and batches. Clones share the counts. The default counts for nobody, for a
/// store without metrics.
#[derive(Clone, Debug, Default)]
pub struct DatabaseMetrics(Arc<DatabaseFamilies>);

#[derive(Debug)]
struct DatabaseFamilies {
    durations: Family<StatementLabels, Histogram, fn() -> Histogram>,
    errors: Family<StatementLabels, Counter>,
    conflicts: Family<StatementLabels, Counter>,
    questions: Family<BatchLabels, Histogram, fn() -> Histogram>,
}

impl Default for DatabaseFamilies {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            errors: Family::default(),
            conflicts: Family::default(),
            questions: Family::new_with_constructor(|| Histogram::new(QUESTIONS)),
        }
    }
}

impl DatabaseMetrics {
    /// Registers the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let families = &metrics.0;
        let help = "How long statements took from the time when they had their connection";
        registry.register("db_client_operation_duration_seconds", help, families.durations.clone());
        // The encoder appends _total to this name.
        let help = "Statements that ended with an error, also those that were repeated";
        registry.register("db_client_operation_errors", help, families.errors.clone());
        let help = "Statements that met a held row or a key that exists, which is no error";
        registry.register("db_client_operation_conflicts", help, families.conflicts.clone());
        let help = "How many questions of requests a batched statement answered";
        registry.register("db_batch_questions", help, families.questions.clone());
        metrics
    }

    /// Counts a statement that has ended.
    pub fn statement(&self, statement: &'static str, took: Duration, outcome: StatementOutcome) {
        let labels = StatementLabels { statement };
        self.0.durations.get_or_create(&labels).observe(took.as_secs_f64());
        // Both are shown from the first statement on.
        let count = |outcome_is: StatementOutcome| u64::from(outcome == outcome_is);
        self.0.errors.get_or_create(&labels).inc_by(count(StatementOutcome::Failed));
        self.0.conflicts.get_or_create(&labels).inc_by(count(StatementOutcome::Conflict));
    }

    /// Counts a batched statement that begins.
    pub fn batch(&self, batch: &'static str, questions: usize) {
        let questions = u32::try_from(questions).unwrap_or(u32::MAX);
        self.0.questions.get_or_create(&BatchLabels { batch }).observe(questions.into());
    }
}

/// The state of a pool of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolState {
    /// Connections in use.
    pub used: u64,
    /// Open connections that are not in use.
    pub idle: u64,
    /// Largest number of open connections.
    pub most: u64,
    /// Statements that wait for a connection.
    pub waiting: u64,
    /// Waits for a connection that ended without one, since the start.
    pub timeouts: u64,
    /// New connections that could not be opened, since the start.
    pub failures: u64,
    /// How many questions wait for a statement, by batch.
    pub questions: Vec<(&'static str, u64)>,
}

type PoolReader = Box<dyn Fn() -> PoolState + Send + Sync>;

/// The pools of a process, which are asked for their state at each scrape. Pools of the same name
/// are added up. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Pools(Arc<Mutex<Vec<(&'static str, PoolReader)>>>);

impl Pools {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let pools = Self::default();
        registry.register_collector(Box::new(pools.clone()));
        pools
    }

    /// Adds a pool.
    pub fn add(&self, name: &'static str, state: impl Fn() -> PoolState + Send + Sync + 'static) {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pools.push((name, Box::new(state)));
    }

    fn sums(&self) -> BTreeMap<&'static str, PoolState> {
        let mut sums: BTreeMap<_, PoolState> = BTreeMap::new();
        for (name, state) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (sum, state) = (sums.entry(*name).or_default(), state());
            sum.used += state.used;
            sum.idle += state.idle;
            sum.most += state.most;
            sum.waiting += state.waiting;
            sum.timeouts += state.timeouts;
            sum.failures += state.failures;
            sum.questions.extend(state.questions);
        }
        sums
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pools(…)")
    }
}

impl Collector for Pools {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let sums = self.sums();
        let of_each = |value: fn(&PoolState) -> u64| {
            sums.iter().map(move |(pool, state)| ([("pool", *pool)], value(state)))
        };
        let connections = sums.iter().flat_map(|(pool, state)| {
            [("used", state.used), ("idle", state.idle)]
                .map(|(name, count)| ([("pool", *pool), ("state", name)], count))
        });
        let mut questions: BTreeMap<_, u64> = BTreeMap::new();
        for (batch, waiting) in sums.values().flat_map(|state| &state.questions) {
            *questions.entry(*batch).or_default() += waiting;
        }
        let (gauge, counter) = (MetricType::Gauge, MetricType::Counter);
        let help = "Open connections to the database";
        write(&mut encoder, "db_client_connections", help, gauge, connections)?;
        let help = "Most connections to the database that may be open";
        let most = of_each(|state| state.most);
        write(&mut encoder, "db_client_connection_max", help, gauge, most)?;
        let help = "Statements that wait for a connection";
        let waiting = of_each(|state| state.waiting);
        write(&mut encoder, "db_client_connection_pending_requests", help, gauge, waiting)?;
        let help = "Waits for a connection that ended without one";
        let timeouts = of_each(|state| state.timeouts);
        write(&mut encoder, "db_client_connection_timeouts", help, counter, timeouts)?;
        let help = "New connections that could not be opened";
        let failures = of_each(|state| state.failures);
        write(&mut encoder, "db_client_connection_failures", help, counter, failures)?;
        let questions = questions.into_iter().map(|(batch, count)| ([("batch", batch)], count));
        let help = "Questions of requests that wait for a batched statement";
        write(&mut encoder, "db_batch_waiting", help, gauge, questions)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn pools_of_one_name_are_added_up_and_statements_are_counted() {
        let mut registry = Registry::default();
        let pools = Pools::register(&mut registry);
        let database = DatabaseMetrics::register(&mut registry);
        for used in [1, 2] {
            let questions = vec![("facts", 4), ("instances", 0)];
            let counts = PoolState { timeouts: used, failures: 2 * used, ..PoolState::default() };
            let state = PoolState { used, idle: 3, most: 6, questions, ..counts };
            pools.add("cores", move || state.clone());
        }
        pools.add("background", PoolState::default);
        database.statement("account", Duration::from_millis(3), StatementOutcome::Conflict);
        database.statement("account", Duration::from_millis(7), StatementOutcome::Failed);
        database.statement("account", Duration::from_millis(7), StatementOutcome::Done);
        database.batch("facts", 64);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            r#"db_client_connections{pool="cores",state="used"} 3"#,
            r#"db_client_connections{pool="cores",state="idle"} 6"#,
            r#"db_client_connections{pool="background",state="used"} 0"#,
            r#"db_client_connection_max{pool="cores"} 12"#,
            r#"db_client_connection_timeouts_total{pool="cores"} 3"#,
            r#"db_client_connection_failures_total{pool="cores"} 6"#,
            r#"db_batch_waiting{batch="facts"} 8"#,
            r#"db_client_operation_duration_seconds_bucket{le="0.005",statement="account"} 1"#,
            r#"db_client_operation_duration_seconds_count{statement="account"} 3"#,
            r#"db_client_operation_errors_total{statement="account"} 1"#,
            r#"db_client_operation_conflicts_total{statement="account"} 1"#,
            r#"db_batch_questions_bucket{le="32.0",batch="facts"} 0"#,
            r#"db_batch_questions_sum{batch="facts"} 64.0"#,
        ] {
            assert!(text.lines().any(|said| said == line), "{line}: {text}");
        }
    }
}
