//! The nearest of many rows to each of a few.
//!
//! This is the paper's check that a model does not merely copy training pictures (section 4.3 looks
//! for the nearest training pictures by hand).

use nalgebra::DMatrix;

use crate::rows::{Rows, squares};
use crate::{Error, Result};

/// A row that is near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Its index among all offered rows.
    pub index: usize,
    /// Its Euclidean distance.
    pub distance: f64,
}

/// Accumulates the `k` nearest rows to each of some rows, while others are offered. Memory does not
/// grow with the number of offered rows.
#[derive(Clone, Debug)]
pub struct Nearest {
    width: usize,
    matrix: DMatrix<f64>, // (rows, width)
    squares: Vec<f64>,
    k: usize,
    offered: usize,
    found: Vec<Vec<Near>>, // squared distances until `finish`
}

impl Nearest {
    /// Prepares a search for the `k` nearest to each of `rows`; a `k` of 0 counts as 1.
    #[must_use]
    pub fn new(rows: &Rows, k: usize) -> Self {
        let columns = rows.columns();
        let squares = squares(&columns);
        Self {
            width: rows.width(),
            matrix: columns.transpose(),
            squares,
            k: k.max(1),
            offered: 0,
            found: vec![Vec::new(); rows.len()],
        }
    }

    /// Offers the next rows.
    ///
    /// # Errors
    /// [`Error::Input`] if they have another width.
    pub fn offer(&mut self, rows: &Rows) -> Result<()> {
        if rows.width() != self.width {
            return Err(Error::Input {
                measure: "the nearest pictures",
                expected: format!("{} numbers for each picture", self.width),
                found: rows.width().to_string(),
                remedy: "compare pictures of one size by one network",
            });
        }
        let columns = rows.columns();
        let theirs = squares(&columns);
        let products = &self.matrix * columns;
        for ((found, row), own) in self.found.iter_mut().zip(products.row_iter()).zip(&self.squares)
        {
            for ((product, their), place) in row.iter().zip(&theirs).zip(self.offered..) {
                let squared = (own + their - 2.0 * product).max(0.0);
                if found.len() == self.k
                    && found.last().is_some_and(|last| squared >= last.distance)
                {
                    continue;
                }
                let at = found.partition_point(|near| near.distance <= squared);
                found.insert(at, Near { index: place, distance: squared });
                found.truncate(self.k);
            }
        }
        self.offered += rows.len();
        Ok(())
    }

    /// Returns the nearest rows to each, nearest first. Among equal distances the row offered first
    /// comes first.
    #[must_use]
    pub fn finish(mut self) -> Vec<Vec<Near>> {
        self.found.iter_mut().flatten().for_each(|near| near.distance = near.distance.sqrt());
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_whatever_the_blocks() -> Result<()> {
        let rows = |values: &[f32]| Rows::from_values(2, values.to_vec());
        let asked = rows(&[0., 0., 10., 0.])?;
        let all = [3., 4., 0., 1., 10., 0., 0., 1., 7., 0.];
        for block in [1, 2, 5] {
            let mut nearest = Nearest::new(&asked, 2);
            for part in all.chunks(2 * block) {
                nearest.offer(&rows(part)?)?;
            }
            let found = nearest.finish();
            let places =
                |i: usize| found[i].iter().map(|n| (n.index, n.distance)).collect::<Vec<_>>();
            assert_eq!(places(0), [(1, 1.0), (3, 1.0)]);
            assert_eq!(places(1), [(2, 0.0), (4, 3.0)]);
        }
        assert!(Nearest::new(&asked, 1).offer(&Rows::new(3)).is_err());
        Ok(())
    }
}
