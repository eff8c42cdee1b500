//! A histogram of latencies in logarithmic buckets.
//!
//! Each power of two has 64 buckets, so a percentile is at most 1.6 % off. Recording a value is one
//! addition: the load generator records a hundred thousand values a second.

use std::time::Duration;

/// The number of buckets for each power of two, as an exponent.
const FINENESS: u32 = 6;
const BUCKETS: usize = (65 - FINENESS as usize) << FINENESS;

/// The latencies of calls.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// Returns an empty histogram.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    /// Records a latency.
    pub fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
    }

    /// Returns the latency that a share of the calls (0.99 is p99) did not exceed, if there are calls.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among some millions of calls"
        )]
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        found.map(|bucket| Duration::from_nanos(middle(bucket)))
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let exponent = nanoseconds.max(1).ilog2();
    let shift = exponent.saturating_sub(FINENESS);
    let within = usize::try_from(nanoseconds >> shift).expect("below two powers of the fineness");
    // For the lowest numbers, the bucket is the number itself.
    within + ((shift as usize) << FINENESS)
}

fn middle(bucket: usize) -> u64 {
    let shift = (bucket >> FINENESS).saturating_sub(1);
    let within = (bucket - (shift << FINENESS)) as u64;
    let width = 1 << shift;
    within * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_close_to_the_recorded_latencies() {
        for nanoseconds in [0, 1, 63, 64, 127, 128, 1_000, 999_999, 123_456_789, u64::MAX] {
            let found = middle(bucket(nanoseconds));
            assert!(found.abs_diff(nanoseconds) <= nanoseconds / 64, "{nanoseconds}: {found}");
        }
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(0.5), None);
        (1..=1000).for_each(|number| histogram.record(Duration::from_micros(number)));
        for (share, expected) in [(0.5, 500_000_u64), (0.99, 990_000), (0.999, 999_000)] {
            let found = histogram.percentile(share).expect("there are calls").as_nanos();
            let found = u64::try_from(found).expect("small");
            assert!(found.abs_diff(expected) < expected / 32, "{share}: {found}");
        }
    }
}
