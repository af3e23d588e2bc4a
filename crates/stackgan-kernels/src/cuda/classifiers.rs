//! Additional operations of image classifiers: depthwise convolutions, and a bias with bounds. Only
//! maps have gradients here.

use candle_core::{Result, Tensor, bail};

use super::device::{self, Arg, CLASSIFIERS, at, count, f32_at, int};
use super::link::{Input, Map, linked};
use crate::Clamp;
use crate::geometry::{Conv2dShape, Padding};

/// Every channel with a kernel of its own, `weight (C, 1, kh, kw)`.
pub(crate) fn depthwise(x: &Map, weight: &Tensor, stride: usize, padding: Padding) -> Result<Map> {
    let ((n, h, w, c), pixel) = (x.sizes()?, x.stride()?);
    let s = Conv2dShape::depthwise(&[n, c, h, w], weight, stride, padding)?;
    if weight.track_op() {
        bail!("the weight of a depthwise convolution of maps has no gradient");
    }
    let sizes = [
        c,
        pixel,
        h,
        w,
        s.out_height,
        s.out_width,
        s.kernel_height,
        s.kernel_width,
        s.stride,
        s.pad_height,
        s.pad_width,
    ];
    let window = sizes.into_iter().map(int);
    let window = window.collect::<Result<Vec<_>>>()?;
    let weight = weight.reshape((c, ()))?.t()?.contiguous()?; // neighbours read neighbours
    let device = device::of(&x.values)?;
    let y = device::empty(&device, (n, s.out_height, s.out_width, pixel), x.values.dtype())?;
    let launch = |kernel: &str, window: &[Arg], [from, weight, to]: [&Tensor; 3]| {
        let args = [window, &[at(from)?, f32_at(weight)?, at(to)?, count(to)]].concat();
        CLASSIFIERS.each(to, kernel, to.elem_count(), &args)
    };
    launch("depthwise", &window, [&x.values, &weight, &y])?;
    let origin = x.origin();
    linked("depthwise convolution of maps", &[Input::Map(x)], (y, c), x.precision, |gradient| {
        Box::new(move || {
            let dy = gradient.take()?;
            let dx = device::empty(&device::of(&dy)?, (n, h, w, pixel), dy.dtype())?;
            launch("depthwise_back", &window, [&dy, &weight, &dx])?;
            origin.add(dx)?;
            Ok([None, None, None])
        })
    })
}

/// A bias for each channel, and bounds of the result.
pub(crate) fn clamp(x: &Map, clamp: Clamp<'_>) -> Result<Map> {
    let (channels, pixel) = (int(x.channels)?, int(x.stride()?)?);
    let (low, high) = (Arg::F32(clamp.low), Arg::F32(clamp.high));
    let bias = clamp.bias.contiguous()?;
    let y = device::empty(&device::of(&x.values)?, x.values.shape(), x.values.dtype())?;
    let sizes = [count(&y), channels, pixel, low, high];
    let args = [&[at(&x.values)?, f32_at(&bias)?, at(&y)?][..], &sizes].concat();
    CLASSIFIERS.each(&y, "bounded", y.elem_count(), &args)?;
    let (origin, result) = (x.origin(), y.clone());
    linked("bounded maps", &[Input::Map(x)], (y, x.channels), x.precision, |gradient| {
        Box::new(move || {
            let dy = gradient.take()?;
            let dx = device::empty(&device::of(&dy)?, dy.shape(), dy.dtype())?;
            let args = [at(&result)?, at(&dy)?, at(&dx)?, count(&dx), low, high];
            CLASSIFIERS.each(&dx, "bounded_back", dx.elem_count(), &args)?;
            origin.add(dx)?;
            Ok([None, None, None])
        })
    })
}
