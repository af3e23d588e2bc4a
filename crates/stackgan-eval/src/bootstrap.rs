//! Bootstrap intervals: how much a value would change if other pictures of the same kind had been
//! measured, estimated by resampling with replacement.
//!
//! Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 6 and 13.

use rayon::prelude::*;
use stackgan_core::noise::{Noise, Stream};

use crate::Result;

/// Number of resamples for the interval of a mean.
pub const REPLICATES: usize = 1000;

/// The steps of [`Stream::Bootstrap`] for means and for other statistics.
const MEANS: u64 = 0;
const OTHERS: u64 = 1;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Returns the percentile interval of the mean of independent values, or `None` for fewer than
/// five.
#[must_use]
pub fn of_mean(values: &[f64], noise: Noise) -> Option<Interval> {
    if values.len() < 5 {
        return None;
    }
    let n = values.len() as u64;
    let mean = |replicate: usize| {
        let mut draws = noise.draws(Stream::Bootstrap, MEANS, replicate as u64);
        let value = |i: u64| values.get(i as usize).copied().unwrap_or_default();
        (0..n).map(|_| value(draws.below(n))).sum::<f64>() / n as f64
    };
    let mut means: Vec<f64> = (0..REPLICATES).into_par_iter().map(mean).collect();
    means.sort_by(f64::total_cmp);
    let at = |part: f64| means.get((part * (REPLICATES - 1) as f64).round() as usize).copied();
    Some(Interval { low: at(0.025)?, high: at(0.975)? })
}

/// Returns the interval `value ± 1.96 s`, where `s` is the standard deviation of `statistic` over
/// resampled rows.
///
/// This is for a statistic whose resamples are biased but have the right spread, such as a Fréchet
/// distance (repeated rows make a covariance narrower). `statistic` receives the indices of both
/// sides, each drawn from `0..sizes`.
///
/// Returns `None` for fewer than five replicates or rows, and if `s` is not finite.
///
/// # Errors
/// Errors of `statistic`.
pub fn of_statistic(
    value: f64,
    sizes: (usize, usize),
    replicates: usize,
    noise: Noise,
    statistic: impl Fn(&[u32], &[u32]) -> Result<f64> + Sync,
) -> Result<Option<Interval>> {
    if replicates < 5 || sizes.0 < 5 || sizes.1 < 5 {
        return Ok(None);
    }
    let draw = |replicate: usize| {
        let indices = |n: usize, side: u64| -> Vec<u32> {
            let mut draws = noise.draws(Stream::Bootstrap, OTHERS, 2 * replicate as u64 + side);
            (0..n).map(|_| draws.below(n as u64) as u32).collect()
        };
        statistic(&indices(sizes.0, 0), &indices(sizes.1, 1))
    };
    let drawn: Vec<f64> = (0..replicates).into_par_iter().map(draw).collect::<Result<_>>()?;
    let n = drawn.len() as f64;
    let mean = drawn.iter().sum::<f64>() / n;
    let s = (drawn.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0)).sqrt();
    Ok(s.is_finite().then_some(Interval { low: value - 1.96 * s, high: value + 1.96 * s }))
}

/// Returns the mean and the standard deviation over N (numpy's `std`), or 0 and 0 for no values.
pub(crate) fn mean_and_std(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For 400 normal numbers the interval agrees with theory. Of a hundred samples, about 95
    /// intervals contain the true mean.
    #[test]
    fn intervals_of_means_have_their_width_and_their_level() {
        let mut held = 0;
        for sample in 0..100 {
            let values = Noise::new(1).normal(Stream::Test, 0, sample, 400);
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let Interval { low, high } = of_mean(&values, Noise::new(sample)).unwrap();
            assert!((high - low - 2.0 * 1.96 / 20.0).abs() < 0.05, "{low} {high}");
            held += usize::from(low < 0.0 && 0.0 < high);
        }
        assert!((88..=99).contains(&held), "{held}");
        assert_eq!(of_mean(&[1.0; 4], Noise::new(0)), None);
    }

    #[test]
    fn a_statistic_of_two_sides_has_the_spread_of_both() {
        let values = Noise::new(2).normal(Stream::Test, 0, 0, 400);
        let mean = |indices: &[u32]| {
            indices.iter().map(|&i| f64::from(values[i as usize])).sum::<f64>()
                / indices.len() as f64
        };
        let noise = Noise::new(3);
        let found = of_statistic(5.0, (400, 400), 200, noise, |a, b| Ok(mean(a) - mean(b)));
        let Interval { low, high } = found.unwrap().unwrap();
        let expected = 2.0 * 1.96 * (2.0f64 / 400.0).sqrt();
        assert!((high - low - expected).abs() < 0.05, "{}", high - low);
        assert!((low + high - 10.0).abs() < 1e-9);
        assert!(of_statistic(0.0, (400, 3), 200, noise, |_, _| Ok(0.0)).unwrap().is_none());
        assert!(of_statistic(0.0, (9, 9), 20, noise, |_, _| Ok(f64::INFINITY)).unwrap().is_none());
    }
}
