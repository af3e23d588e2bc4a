//! Batch norm of maps with its activation.
//!
//! The forward pass reads the maps twice: once for the sums and once to normalise. Values are
//! shifted by the channel's first value, which avoids cancellation. The backward pass reads them
//! twice too: once for two sums and once for the gradient. It recomputes the activation's mask with
//! the same expression as the forward pass. Sums are taken in f32 over a run of pixels, and in f64
//! over runs and images, in order.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::blocks::{Blocks, Sizes};
use super::elementwise::owned;
use super::lane::{LANES, Lane, one_pixel};
use super::map::{Grad, Map, Values};
use crate::activation::select;
use crate::link::Input;
use crate::vectorised::vectorised;
use crate::{BatchStatistics, Norm, Statistics};

/// The normalisation of sixteen channels: `y = (x - mean) * scale + beta`.
#[derive(Clone, Copy, Debug)]
struct Feature {
    mean: Lane,
    /// `1 / sqrt(variance + eps)`.
    inverse: Lane,
    /// `gamma * inverse`.
    scale: Lane,
    beta: Lane,
}

/// A normalisation with all that its forward and backward passes need. Vectors are lanes,
/// `(parts, blocks)`.
#[derive(Debug)]
struct Normalised {
    sizes: Sizes,
    parts: usize,
    features: Vec<Feature>,
    slope: f32,
    /// Whether the gradient flows through the statistics.
    through: bool,
}

/// Two sums for each of sixteen channels.
type Pair = ([f64; LANES], [f64; LANES]);

/// Number of lanes per parallel task, and the number of pixels that are summed in f32.
const CHUNK: usize = 1 << 12;
const RUN: usize = 32;

/// Normalises the result of a convolution.
pub(super) fn apply(x: Map, norm: &Norm<'_>, statistics: Statistics) -> Result<Map> {
    let Map { values: Values::Blocks(values), node } = x else {
        bail!("batch_norm: expected maps in blocks");
    };
    let sizes = values.sizes;
    norm.check(sizes.channels)?;
    let parts = statistics.parts(sizes.images, sizes.pixels())?;
    let moments = match statistics {
        Statistics::OfBatch { .. } => {
            let moments = moments(&values, parts);
            follow(norm, &moments, sizes, parts)?;
            moments
        }
        Statistics::Running => running(norm)?,
    };
    let normalised = Normalised {
        sizes,
        parts,
        features: features(norm, &moments)?,
        slope: norm.activation.slope(),
        through: statistics != Statistics::Running,
    };
    let wanted = [norm.gamma.track_op(), norm.beta.track_op()];
    let tracked = node.is_tracked();
    let inputs = [Input::Map(&node), Input::Tensor(norm.gamma), Input::Tensor(norm.beta)];
    if !tracked && wanted == [false; 2] {
        // The result of the convolution has no other reader.
        let y = normalised.in_place(owned(values));
        return Ok(Map { values: Values::Blocks(y.into()), node });
    }
    let y = normalised.forward(&values);
    let before = node.gradient.clone();
    Map::new("batch norm of maps", &inputs, y, |gradient| {
        Box::new(move || {
            let dy = gradient.take()?.blocks()?;
            let (dx, dgamma, dbeta) = normalised.backward(&values, dy, tracked);
            if let Some(dx) = dx {
                before.add(Grad::Blocks(dx.into()))?;
            }
            let vector =
                |sums: Vec<f32>| Tensor::from_vec(sums, sizes.channels, &candle_core::Device::Cpu);
            let dgamma = wanted[0].then(|| vector(dgamma)).transpose()?;
            let dbeta = wanted[1].then(|| vector(dbeta)).transpose()?;
            Ok([None, dgamma, dbeta])
        })
    })
}

/// Returns a function that normalises rows of a block of channels in place by the running
/// statistics.
pub(super) fn by_running<'a>(
    norm: &'a Norm<'_>,
    channels: usize,
) -> Result<impl Fn(usize, &mut [Lane]) + Sync + use<'a>> {
    norm.check(channels)?;
    let features = features(norm, &running(norm)?)?;
    let slope = norm.activation.slope();
    Ok(move |block: usize, rows: &mut [Lane]| normalise_in_place(rows, &features[block], slope))
}

/// Returns the running mean and variance.
fn running(norm: &Norm<'_>) -> Result<Vec<(Lane, Lane)>> {
    Ok(lanes(norm.running_mean)?.into_iter().zip(lanes(norm.running_var)?).collect())
}

/// Combines moments `(parts, blocks)` with gamma and beta.
fn features(norm: &Norm<'_>, moments: &[(Lane, Lane)]) -> Result<Vec<Feature>> {
    let (gamma, beta) = (lanes(norm.gamma)?, lanes(norm.beta)?);
    let affine = gamma.iter().zip(&beta).cycle();
    let feature = |((mean, variance), (gamma, beta)): (&(Lane, Lane), (&Lane, &Lane))| {
        let inverse =
            variance.zip(*variance, |v, _| (1. / (f64::from(v) + norm.eps).sqrt()) as f32);
        Feature { mean: *mean, inverse, scale: *gamma * inverse, beta: *beta }
    };
    Ok(moments.iter().zip(affine).map(feature).collect())
}

/// Converts a vector `(C)` to lanes, with zeros after the last channel.
pub(super) fn lanes(vector: &Tensor) -> Result<Vec<Lane>> {
    let values = vector.detach().to_vec1::<f32>()?;
    Ok(values
        .chunks(LANES)
        .map(|chunk| {
            let mut lane = Lane::ZERO;
            lane.0[..chunk.len()].copy_from_slice(chunk);
            lane
        })
        .collect())
}

/// Returns the mean and biased variance, `(parts, blocks)`.
fn moments(x: &Blocks, parts: usize) -> Vec<(Lane, Lane)> {
    let (s, images) = (x.sizes, x.sizes.images / parts);
    let shift = |part: usize, block: usize| x.plane(part * images, block)[0];
    let sums: Vec<Pair> = (0..s.images * s.blocks())
        .into_par_iter()
        .map(|i| {
            let (image, block) = (i / s.blocks(), i % s.blocks());
            squares(x.plane(image, block), shift(image / images, block))
        })
        .collect();
    let count = (images * s.pixels()) as f64;
    total(&sums, parts, s)
        .iter()
        .enumerate()
        .map(|(i, (sum, squares))| {
            let shift = shift(i / s.blocks(), i % s.blocks());
            let mean = sum.map(|sum| sum / count);
            let variance =
                std::array::from_fn(|l| (squares[l] / count - mean[l] * mean[l]).max(0.) as f32);
            let mean = std::array::from_fn(|l| (f64::from(shift.0[l]) + mean[l]) as f32);
            (Lane(mean), Lane(variance))
        })
        .collect()
}

/// Returns the sums `(parts, blocks)` over the sums of the planes.
fn total(sums: &[Pair], parts: usize, s: Sizes) -> Vec<Pair> {
    let images = s.images / parts;
    let of = |part: usize, block: usize| {
        let mut total = ([0.; LANES], [0.; LANES]);
        for image in part * images..(part + 1) * images {
            let (a, b) = &sums[image * s.blocks() + block];
            for l in 0..LANES {
                total.0[l] += a[l];
                total.1[l] += b[l];
            }
        }
        total
    };
    (0..parts * s.blocks()).map(|i| of(i / s.blocks(), i % s.blocks())).collect()
}

/// Updates the running statistics, part after part.
fn follow(norm: &Norm<'_>, moments: &[(Lane, Lane)], s: Sizes, parts: usize) -> Result<()> {
    let count = s.images / parts * s.pixels();
    for part in moments.chunks_exact(s.blocks()) {
        let vector = |values: Vec<f32>| {
            Tensor::from_slice(&values[..s.channels], s.channels, &candle_core::Device::Cpu)
        };
        let mean = vector(part.iter().flat_map(|(mean, _)| mean.0).collect())?;
        let variance = vector(part.iter().flat_map(|(_, variance)| variance.0).collect())?;
        norm.follow(&BatchStatistics { mean, variance, count })?;
    }
    Ok(())
}

impl Normalised {
    fn feature(&self, plane: usize) -> usize {
        let blocks = self.sizes.blocks();
        plane / blocks / (self.sizes.images / self.parts) * blocks + plane % blocks
    }

    /// Calls `f(index of the feature, part of a plane, its offset)` for all of `out`.
    fn over(&self, out: &mut [Lane], f: impl Fn(usize, &mut [Lane], usize) + Sync) {
        let pixels = self.sizes.pixels();
        let chunk = if pixels.is_multiple_of(CHUNK) { CHUNK } else { pixels };
        out.par_chunks_mut(chunk).enumerate().for_each(|(i, out)| {
            let start = i * chunk;
            f(self.feature(start / pixels), out, start);
        });
    }

    fn forward(&self, x: &Blocks) -> Blocks {
        let mut y = Blocks::stale(self.sizes);
        self.over(&mut y.lanes, |feature, y, start| {
            normalise(y, &x.lanes[start..start + y.len()], &self.features[feature], self.slope);
        });
        y
    }

    fn in_place(&self, mut x: Blocks) -> Blocks {
        self.over(&mut x.lanes, |feature, x, _| {
            normalise_in_place(x, &self.features[feature], self.slope);
        });
        x
    }

    /// Returns the gradients of `x` (if `wanted`), of gamma and of beta.
    fn backward(
        &self,
        x: &Blocks,
        dy: Arc<Blocks>,
        wanted: bool,
    ) -> (Option<Blocks>, Vec<f32>, Vec<f32>) {
        let s = self.sizes;
        let sums: Vec<Pair> = (0..s.images * s.blocks())
            .into_par_iter()
            .map(|i| {
                let (image, block) = (i / s.blocks(), i % s.blocks());
                let feature = &self.features[self.feature(i)];
                gradient_sums(x.plane(image, block), dy.plane(image, block), feature, self.slope)
            })
            .collect();
        let parts = total(&sums, self.parts, s);
        let dx = wanted.then(|| {
            // dx = scale * (dy - mean(dy) - normalised * mean(dy * normalised))
            let count = (s.images / self.parts * s.pixels()) as f64;
            let through = if self.through { 1. / count } else { 0. };
            let corrections: Vec<(Lane, Lane)> = parts
                .iter()
                .zip(&self.features)
                .map(|((beta, gamma), feature)| {
                    let slant = std::array::from_fn(|l| {
                        (gamma[l] * through * f64::from(feature.inverse.0[l])) as f32
                    });
                    (Lane(beta.map(|sum| (sum * through) as f32)), Lane(slant))
                })
                .collect();
            let mut dx = owned(dy);
            self.over(&mut dx.lanes, |feature, dx, start| {
                let x = &x.lanes[start..start + dx.len()];
                input_gradient(dx, x, &self.features[feature], corrections[feature], self.slope);
            });
            dx
        });
        let whole = total(&sums, 1, s);
        let vector = |of: fn(&Pair) -> &[f64; LANES]| {
            whole.iter().flat_map(|pair| of(pair).map(|v| v as f32)).take(s.channels).collect()
        };
        (dx, vector(|pair| &pair.1), vector(|pair| &pair.0))
    }
}

/// Returns the value before the activation. The forward and backward passes must agree on its sign.
#[inline(always)]
fn affine(x: Lane, feature: &Feature) -> Lane {
    (x - feature.mean) * feature.scale + feature.beta
}

#[inline(always)]
fn add(total: &mut [f64; LANES], sum: Lane) {
    for (total, sum) in total.iter_mut().zip(sum.0) {
        *total += f64::from(sum);
    }
}

vectorised! {
    /// Returns the sum and the sum of squares of `x - shift`.
    fn squares(x: &[Lane], shift: Lane) -> Pair {
        let mut total = ([0.; LANES], [0.; LANES]);
        for run in x.chunks(RUN) {
            let (mut sum, mut squares) = (Lane::ZERO, Lane::ZERO);
            for x in run {
                one_pixel();
                let d = *x - shift;
                sum += d;
                squares += d * d;
            }
            add(&mut total.0, sum);
            add(&mut total.1, squares);
        }
        total
    }

    fn normalise(y: &mut [Lane], x: &[Lane], feature: &Feature, slope: f32) {
        let feature = *feature;
        for (y, x) in y.iter_mut().zip(x) {
            one_pixel();
            let v = affine(*x, &feature);
            *y = v.zip(v, |v, _| select(v, v, slope));
        }
    }

    fn normalise_in_place(x: &mut [Lane], feature: &Feature, slope: f32) {
        let feature = *feature;
        for x in x {
            one_pixel();
            let v = affine(*x, &feature);
            *x = v.zip(v, |v, _| select(v, v, slope));
        }
    }

    /// Returns the sum of the gradient, and the sum of the gradient times the normalised value.
    fn gradient_sums(x: &[Lane], dy: &[Lane], feature: &Feature, slope: f32) -> Pair {
        let feature = *feature;
        let mut total = ([0.; LANES], [0.; LANES]);
        for (x, dy) in x.chunks(RUN).zip(dy.chunks(RUN)) {
            let (mut beta, mut gamma) = (Lane::ZERO, Lane::ZERO);
            for (x, dy) in x.iter().zip(dy) {
                one_pixel();
                let g = affine(*x, &feature).zip(*dy, |v, dy| select(v, dy, slope));
                beta += g;
                gamma += g * ((*x - feature.mean) * feature.inverse);
            }
            add(&mut total.0, beta);
            add(&mut total.1, gamma);
        }
        total
    }

    /// Replaces the gradient of `y` in `dx` by the gradient of `x`.
    fn input_gradient(
        dx: &mut [Lane],
        x: &[Lane],
        feature: &Feature,
        correction: (Lane, Lane),
        slope: f32,
    ) {
        let (feature, (mean, slant)) = (*feature, correction);
        for (dx, x) in dx.iter_mut().zip(x) {
            one_pixel();
            let g = affine(*x, &feature).zip(*dx, |v, dy| select(v, dy, slope));
            *dx = feature.scale * ((g - mean) - (*x - feature.mean) * slant);
        }
    }
}
