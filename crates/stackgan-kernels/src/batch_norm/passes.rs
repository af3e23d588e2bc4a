//! The passes over memory that batch normalisation makes.
//!
//! Sums have a fixed order: lanes within a plane, then planes one after the other.

use rayon::prelude::*;

use crate::activation::select;
use crate::geometry::BatchNormShape;
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

/// Number of independent sums per loop, for vectorisation.
const LANES: usize = 16;

/// Number of channels of an `(N, C)` input per parallel task.
const COLUMNS: usize = 256;

/// Approximate number of elements per parallel task.
const CHUNK: usize = 1 << 14;

/// Returns the mean and biased variance of each channel.
pub(super) fn statistics(x: &[f32], shape: BatchNormShape) -> Vec<(f32, f32)> {
    let count = shape.count() as f64;
    let moments = |shift: f32, sum: f64, squares: f64| {
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.);
        ((f64::from(shift) + mean) as f32, variance as f32)
    };
    if shape.plane == 1 {
        return by_columns(shape, |first, columns| {
            let mut sums = [(0., 0.); COLUMNS];
            let shifts = &x[first..first + columns];
            for row in x.chunks_exact(shape.channels) {
                column_squares(&mut sums[..columns], &row[first..first + columns], shifts);
            }
            shifts.iter().zip(&sums).map(|(k, (s, q))| moments(*k, *s, *q)).collect()
        });
    }
    by_channel(shape, |planes| {
        let shift = x[planes.clone().next().unwrap_or(0)];
        let (mut sum, mut squares) = (0., 0.);
        for start in planes {
            let (s, q) = plane_squares(&x[start..start + shape.plane], shift);
            sum += s;
            squares += q;
        }
        moments(shift, sum, squares)
    })
}

/// Returns the normalised and activated values.
pub(super) fn normalise(
    x: &[f32],
    shape: BatchNormShape,
    features: &[Feature],
    slope: f32,
) -> Vec<f32> {
    let mut y = vec![0.; x.len()];
    over_planes(&mut y, shape, |y, start, channel| {
        let x = &x[start..start + y.len()];
        if shape.plane == 1 {
            normalise_row(y, x, features, slope);
        } else {
            normalise_plane(y, x, features[channel], slope);
        }
    });
    y
}

/// Returns the gradients of `gamma` and `beta`.
pub(super) fn gradient_sums(
    x: &[f32],
    dy: &[f32],
    shape: BatchNormShape,
    features: &[Feature],
    slope: f32,
) -> Vec<Gradients> {
    if shape.plane == 1 {
        return by_columns(shape, |first, columns| {
            let mut sums = vec![Gradients::default(); columns];
            let range = first..first + columns;
            for (x, dy) in x.chunks_exact(shape.channels).zip(dy.chunks_exact(shape.channels)) {
                let features = &features[range.clone()];
                column_gradients(&mut sums, &x[range.clone()], &dy[range.clone()], features, slope);
            }
            sums
        });
    }
    by_channel(shape, |planes| {
        let mut total = Gradients::default();
        for start in planes {
            let range = start..start + shape.plane;
            let feature = features[start / shape.plane % shape.channels];
            let part = plane_gradients(&x[range.clone()], &dy[range], feature, slope);
            total.gamma += part.gamma;
            total.beta += part.beta;
        }
        total
    })
}

/// Returns the gradient of the input.
///
/// `through` contains the sums if the gradient flows through the statistics, and is empty
/// otherwise.
pub(super) fn input_gradient(
    x: &[f32],
    dy: &[f32],
    shape: BatchNormShape,
    features: &[Feature],
    through: &[Gradients],
    slope: f32,
) -> Vec<f32> {
    let count = shape.count() as f64;
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
    over_planes(&mut dx, shape, |dx, start, channel| {
        let (x, dy) = (&x[start..start + dx.len()], &dy[start..start + dx.len()]);
        if shape.plane == 1 {
            gradient_row(dx, x, dy, features, &corrections, slope);
        } else {
            gradient_plane(dx, x, dy, features[channel], corrections[channel], slope);
        }
    });
    dx
}

/// Calls `f` for every channel with the start offsets of its planes.
fn by_channel<R: Send>(
    shape: BatchNormShape,
    f: impl Fn(std::iter::StepBy<std::ops::Range<usize>>) -> R + Sync,
) -> Vec<R> {
    let step = shape.channels * shape.plane;
    let starts = |channel| (channel * shape.plane..shape.images * step).step_by(step);
    (0..shape.channels).into_par_iter().map(|channel| f(starts(channel))).collect()
}

/// Calls `f(first, count)` for blocks of columns of an `(N, C)` input and concatenates the results.
fn by_columns<R: Send>(shape: BatchNormShape, f: impl Fn(usize, usize) -> Vec<R> + Sync) -> Vec<R> {
    let blocks = shape.channels.div_ceil(COLUMNS);
    (0..blocks)
        .into_par_iter()
        .flat_map_iter(|b| f(b * COLUMNS, COLUMNS.min(shape.channels - b * COLUMNS)))
        .collect()
}

/// Calls `f(values, start, channel)` for every plane of `out`, or for every row of an `(N, C)` one,
/// with channel 0.
fn over_planes(
    out: &mut [f32],
    shape: BatchNormShape,
    f: impl Fn(&mut [f32], usize, usize) + Sync,
) {
    let (length, channels) =
        if shape.plane == 1 { (shape.channels, 1) } else { (shape.plane, shape.channels) };
    let planes = CHUNK.div_ceil(length);
    out.par_chunks_mut(planes * length).enumerate().for_each(|(block, out)| {
        for (i, out) in out.chunks_mut(length).enumerate() {
            let index = block * planes + i;
            f(out, index * length, index % channels);
        }
    });
}

vectorised! {
    /// Returns the sum and the sum of squares of `x - shift`.
    fn plane_squares(x: &[f32], shift: f32) -> (f64, f64) {
        let shift = f64::from(shift);
        let (mut sums, mut squares) = ([0f64; LANES], [0f64; LANES]);
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for i in 0..LANES {
                let d = f64::from(chunk[i]) - shift;
                sums[i] += d;
                squares[i] += d * d;
            }
        }
        for (i, x) in rest.iter().enumerate() {
            let d = f64::from(*x) - shift;
            sums[i] += d;
            squares[i] += d * d;
        }
        (sums.iter().sum(), squares.iter().sum())
    }

    /// Adds one row to the sums and sums of squares of its columns.
    fn column_squares(sums: &mut [(f64, f64)], x: &[f32], shifts: &[f32]) {
        for ((sum, x), shift) in sums.iter_mut().zip(x).zip(shifts) {
            let d = f64::from(*x) - f64::from(*shift);
            sum.0 += d;
            sum.1 += d * d;
        }
    }

    fn normalise_plane(y: &mut [f32], x: &[f32], feature: Feature, slope: f32) {
        for (y, x) in y.iter_mut().zip(x) {
            let v = feature.affine(*x);
            *y = select(v, v, slope);
        }
    }

    fn normalise_row(y: &mut [f32], x: &[f32], features: &[Feature], slope: f32) {
        for ((y, x), feature) in y.iter_mut().zip(x).zip(features) {
            let v = feature.affine(*x);
            *y = select(v, v, slope);
        }
    }

    fn plane_gradients(x: &[f32], dy: &[f32], feature: Feature, slope: f32) -> Gradients {
        let (mut gamma, mut beta) = ([0f64; LANES], [0f64; LANES]);
        let (x_chunks, x_rest) = x.as_chunks::<LANES>();
        let (dy_chunks, dy_rest) = dy.as_chunks::<LANES>();
        for (x, dy) in x_chunks.iter().zip(dy_chunks) {
            for i in 0..LANES {
                let g = select(feature.affine(x[i]), dy[i], slope);
                beta[i] += f64::from(g);
                gamma[i] += f64::from(g * ((x[i] - feature.mean) * feature.inverse));
            }
        }
        for (i, (x, dy)) in x_rest.iter().zip(dy_rest).enumerate() {
            let g = select(feature.affine(*x), *dy, slope);
            beta[i] += f64::from(g);
            gamma[i] += f64::from(g * ((*x - feature.mean) * feature.inverse));
        }
        Gradients { gamma: gamma.iter().sum(), beta: beta.iter().sum() }
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

    fn gradient_plane(
        dx: &mut [f32],
        x: &[f32],
        dy: &[f32],
        feature: Feature,
        correction: (f32, f32),
        slope: f32,
    ) {
        let (mean, slant) = correction;
        for ((dx, x), dy) in dx.iter_mut().zip(x).zip(dy) {
            let g = select(feature.affine(*x), *dy, slope);
            *dx = feature.scale * ((g - mean) - (*x - feature.mean) * slant);
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
