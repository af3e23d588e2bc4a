//! Feature matrices, with one row per picture.

use std::ops::Range;

use nalgebra::DMatrix;

use crate::{Error, Result};

/// Rows of `width` values, in the order of the pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<f32>,
}

impl Rows {
    /// Returns an empty matrix. A width of 0 counts as 1.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1), values: Vec::new() }
    }

    /// Creates a matrix from row-major values.
    ///
    /// # Errors
    /// [`Error::Input`] if `width` is 0, or `values` are not a whole number of rows of finite numbers.
    pub fn from_values(width: usize, values: Vec<f32>) -> Result<Self> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let found = format!("{} numbers for a width of {width}", values.len());
            return Err(unfit("a whole number of rows", found));
        }
        are_finite(&values)?;
        Ok(Self { width, values })
    }

    /// Returns the number of values in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Returns whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns row `i`, or an empty slice if there is no such row.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        self.iter().nth(i).unwrap_or_default()
    }

    /// Iterates over the rows.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    /// Returns all values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Adds one row.
    ///
    /// # Errors
    /// [`Error::Input`] if it has another width, or a number that is not finite.
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        if row.len() != self.width {
            return Err(unfit(&format!("{} numbers", self.width), row.len().to_string()));
        }
        are_finite(row)?;
        self.values.extend_from_slice(row);
        Ok(())
    }

    /// Returns the rows at `indices`, in that order. Indices after the end are ignored.
    #[must_use]
    pub fn picked(&self, indices: &[u32]) -> Self {
        let mut picked = Self::new(self.width);
        for &i in indices {
            picked.values.extend_from_slice(self.row(i as usize));
        }
        picked
    }

    /// Removes all rows but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
    }

    /// Returns the rows as the columns of an `f64` matrix `(width, rows)`.
    pub(crate) fn columns(&self) -> DMatrix<f64> {
        self.columns_of(0..self.len())
    }

    /// Returns some of the rows as columns, or none if the range exceeds the end.
    pub(crate) fn columns_of(&self, range: Range<usize>) -> DMatrix<f64> {
        let part = self.values.get(range.start * self.width..range.end * self.width);
        let part = part.unwrap_or_default();
        let values = part.iter().map(|&v| f64::from(v));
        DMatrix::from_iterator(self.width, part.len() / self.width, values)
    }
}

/// Returns the dot products of every column of `a` with every column of `b`: `(a, b)`.
///
/// It runs on one thread, so the bits never depend on the number of threads.
pub(crate) fn products(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    a.transpose() * b
}

/// Returns the squared length of every column.
pub(crate) fn squares(a: &DMatrix<f64>) -> Vec<f64> {
    a.column_iter().map(|column| column.norm_squared()).collect()
}

/// Checks features: no distance to NaN or an infinity means anything.
fn are_finite(values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(unfit("finite numbers", format!("another at place {at}"))),
    }
}

fn unfit(expected: &str, found: String) -> Error {
    Error::Input {
        measure: "a feature matrix",
        expected: expected.to_owned(),
        found,
        remedy: "give rows of one feature network",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_of_finite_numbers_and_none_lies_beyond_the_end() {
        let mut rows = Rows::from_values(2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(
            (rows.row(1), rows.row(2), rows.row(usize::MAX)),
            (&[3.0, 4.0][..], &[][..], &[][..])
        );
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(Rows::from_values(1, vec![0.0, bad]).is_err());
            assert!(rows.push(&[0.0, bad]).is_err());
        }
        assert_eq!(rows.len(), 2, "a refused row is not added");
    }
}
