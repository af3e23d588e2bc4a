//! Every operation as plain candle operations, differentiated by candle.
//!
//! Tests compare the fast forms against this module, and it runs for `f64`, `f16`, `bf16` and other
//! devices. It is written for clarity, and avoids three traps of candle 0.11.1: the derivative of
//! `relu` at 0 is 1, the backward pass of `upsample_nearest2d` overwrites gradients, and the
//! backward pass of `conv2d` needs the same remainder along both axes.
#![expect(
    clippy::disallowed_methods,
    reason = "plain operations, for other devices and types, and for tests"
)]

use candle_core::{D, Result, Tensor, Var};

use crate::geometry::{BatchNormShape, Conv2dShape, Padding, planes};
use crate::norm::check_vectors;
use crate::{Activation, AdamStep, BatchStatistics, Clamp, Pool};

/// [`crate::activate()`] by selection, which gives the derivatives of `torch` at 0: 0 for relu, and
/// the slope for leaky relu.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Identity => Ok(x.clone()),
        Activation::Relu => x.le(&x.zeros_like()?)?.where_cond(&x.zeros_like()?, x),
        Activation::LeakyRelu(slope) => {
            x.le(&x.zeros_like()?)?.where_cond(&x.affine(f64::from(slope), 0.)?, x)
        }
    }
}

/// [`crate::translate`], picture by picture.
pub fn translate(x: &Tensor, shifts: &Tensor) -> Result<Tensor> {
    each(x, shifts, |picture, right, down| shifted(&shifted(picture, 3, right)?, 2, down))
}

/// [`crate::cut_out`] by a product with zeros and ones.
pub fn cut_out(x: &Tensor, corners: &Tensor, side: usize) -> Result<Tensor> {
    each(x, corners, |picture, column, row| {
        let axis = |dim, first: i64| {
            let kept = |at: i64| {
                if (first..first.saturating_add(side as i64)).contains(&at) { 0f32 } else { 1. }
            };
            let size = picture.dim(dim)?;
            let (height, width) = if dim == 2 { (size, 1) } else { (1, size) };
            let kept = (0..size as i64).map(kept).collect();
            Tensor::from_vec(kept, (1, 1, height, width), picture.device())?
                .to_dtype(picture.dtype())
        };
        picture.broadcast_mul(&axis(2, row)?.broadcast_maximum(&axis(3, column)?)?)
    })
}

fn each(
    x: &Tensor,
    places: &Tensor,
    f: impl Fn(&Tensor, i64, i64) -> Result<Tensor>,
) -> Result<Tensor> {
    let places = places.to_dtype(candle_core::DType::F32)?.to_vec2::<f32>()?;
    let changed = places.iter().enumerate().map(|(i, place)| match place[..] {
        [right, down] => f(&x.narrow(0, i, 1)?, right as i64, down as i64),
        _ => candle_core::bail!("expected two coordinates, found {place:?}"),
    });
    Tensor::cat(&changed.collect::<Result<Vec<_>>>()?, 0)
}

/// Shifts along `dim` towards higher indices by `by`, padded with zeros.
fn shifted(x: &Tensor, dim: usize, by: i64) -> Result<Tensor> {
    let (size, gap) = (x.dim(dim)?, by.unsigned_abs() as usize);
    match by {
        0 => Ok(x.clone()),
        _ if gap >= size => x.zeros_like(),
        1.. => x.narrow(dim, 0, size - gap)?.pad_with_zeros(dim, gap, 0),
        _ => x.narrow(dim, gap, size - gap)?.pad_with_zeros(dim, 0, gap),
    }
}

/// [`crate::Filter::Plain`] by `Tensor::conv2d`.
///
/// If the stride does not divide the padded size, the part of the input that no window covers is
/// cut off first.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: impl Into<Padding>,
) -> Result<Tensor> {
    let padding = padding.into();
    let s = Conv2dShape::new(x.dims(), weight, stride, padding)?;
    let used_height = (s.out_height - 1) * stride + s.kernel_height;
    let used_width = (s.out_width - 1) * stride + s.kernel_width;
    let all = padding.top;
    if padding == Padding::from(all)
        && (used_height, used_width) == (s.height + 2 * all, s.width + 2 * all)
    {
        return x.conv2d(weight, all, stride, 1, 1);
    }
    let used =
        padding.around(x)?.narrow(2, 0, used_height)?.narrow(3, 0, used_width)?.contiguous()?;
    used.conv2d(weight, 0, stride, 1, 1)
}

/// [`crate::Filter::Depthwise`] as a separate convolution of every channel.
pub fn depthwise_conv2d(
    x: &Tensor,
    weight: &Tensor,
    stride: usize,
    padding: impl Into<Padding>,
) -> Result<Tensor> {
    let padding = padding.into();
    Conv2dShape::depthwise(x.dims(), weight, stride, padding)?;
    let channels = 0..weight.dim(0)?;
    let each = channels.map(|c| {
        conv2d(&x.narrow(1, c, 1)?.contiguous()?, &weight.narrow(0, c, 1)?, stride, padding)
    });
    Tensor::cat(&each.collect::<Result<Vec<_>>>()?, 1)
}

/// [`crate::Clamp`] by broadcasting.
pub fn clamp(x: &Tensor, clamp: Clamp<'_>) -> Result<Tensor> {
    let (_, c, _, _) = planes(x, "clamp")?;
    x.broadcast_add(&clamp.bias.reshape((1, c, 1, 1))?)?.clamp(clamp.low, clamp.high)
}

/// [`crate::Pool`] by selecting the pixels of every window.
pub fn pool(x: &Tensor, pool: Pool) -> Result<Tensor> {
    let (_, _, height, width) = planes(x, "pool")?;
    pool.check(height, width)?;
    let lines = |x: &Tensor, axis: usize, side: usize| {
        let line = |i: usize| {
            let (from, to) = pool.window(i, side);
            let window = x.narrow(axis, from, to - from)?;
            match pool {
                Pool::Largest | Pool::Halve => window.max_keepdim(axis),
                Pool::AveragePadded => window.sum_keepdim(axis)? / 3.,
                Pool::AverageInside => window.mean_keepdim(axis),
            }
        };
        Tensor::cat(&(0..pool.side(side)).map(line).collect::<Result<Vec<_>>>()?, axis)
    };
    lines(&lines(x, 2, height)?, 3, width)
}

/// Nearest up-sampling by two, by broadcasting. candle 0.11.1's own operation loses gradients of a
/// tensor that is used twice.
///
/// # Errors
/// A tensor that is empty or does not have 4 axes.
pub fn upsample2x(x: &Tensor) -> Result<Tensor> {
    let (n, c, h, w) = planes(x, "upsample2x")?;
    x.reshape((n, c, h, 1, w, 1))?.broadcast_as((n, c, h, 2, w, 2))?.reshape((n, c, 2 * h, 2 * w))
}

/// [`crate::Filter::Up`] as an up-sampling followed by a convolution.
pub fn upsample2x_conv3x3(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (_, _, kh, kw) = planes(weight, "upsample2x_conv3x3 weight")?;
    if (kh, kw) != (3, 3) {
        candle_core::bail!("upsample2x_conv3x3: weight {:?} is not (out, in, 3, 3)", weight.dims());
    }
    conv2d(&upsample2x(x)?, weight, 1, 1)
}

/// [`crate::Norm::apply`] with the batch's own statistics, by means and broadcasts.
pub fn batch_norm_train(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    activation: Activation,
) -> Result<(Tensor, BatchStatistics)> {
    let shape = BatchNormShape::new(x)?;
    check_vectors(shape.channels, &[("gamma", gamma), ("beta", beta)])?;
    let rows = by_feature(x, &shape)?;
    let mean = rows.mean_keepdim(1)?;
    let centred = rows.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(1)?;
    let y = affine(&centred, &variance, gamma, beta, eps)?;
    let y = activate(&from_feature(&y, x, &shape)?, activation)?;
    let statistics = BatchStatistics {
        mean: mean.flatten_all()?.detach(),
        variance: variance.flatten_all()?.detach(),
        count: shape.count(),
    };
    Ok((y, statistics))
}

/// [`crate::Norm::apply`] with the given statistics, by broadcasts.
pub fn batch_norm_eval(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    statistics: (&Tensor, &Tensor),
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    let (mean, variance) = (statistics.0.detach(), statistics.1.detach());
    let vectors = [("gamma", gamma), ("beta", beta), ("mean", &mean), ("variance", &variance)];
    let shape = BatchNormShape::new(x)?;
    check_vectors(shape.channels, &vectors)?;
    let column = (shape.channels, 1);
    let centred = by_feature(x, &shape)?.broadcast_sub(&mean.reshape(column)?)?;
    let y = affine(&centred, &variance.reshape(column)?, gamma, beta, eps)?;
    activate(&from_feature(&y, x, &shape)?, activation)
}

/// [`crate::bce_with_logits`] by plain operations, exact from -10⁴ to 10⁴.
///
/// For logit l and label t it computes (l + |l|)/2 - l t + ln(1 + exp(-|l|)). It uses |l|, whose
/// derivative at 0 does not matter here, instead of a maximum, whose derivative at 0 candle takes
/// as 1.
pub fn bce_with_logits(logits: &Tensor, label: f64) -> Result<Tensor> {
    let magnitude = logits.abs()?;
    let linear = (((logits + &magnitude)? * 0.5)? - (logits * label)?)?;
    let tail = (magnitude.neg()?.exp()? + 1.0)?.log()?;
    (linear + tail)?.mean_all()
}

/// [`crate::linear()`] by `Tensor::matmul`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&weight.t()?)?;
    match bias {
        None => Ok(y),
        Some(bias) => y.broadcast_add(bias),
    }
}

/// [`crate::adam_update`] with one tensor per intermediate result.
pub fn adam_update(p: &Var, grad: &Tensor, m: &Var, v: &Var, cfg: AdamStep) -> Result<()> {
    let AdamStep { lr, beta1, beta2, eps, .. } = cfg;
    let grad = grad.detach();
    let new_m = (m.as_detached_tensor().affine(beta1, 0.)? + grad.affine(1. - beta1, 0.)?)?;
    let new_v =
        (v.as_detached_tensor().affine(beta2, 0.)? + grad.sqr()?.affine(1. - beta2, 0.)?)?;
    let (correction1, correction2) = cfg.corrections();
    let denominator = new_v.sqrt()?.affine(1. / correction2.sqrt(), eps)?;
    let update = (&new_m / denominator)?.affine(lr / correction1, 0.)?;
    p.set(&(p.as_detached_tensor() - update)?)?;
    m.set(&new_m)?;
    v.set(&new_v)
}

/// Reshapes `(N, C, ...)` to `(C, N * ...)`.
fn by_feature(x: &Tensor, shape: &BatchNormShape) -> Result<Tensor> {
    let (n, c, plane) = (shape.images, shape.channels, shape.plane);
    x.reshape((n, c, plane))?.transpose(0, 1)?.reshape((c, n * plane))
}

/// The inverse of [`by_feature`], in the shape of `x`.
fn from_feature(y: &Tensor, x: &Tensor, shape: &BatchNormShape) -> Result<Tensor> {
    let (n, c, plane) = (shape.images, shape.channels, shape.plane);
    y.reshape((c, n, plane))?.transpose(0, 1)?.reshape(x.shape())
}

/// Returns `centred / sqrt(variance + eps) * gamma + beta`, for each feature.
fn affine(
    centred: &Tensor,
    variance: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
) -> Result<Tensor> {
    let deviation = variance.affine(1., eps)?.sqrt()?;
    centred
        .broadcast_div(&deviation)?
        .broadcast_mul(&gamma.unsqueeze(D::Minus1)?)?
        .broadcast_add(&beta.unsqueeze(D::Minus1)?)
}
