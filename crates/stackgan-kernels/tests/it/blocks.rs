//! Maps on a CPU compared with the same maps in f64, which candle computes: values and gradients of
//! every convolution algorithm.

use candle_core::{DType, Result, Tensor};
use stackgan_kernels::{Activation, Filter, Maps, Norm, Statistics};

use crate::common::{assert_close, assert_twins, bits, conv, normal, outcome, plain, values};

/// `(images, in, height, width)`, `(out, kernel)`, filter.
type Case = ((usize, usize, usize, usize), (usize, usize), Filter);

const SHAPES: [Case; 30] = [
    // Up-sampling: one block, parts of blocks, many tiles, odd sizes, a picture.
    ((1, 16, 4, 4), (16, 3), Filter::Up),
    ((3, 5, 4, 4), (3, 3), Filter::Up),
    ((2, 40, 8, 8), (37, 3), Filter::Up),
    ((9, 8, 16, 16), (24, 3), Filter::Up),
    ((1, 20, 3, 5), (17, 3), Filter::Up),
    ((2, 3, 4, 4), (6, 3), Filter::Up),
    // 3x3.
    ((2, 20, 4, 4), (33, 3), plain(1, 1)),
    ((1, 48, 8, 8), (16, 3), plain(1, 1)),
    ((9, 6, 32, 32), (3, 3), plain(1, 1)),
    ((2, 7, 5, 6), (9, 3), plain(1, 1)),
    ((3, 3, 8, 8), (20, 3), plain(1, 1)),
    // 4x4 of stride 2.
    ((2, 20, 8, 8), (33, 4), plain(2, 1)),
    ((5, 16, 32, 32), (16, 4), plain(2, 1)),
    ((1, 33, 4, 4), (50, 4), plain(2, 1)),
    ((2, 9, 6, 6), (8, 4), plain(2, 1)),
    ((4, 3, 16, 16), (24, 4), plain(2, 1)),
    ((1, 3, 64, 64), (16, 4), plain(2, 1)),
    ((2, 9, 7, 9), (8, 4), plain(2, 1)),
    ((1, 40, 64, 64), (20, 4), plain(2, 1)),
    ((2, 5, 66, 71), (9, 4), plain(2, 1)),
    ((1, 6, 40, 15), (35, 3), Filter::Up),
    // Other kernels.
    ((2, 20, 8, 8), (35, 1), plain(1, 0)),
    ((3, 40, 4, 4), (1, 4), plain(4, 0)),
    ((1, 5, 7, 9), (6, 5), plain(1, 2)),
    ((2, 6, 9, 7), (18, 3), plain(2, 1)),
    ((2, 4, 5, 5), (6, 3), plain(3, 2)),
    ((1, 5, 9, 9), (3, 7), plain(1, 3)),
    ((2, 40, 6, 5), (3, 3), plain(1, 1)),
    ((1, 16, 70, 70), (4, 3), plain(1, 1)),
    ((2, 1, 4, 4), (1, 1), plain(1, 0)),
];

#[test]
fn every_way_of_convolving_agrees_with_its_twin() {
    for ((n, c, h, w), (out, k), filter) in SHAPES {
        let (x, weight) = (normal((n, c, h, w), 1), normal((out, c, k, k), 2));
        let convolved = |t: &[Tensor]| conv(&t[0], &t[1], filter);
        assert_twins(
            &format!("{n}x{c}x{h}x{w} to {out} by {k}, {filter:?}"),
            &[x, weight],
            convolved,
            convolved,
        );
    }
}

/// With weights for two million pairs of channels, a sum in f64 by candle would take a minute. The
/// convolution is linear in each argument, which gives two checks. A gradient times any direction
/// equals the random weighting times the result for that direction. And the result is the sum over
/// groups of channels.
#[test]
fn a_deep_convolution_is_the_sum_of_its_channels() -> Result<()> {
    let shapes = [(2, 1024, 8, 8), (2048, 1024, 4, 4)];
    let inputs = [normal(shapes[0], 1), normal(shapes[1], 2)];
    let convolve = |x: &Tensor, w: &Tensor| conv(x, w, plain(2, 1));
    let found = outcome(&inputs, DType::F32, |t| convolve(&t[0], &t[1]));
    let weighting = values(&normal(found.y.shape(), 999));
    let dot = |a: &Tensor, b: &[f64]| -> f64 { values(a).iter().zip(b).map(|(a, b)| a * b).sum() };
    let directions = [normal(shapes[0], 3), normal(shapes[1], 4)];
    let results = [convolve(&directions[0], &inputs[1])?, convolve(&inputs[0], &directions[1])?];
    for ((gradient, direction), y) in found.gradients.iter().zip(&directions).zip(&results) {
        let (given, expected) = (dot(gradient, &values(direction)), dot(y, &weighting));
        let scale = dot(y, &values(y)).sqrt() * (weighting.len() as f64).sqrt();
        assert!((given - expected).abs() < 1e-6 * scale, "{given} for {expected} of {scale}");
    }
    let mut sum = found.y.zeros_like()?;
    for first in (0..1024).step_by(256) {
        let x = inputs[0].narrow(1, first, 256)?;
        let outs = inputs[1].narrow(1, first, 256)?.chunk(4, 0)?; // too small for this algorithm
        let parts = outs.iter().map(|w| conv(&x, w, plain(2, 1)));
        sum = (sum + Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)?)?;
    }
    assert_close(&found.y, &sum, 1e-5, "deep");
    Ok(())
}

#[test]
fn windows_that_do_not_fit_are_refused() -> Result<()> {
    let maps = Maps::enter(&normal((1, 20, 6, 6), 1))?;
    for (shape, filter, message) in [
        ((3, 19, 3, 3), plain(1, 1), "20 channels"),
        ((3, 20, 9, 9), plain(1, 4), "at most 64 taps"),
        ((3, 20, 8, 8), plain(1, 0), "larger than input"),
        ((3, 20, 4, 4), Filter::Up, "expected (out, 20, 3, 3)"),
    ] {
        let error = maps.conv(&normal(shape, 2), filter).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    Ok(())
}

fn normed(t: &[Tensor], filter: Filter, statistics: Statistics, act: Activation) -> Result<Tensor> {
    let (channels, dtype) = (t[1].dim(0)?, t[0].dtype());
    let running = |sample: u64| {
        let values = (normal(channels, sample).abs()? + 0.5)?.to_dtype(dtype)?;
        candle_core::Var::from_tensor(&values)
    };
    let (mean, var) = (running(7)?, running(8)?);
    let norm = Norm {
        gamma: &t[2],
        beta: &t[3],
        running_mean: &mean,
        running_var: &var,
        momentum: 0.1,
        unbiased: true,
        eps: 1e-5,
        activation: act,
    };
    let y = Maps::enter(&t[0])?.conv_norm(&t[1], filter, &norm, statistics)?.leave()?;
    // The running statistics are part of the result, so that they are compared.
    let moved = Tensor::cat(&[mean.as_detached_tensor(), var.as_detached_tensor()], 0)?;
    Tensor::cat(&[y.flatten_all()?, moved], 0)
}

#[test]
fn norms_agree_with_their_twins() {
    let activations = [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.2)];
    for (parts, activation) in [1, 2, 4].into_iter().zip(activations) {
        for statistics in [Statistics::OfBatch { parts }, Statistics::Running] {
            for (c, out, size) in [(3, 20, 8), (18, 5, 4), (16, 16, 64)] {
                let inputs = [
                    normal((4, c, size, size), 1),
                    normal((out, c, 3, 3), 2),
                    normal(out, 3),
                    normal(out, 4),
                ];
                let f = |t: &[Tensor]| normed(t, plain(1, 1), statistics, activation);
                assert_twins(
                    &format!("{statistics:?}, {activation:?}, {c} to {out}"),
                    &inputs,
                    f,
                    f,
                );
            }
        }
    }
}

#[test]
fn running_statistics_of_another_size_are_refused() -> Result<()> {
    let (gamma, other) = (normal(5, 1), candle_core::Var::from_tensor(&normal(4, 2))?);
    let norm = Norm {
        gamma: &gamma,
        beta: &gamma,
        running_mean: &other,
        running_var: &other,
        momentum: 0.1,
        unbiased: true,
        eps: 1e-5,
        activation: Activation::Relu,
    };
    let maps = Maps::enter(&normal((2, 6, 4, 4), 3))?;
    for statistics in [Statistics::Running, Statistics::OfBatch { parts: 1 }] {
        let result = maps.conv_norm(&normal((5, 6, 3, 3), 4), plain(1, 1), &norm, statistics);
        let error = result.unwrap_err().to_string();
        assert!(error.contains("5 channels, running_mean has shape [4]"), "{error}");
    }
    Ok(())
}

/// Maps that are used twice, sums, appended vectors, activations, and pictures that are not the
/// input of a convolution.
#[test]
fn a_small_network_agrees_with_its_twin() {
    let inputs = [
        normal((2, 3, 8, 8), 1),
        normal((5, 3, 4, 4), 2),
        normal((2, 7), 3),
        normal((12, 12, 3, 3), 4),
    ];
    let network = |t: &[Tensor]| {
        let pictures = Maps::enter(&t[0])?;
        let x = pictures.conv(&t[1], plain(2, 1))?.activate(Activation::LeakyRelu(0.2))?;
        let x = x.append_tiled(&t[2])?;
        let y = x.conv(&t[3], plain(1, 1))?;
        let z =
            x.add_activate(&y, Activation::Relu)?.add_activate(&x, Activation::LeakyRelu(0.1))?;
        let bright = pictures.activate(Activation::Relu)?.leave()?;
        z.leave()?.sum_all()? + (bright.sqr()?.sum_all()? + pictures.leave()?.sum_all()?)?
    };
    assert_twins("a small network", &inputs, network, network);
}

/// Without gradients, values are computed in place. They must equal those of a pass with gradients.
#[test]
fn painting_has_the_bits_of_training() -> Result<()> {
    let inputs =
        [normal((2, 18, 8, 8), 1), normal((20, 18, 3, 3), 2), normal(20, 3), normal(20, 4)];
    let f = |t: &[Tensor]| normed(t, Filter::Up, Statistics::Running, Activation::Relu);
    let plain = f(&inputs)?;
    let tracked = outcome(&inputs, DType::F32, f).y;
    assert_eq!(bits(&plain), bits(&tracked));
    Ok(())
}

/// A picture does not depend on the others in its batch.
#[test]
fn an_image_alone_has_the_bits_of_an_image_in_a_batch() -> Result<()> {
    for (filter, k, size) in [(Filter::Up, 3, 16), (plain(1, 1), 3, 32), (plain(2, 1), 4, 64)] {
        let (x, weight) = (normal((12, 24, size, size), 1), normal((40, 24, k, k), 2));
        let convolve = |x: &Tensor| Maps::enter(x)?.conv(&weight, filter)?.leave();
        let all = convolve(&x)?;
        for i in [0, 5, 11] {
            let alone = convolve(&x.narrow(0, i, 1)?.contiguous()?)?;
            let here = all.narrow(0, i, 1)?;
            assert_eq!(bits(&alone), bits(&here), "{filter:?} {i}");
        }
    }
    Ok(())
}
