//! Bootstrap intervals: how much a value would change if other pictures of the same kind had been
//! measured, estimated by resampling with replacement.
//!
//! Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 6 and 13.

use rayon::prelude::*;
use stackgan_core::noise::{Noise, Stream};

use crate::{Error, Result};

/// Number of resamples for the interval of a mean.
pub const REPLICATES: usize = 1000;

/// The 0.975 quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Largest number of statistics that are computed at a time.
const AT_ONCE: usize = 4;

/// Largest number of replicates of a statistic, and of rows of one of its sides.
const MOST_REPLICATES: usize = 1 << 20;
const MOST_ROWS: usize = 1 << 28;

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
///
/// Resamples of few values vary less than their mean does: the interval is stretched about the mean
/// by the factor that is exact for the spread of normal values, `t(n - 1) / z sqrt(n / (n - 1))`.
/// Of ten values it then contains the true mean in 94 of 100 cases instead of 89.
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
    let (mean, degrees) = (values.iter().sum::<f64>() / n as f64, n as f64 - 1.0);
    let stretch = student(degrees) / Z * (n as f64 / degrees).sqrt();
    let away = |from: f64| mean + stretch * (from - mean);
    Some(Interval { low: away(at(0.025)?), high: away(at(0.975)?) })
}

/// The 0.975 quantile of Student's distribution with `degrees` of freedom, at least 4; to 0.3 %.
///
/// Source: the expansion in powers of `1 / degrees` (Abramowitz and Stegun, 26.7.5).
fn student(degrees: f64) -> f64 {
    let [z, z3, z5, z7] = [1, 3, 5, 7].map(|power| Z.powi(power));
    z + (z3 + z) / (4.0 * degrees)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * degrees.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * degrees.powi(3))
}

/// Returns the interval of a share: `right` of `n` independent cases. `None` for fewer than five.
///
/// Unlike resampling it does not end at 0 or 1 when all cases agree.
///
/// Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
#[must_use]
pub fn of_share(right: usize, n: usize) -> Option<Interval> {
    if n < 5 || right > n {
        return None;
    }
    let (share, n) = (right as f64 / n as f64, n as f64);
    let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) })
}

/// One side of a statistic: how many rows it was computed from, and how many of them are kept to draw
/// from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Number of rows that the value was computed from.
    pub count: usize,
    /// Number of rows to draw from.
    pub kept: usize,
}

/// Returns the interval `value ± t s`, where `s` is the standard deviation of `statistic` over
/// resampled rows, and `t` the 0.975 quantile of Student's distribution for so few replicates.
///
/// This is for a statistic whose resamples are biased but have the right spread, such as a Fréchet
/// distance (repeated rows make a covariance narrower). `statistic` receives the indices of both
/// sides: `count` of each, drawn from `0..kept`.
///
/// At most four statistics are computed at a time, on any number of threads, because each may need
/// much memory. Returns `None` for fewer than five replicates or rows, and if `s` is not finite.
///
/// # Errors
/// [`Error::Input`] for more than 2^20 replicates or 2^28 rows of a side; errors of `statistic`.
pub fn of_statistic(
    value: f64,
    sides: [Side; 2],
    replicates: usize,
    noise: Noise,
    statistic: impl Fn(&[u32], &[u32]) -> Result<f64> + Sync,
) -> Result<Option<Interval>> {
    let [first, second] = sides;
    if replicates < 5 || first.kept < 5 || second.kept < 5 {
        return Ok(None);
    }
    let rows = [first, second].map(|side| side.count.max(side.kept));
    if replicates > MOST_REPLICATES || rows.iter().any(|rows| *rows > MOST_ROWS) {
        return Err(Error::Input {
            measure: "a bootstrap interval",
            expected: format!("at most {MOST_REPLICATES} samples of {MOST_ROWS} rows a side"),
            found: format!("{replicates} samples of {} and {} rows", rows[0], rows[1]),
            remedy: "draw fewer samples; check how many pictures the statistics are said to be of",
        });
    }
    let draw = |replicate: usize| {
        let indices = |Side { count, kept }: Side, side: u64| -> Vec<u32> {
            let mut draws = noise.draws(Stream::Bootstrap, OTHERS, 2 * replicate as u64 + side);
            (0..count).map(|_| draws.below(kept as u64) as u32).collect()
        };
        statistic(&indices(first, 0), &indices(second, 1))
    };
    let mut drawn = Vec::with_capacity(replicates);
    for from in (0..replicates).step_by(AT_ONCE) {
        let some = from..replicates.min(from + AT_ONCE);
        drawn.extend(some.into_par_iter().map(draw).collect::<Result<Vec<_>>>()?);
    }
    let n = drawn.len() as f64;
    let mean = drawn.iter().sum::<f64>() / n;
    let s = (drawn.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (n - 1.0)).sqrt();
    let half = student(n - 1.0) * s;
    Ok(half.is_finite().then_some(Interval { low: value - half, high: value + half }))
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

    /// Scores have ten parts, and kernel distances ten to nineteen blocks.
    #[test]
    fn intervals_of_few_values_hold_the_mean_as_often_as_they_say() {
        for (n, least) in [(5, 0.90), (10, 0.925), (19, 0.93)] {
            let holds = |sample: &u64| {
                let values = Noise::new(5).normal(Stream::Test, 1, *sample, n);
                let values: Vec<f64> = values.into_iter().map(f64::from).collect();
                let Interval { low, high } = of_mean(&values, Noise::new(*sample)).unwrap();
                low < 0.0 && 0.0 < high
            };
            let held = (0..2000).filter(holds).count();
            assert!((least..0.97).contains(&(held as f64 / 2000.0)), "{n}: {held} of 2000");
        }
        // Tables of Student's distribution.
        for (degrees, quantile) in [(4.0, 2.776), (9.0, 2.262), (30.0, 2.042)] {
            assert!((student(degrees) / quantile - 1.0).abs() < 3e-3, "{degrees}");
        }
    }

    /// Source: Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I,
    /// method 3.
    #[test]
    fn intervals_of_shares_are_wilsons() {
        for (right, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
        {
            let found = of_share(right, n).unwrap();
            assert!(
                (found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5,
                "{found:?}"
            );
        }
        let all = of_share(29, 29).unwrap();
        assert!((all.low - 0.8830).abs() < 5e-5 && all.high == 1.0, "{all:?}");
        assert_eq!((of_share(1, 4), of_share(9, 8)), (None, None));
        assert!(of_share(1, 5).is_some());
    }

    #[test]
    fn a_statistic_of_two_sides_has_the_spread_of_both() {
        let values = Noise::new(2).normal(Stream::Test, 0, 0, 400);
        let mean = |indices: &[u32]| {
            indices.iter().map(|&i| f64::from(values[i as usize])).sum::<f64>()
                / indices.len() as f64
        };
        let noise = Noise::new(3);
        let side = |count, kept| Side { count, kept };
        // Of rows that are a part of what was measured, the spread is that of all.
        for (count, part) in [(400, 400), (1600, 400)] {
            let sides = [side(count, part), side(400, 400)];
            let found = of_statistic(5.0, sides, 200, noise, |a, b| Ok(mean(a) - mean(b)));
            let Interval { low, high } = found.unwrap().unwrap();
            let expected = 2.0 * 1.96 * (1.0 / count as f64 + 1.0 / 400.0).sqrt();
            assert!((high - low - expected).abs() < 0.05, "{} and not {expected}", high - low);
            assert!((low + high - 10.0).abs() < 1e-9);
        }
        let few = [side(400, 400), side(3, 3)];
        assert!(of_statistic(0.0, few, 200, noise, |_, _| Ok(0.0)).unwrap().is_none());
        let nine = [side(9, 9); 2];
        assert!(of_statistic(0.0, nine, 20, noise, |_, _| Ok(f64::INFINITY)).unwrap().is_none());
        let vast = [side(9, 9), side(usize::MAX, 9)];
        for (sides, replicates) in [(nine, usize::MAX), (vast, 20)] {
            assert!(of_statistic(0.0, sides, replicates, noise, |_, _| Ok(0.0)).is_err());
        }
    }

    /// Few replicates know the deviation badly.
    #[test]
    fn intervals_of_few_replicates_are_as_wide_as_they_must_be() {
        let values = Noise::new(2).normal(Stream::Test, 0, 0, 60);
        let held = |sample: &u64| {
            let drawn = |i: &u32| f64::from(values[*i as usize]);
            let mean = |i: &[u32]| i.iter().map(drawn).sum::<f64>() / i.len() as f64;
            // The value of one more resample lies about the mean of all as the others do.
            let noise = Noise::new(*sample);
            let sides = [Side { count: 60, kept: 60 }; 2];
            let of = |noise, replicates| {
                let found =
                    of_statistic(0.0, sides, replicates, noise, |a, b| Ok(mean(a) - mean(b)));
                found.unwrap().unwrap().high
            };
            let half = of(noise, 5);
            let mut draws = Noise::new(1 << 20).draws(Stream::Test, 1, *sample);
            let indices: Vec<u32> = (0..120).map(|_| draws.below(60) as u32).collect();
            (mean(&indices[..60]) - mean(&indices[60..])).abs() < half
        };
        let held = (0..2000).filter(held).count();
        assert!((1860..1940).contains(&held), "{held} of 2000");
    }

    /// Each resample of a Fréchet distance needs memory of its own.
    #[test]
    fn few_statistics_are_computed_at_a_time_on_many_threads() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let statistic = |a: &[u32], b: &[u32]| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(20));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(f64::from(a[0]) - f64::from(b[0]))
        };
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let nine = [Side { count: 9, kept: 9 }; 2];
            pool.install(|| of_statistic(0.0, nine, 18, Noise::new(3), statistic).unwrap())
        };
        assert_eq!(on(12), on(1));
        assert!((2..=4).contains(&most.into_inner()));
    }
}
