//! Batch norm with its activation, alone or after a convolution.
//!
//! The kernels and the order of the sums are in `cuda/norm.cu`.

use candle_core::{CudaDevice, DType, Result, Tensor};

use super::conv::Prepared;
use super::device::{self, Arg, Grid, NORM, at, f32_at, int, suffix};
use super::elementwise::{enter_as_it_is, leave};
use super::link::{Input, Map, linked};
use crate::{Filter, Norm, Precision, Statistics};

/// The sizes of a normalisation over several consecutive parts, each normalised separately.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) parts: usize,
    /// Rows of a part; after an up-sampling convolution, rows of phases.
    pub(super) rows: usize,
    pub(super) channels: usize,
    /// Values per channel of a part: the number of rows of its output.
    pub(super) count: usize,
    /// The sizes of the small image if the input comes from an up-sampling convolution.
    pub(super) small: Option<(usize, usize)>,
}

/// The division of a launch over a [`Shape`] into blocks.
struct Cut {
    grid: Grid,
    chunks: usize,
    chunk: usize,
    kernels: String,
}

impl Shape {
    fn cut(&self, dtype: DType) -> Result<Cut> {
        let full = if dtype == DType::F32 { 4 } else { 8 };
        let width = if self.channels.is_multiple_of(full) { full } else { 1 };
        let packs = self.channels / width;
        let across = packs.next_power_of_two().min(256);
        let down = 256 / across;
        let columns = packs.div_ceil(across);
        let most = (1024 / (columns * self.parts)).max(1);
        let chunks = self.rows.div_ceil(down * 4).clamp(1, most);
        let chunk = self.rows.div_ceil(chunks);
        let chunks = self.rows.div_ceil(chunk);
        let grid = Grid {
            blocks: (columns as u32, chunks as u32, self.parts as u32),
            threads: (across as u32, down as u32),
            shared: (256 * 2 * width * 4) as u32,
        };
        Ok(Cut { grid, chunks, chunk, kernels: format!("{}_{width}", suffix(dtype)?) })
    }

    /// Returns the last arguments of every kernel.
    fn tail(&self) -> Result<[Arg; 2]> {
        let (h, w) = self.small.unwrap_or((0, 0));
        Ok([int(h)?, int(w)?])
    }
}

/// A normalisation with all that its forward and backward passes need.
pub(super) struct Normalised {
    shape: Shape,
    x: Tensor,
    moments: Tensor, // (parts, 3, channels): mean, variance, reciprocal deviation
    gamma: Tensor,
    beta: Tensor,
    slope: f32,
    through: bool,
}

/// Returns the grid of launches over small vectors of channels.
fn by_channel(channels: usize) -> Grid {
    Grid { blocks: (channels.div_ceil(32) as u32, 1, 1), threads: (32, 32), shared: 0 }
}

impl Normalised {
    /// Computes the statistics of the batch and updates the running ones, or reads the running
    /// ones, depending on `mode`.
    pub(super) fn new(x: Tensor, shape: Shape, norm: &Norm<'_>, mode: Statistics) -> Result<Self> {
        let device = device::of(&x)?;
        let channels = int(shape.channels)?;
        let moments = device::empty(&device, (shape.parts, 3, shape.channels), DType::F32)?;
        match mode {
            Statistics::OfBatch { .. } => {
                let cut = shape.cut(x.dtype())?;
                let sums = (shape.parts, 2, cut.chunks, shape.channels);
                let partial = device::empty(&device, sums, DType::F32)?;
                let [h, w] = shape.tail()?;
                let (rows, chunk) = (int(shape.rows)?, int(cut.chunk)?);
                let args = [at(&x)?, at(&partial)?, rows, channels, chunk, h, w];
                NORM.launch(&device, &format!("norm_sums_{}", cut.kernels), cut.grid, &args)?;
                let args = [
                    at(&partial)?,
                    at(&x)?,
                    at(&moments)?,
                    f32_at(norm.running_mean)?,
                    f32_at(norm.running_var)?,
                    int(cut.chunks)?,
                    channels,
                    int(shape.parts)?,
                    rows,
                    Arg::F64(shape.count as f64),
                    Arg::F64(norm.eps),
                    Arg::F32(norm.momentum as f32),
                    Arg::F32(norm.correction(shape.count) as f32),
                ];
                let kernel = format!("norm_moments_{}", suffix(x.dtype())?);
                NORM.launch(&device, &kernel, by_channel(shape.channels), &args)?;
            }
            Statistics::Running => {
                let (mean, variance) =
                    (norm.running_mean.as_detached_tensor(), norm.running_var.as_detached_tensor());
                let given = [f32_at(&mean)?, f32_at(&variance)?];
                let args = [given[0], given[1], at(&moments)?, channels, Arg::F64(norm.eps)];
                NORM.launch(&device, "norm_given", Grid::over(shape.channels), &args)?;
            }
        }
        Ok(Self {
            shape,
            x,
            moments,
            gamma: norm.gamma.detach(),
            beta: norm.beta.detach(),
            slope: norm.activation.slope(),
            through: mode != Statistics::Running,
        })
    }

    fn device(&self) -> Result<CudaDevice> {
        device::of(&self.x)
    }

    /// Returns the result, in rows of the output.
    pub(super) fn forward(&self, out: impl Into<candle_core::Shape>) -> Result<Tensor> {
        let (device, cut) = (self.device()?, self.shape.cut(self.x.dtype())?);
        let y = device::empty(&device, out, self.x.dtype())?;
        let [h, w] = self.shape.tail()?;
        let args = [
            at(&self.x)?,
            at(&y)?,
            at(&self.moments)?,
            f32_at(&self.gamma)?,
            f32_at(&self.beta)?,
            int(self.shape.rows)?,
            int(self.shape.count)?,
            int(self.shape.channels)?,
            int(cut.chunk)?,
            Arg::F32(self.slope),
            h,
            w,
        ];
        NORM.launch(&device, &format!("norm_apply_{}", cut.kernels), cut.grid, &args)?;
        Ok(y)
    }

    /// Returns the gradient of `x` (if `wanted`), of gamma and of beta.
    pub(super) fn backward(
        &self,
        dy: &Tensor,
        wanted: bool,
    ) -> Result<(Option<Tensor>, Tensor, Tensor)> {
        let (device, cut, s) = (self.device()?, self.shape.cut(self.x.dtype())?, &self.shape);
        let sums = (s.parts, 2, cut.chunks, s.channels);
        let partial = device::empty(&device, sums, DType::F32)?;
        let grads = device::empty(&device, (1 + s.parts, 2, s.channels), DType::F32)?;
        let [h, w] = s.tail()?;
        let (rows, channels) = (int(s.rows)?, int(s.channels)?);
        let outs = int(s.count)?;
        let (chunk, slope) = (int(cut.chunk)?, Arg::F32(self.slope));
        let parameters = [at(&self.moments)?, f32_at(&self.gamma)?, f32_at(&self.beta)?];
        let [moments, gamma, beta] = parameters;
        let args = [
            at(&self.x)?,
            at(dy)?,
            moments,
            gamma,
            beta,
            at(&partial)?,
            rows,
            outs,
            channels,
            chunk,
            slope,
            h,
            w,
        ];
        NORM.launch(&device, &format!("norm_gradient_sums_{}", cut.kernels), cut.grid, &args)?;
        let chunks = int(cut.chunks)?;
        let args = [at(&partial)?, at(&grads)?, chunks, channels, int(s.parts)?];
        NORM.launch(&device, "norm_gradients", by_channel(s.channels), &args)?;
        let dx = if wanted {
            let dx = device::empty(&device, self.x.shape(), self.x.dtype())?;
            let through = if self.through { 1.0 / s.count as f32 } else { 0.0 };
            let args = [
                at(&self.x)?,
                at(dy)?,
                at(&dx)?,
                moments,
                gamma,
                beta,
                at(&grads)?,
                rows,
                outs,
                channels,
                chunk,
                slope,
                Arg::F32(through),
                h,
                w,
            ];
            NORM.launch(&device, &format!("norm_input_gradient_{}", cut.kernels), cut.grid, &args)?;
            Some(dx)
        } else {
            None
        };
        let whole = grads.get(0)?;
        Ok((dx, whole.get(1)?, whole.get(0)?))
    }
}

/// Applies a convolution, batch norm and activation.
///
/// This makes two links, since candle's operations take at most three arguments. The map of the
/// first link is the result of the convolution, whose phases are still separate after an
/// up-sampling one. Only the second link reads it.
pub(crate) fn conv_norm(
    x: &Map,
    weight: &Tensor,
    filter: Filter,
    norm: &Norm<'_>,
    mode: Statistics,
) -> Result<Map> {
    let channels = weight.dim(0)?;
    norm.check(channels)?;
    let (n, h, w, _) = x.sizes()?;
    let between = Prepared::new(x, weight, filter, channels)?.linked(x, weight)?;
    let (out, small) = match filter {
        Filter::Up => ((n, 2 * h, 2 * w, channels), Some((h, w))),
        Filter::Plain { .. } | Filter::Depthwise { .. } => (between.values.dims4()?, None),
    };
    let parts = mode.parts(n, out.1 * out.2)?;
    let rows = between.values.elem_count() / channels / parts;
    let shape = Shape { parts, rows, channels, count: out.0 * out.1 * out.2 / parts, small };
    normalised(&between, shape, norm, mode, out)
}

/// Batch norm of maps.
pub(super) fn normalised(
    x: &Map,
    shape: Shape,
    norm: &Norm<'_>,
    mode: Statistics,
    out: impl Into<candle_core::Shape>,
) -> Result<Map> {
    let normalised = Normalised::new(x.values.clone(), shape, norm, mode)?;
    let y = normalised.forward(out)?;
    let origin = x.origin();
    let inputs = [Input::Map(x), Input::Tensor(norm.gamma), Input::Tensor(norm.beta)];
    let wanted = [norm.gamma.track_op(), norm.beta.track_op()];
    linked("batch norm of maps", &inputs, (y, x.channels), x.precision, |gradient| {
        Box::new(move || {
            let (dx, gamma, beta) = normalised.backward(&gradient.take()?, origin.is_tracked)?;
            if let Some(dx) = dx {
                origin.add(dx)?;
            }
            Ok([None, wanted[0].then_some(gamma), wanted[1].then_some(beta)])
        })
    })
}

/// Applies batch norm to a tensor `(N, C)` or `(N, C, H, W)` that is not a map. The caller has
/// checked the norm.
pub(crate) fn batch_norm(x: &Tensor, norm: &Norm<'_>, mode: Statistics) -> Result<Tensor> {
    let pixels = match *x.dims() {
        [n, c] => x.reshape((n, c, 1, 1))?,
        _ => x.clone(),
    };
    let maps = enter_as_it_is(&pixels, Precision::F32)?;
    let (n, h, w, channels) = maps.sizes()?;
    let parts = mode.parts(n, h * w)?;
    let rows = n * h * w / parts;
    let shape = Shape { parts, rows, channels, count: rows, small: None };
    leave(&normalised(&maps, shape, norm, mode, (n, h, w, channels))?)?.reshape(x.shape())
}
