//! A histogram of latencies in logarithmic buckets.
//!
//! Each power of two has 64 buckets, so that a percentile is at most 1.6 % off, at any size. Taking
//! a value is an addition: the load generator does it a hundred thousand times a second.

use std::time::Duration;

/// Buckets for each power of two, as a power of two.
const FINENESS: u32 = 6;
const BUCKETS: usize = (65 - FINENESS as usize) << FINENESS;

/// How long calls took.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    /// One that has nothing.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }

    /// Takes a latency.
    pub fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
    }

    /// The latency that a share of the calls (0.99 is p99) did not exceed; `None` without a call.
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
    // Below two powers the buckets are the numbers themselves.
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
