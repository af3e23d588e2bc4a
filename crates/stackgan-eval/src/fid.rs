//! The Fréchet distance between two sets of features, each taken as a Gaussian: with the features of the 2015 Inception
//! network, the FID.
//!
//! `|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr (S1 S2)^(1/2)`. With `S1 = R Rᵗ`, `S1 S2` has the eigenvalues of the
//! symmetric `Rᵗ S2 R`, and the trace of the root is the sum of theirs. So there is no root of a matrix that is
//! not symmetric, no imaginary part, and nothing to add to a singular covariance.
//!
//! Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017), equation 6; reference: pytorch-fid.

use nalgebra::DMatrix;

use crate::moments::Moments;
use crate::rows::{Rows, products};
use crate::{Error, Result};

/// One side of the distance, with the root of its covariance: that of real pictures is needed many times.
#[derive(Clone, Debug)]
pub struct Reference {
    mean: Vec<f64>,
    trace: f64,
    /// `R (width, rank)`.
    root: DMatrix<f64>,
}

impl Reference {
    /// From mean and covariance. Of the many roots the cheapest is taken: Cholesky's of a covariance of full rank, else
    /// that of its eigenvectors.
    #[must_use]
    pub fn new(moments: &Moments) -> Self {
        let root = match moments.covariance.clone().cholesky() {
            Some(cholesky) => cholesky.unpack(),
            None => root_by_eigenvectors(&moments.covariance),
        };
        Self { mean: moments.mean.clone(), trace: moments.trace(), root }
    }

    /// From the rows themselves: where they are fewer than the features, they are a root of their covariance.
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

    /// The distance to another set, in squared units of the features; 0 for equal sets, up to rounding.
    ///
    /// # Errors
    /// [`Error::Input`] when widths differ.
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
        let root: f64 = symmetric.symmetric_eigenvalues().iter().map(|v| v.max(0.0).sqrt()).sum();
        Ok(shift + self.trace + other.trace() - 2.0 * root)
    }
}

fn root_by_eigenvectors(covariance: &DMatrix<f64>) -> DMatrix<f64> {
    let mut eigen = covariance.clone().symmetric_eigen();
    let values = eigen.eigenvalues.iter().map(|v| v.max(0.0).sqrt());
    for (mut vector, scale) in eigen.eigenvectors.column_iter_mut().zip(values) {
        vector *= scale;
    }
    eigen.eigenvectors
}

/// The distance between two sets.
///
/// # Errors
/// As [`Reference::distance`].
pub fn frechet(a: &Moments, b: &Moments) -> Result<f64> {
    Reference::new(a).distance(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of diagonal covariances the distance is a sum over the features.
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

    /// Fewer rows than features: the covariance has no full rank.
    #[test]
    fn a_singular_covariance_is_no_obstacle() -> Result<()> {
        let a = Moments::of(&Rows::from_values(3, vec![0., 1., 2., 2., 3., 4.])?)?;
        let b = Moments::of(&Rows::from_values(3, vec![1., 1., 2., 1., 3., 5.])?)?;
        // A root of rounding errors of 1e-17 is 3e-9.
        assert!(frechet(&a, &a)?.abs() < 1e-6);
        assert!((frechet(&a, &b)? - frechet(&b, &a)?).abs() < 1e-6);
        let rows = Rows::from_values(3, vec![0., 1., 2., 2., 3., 4.])?;
        assert!((Reference::of_rows(&rows)?.distance(&b)? - frechet(&a, &b)?).abs() < 1e-6);
        let constant = Moments::of(&Rows::from_values(3, vec![1.0; 6])?)?;
        assert!((frechet(&constant, &a)? - frechet(&a, &constant)?).abs() < 1e-6);
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
