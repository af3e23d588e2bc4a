//! The kernel distance: the squared maximum mean discrepancy with a cubic kernel. With Inception
//! features it is the KID.
//!
//! The estimate is unbiased: its expected value does not depend on the number of pictures, and is
//! zero for equal distributions, so that an estimate may be below zero.
//!
//! Source: Bińkowski et al., "Demystifying MMD GANs" (2018); reference: torch-fidelity (100 subsets
//! of 1000).

use nalgebra::DMatrix;
use rayon::prelude::*;
use stackgan_core::noise::{Noise, Stream};

use crate::bootstrap::{self, Interval};
use crate::rows::{Rows, products};
use crate::{Error, Result};

/// Default number of subsets.
pub const SUBSETS: usize = 100;
/// Number of rows in a subset, if there are that many.
pub const SUBSET: usize = 1000;
/// Largest number of subsets.
const MOST_SUBSETS: usize = 1 << 20;

/// A measured kernel distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kid {
    /// The mean over the subsets.
    pub mean: f64,
    /// The standard deviation over the subsets (divided by their number, as the references print
    /// it).
    pub std: f64,
    /// Number of subsets.
    pub subsets: usize,
    /// Number of rows in a subset.
    pub size: usize,
    /// 95 % interval: the mean and as much on either side as the estimates on blocks that share no
    /// rows vary; `None` for fewer than 100 rows on a side.
    pub interval: Option<Interval>,
}

/// Returns the unbiased estimate of the squared discrepancy between `x` and `y`, with the kernel
/// `(x·y / width + 1)^3`.
///
/// # Errors
/// [`Error::Input`] if the widths differ or a side has fewer than two rows.
pub fn polynomial_mmd(x: &Rows, y: &Rows) -> Result<f64> {
    if x.width() != y.width() || x.len() < 2 || y.len() < 2 {
        return Err(Error::Input {
            measure: "a kernel distance",
            expected: "rows of one width, two or more on each side".to_owned(),
            found: format!("{} x {} and {} x {}", x.len(), x.width(), y.len(), y.width()),
            remedy: "measure on more pictures, with one network",
        });
    }
    let (a, b) = (x.columns(), y.columns());
    let width = x.width() as f64;
    let kernel = |a: &DMatrix<f64>, b: &DMatrix<f64>, diagonal: bool| -> f64 {
        let products = products(a, b);
        let columns = products.column_iter().enumerate().map(|(j, column)| -> f64 {
            let off = |(i, v): (usize, &f64)| {
                let base = v / width + 1.0;
                if diagonal || i != j { base * base * base } else { 0.0 }
            };
            column.iter().enumerate().map(off).sum()
        });
        columns.sum()
    };
    let (m, n) = (x.len() as f64, y.len() as f64);
    let within = |sum: f64, n: f64| sum / (n * (n - 1.0));
    Ok(within(kernel(&a, &a, false), m) + within(kernel(&b, &b, false), n)
        - 2.0 * kernel(&a, &b, true) / (m * n))
}

/// Returns the distance over `subsets` random subsets of [`SUBSET`] rows, or of as many as the
/// smaller side has.
///
/// # Errors
/// As [`polynomial_mmd`]; [`Error::Input`] for more than 2^20 subsets, unless all rows are used.
pub fn kid(x: &Rows, y: &Rows, subsets: usize, noise: Noise) -> Result<Kid> {
    let size = SUBSET.min(x.len()).min(y.len());
    // If all rows of both sides are used, every subset is the same.
    let subsets = if size == x.len() && size == y.len() { 1 } else { subsets.max(1) };
    if subsets > MOST_SUBSETS {
        return Err(Error::Input {
            measure: "a kernel distance",
            expected: format!("at most {MOST_SUBSETS} subsets"),
            found: subsets.to_string(),
            remedy: "ask for fewer subsets",
        });
    }
    let estimates = (0..subsets).into_par_iter().map(|i| {
        let part = |rows: &Rows, side: u64| {
            let mut order: Vec<u32> = (0..rows.len() as u32).collect();
            noise.draws(Stream::Evaluation, KID, 2 * i as u64 + side).shuffle(&mut order);
            order.truncate(size);
            rows.picked(&order)
        };
        polynomial_mmd(&part(x, 0), &part(y, 1))
    });
    let estimates: Vec<f64> = estimates.collect::<Result<_>>()?;
    let (mean, std) = bootstrap::mean_and_std(&estimates);
    let interval = interval(x, y, noise)?.map(|Interval { low, high }| {
        let half = (high - low) / 2.0;
        Interval { low: mean - half, high: mean + half }
    });
    Ok(Kid { mean, std, subsets, size, interval })
}

/// The step of [`Stream::Evaluation`] for subsets.
const KID: u64 = 2;

/// Returns the interval of the mean of estimates on blocks that share no rows. Such estimates are
/// independent, unlike those on subsets. The blocks use as many rows of each side, so that their mean
/// is not that of the subsets: only the width is.
///
/// There are ten blocks or more. Returns `None` if a side has fewer than 100 rows.
fn interval(x: &Rows, y: &Rows, noise: Noise) -> Result<Option<Interval>> {
    let least = x.len().min(y.len());
    let size = (least / 10).min(SUBSET);
    if size < 10 {
        return Ok(None);
    }
    let blocks = least / size;
    let order = |rows: &Rows, side: u64| {
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        noise.draws(Stream::Evaluation, KID + 1, side).shuffle(&mut order);
        order
    };
    let (left, right) = (order(x, 0), order(y, 1));
    let estimates = left.par_chunks(size).zip(right.par_chunks(size)).take(blocks);
    let estimates: Vec<f64> = estimates
        .map(|(a, b)| polynomial_mmd(&x.picked(a), &y.picked(b)))
        .collect::<Result<_>>()?;
    Ok(bootstrap::of_mean(&estimates, noise))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(seed: u64, n: usize, shift: f32) -> Rows {
        let values = Noise::new(seed).normal(Stream::Test, 0, 0, n * 8);
        Rows::from_values(8, values.iter().map(|v| v + shift).collect()).unwrap()
    }

    /// By hand: x = {0, 1}, y = {2, 2}, width 1.
    #[test]
    fn a_small_case_by_hand() -> Result<()> {
        let x = Rows::from_values(1, vec![0.0, 1.0])?;
        let y = Rows::from_values(1, vec![2.0, 2.0])?;
        let expected = 1.0 + 125.0 - 2.0 * (1.0 + 1.0 + 27.0 + 27.0) / 4.0;
        assert!((polynomial_mmd(&x, &y)? - expected).abs() < 1e-12);
        Ok(())
    }

    #[test]
    fn equal_distributions_are_near_zero_and_others_are_not() -> Result<()> {
        let (a, b, c) = (rows(1, 600, 0.0), rows(2, 600, 0.0), rows(3, 600, 0.3));
        let same = kid(&a, &b, 10, Noise::new(0))?;
        let other = kid(&a, &c, 10, Noise::new(0))?;
        let interval = same.interval.unwrap();
        assert!(interval.low < 0.0 && 0.0 < interval.high, "{same:?}");
        assert!(other.interval.unwrap().low > 0.0, "{other:?}");
        assert_eq!((same.subsets, same.size), (1, 600));
        assert_eq!(same, kid(&a, &b, 10, Noise::new(0))?);
        Ok(())
    }

    #[test]
    fn the_interval_is_around_the_value_however_unequal_the_sides_are() -> Result<()> {
        for seed in 0..8 {
            let found = kid(&rows(seed, 1200, 0.0), &rows(99, 110, 0.1), 50, Noise::new(seed))?;
            let Interval { low, high } = found.interval.unwrap();
            assert!((found.mean - (low + high) / 2.0).abs() < 1e-12 && low < high, "{found:?}");
        }
        Ok(())
    }

    #[test]
    fn one_row_is_refused() {
        assert!(polynomial_mmd(&rows(1, 1, 0.0), &rows(1, 5, 0.0)).is_err());
        assert!(kid(&rows(1, 0, 0.0), &rows(1, 5, 0.0), 3, Noise::new(0)).is_err());
    }

    #[test]
    fn endless_subsets_are_refused() {
        let of = |subsets| kid(&rows(1, 5, 0.0), &rows(2, 4, 0.0), subsets, Noise::new(0));
        assert!(of(2).is_ok() && of(MOST_SUBSETS + 1).is_err() && of(usize::MAX).is_err());
    }
}
