//! Precision and recall: how many generated pictures lie among the real ones, and how many real
//! ones among the generated.
//!
//! Each picture has a ball whose radius is the distance to its k-th nearest neighbour of its own
//! kind. A generated picture is precise if it lies in the ball of some real one. A real one is
//! recalled if it lies in the ball of some generated one.
//!
//! Source: Kynkäänniemi et al., "Improved Precision and Recall Metric" (2019), k = 3; reference:
//! torch-fidelity.

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::bootstrap::{self, Interval};
use crate::rows::{Rows, squares};
use crate::{Error, Result};

/// Index k of the neighbour that defines the radius of a ball.
pub const NEIGHBOUR: usize = 3;

/// Number of columns compared at once.
const BLOCK: usize = 256;

/// Measured precision and recall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// Fraction of the generated pictures that lie among the real ones.
    pub precision: f64,
    /// Fraction of the real pictures that lie among the generated ones.
    pub recall: f64,
    /// 95 % interval of the precision, for fixed real pictures.
    pub precision_interval: Option<Interval>,
    /// 95 % interval of the recall, for fixed generated pictures.
    pub recall_interval: Option<Interval>,
}

/// Returns the precision and recall of `generated` against `real`.
///
/// # Errors
/// [`Error::Input`] if the widths differ, `neighbour` is 0, or a side has no more than `neighbour`
/// rows.
pub fn precision_recall(
    generated: &Rows,
    real: &Rows,
    neighbour: usize,
) -> Result<PrecisionRecall> {
    let least = generated.len().min(real.len());
    if generated.width() != real.width() || least <= neighbour || neighbour == 0 {
        return Err(Error::Input {
            measure: "precision and recall",
            expected: format!(
                "{} rows or more of one width on each side",
                neighbour.saturating_add(1)
            ),
            found: format!(
                "{} x {} and {} x {}",
                generated.len(),
                generated.width(),
                real.len(),
                real.width()
            ),
            remedy: "measure on more pictures, with one network",
        });
    }
    let (g, r) = (Side::new(generated), Side::new(real));
    let inside = |of: &Side<'_>, among: &Side<'_>| {
        let radii = among.radii(neighbour);
        let inside = of.distances(among, |distances| {
            distances.iter().zip(&radii).any(|(distance, radius)| distance <= radius)
        });
        inside.into_iter().filter(|inside| *inside).count()
    };
    let (precise, recalled) = (inside(&g, &r), inside(&r, &g));
    Ok(PrecisionRecall {
        precision: precise as f64 / generated.len() as f64,
        recall: recalled as f64 / real.len() as f64,
        precision_interval: bootstrap::of_share(precise, generated.len()),
        recall_interval: bootstrap::of_share(recalled, real.len()),
    })
}

/// The pictures of one kind.
struct Side<'a> {
    rows: &'a Rows,
    matrix: DMatrix<f64>, // (rows, width)
    squares: Vec<f64>,
}

impl<'a> Side<'a> {
    fn new(rows: &'a Rows) -> Self {
        let columns = rows.columns();
        let squares = squares(&columns);
        Self { rows, matrix: columns.transpose(), squares }
    }

    /// Calls `take` with the squared distances from each row to all rows of `others`, and returns
    /// its results.
    fn distances<T: Send>(&self, others: &Self, take: impl Fn(&mut [f64]) -> T + Sync) -> Vec<T> {
        let starts = (0..self.rows.len()).step_by(BLOCK).collect::<Vec<_>>();
        let blocks = starts.into_par_iter().map(|start| {
            let end = (start + BLOCK).min(self.rows.len());
            let mut block = &others.matrix * self.rows.columns_of(start..end);
            let own = self.squares.iter().skip(start);
            let taken = block.column_iter_mut().zip(own).map(|(mut column, own)| {
                for (v, other) in column.iter_mut().zip(&others.squares) {
                    *v = (own + other - 2.0 * *v).max(0.0);
                }
                take(column.as_mut_slice())
            });
            taken.collect::<Vec<_>>()
        });
        blocks.flatten_iter().collect()
    }

    /// Returns the squared distance from each row to its `neighbour`-th nearest other row.
    fn radii(&self, neighbour: usize) -> Vec<f64> {
        self.distances(self, |distances| {
            // The row itself is the nearest, up to rounding.
            *distances.select_nth_unstable_by(neighbour, f64::total_cmp).1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f32]) -> Rows {
        Rows::from_values(1, values.to_vec()).unwrap()
    }

    /// On a line with k = 1: the real balls are 0±1, 1±1, 10±9; the generated ones 0.5±1, 1.5±1,
    /// 30±28.5.
    #[test]
    fn a_small_case_by_hand() -> Result<()> {
        let (real, generated) = (line(&[0.0, 1.0, 10.0]), line(&[0.5, 1.5, 30.0]));
        let found = precision_recall(&generated, &real, 1)?;
        assert_eq!((found.precision, found.recall), (2.0 / 3.0, 1.0));
        assert_eq!(found.precision_interval, None);
        Ok(())
    }

    #[test]
    fn many_rows_go_through_in_blocks() -> Result<()> {
        let values: Vec<f32> = (0..700).map(|i| (i * 37 % 700) as f32).collect();
        let shifted: Vec<f32> = values.iter().map(|v| v + 350.5).collect();
        let found = precision_recall(&line(&shifted), &line(&values), 3)?;
        // Balls reach two to either side, and three at the ends: 350.5 to 701.5 lie among 0 to 699,
        // and 348 to 699 lie among those.
        assert_eq!(found.precision, 352.0 / 700.0);
        assert_eq!(found.recall, 352.0 / 700.0);
        assert!(found.recall_interval.is_some());
        Ok(())
    }

    #[test]
    fn too_few_rows_are_refused() {
        assert!(precision_recall(&line(&[1.0; 3]), &line(&[1.0; 9]), 3).is_err());
    }
}
