//! The passes over memory that batch normalisation makes.
//!
//! Values are rows of channels. Sums have a fixed order: one row after the other.

use std::ops::Range;

use rayon::prelude::*;

use crate::activation::select;
use crate::vectorised::vectorised;

/// The normalisation of one channel: `y = (x - mean) * scale + beta`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Feature {
    pub(super) mean: f32,
    /// `1 / sqrt(variance + eps)`.
    pub(super) inverse: f32,
    /// `gamma * inverse`.
    pub(super) scale: f32,
    pub(super) beta: f32,
}

impl Feature {
    /// Returns the value before the activation. The forward and backward passes must agree on its
    /// sign.
    #[inline(always)]
    fn affine(&self, x: f32) -> f32 {
        (x - self.mean) * self.scale + self.beta
    }
}

/// The gradients of `gamma` and `beta` for one channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gradients {
    /// Sum of the gradient times the normalised value.
    pub(super) gamma: f64,
    /// Sum of the gradient.
    pub(super) beta: f64,
}

/// Number of channels per parallel task.
const COLUMNS: usize = 256;

/// Approximate number of elements per parallel task.
const CHUNK: usize = 1 << 14;

/// Returns the mean and biased variance of each channel.
pub(super) fn statistics(x: &[f32], channels: usize) -> Vec<(f32, f32)> {
    let count = (x.len() / channels) as f64;
    let moments = |shift: f32, sum: f64, squares: f64| {
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.);
        ((f64::from(shift) + mean) as f32, variance as f32)
    };
    by_columns(channels, |columns| {
        let mut sums = [(0., 0.); COLUMNS];
        let sums = &mut sums[..columns.len()];
        let shifts = &x[columns.clone()];
        for row in x.chunks_exact(channels) {
            column_squares(sums, &row[columns.clone()], shifts);
        }
        shifts.iter().zip(sums).map(|(k, (s, q))| moments(*k, *s, *q)).collect()
    })
}

/// Returns the normalised and activated values.
pub(super) fn normalise(x: &[f32], features: &[Feature], slope: f32) -> Vec<f32> {
    let mut y = vec![0.; x.len()];
    over_rows(&mut y, features.len(), |y, start| {
        normalise_row(y, &x[start..start + y.len()], features, slope);
    });
    y
}

/// Returns the gradients of `gamma` and `beta`.
pub(super) fn gradient_sums(
    x: &[f32],
    dy: &[f32],
    features: &[Feature],
    slope: f32,
) -> Vec<Gradients> {
    let channels = features.len();
    by_columns(channels, |columns| {
        let mut sums = vec![Gradients::default(); columns.len()];
        let features = &features[columns.clone()];
        for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            column_gradients(&mut sums, &x[columns.clone()], &dy[columns.clone()], features, slope);
        }
        sums
    })
}

/// Returns the gradient of the input.
///
/// `through` contains the sums if the gradient flows through the statistics, and is empty
/// otherwise.
pub(super) fn input_gradient(
    x: &[f32],
    dy: &[f32],
    features: &[Feature],
    through: &[Gradients],
    slope: f32,
) -> Vec<f32> {
    let count = (x.len() / features.len()) as f64;
    // dx = scale * (dy - mean(dy) - normalised * mean(dy * normalised))
    let corrections: Vec<(f32, f32)> = features
        .iter()
        .enumerate()
        .map(|(channel, feature)| {
            let sums = through.get(channel).copied().unwrap_or_default();
            let slant = sums.gamma / count * f64::from(feature.inverse);
            ((sums.beta / count) as f32, slant as f32)
        })
        .collect();
    let mut dx = vec![0.; x.len()];
    over_rows(&mut dx, features.len(), |dx, start| {
        let (x, dy) = (&x[start..start + dx.len()], &dy[start..start + dx.len()]);
        gradient_row(dx, x, dy, features, &corrections, slope);
    });
    dx
}

/// Calls `f` for blocks of columns and concatenates the results.
fn by_columns<R: Send>(channels: usize, f: impl Fn(Range<usize>) -> Vec<R> + Sync) -> Vec<R> {
    let block = |b: usize| b * COLUMNS..channels.min((b + 1) * COLUMNS);
    (0..channels.div_ceil(COLUMNS)).into_par_iter().flat_map_iter(|b| f(block(b))).collect()
}

/// Calls `f(row, start)` for every row of `out`.
fn over_rows(out: &mut [f32], channels: usize, f: impl Fn(&mut [f32], usize) + Sync) {
    let block = CHUNK.div_ceil(channels) * channels;
    out.par_chunks_mut(block).enumerate().for_each(|(i, rows)| {
        for (j, row) in rows.chunks_mut(channels).enumerate() {
            f(row, i * block + j * channels);
        }
    });
}

vectorised! {
    /// Adds one row to the sums and sums of squares of its columns.
    fn column_squares(sums: &mut [(f64, f64)], x: &[f32], shifts: &[f32]) {
        for ((sum, x), shift) in sums.iter_mut().zip(x).zip(shifts) {
            let d = f64::from(*x) - f64::from(*shift);
            sum.0 += d;
            sum.1 += d * d;
        }
    }

    fn normalise_row(y: &mut [f32], x: &[f32], features: &[Feature], slope: f32) {
        for ((y, x), feature) in y.iter_mut().zip(x).zip(features) {
            let v = feature.affine(*x);
            *y = select(v, v, slope);
        }
    }

    fn column_gradients(
        sums: &mut [Gradients],
        x: &[f32],
        dy: &[f32],
        features: &[Feature],
        slope: f32,
    ) {
        for (((sum, x), dy), feature) in sums.iter_mut().zip(x).zip(dy).zip(features) {
            let g = select(feature.affine(*x), *dy, slope);
            sum.beta += f64::from(g);
            sum.gamma += f64::from(g * ((*x - feature.mean) * feature.inverse));
        }
    }

    fn gradient_row(
        dx: &mut [f32],
        x: &[f32],
        dy: &[f32],
        features: &[Feature],
        corrections: &[(f32, f32)],
        slope: f32,
    ) {
        let rows = dx.iter_mut().zip(x).zip(dy).zip(features).zip(corrections);
        for ((((dx, x), dy), feature), (mean, slant)) in rows {
            let g = select(feature.affine(*x), *dy, slope);
            *dx = feature.scale * ((g - mean) - (*x - feature.mean) * slant);
        }
    }
}
