//! Feature matrices: one row of numbers for each picture.

use std::ops::Range;

use nalgebra::DMatrix;

use crate::{Error, Result};

/// Rows of `width` numbers, in the order of the pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<f32>,
}

impl Rows {
    /// No rows yet; a width of 0 counts as 1.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1), values: Vec::new() }
    }

    /// Rows that lie one after the other.
    ///
    /// # Errors
    /// [`Error::Input`] when `values` are no whole number of rows.
    pub fn from_values(width: usize, values: Vec<f32>) -> Result<Self> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let found = format!("{} numbers for a width of {width}", values.len());
            return Err(unfit("a whole number of rows", found));
        }
        Ok(Self { width, values })
    }

    /// Numbers of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row `i`; empty beyond the end.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        self.values.get(i * self.width..(i + 1) * self.width).unwrap_or_default()
    }

    /// Row after row.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }

    /// All numbers, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Adds one row.
    ///
    /// # Errors
    /// [`Error::Input`] when it has another width.
    pub fn push(&mut self, row: &[f32]) -> Result<()> {
        if row.len() != self.width {
            return Err(unfit(&format!("{} numbers", self.width), row.len().to_string()));
        }
        self.values.extend_from_slice(row);
        Ok(())
    }

    /// The rows at `indices`, in that order; those beyond the end are left out.
    #[must_use]
    pub fn picked(&self, indices: &[u32]) -> Self {
        let mut picked = Self::new(self.width);
        for &i in indices {
            picked.values.extend_from_slice(self.row(i as usize));
        }
        picked
    }

    /// Forgets all rows but keeps their room.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
    }

    /// The rows as the columns of a matrix `(width, rows)` of f64.
    pub(crate) fn columns(&self) -> DMatrix<f64> {
        self.columns_of(0..self.len())
    }

    /// The same for some of the rows; none beyond the end.
    pub(crate) fn columns_of(&self, range: Range<usize>) -> DMatrix<f64> {
        let part = self.values.get(range.start * self.width..range.end * self.width);
        let part = part.unwrap_or_default();
        let values = part.iter().map(|&v| f64::from(v));
        DMatrix::from_iterator(self.width, part.len() / self.width, values)
    }
}

/// Dot products of every column of `a` with every column of `b`: `(a, b)`. On one thread: the bits never depend on how
/// many there are.
pub(crate) fn products(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    a.transpose() * b
}

/// The squared length of every column.
pub(crate) fn squares(a: &DMatrix<f64>) -> Vec<f64> {
    a.column_iter().map(|column| column.norm_squared()).collect()
}

fn unfit(expected: &str, found: String) -> Error {
    Error::Input {
        measure: "a feature matrix",
        expected: expected.to_owned(),
        found,
        remedy: "give rows of one feature network",
    }
}
