//! Convolutions of maps: plain, and after an up-sampling.
//!
//! Up-sampling by two and a 3x3 convolution is, for each of the four phases of the output, a 2x2 convolution of the small
//! image with taps added up: 16 products instead of 36, and the up-sampled image is never written. One convolution with
//! four times the channels computes all phases; see `Rows` in `cuda/norm.cu` for where its values belong.

use candle_core::{Result, Tensor, bail};

use super::cudnn::{Geometry, Way, convolve};
use super::device::{self, Arg, MAPS};
use super::link::{Input, Map, linked};
use crate::geometry::planes;
use crate::maps::Filter;

/// A weight as cuDNN takes it: `(out, kh, kw, in)` in the type of the maps.
pub(super) struct Prepared {
    pub(super) weight: Tensor,
    pub(super) geometry: Geometry,
    pub(super) phases: bool,
}

impl Prepared {
    pub(super) fn new(x: &Map, weight: &Tensor, filter: Filter) -> Result<Self> {
        let (images, height, width, in_channels) = x.sizes()?;
        let (out, expected, kh, kw) = planes(weight, "weight")?;
        if in_channels != expected || (filter == Filter::Up && (kh, kw) != (3, 3)) {
            bail!("weight {:?} does not fit maps of {in_channels} channels", weight.dims());
        }
        let phases = filter == Filter::Up;
        let (stride, padding) = match filter {
            Filter::Plain { stride, padding } => (stride, padding),
            Filter::Up => (1, 1),
        };
        if stride == 0 || kh > height + 2 * padding || kw > width + 2 * padding {
            bail!(
                "weight {:?} with stride {stride} does not fit maps {height}x{width}",
                weight.dims()
            );
        }
        let (out_channels, kernel) = if phases { (4 * out, (2, 2)) } else { (out, (kh, kw)) };
        let geometry =
            Geometry { images, height, width, in_channels, out_channels, kernel, stride, padding };
        let weight = weight.contiguous()?;
        let shape = (out_channels, kernel.0, kernel.1, in_channels);
        let prepared = device::empty(&device::of(&weight)?, shape, x.values.dtype())?;
        let count = out * in_channels; // pairs of channels
        let addresses =
            [Arg::Address(device::address(&weight)?), Arg::Address(device::address(&prepared)?)];
        let (count_arg, channels) = (Arg::I64(count as i64), Arg::I32(device::int(in_channels)?));
        let [from, to] = addresses;
        if phases {
            let out = Arg::I32(device::int(out)?);
            MAPS.each(&prepared, "phases_in", count, &[from, to, count_arg, out, channels])?;
        } else {
            let taps = Arg::I32(device::int(kh * kw)?);
            MAPS.each(&prepared, "weight_in", count, &[from, to, count_arg, channels, taps])?;
        }
        Ok(Self { weight: prepared, geometry, phases })
    }

    /// The convolution, phases apart.
    pub(super) fn forward(&self, x: &Map) -> Result<Tensor> {
        convolve(Way::Forward, &self.geometry, x.precision, &x.values, &self.weight)
    }

    /// Gives `x` its gradient, where it is asked for, and returns that of the weight, where `wanted`.
    pub(super) fn backward(&self, x: &Map, dy: &Tensor, wanted: bool) -> Result<Option<Tensor>> {
        if x.is_tracked() {
            let dx = convolve(Way::Input, &self.geometry, x.precision, &self.weight, dy)?;
            x.gradient.add(dx)?;
        }
        wanted.then(|| self.weight_gradient(x, dy)).transpose()
    }

    /// `(out, in, kh, kw)` in f32.
    fn weight_gradient(&self, x: &Map, dy: &Tensor) -> Result<Tensor> {
        let g = &self.geometry;
        let dw = convolve(Way::Weight, g, x.precision, &x.values, dy)?;
        let (out, kernel) =
            if self.phases { (g.out_channels / 4, (3, 3)) } else { (g.out_channels, g.kernel) };
        let shape = (out, g.in_channels, kernel.0, kernel.1);
        let result = device::empty(&device::of(&dw)?, shape, candle_core::DType::F32)?;
        let count = out * g.in_channels;
        let (from, to) =
            (Arg::Address(device::address(&dw)?), Arg::Address(device::address(&result)?));
        let (count_arg, channels) = (Arg::I64(count as i64), Arg::I32(device::int(g.in_channels)?));
        if self.phases {
            let out = Arg::I32(device::int(out)?);
            MAPS.each(&dw, "phases_out", count, &[from, to, count_arg, out, channels])?;
        } else {
            let taps = Arg::I32(device::int(kernel.0 * kernel.1)?);
            MAPS.each(&dw, "weight_out", count, &[from, to, count_arg, channels, taps])?;
        }
        Ok(result)
    }
}

/// The convolution of maps with `weight (out, in, kh, kw)`.
pub(crate) fn conv(x: &Map, weight: &Tensor, filter: Filter) -> Result<Map> {
    let prepared = Prepared::new(x, weight, filter)?;
    let convolved = prepared.forward(x)?;
    let (input, wanted) = (x.clone(), weight.track_op());
    let inputs = [Input::Map(x), Input::Tensor(weight)];
    if filter != Filter::Up {
        return linked("convolution of maps", &inputs, convolved, x.precision, |gradient| {
            Box::new(move || {
                Ok([None, prepared.backward(&input, &gradient.take()?, wanted)?, None])
            })
        });
    }
    let ((n, h, w, _), channels, shape) = (x.sizes()?, weight.dim(0)?, convolved.shape().clone());
    let y =
        device::empty(&device::of(&convolved)?, (n, 2 * h, 2 * w, channels), convolved.dtype())?;
    let sizes =
        [Arg::I32(device::int(channels)?), Arg::I32(device::int(h)?), Arg::I32(device::int(w)?)];
    move_phases("shuffle", &convolved, &y, sizes)?;
    linked("up-sampling convolution of maps", &inputs, y, x.precision, |gradient| {
        Box::new(move || {
            let dy = gradient.take()?;
            let apart = device::empty(&device::of(&dy)?, shape.clone(), dy.dtype())?;
            move_phases("unshuffle", &dy, &apart, sizes)?;
            Ok([None, prepared.backward(&input, &apart, wanted)?, None])
        })
    })
}

fn move_phases(kernel: &str, from: &Tensor, to: &Tensor, [channels, h, w]: [Arg; 3]) -> Result<()> {
    let count = to.elem_count();
    let (from, to_address) =
        (Arg::Address(device::address(from)?), Arg::Address(device::address(to)?));
    MAPS.each(to, kernel, count, &[from, to_address, Arg::I64(count as i64), channels, h, w])
}
