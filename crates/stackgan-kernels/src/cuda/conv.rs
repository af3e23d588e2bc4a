//! Convolutions of maps, plain or after an up-sampling.
//!
//! An up-sampling by two followed by a 3x3 convolution is, for each of the four phases of the
//! output, a 2x2 convolution of the small image with summed taps. This takes 16 products instead of
//! 36, and the up-sampled image is never written. A single convolution with four times the channels
//! computes all phases; see `Rows` in `cuda/norm.cu` for the positions of its values.

use candle_core::{DType, Result, Tensor, bail};

use super::cudnn::{Geometry, Way, convolve};
use super::device::{self, Arg, Grid, MAPS, at, f32_at, int, suffix};
use super::link::{Input, Map, Origin, linked, padded};
use crate::geometry::{Conv2dShape, planes};
use crate::{Filter, Precision};

/// A weight in cuDNN's layout, `(out, kh, kw, in)` in the type of the maps, with the geometry of
/// its convolution. It may be padded with channels of zeros.
pub(super) struct Prepared {
    weight: Tensor,
    geometry: Geometry,
    phases: bool,
    out: usize,
    in_channels: usize,
    taps: usize,
}

/// Largest number of taps of a kernel that fits into the tiles of `weight_in`.
const MOST_TAPS: usize = 16;

impl Prepared {
    /// Prepares a weight whose results take `outs` values per pixel.
    pub(super) fn new(x: &Map, weight: &Tensor, filter: Filter, outs: usize) -> Result<Self> {
        let (images, height, width, in_channels) = x.sizes()?;
        let (out, expected, kh, kw) = planes(weight, "weight")?;
        if in_channels != expected || (filter == Filter::Up && (kh, kw) != (3, 3)) {
            bail!("weight {:?} does not fit maps of {in_channels} channels", weight.dims());
        }
        let (stride, padding) = match filter {
            Filter::Plain { stride, padding } => (stride, padding.of_all_sides()),
            Filter::Up => (1, Some(1)),
            Filter::Depthwise { .. } => bail!("maps on a GPU: no depthwise convolutions"),
        };
        let Some(padding) = padding else {
            bail!("maps on a GPU: expected the same padding on every side, found {filter:?}");
        };
        let sizes = [images, in_channels, height, width];
        Conv2dShape::new(&sizes, weight, stride, padding.into())?;
        let (phases, taps, ins) = (filter == Filter::Up, kh * kw, x.stride()?);
        if taps > MOST_TAPS {
            bail!("maps on a GPU: kernels of at most {MOST_TAPS} taps, found {:?}", weight.dims());
        }
        let (out_channels, kernel) = if phases { (4 * outs, (2, 2)) } else { (outs, (kh, kw)) };
        let geometry = Geometry {
            images,
            height,
            width,
            in_channels: ins,
            out_channels,
            kernel,
            stride,
            padding,
        };
        let weight = weight.contiguous()?;
        let shape = (out_channels, kernel.0, kernel.1, ins);
        let device = device::of(&weight)?;
        let prepared = device::empty(&device, shape, x.values.dtype())?;
        let (from, to) = (f32_at(&weight)?, at(&prepared)?);
        let [o, i, os, is] = [int(out)?, int(in_channels)?, int(outs)?, int(ins)?];
        if phases {
            let pairs = outs * ins;
            let args = [from, to, Arg::I64(pairs as i64), o, i, os, is];
            MAPS.each(&prepared, "phases_in", pairs, &args)?;
        } else {
            let kernel = format!("weight_in_{}", suffix(prepared.dtype())?);
            let args = [from, to, o, i, os, is, int(taps)?];
            MAPS.launch(&device, &kernel, tiles(outs, ins), &args)?;
        }
        Ok(Self { weight: prepared, geometry, phases, out, in_channels, taps })
    }

    /// Convolves `x`. The phases of an up-sampling convolution stay separate.
    fn forward(&self, x: &Map) -> Result<Tensor> {
        convolve(Way::Forward, &self.geometry, x.precision, &x.values, &self.weight)
    }

    /// Convolves `x`, as [`Self::forward`] does, with the `weight` that this was made of. Both
    /// receive gradients.
    pub(super) fn linked(self, x: &Map, weight: &Tensor) -> Result<Map> {
        let (values, from) = ((self.forward(x)?, self.out), Convolved::new(x, weight));
        let inputs = [Input::Map(x), Input::Tensor(weight)];
        linked("convolution of maps", &inputs, values, x.precision, |gradient| {
            Box::new(move || Ok([None, self.backward(&from, &gradient.take()?)?, None]))
        })
    }

    /// Adds the gradient of the maps if they are tracked, and returns the gradient of the weight if
    /// it is.
    fn backward(&self, from: &Convolved, dy: &Tensor) -> Result<Option<Tensor>> {
        let Convolved { origin, values, precision } = from;
        if origin.is_tracked {
            origin.add(convolve(Way::Input, &self.geometry, *precision, &self.weight, dy)?)?;
        }
        values.as_ref().map(|x| self.weight_gradient(x, *precision, dy)).transpose()
    }

    /// Returns the gradient of the weight, `(out, in, kh, kw)` in `f32`.
    fn weight_gradient(&self, x: &Tensor, precision: Precision, dy: &Tensor) -> Result<Tensor> {
        let g = &self.geometry;
        let dw = convolve(Way::Weight, g, precision, x, dy)?;
        let kernel = if self.phases { (3, 3) } else { g.kernel };
        let (shape, device) = ((self.out, self.in_channels, kernel.0, kernel.1), device::of(&dw)?);
        let result = device::empty(&device, shape, DType::F32)?;
        let (from, to) = (at(&dw)?, at(&result)?);
        let (i, is) = (int(self.in_channels)?, int(g.in_channels)?);
        if self.phases {
            let pairs = self.out * self.in_channels;
            let args = [from, to, Arg::I64(pairs as i64), i, int(g.out_channels / 4)?, is];
            MAPS.each(&dw, "phases_out", pairs, &args)?;
        } else {
            let kernel = format!("weight_out_{}", suffix(dw.dtype())?);
            let args = [from, to, int(self.out)?, i, is, int(self.taps)?];
            MAPS.launch(&device, &kernel, tiles(self.out, self.in_channels), &args)?;
        }
        Ok(result)
    }
}

/// The maps of a convolution, as its backward pass reads them.
struct Convolved {
    origin: Origin,
    /// For the gradient of the weight, if one is needed.
    values: Option<Tensor>,
    precision: Precision,
}

impl Convolved {
    fn new(x: &Map, weight: &Tensor) -> Self {
        let values = weight.track_op().then(|| x.values.clone());
        Self { origin: x.origin(), values, precision: x.precision }
    }
}

/// Returns the grid of `weight_in` and `weight_out`: a block covers 32 input channels and eight
/// output channels.
fn tiles(outs: usize, ins: usize) -> Grid {
    let blocks = (ins.div_ceil(32) as u32, outs.div_ceil(8) as u32, 1);
    Grid { blocks, threads: (256, 1), shared: 0 }
}

/// Convolves maps with `weight (out, in, kh, kw)`.
pub(crate) fn conv(x: &Map, weight: &Tensor, filter: Filter) -> Result<Map> {
    let channels = weight.dim(0)?;
    let outs = padded(channels, x.precision);
    let prepared = Prepared::new(x, weight, filter, outs)?;
    if filter != Filter::Up {
        return prepared.linked(x, weight);
    }
    let (convolved, from) = (prepared.forward(x)?, Convolved::new(x, weight));
    let inputs = [Input::Map(x), Input::Tensor(weight)];
    let ((n, h, w, _), shape) = (x.sizes()?, convolved.shape().clone());
    let y = device::empty(&device::of(&convolved)?, (n, 2 * h, 2 * w, outs), convolved.dtype())?;
    let sizes = [int(outs)?, int(h)?, int(w)?];
    move_phases("shuffle", &convolved, &y, sizes)?;
    linked("up-sampling convolution of maps", &inputs, (y, channels), x.precision, |gradient| {
        Box::new(move || {
            let dy = gradient.take()?;
            let apart = device::empty(&device::of(&dy)?, shape.clone(), dy.dtype())?;
            move_phases("unshuffle", &dy, &apart, sizes)?;
            Ok([None, prepared.backward(&from, &apart)?, None])
        })
    })
}

fn move_phases(kernel: &str, from: &Tensor, to: &Tensor, [channels, h, w]: [Arg; 3]) -> Result<()> {
    let count = to.elem_count();
    let (from, to_address) = (at(from)?, at(to)?);
    MAPS.each(to, kernel, count, &[from, to_address, Arg::I64(count as i64), channels, h, w])
}
