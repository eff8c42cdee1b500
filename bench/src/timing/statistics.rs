//! Mean, variance, quantile, and Welch's t.

/// What is known of the samples of a class.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// Their number.
    count: f64,
    /// Their mean.
    pub mean: f64,
    /// Their variance.
    variance: f64,
}

impl Summary {
    /// Summarizes samples.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        // Welford's way: the sum of the squares would lose the differences.
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for sample in samples {
            count += 1.0;
            let difference = sample - mean;
            mean += difference / count;
            squares += difference * (sample - mean);
        }
        Self { count, mean, variance: squares / (count - 1.0) }
    }
}

/// Returns Welch's t of the difference of two means.
pub fn welch(one: &Summary, other: &Summary) -> f64 {
    let error = (one.variance / one.count + other.variance / other.count).sqrt();
    (one.mean - other.mean) / error
}

/// Returns the value that this part of the samples is not above.
pub fn quantile(mut samples: Vec<f64>, part: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among thousands of samples"
    )]
    let place = (samples.len() as f64 * part) as usize;
    samples[place.min(samples.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_two_means_is_compared_with_its_error() {
        let (low, high) = (Summary::of([1.0, 2.0, 3.0]), Summary::of([3.0, 4.0, 5.0]));
        assert!((low.mean - 2.0).abs() < 1e-9 && (low.variance - 1.0).abs() < 1e-9);
        // The error is the root of 1/3 + 1/3.
        assert!((welch(&high, &low) - 2.0 / (2.0_f64 / 3.0).sqrt()).abs() < 1e-9);
        assert!(welch(&low, &low).abs() < 1e-9);
    }

    #[test]
    fn a_quantile_is_one_of_the_samples() {
        let samples: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert!((quantile(samples.clone(), 0.9) - 90.0).abs() < 1e-9);
        assert!((quantile(samples, 1.0) - 99.0).abs() < 1e-9);
    }
}
