//! What was measured of a row in a round, and in all rounds together.

use crate::meters::Used;

/// From so much of the box used by others a round is not clean.
const FOREIGN: f64 = 0.25;
/// So many clean rounds are enough to leave the others out.
const ENOUGH: usize = 3;

/// One row of one round.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Right answers for each second.
    pub per_second: f64,
    /// Latencies in milliseconds; pgbench tells its mean only, which stands in the first.
    pub p50_ms: f64,
    /// The slowest in a hundred.
    pub p99_ms: Option<f64>,
    /// The slowest in a thousand.
    pub p999_ms: Option<f64>,
    /// CPU seconds.
    pub used: Used,
    /// The calls that the CPU seconds are for.
    pub calls: f64,
    /// Peak memory of the server, in MiB.
    pub rss_mib: Option<f64>,
    /// Wrong, refused and missing answers.
    pub failed: u64,
    /// What the first was.
    pub first_failure: Option<String>,
}

impl Measured {
    /// CPU time of the service for a call, in µs.
    pub fn service_cpu(&self) -> f64 {
        self.used.service / self.calls * 1e6
    }

    /// CPU time of PostgreSQL for a call, in µs.
    pub fn database_cpu(&self) -> f64 {
        self.used.database / self.calls * 1e6
    }

    /// CPU time of the client for a call, in µs.
    pub fn client_cpu(&self) -> f64 {
        self.used.client / self.calls * 1e6
    }

    /// CPU time of service and PostgreSQL for a call, in µs.
    pub fn total_cpu(&self) -> f64 {
        self.service_cpu() + self.database_cpu()
    }

    /// Whether others left the box to us.
    pub fn is_clean(&self) -> bool {
        self.used.foreign_share() <= FOREIGN
    }
}

/// The rounds of a row that count: the clean ones, where they are enough.
pub fn counted<T>(rounds: &[T], is_clean: impl Fn(&T) -> bool) -> Vec<&T> {
    let clean: Vec<_> = rounds.iter().filter(|round| is_clean(round)).collect();
    if clean.len() >= ENOUGH { clean } else { rounds.iter().collect() }
}

/// Least, middle and greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of some values; `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = values[values.len() / 2];
        let lower = values[(values.len() - 1) / 2];
        Some(Self { min, median: f64::midpoint(lower, upper), max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_and_clean_rounds_are_found() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(Spread::of([4.0, 1.0]), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(counted(&[1, 2, 3, 4], |number| *number > 1), [&2, &3, &4]);
        assert_eq!(counted(&[1, 2, 3, 4], |number| *number > 2).len(), 4);
    }
}
