//! Feature maps between the first and the last layer of a network, in the layout of the device.
//!
//! On a CPU with `f32`, the layout is blocks of sixteen channels. On a GPU it is `(N, H, W, C)` in
//! the [`Precision`] of the process. In both cases gradients do not use candle's graph, and
//! networks need not know the layout. Other element types are stored as a tensor `(N, C, H, W)`,
//! and candle computes with them.

use candle_core::{Result, Tensor, Var};

use crate::geometry::Padding;
use crate::gpu::{self, Precision};
use crate::{Activation, Pool, activate, batch_norm_eval, batch_norm_train, cpu, fast, reference};

/// Feature maps of a batch.
#[derive(Clone, Debug)]
pub struct Maps(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Any device and element type, computed by candle's operations.
    Planes(Tensor),
    Cpu(cpu::Map),
    #[cfg(feature = "cuda")]
    Gpu(crate::cuda::Map),
}

/// The convolution of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A convolution.
    Plain {
        /// Stride of both axes.
        stride: usize,
        /// Zeros around the maps.
        padding: Padding,
    },
    /// A depthwise convolution with weights `(C, 1, kh, kw)`. The weights have no gradient; the
    /// maps have one.
    Depthwise {
        /// Stride of both axes.
        stride: usize,
        /// Zeros around the maps.
        padding: Padding,
    },
    /// Nearest up-sampling by two, then a 3x3 convolution with padding 1.
    Up,
}

/// A bias and bounds, applied after a convolution with a folded batch norm.
#[derive(Clone, Copy, Debug)]
pub struct Clamp<'a> {
    /// `(C)`.
    pub bias: &'a Tensor,
    /// The minimum, at most 0: 0 for `ReLU` and `ReLU6`.
    pub low: f32,
    /// The maximum, at least 0: 6 for `ReLU6`. A NaN stays NaN.
    pub high: f32,
}

impl Clamp<'_> {
    /// Checks bias and bounds for maps with this number of channels.
    pub(crate) fn check(&self, channels: usize) -> Result<()> {
        let Self { bias, low, high } = *self;
        if bias.dims() != [channels] {
            candle_core::bail!("clamp: maps of {channels} channels, bias {:?}", bias.dims());
        }
        if !(low <= 0. && 0. <= high) {
            candle_core::bail!("clamp: expected bounds around 0, found {low} and {high}");
        }
        Ok(())
    }
}

/// A batch norm: its parameters, its running statistics `(C)` and its activation.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a> {
    /// Scale, `(C)`.
    pub gamma: &'a Tensor,
    /// Shift, `(C)`.
    pub beta: &'a Tensor,
    /// Running mean, `(C)`.
    pub running_mean: &'a Var,
    /// Running variance, `(C)`.
    pub running_var: &'a Var,
    /// Weight of the batch in the running statistics: new = (1 - momentum) old + momentum batch.
    pub momentum: f64,
    /// Whether the running variance uses N - 1 instead of N as divisor.
    pub unbiased: bool,
    /// Added to the variance.
    pub eps: f64,
    /// The activation that follows.
    pub activation: Activation,
}

/// The statistics that normalise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// Those of the batch. They also update the running ones, and the gradient passes through them.
    OfBatch {
        /// Number of equal parts of the batch, each normalised with its own statistics: several
        /// concatenated batches, in their order.
        parts: usize,
    },
    /// The running statistics.
    Running,
}

impl Norm<'_> {
    /// Normalises `x (N, C)` or `(N, C, H, W)`; the result has the same shape.
    ///
    /// # Errors
    /// Wrong ranks or sizes, with the shapes.
    pub fn apply(&self, x: &Tensor, statistics: Statistics) -> Result<Tensor> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() && x.dtype() == candle_core::DType::F32 {
            let (gamma, beta) = (("gamma", self.gamma), ("beta", self.beta));
            crate::geometry::BatchNormShape::new(x, &[gamma, beta])?;
            return crate::cuda::batch_norm(x, self, statistics);
        }
        let (gamma, beta, eps, act) = (self.gamma, self.beta, self.eps, self.activation);
        match statistics {
            Statistics::Running => {
                let (mean, var) =
                    (self.running_mean.as_detached_tensor(), self.running_var.as_detached_tensor());
                batch_norm_eval(x, gamma, beta, &mean, &var, eps, act)
            }
            Statistics::OfBatch { parts } if parts != 1 => {
                let images = x.dim(0)?;
                if parts == 0 || !images.is_multiple_of(parts) {
                    candle_core::bail!("batch norm: {images} images are not {parts} equal parts");
                }
                let one = Statistics::OfBatch { parts: 1 };
                let each = x.chunk(parts, 0)?.into_iter().map(|part| self.apply(&part, one));
                Tensor::cat(&each.collect::<Result<Vec<_>>>()?, 0)
            }
            Statistics::OfBatch { .. } => {
                let (y, batch) = batch_norm_train(x, gamma, beta, eps, act)?;
                let n = batch.count as f64;
                let variance = if self.unbiased {
                    (batch.variance * (n / (n - 1.0).max(1.0)))?
                } else {
                    batch.variance
                };
                self.follow(self.running_mean, &batch.mean)?;
                self.follow(self.running_var, &variance)?;
                Ok(y)
            }
        }
    }

    pub(crate) fn follow(&self, running: &Var, batch: &Tensor) -> Result<()> {
        let old = (running.as_detached_tensor() * (1.0 - self.momentum))?;
        running.set(&(old + (batch * self.momentum)?)?)
    }
}

impl Maps {
    /// Converts pictures or features `(N, C, H, W)` to maps, on a GPU in the precision of the
    /// process.
    ///
    /// # Errors
    /// If the tensor does not have 4 axes or is empty.
    pub fn enter(x: &Tensor) -> Result<Self> {
        Self::enter_as(x, gpu::precision())
    }

    /// The same with a given precision, which only has an effect on a GPU.
    ///
    /// # Errors
    /// If the tensor does not have 4 axes or is empty.
    pub fn enter_as(x: &Tensor, precision: Precision) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if x.device().is_cuda() && x.dtype() == candle_core::DType::F32 {
            return Ok(Self(Form::Gpu(crate::cuda::enter(x, precision)?)));
        }
        let _ = precision;
        crate::geometry::planes(x, "maps")?;
        if fast::applies(&[x]) {
            return Ok(Self(Form::Cpu(cpu::Map::enter(x)?)));
        }
        Ok(Self(Form::Planes(x.clone())))
    }

    /// Converts maps to a tensor `(N, C, H, W)` in `f32`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn leave(&self) -> Result<Tensor> {
        match &self.0 {
            Form::Planes(x) => Ok(x.clone()),
            Form::Cpu(x) => x.leave(),
            #[cfg(feature = "cuda")]
            Form::Gpu(x) => crate::cuda::leave(x),
        }
    }

    /// Returns the sizes `(N, C, H, W)`.
    ///
    /// # Errors
    /// If the maps do not have four axes.
    pub fn sizes(&self) -> Result<(usize, usize, usize, usize)> {
        match &self.0 {
            Form::Planes(x) => x.dims4(),
            Form::Cpu(x) => Ok(x.sizes()),
            #[cfg(feature = "cuda")]
            Form::Gpu(x) => x.sizes().map(|(n, h, w, c)| (n, c, h, w)),
        }
    }

    /// Convolves with `weight (Cout, Cin, kh, kw)`.
    ///
    /// # Errors
    /// If the weight does not match, with the shapes.
    pub fn conv(&self, weight: &Tensor, filter: Filter) -> Result<Self> {
        let form = match (&self.0, filter) {
            (Form::Planes(x), Filter::Plain { stride, padding }) => {
                Form::Planes(reference::conv2d(x, weight, stride, padding)?)
            }
            (Form::Planes(x), Filter::Up) => {
                Form::Planes(reference::upsample2x_conv3x3(x, weight)?)
            }
            (Form::Planes(x), Filter::Depthwise { stride, padding }) => {
                Form::Planes(reference::depthwise_conv2d(x, weight, stride, padding)?)
            }
            (Form::Cpu(x), filter) => Form::Cpu(x.conv(weight, filter)?),
            #[cfg(feature = "cuda")]
            (Form::Gpu(x), Filter::Depthwise { stride, padding }) => {
                Form::Gpu(crate::cuda::depthwise(x, weight, stride, padding)?)
            }
            #[cfg(feature = "cuda")]
            (Form::Gpu(_), Filter::Plain { stride, padding })
                if padding.of_all_sides().is_none() =>
            {
                let padded = self.as_planes(|x| padding.around(x))?;
                return padded.conv(weight, Filter::Plain { stride, padding: 0.into() });
            }
            #[cfg(feature = "cuda")]
            (Form::Gpu(x), filter) => Form::Gpu(crate::cuda::conv(x, weight, filter)?),
        };
        Ok(Self(form))
    }

    /// Convolves with `weight`, then applies a batch norm and its activation.
    ///
    /// # Errors
    /// Wrong ranks or sizes, with the shapes.
    pub fn conv_norm(
        &self,
        weight: &Tensor,
        filter: Filter,
        norm: &Norm<'_>,
        statistics: Statistics,
    ) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if let Form::Gpu(x) = &self.0 {
            return Ok(Self(Form::Gpu(crate::cuda::conv_norm(
                x, weight, filter, norm, statistics,
            )?)));
        }
        if let Form::Cpu(x) = &self.0 {
            return Ok(Self(Form::Cpu(x.conv_norm(weight, filter, norm, statistics)?)));
        }
        Ok(Self(Form::Planes(norm.apply(&self.conv(weight, filter)?.leave()?, statistics)?)))
    }

    /// Convolves with `weight`, then applies a bias and bounds. The maps have a gradient, which
    /// passes where a result lies within its bounds. Weight and bias have none.
    ///
    /// # Errors
    /// Wrong ranks or sizes, with the shapes; bounds that do not enclose 0; a weight or a bias that
    /// needs a gradient.
    pub fn conv_clamp(&self, weight: &Tensor, filter: Filter, clamp: Clamp<'_>) -> Result<Self> {
        clamp.check(weight.dim(0)?)?;
        if weight.track_op() || clamp.bias.track_op() {
            candle_core::bail!("conv_clamp: weight and bias have no gradient, and one asks for it");
        }
        if let Form::Cpu(x) = &self.0 {
            return Ok(Self(Form::Cpu(x.conv_clamp(weight, filter, clamp)?)));
        }
        let y = self.conv(weight, filter)?;
        #[cfg(feature = "cuda")]
        if let Form::Gpu(y) = &y.0 {
            return Ok(Self(Form::Gpu(crate::cuda::clamp(y, clamp)?)));
        }
        y.as_planes(|y| reference::clamp(y, clamp))
    }

    /// Applies a 3x3 pool to every channel. On a CPU it has no gradient.
    ///
    /// # Errors
    /// If the maps are too small; on a CPU, if they need a gradient.
    pub fn pool(&self, pool: Pool) -> Result<Self> {
        let (_, _, h, w) = self.sizes()?;
        pool.check(h, w)?;
        match &self.0 {
            Form::Cpu(x) => Ok(Self(Form::Cpu(x.pool(pool)?))),
            _ => self.as_planes(|x| reference::pool(x, pool)),
        }
    }

    /// Concatenates maps of the same pictures along the channels. On a CPU this has no gradient.
    ///
    /// # Errors
    /// If there are no maps or their sizes differ; on a CPU, if they need a gradient.
    pub fn join(all: &[Self]) -> Result<Self> {
        let of_cpu = |maps: &Self| match &maps.0 {
            Form::Cpu(x) => Some(x.clone()),
            _ => None,
        };
        if let Some(maps) = all.iter().map(of_cpu).collect::<Option<Vec<_>>>() {
            return Ok(Self(Form::Cpu(cpu::Map::join(&maps)?)));
        }
        let planes = all.iter().map(Self::leave).collect::<Result<Vec<_>>>()?;
        Self::enter(&Tensor::cat(&planes, 1)?)
    }

    /// Applies plain tensor operations to the maps.
    fn as_planes(&self, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Self::enter(&f(&self.leave()?)?)
    }

    /// Applies the activation to every value.
    ///
    /// # Errors
    /// If the device fails.
    pub fn activate(&self, activation: Activation) -> Result<Self> {
        match &self.0 {
            Form::Planes(x) => Ok(Self(Form::Planes(activate(x, activation)?))),
            Form::Cpu(x) => Ok(Self(Form::Cpu(x.activate(activation)?))),
            #[cfg(feature = "cuda")]
            Form::Gpu(x) => Ok(Self(Form::Gpu(crate::cuda::activate(x, activation)?))),
        }
    }

    /// Adds two maps and applies the activation.
    ///
    /// # Errors
    /// If the sizes differ.
    pub fn add_activate(&self, other: &Self, activation: Activation) -> Result<Self> {
        match (&self.0, &other.0) {
            (Form::Planes(a), Form::Planes(b)) => {
                Ok(Self(Form::Planes(activate(&(a + b)?, activation)?)))
            }
            (Form::Cpu(a), Form::Cpu(b)) => Ok(Self(Form::Cpu(a.add_activate(b, activation)?))),
            #[cfg(feature = "cuda")]
            (Form::Gpu(a), Form::Gpu(b)) => {
                Ok(Self(Form::Gpu(crate::cuda::add_activate(a, b, activation)?)))
            }
            _ => candle_core::bail!("maps of two devices or element types"),
        }
    }

    /// Tiles a vector `(N, b)` over the maps and appends it to their channels.
    ///
    /// # Errors
    /// If the batches differ.
    pub fn append_tiled(&self, vector: &Tensor) -> Result<Self> {
        let (n, _, h, w) = self.sizes()?;
        let (vectors, b) = vector.dims2()?;
        if vectors != n {
            candle_core::bail!("append_tiled: {vectors} vectors for maps of {n} pictures");
        }
        match &self.0 {
            Form::Planes(x) => {
                let tiled = vector.unsqueeze(2)?.unsqueeze(3)?.broadcast_as((n, b, h, w))?;
                Ok(Self(Form::Planes(Tensor::cat(&[x, &tiled.contiguous()?], 1)?)))
            }
            Form::Cpu(x) => Ok(Self(Form::Cpu(x.append_tiled(vector)?))),
            #[cfg(feature = "cuda")]
            Form::Gpu(x) => Ok(Self(Form::Gpu(crate::cuda::append_tiled(x, vector)?))),
        }
    }
}
