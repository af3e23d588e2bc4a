//! The mean and covariance of features, accumulated row by row in memory that does not grow with
//! the number of rows.
//!
//! Values are taken relative to the mean of the first block, so that a large mean does not reduce
//! the precision of a small variance. Rows are collected into blocks of a fixed size, and the
//! covariance is divided into panels of a fixed width. The bits of the result therefore depend
//! neither on how the rows arrive nor on the number of threads.

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::rows::Rows;
use crate::{Error, Result};

/// Number of rows in a block.
const BLOCK: usize = 256;
/// Largest accepted asymmetry of a covariance from a file, relative to its largest absolute value.
const SKEW: f64 = 1e-6;
/// Largest accepted negative variance in any direction, relative to the sum of the variances:
/// rounding leaves less.
const ROUNDING: f64 = 1e-6;
/// Number of columns in a panel of the covariance.
const PANEL: usize = 128;

/// The mean and covariance of a set of features.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Number of rows; 0 if a file does not contain it.
    pub(crate) count: u64,
    /// The mean of each feature.
    pub(crate) mean: Vec<f64>,
    /// The covariance `(width, width)`, with sums divided by `count - 1` (as numpy's `cov`).
    pub(crate) covariance: DMatrix<f64>,
}

impl Moments {
    /// Computes the mean and covariance of rows.
    ///
    /// # Errors
    /// [`Error::Input`] for fewer than two rows.
    pub fn of(rows: &Rows) -> Result<Self> {
        let mut running = Running::new(rows.width());
        rows.iter().try_for_each(|row| running.push(row))?;
        running.finish()
    }

    /// Creates moments from a mean and a row-major covariance, as statistics files contain them.
    ///
    /// `count` is the number of rows, or 0 if it is not known. The rank of the covariance is taken
    /// to be below `count`; anything beyond that rank is ignored.
    ///
    /// # Errors
    /// [`Error::Input`] if the sizes do not match, a value is not finite, the covariance is not
    /// symmetric, has a negative variance or one that is smaller than a covariance allows, or `count` is 1 (one row has no covariance).
    pub fn from_parts(count: u64, mean: Vec<f64>, covariance: &[f64]) -> Result<Self> {
        let width = mean.len();
        if width == 0 || covariance.len() != width * width {
            let found = format!("{width} and {} numbers", covariance.len());
            return Err(unfit(
                "a mean of n numbers and a covariance of n times n".to_owned(),
                found,
            ));
        }
        if mean.iter().chain(covariance).any(|v| !v.is_finite()) {
            return Err(unfit("finite numbers".to_owned(), "others".to_owned()));
        }
        if count == 1 {
            return Err(unfit("two rows or more, or 0 for not known".to_owned(), "1".to_owned()));
        }
        let covariance = DMatrix::from_row_slice(width, width, covariance);
        let largest = covariance.amax();
        let skew = (&covariance - covariance.transpose()).amax();
        let variances = covariance.diagonal();
        if skew > SKEW * largest || variances.min() < 0.0 {
            let expected = "a symmetric covariance with variances of 0 or more".to_owned();
            return Err(unfit(expected, "another matrix".to_owned()));
        }
        // No two features vary together more than each by itself.
        let bound = |i: usize, j: usize| (variances[i] * variances[j]).sqrt() + SKEW * largest;
        let wide = |j: usize| (0..width).any(|i| covariance[(i, j)].abs() > bound(i, j));
        if (0..width).any(wide) {
            let expected = "covariances within the variances of their features".to_owned();
            return Err(unfit(expected, "larger ones".to_owned()));
        }
        Ok(Self { count, mean, covariance })
    }

    /// Returns whether the covariance can be one: in no direction is the variance negative, beyond
    /// rounding. [`Self::from_parts`] looks at pairs of features alone, which takes much less time.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let most = ROUNDING * self.trace();
        if most == 0.0 {
            return true; // all zeros, as its covariances lie within its variances
        }
        let mut raised = self.covariance.clone();
        for i in 0..self.width() {
            raised[(i, i)] += most;
        }
        raised.cholesky().is_some()
    }

    /// Returns the number of rows, or 0 if it is not known.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the mean of each feature.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Returns the number of features.
    #[must_use]
    pub fn width(&self) -> usize {
        self.mean.len()
    }

    /// Returns the covariance, row after row.
    #[must_use]
    pub fn covariance(&self) -> Vec<f64> {
        self.covariance.transpose().as_slice().to_vec()
    }

    /// Returns the sum of the variances.
    pub(crate) fn trace(&self) -> f64 {
        self.covariance.trace()
    }
}

/// Accumulates mean and covariance while rows arrive.
#[derive(Clone, Debug)]
pub struct Running {
    count: u64,
    waiting: Rows,
    /// The mean of the first block; empty, as both sums are, until there is one.
    shift: Vec<f64>,
    sum: Vec<f64>,
    /// Panel `p`: rows from `PANEL p` on, columns `PANEL p..PANEL (p + 1)` of the sum of products.
    panels: Vec<DMatrix<f64>>,
}

impl Running {
    /// Returns an empty accumulator for rows of `width` features. As in [`Rows::new`], a width of 0
    /// counts as 1.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self {
            count: 0,
            waiting: Rows::new(width),
            shift: Vec::new(),
            sum: Vec::new(),
            panels: Vec::new(),
        }
    }

    /// Returns the number of rows so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count + self.waiting.len() as u64
    }

    /// Adds one row.
    ///
    /// # Errors
    /// [`Error::Input`] if it has another width, or a number that is not finite.
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        self.waiting.push(row)?;
        if self.waiting.len() == BLOCK {
            self.settle();
        }
        Ok(())
    }

    /// Adds the waiting rows to the sums.
    fn settle(&mut self) {
        let n = self.waiting.len();
        if n == 0 {
            return;
        }
        let mut block = self.waiting.columns();
        if self.shift.is_empty() {
            self.shift = block.row_iter().map(|row| row.sum() / n as f64).collect();
            let width = self.shift.len();
            let panel = |start: usize| DMatrix::zeros(width - start, PANEL.min(width - start));
            self.sum = vec![0.0; width];
            self.panels = (0..width).step_by(PANEL).map(panel).collect();
        }
        for mut column in block.column_iter_mut() {
            for ((v, shift), sum) in column.iter_mut().zip(&self.shift).zip(&mut self.sum) {
                *v -= shift;
                *sum += *v;
            }
        }
        self.panels.par_iter_mut().enumerate().for_each(|(p, panel)| {
            let below = block.rows(p * PANEL, panel.nrows());
            let own = block.rows(p * PANEL, panel.ncols()).transpose();
            panel.gemm(1.0, &below, &own, 1.0);
        });
        self.count += n as u64;
        self.waiting.clear();
    }

    /// Returns the mean and covariance of all rows.
    ///
    /// # Errors
    /// [`Error::Input`] for fewer than two rows.
    pub fn finish(mut self) -> Result<Moments> {
        self.settle();
        if self.count < 2 {
            return Err(unfit("two rows or more".to_owned(), self.count.to_string()));
        }
        let n = self.count as f64;
        let from: Vec<f64> = self.sum.iter().map(|sum| sum / n).collect(); // relative to the shift
        let width = from.len();
        let mut covariance = DMatrix::zeros(width, width);
        for (p, panel) in self.panels.iter().enumerate() {
            for (j, column) in panel.column_iter().enumerate() {
                for (i, &sum) in column.iter().enumerate().skip(j) {
                    let (row, col) = (p * PANEL + i, p * PANEL + j);
                    let of = |k: usize| from.get(k).copied().unwrap_or_default();
                    let value = (sum - n * of(row) * of(col)) / (n - 1.0);
                    covariance[(row, col)] = value;
                    covariance[(col, row)] = value;
                }
            }
        }
        let mean = from.iter().zip(&self.shift).map(|(a, b)| a + b).collect();
        Ok(Moments { count: self.count, mean, covariance })
    }
}

fn unfit(expected: String, found: String) -> Error {
    Error::Input {
        measure: "mean and covariance",
        expected,
        found,
        remedy: "measure on more pictures; check that the network's weights are whole",
    }
}

#[cfg(test)]
mod tests {
    use stackgan_core::noise::{Noise, Stream};

    use super::*;

    fn rows(n: usize, width: usize) -> Rows {
        let values = Noise::new(1).normal(Stream::Test, 0, 0, n * width);
        let far = values.iter().enumerate().map(|(i, v)| v + 100.0 * (i % width) as f32);
        Rows::from_values(width, far.collect()).unwrap()
    }

    /// More rows than a block and more features than a panel, compared with the textbook's sums.
    #[test]
    fn mean_and_covariance_are_the_textbooks() -> Result<()> {
        let rows = rows(600, 131);
        let moments = Moments::of(&rows)?;
        let n = rows.len() as f64;
        let mean = |j: usize| rows.iter().map(|row| f64::from(row[j])).sum::<f64>() / n;
        for (a, b) in [(0, 0), (3, 130), (130, 130), (129, 2)] {
            let sum: f64 = rows
                .iter()
                .map(|r| (f64::from(r[a]) - mean(a)) * (f64::from(r[b]) - mean(b)))
                .sum();
            let found = moments.covariance[(a, b)];
            assert!((found - sum / (n - 1.0)).abs() < 1e-9, "{a} {b}: {found}");
            assert_eq!(found, moments.covariance()[131 * a + b]);
        }
        assert!((moments.mean[130] - mean(130)).abs() < 1e-9);
        assert_eq!(moments.count, 600);
        Ok(())
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let rows = rows(700, 150);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Moments::of(&rows).unwrap().covariance())
        };
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn a_covariance_has_no_negative_variance_in_any_direction() -> Result<()> {
        let of = |covariance: &[f64]| Moments::from_parts(0, vec![0.0; 3], covariance);
        // Each pair of features is possible, all three together are not.
        assert!(!of(&[1.0, -0.9, -0.9, -0.9, 1.0, -0.9, -0.9, -0.9, 1.0])?.is_possible());
        assert!(of(&[1.0, -0.5, -0.5, -0.5, 1.0, -0.5, -0.5, -0.5, 1.0])?.is_possible());
        assert!(of(&[0.0; 9])?.is_possible());
        assert!(Moments::of(&rows(9, 40))?.is_possible(), "a null space is no obstacle");
        Ok(())
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert!(Moments::of(&rows(1, 4)).is_err());
        assert!(Running::new(2).push(&[0.0, f32::NAN]).is_err());
        assert!(Moments::from_parts(0, vec![0.0; 2], &[0.0; 3]).is_err());
        assert!(Moments::from_parts(0, vec![0.0], &[f64::INFINITY]).is_err());
        assert!(Moments::from_parts(1, vec![0.0], &[1.0]).is_err(), "one row has no covariance");
        assert!(Moments::from_parts(0, vec![0.0; 2], &[1.0, 0.5, 0.1, 1.0]).is_err());
        assert!(Moments::from_parts(0, vec![0.0; 2], &[1.0, 0.0, 0.0, -1.0]).is_err());
        assert!(Moments::from_parts(0, vec![0.0; 2], &[1.0, 5.0, 5.0, 1.0]).is_err());
        assert!(Moments::from_parts(0, vec![0.0; 2], &[1.0, -1.1, -1.1, 1.0]).is_err());
        assert!(Moments::from_parts(0, vec![0.0; 2], &[1.0, 0.5, 0.5, 1.0]).is_ok());
        assert!(Moments::from_parts(0, vec![0.0; 2], &[1.0, 1.0, 1.0, 1.0]).is_ok());
        assert!(Running::new(2).push(&[0.0; 3]).is_err());
        // Memory is taken when rows come.
        assert!(Running::new(usize::MAX).push(&[0.0; 3]).is_err());
        assert!(Running::new(usize::MAX).finish().is_err());
        // As of rows, a width of 0 counts as 1.
        let mut narrow = Running::new(0);
        [[1.0], [2.0], [3.0]].iter().for_each(|row| narrow.push(row).unwrap());
        let moments = narrow.finish().unwrap();
        assert_eq!((moments.mean(), moments.covariance()), (&[2.0][..], vec![1.0]));
    }
}
