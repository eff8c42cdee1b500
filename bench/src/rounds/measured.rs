//! The figures of a row in one round, and their spread over the rounds.

use crate::meters::Used;

/// If other processes use more than this share of the machine, a round is not clean.
const FOREIGN: f64 = 0.25;
/// If at least this number of rounds is clean, the others do not count.
const ENOUGH: usize = 3;

/// The figures of one row in one round.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Right answers for each second.
    pub per_second: f64,
    /// The median latency in milliseconds; for pgbench the mean.
    pub p50_ms: f64,
    /// The latency that 99 of 100 calls do not exceed.
    pub p99_ms: Option<f64>,
    /// The latency that 999 of 1,000 calls do not exceed.
    pub p999_ms: Option<f64>,
    /// CPU seconds.
    pub used: Used,
    /// The number of calls that used them.
    pub calls: f64,
    /// Peak memory of the server, in MiB.
    pub rss_mib: Option<f64>,
    /// Wrong, refused and missing answers.
    pub failed: u64,
    /// A description of the first of them.
    pub first_failure: Option<String>,
}

impl Measured {
    /// Returns the CPU time of the service for a call, in µs.
    pub fn service_cpu(&self) -> f64 {
        self.used.service / self.calls * 1e6
    }

    /// Returns the CPU time of PostgreSQL for a call, in µs.
    pub fn database_cpu(&self) -> f64 {
        self.used.database / self.calls * 1e6
    }

    /// Returns the CPU time of the client for a call, in µs.
    pub fn client_cpu(&self) -> f64 {
        self.used.client / self.calls * 1e6
    }

    /// Returns the CPU time of service and PostgreSQL for a call, in µs.
    pub fn total_cpu(&self) -> f64 {
        self.service_cpu() + self.database_cpu()
    }

    /// Returns whether other processes used little of the machine.
    pub fn is_clean(&self) -> bool {
        self.used.foreign_share() <= FOREIGN
    }
}

/// Returns the rounds that count: the clean ones if they are enough, otherwise all.
pub fn counted<T>(rounds: &[T], is_clean: impl Fn(&T) -> bool) -> Vec<&T> {
    let clean: Vec<_> = rounds.iter().filter(|round| is_clean(round)).collect();
    if clean.len() >= ENOUGH { clean } else { rounds.iter().collect() }
}

/// The lowest value, the median and the highest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The lowest value.
    pub min: f64,
    /// The value in the middle, or the mean of the two in the middle.
    pub median: f64,
    /// The highest value.
    pub max: f64,
}

impl Spread {
    /// Returns the spread of values, if there are any.
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
