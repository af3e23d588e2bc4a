//! The Fréchet distance between two sets of features, each modelled as a Gaussian. With the
//! features of the 2015 Inception network it is the FID.
//!
//! The distance is `|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr (S1 S2)^(1/2)`. With `S1 = R Rᵗ`, `S1 S2`
//! has the eigenvalues of the symmetric `Rᵗ S2 R`, and the trace of the root is the sum of their
//! square roots. So there is no root of a non-symmetric matrix, no imaginary part, and nothing to
//! add to a singular covariance.
//!
//! If `S2` comes from few pictures, that symmetric matrix is mostly a null space, in which the
//! library's eigenvalues become infinite or NaN. It is therefore factorised first.
//!
//! Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017), equation 6;
//! reference: pytorch-fid.

use nalgebra::DMatrix;

use crate::moments::Moments;
use crate::rows::{Rows, products};
use crate::{Error, Result};

/// One side of the distance with the root of its covariance, which is used many times for real
/// pictures.
#[derive(Clone, Debug)]
pub struct Reference {
    mean: Vec<f64>,
    trace: f64,
    /// `R (width, rank)`.
    root: DMatrix<f64>,
}

impl Reference {
    /// Computes a root of a covariance: Cholesky's factor, with pivots if it is not of full rank.
    #[must_use]
    pub fn new(moments: &Moments) -> Self {
        let root = match moments.covariance.clone().cholesky() {
            Some(cholesky) => cholesky.unpack(),
            None => factor(moments.covariance.clone(), moments.width()),
        };
        Self { mean: moments.mean.clone(), trace: moments.trace(), root }
    }

    /// Computes the root from the rows. If there are no more rows than features, the centred and
    /// scaled rows are themselves a root of their covariance.
    ///
    /// # Errors
    /// As [`Moments::of`].
    pub fn of_rows(rows: &Rows) -> Result<Self> {
        let moments = Moments::of(rows)?;
        if rows.len() > rows.width() {
            return Ok(Self::new(&moments));
        }
        let mut root = rows.columns();
        let scale = 1.0 / (rows.len() as f64 - 1.0).sqrt();
        for mut column in root.column_iter_mut() {
            column.iter_mut().zip(&moments.mean).for_each(|(v, mean)| *v = (*v - mean) * scale);
        }
        Ok(Self { trace: moments.trace(), mean: moments.mean, root })
    }

    /// Returns the distance to another set, in squared units of the features. It is 0 for equal
    /// sets, up to rounding.
    ///
    /// # Errors
    /// [`Error::Input`] if the widths differ, or if the result is not finite or well below 0, which no
    /// two covariances have.
    pub fn distance(&self, other: &Moments) -> Result<f64> {
        if self.mean.len() != other.width() {
            return Err(Error::Input {
                measure: "a Fréchet distance",
                expected: format!("{} features on both sides", self.mean.len()),
                found: other.width().to_string(),
                remedy: "compare features of one network",
            });
        }
        let shift: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b) * (a - b)).sum();
        let symmetric = products(&self.root, &(&other.covariance * &self.root)); // (rank, rank)
        // The covariance of n pictures has a rank of n - 1 at most; if the number of pictures is
        // not known, the rank is not limited.
        let rank = match other.count {
            0 => symmetric.nrows(),
            n => symmetric.nrows().min((n - 1) as usize),
        };
        let distance = shift + self.trace + other.trace() - 2.0 * trace_of_root(symmetric, rank);
        // The root of a rounding error of 1e-16 is 1e-8.
        if distance >= -1e-6 * (self.trace + other.trace()) && distance.is_finite() {
            return Ok(distance);
        }
        Err(Error::Input {
            measure: "a Fréchet distance",
            expected: "finite means and covariances, which give 0 or more".to_owned(),
            found: distance.to_string(),
            remedy: "look for features that are huge or not numbers, and for statistics that are no covariance",
        })
    }
}

/// Returns the trace of the root of a symmetric matrix without negative eigenvalues and with a rank
/// of at most `rank`.
fn trace_of_root(matrix: DMatrix<f64>, rank: usize) -> f64 {
    let sum = |matrix: &DMatrix<f64>| -> Option<f64> {
        let values = matrix.symmetric_eigenvalues();
        let finite = values.iter().all(|v| v.is_finite());
        finite.then(|| values.iter().map(|v| v.max(0.0).sqrt()).sum())
    };
    let whole = if rank < matrix.nrows() { None } else { sum(&matrix) };
    whole.unwrap_or_else(|| {
        let factor = factor(matrix, rank);
        sum(&products(&factor, &factor)).unwrap_or(f64::NAN)
    })
}

/// Returns `L (n, rank or fewer)` such that `L Lᵗ` is the matrix.
///
/// This is Cholesky's factorisation with the largest pivot first. It stops when only rounding
/// errors are left.
fn factor(mut left: DMatrix<f64>, rank: usize) -> DMatrix<f64> {
    let n = left.nrows();
    let rounding = n as f64 * f64::EPSILON * left.diagonal().max();
    let mut columns = Vec::with_capacity(rank);
    for _ in 0..rank {
        let (place, pivot) = left.diagonal().argmax();
        if pivot <= rounding {
            break;
        }
        let column = left.column(place) / pivot.sqrt();
        left.ger(-1.0, &column, &column, 1.0);
        columns.push(column);
    }
    if columns.is_empty() { DMatrix::zeros(n, 1) } else { DMatrix::from_columns(&columns) }
}

/// Returns the distance between two sets.
///
/// # Errors
/// As [`Reference::distance`].
pub fn frechet(a: &Moments, b: &Moments) -> Result<f64> {
    Reference::new(a).distance(b)
}

#[cfg(test)]
mod tests {
    use stackgan_core::noise::{Noise, Stream};

    use super::*;

    /// For diagonal covariances the distance is a sum over the features.
    #[test]
    fn diagonal_covariances_have_a_closed_form() -> Result<()> {
        let a = Moments::from_parts(9, vec![1.0, 2.0], &[4.0, 0.0, 0.0, 9.0])?;
        let b = Moments::from_parts(9, vec![0.0, 0.0], &[1.0, 0.0, 0.0, 16.0])?;
        let expected = 1.0 + 4.0 + (2.0f64 - 1.0).powi(2) + (3.0f64 - 4.0).powi(2);
        assert!((frechet(&a, &b)? - expected).abs() < 1e-12);
        assert!((frechet(&b, &a)? - expected).abs() < 1e-12);
        assert!(frechet(&a, &a)?.abs() < 1e-12);
        Ok(())
    }

    /// With fewer rows than features, the covariance does not have full rank.
    #[test]
    fn a_singular_covariance_is_no_obstacle() -> Result<()> {
        let a = Moments::of(&Rows::from_values(3, vec![0., 1., 2., 2., 3., 4.])?)?;
        let b = Moments::of(&Rows::from_values(3, vec![1., 1., 2., 1., 3., 5.])?)?;
        // The root of a rounding error of 1e-17 is 3e-9.
        assert!(frechet(&a, &a)?.abs() < 1e-6);
        assert!((frechet(&a, &b)? - frechet(&b, &a)?).abs() < 1e-6);
        let rows = Rows::from_values(3, vec![0., 1., 2., 2., 3., 4.])?;
        assert!((Reference::of_rows(&rows)?.distance(&b)? - frechet(&a, &b)?).abs() < 1e-6);
        let constant = Moments::of(&Rows::from_values(3, vec![1.0; 6])?)?;
        assert!((frechet(&constant, &a)? - frechet(&a, &constant)?).abs() < 1e-6);
        Ok(())
    }

    /// A rank of nine in 300 features, most of them 0. In such a large null space the library's
    /// eigenvalues are infinite or NaN in about half of the cases.
    #[test]
    fn a_large_null_space_has_a_finite_trace() {
        let (width, rank) = (300, 9);
        for sample in 0..10 {
            let values = Noise::new(4).normal(Stream::Test, 0, sample, width * rank);
            let one = |(i, v): (usize, f32)| if i % 3 == 0 { f64::from(v) } else { 0.0 };
            let root = DMatrix::from_iterator(width, rank, values.into_iter().enumerate().map(one));
            let expected: f64 = root.clone().singular_values().iter().sum();
            for rank in [rank, width] {
                let trace = trace_of_root(&root * root.transpose(), rank);
                assert!((trace - expected).abs() < 1e-5 * expected, "{trace} and not {expected}");
            }
        }
    }

    /// Resampled pictures, six of them distinct, against the moments of more: the distance is the
    /// same from either side.
    #[test]
    fn few_pictures_are_as_far_from_many_as_many_from_few() -> Result<()> {
        let rows = |sample: u64, n: usize| {
            let values = Noise::new(4).normal(Stream::Test, 0, sample, n * 60);
            Rows::from_values(60, values)
        };
        let drawn = rows(1, 10)?.picked(&[0, 1, 2, 2, 4, 5, 5, 5, 1, 0]);
        for many in [40, 200] {
            let real = Moments::of(&rows(0, many)?)?;
            let far = Reference::new(&real).distance(&Moments::of(&drawn)?)?;
            let expected = Reference::of_rows(&drawn)?.distance(&real)?;
            assert!((far - expected).abs() < 1e-6 * expected, "{far} and not {expected}");
        }
        Ok(())
    }

    #[test]
    fn other_widths_are_refused() -> Result<()> {
        let a = Moments::from_parts(9, vec![1.0], &[4.0])?;
        let b = Moments::from_parts(9, vec![0.0; 2], &[1.0, 0.0, 0.0, 1.0])?;
        assert!(frechet(&a, &b).unwrap_err().to_string().contains("do: "));
        Ok(())
    }
}
