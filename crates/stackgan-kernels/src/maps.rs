//! Feature maps between the first and the last layer of a network, in the layout of the device.
//!
//! On a CPU with `f32`, the layout is blocks of sixteen channels. On a GPU it is `(N, H, W, C)` in
//! the [`Precision`] of the process. In both cases gradients do not use candle's graph, and
//! networks need not know the layout. Other element types are stored as a tensor `(N, C, H, W)`,
//! and candle computes with them.

use candle_core::{Result, Tensor};

use crate::gpu::{self, Precision};
use crate::{Activation, Clamp, Filter, Norm, Pool, Statistics, activate, cpu, fast, reference};

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

impl Maps {
    /// Converts pictures or features `(N, C, H, W)` to maps, on a GPU in the precision of the
    /// process.
    ///
    /// # Errors
    /// If the tensor does not have 4 axes or is empty.
    pub fn enter(x: &Tensor) -> Result<Self> {
        Self::enter_as(x, gpu::precision())
    }

    /// The same with a given precision, which only has an effect on a GPU. Public for the tests of
    /// GPUs, which run in several threads of one process; a program has one precision.
    ///
    /// # Errors
    /// If the tensor does not have 4 axes or is empty.
    #[doc(hidden)]
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
        let joined = Tensor::cat(&planes, 1)?;
        all.first().map_or_else(|| Self::enter(&joined), |first| first.enter_like(&joined))
    }

    /// Applies plain tensor operations to the maps.
    fn as_planes(&self, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.enter_like(&f(&self.leave()?)?)
    }

    /// Converts a tensor to maps of the precision of these.
    fn enter_like(&self, x: &Tensor) -> Result<Self> {
        match &self.0 {
            #[cfg(feature = "cuda")]
            Form::Gpu(own) => Self::enter_as(x, own.precision()),
            _ => Self::enter(x),
        }
    }

    /// Applies the activation to every value.
    ///
    /// # Errors
    /// If the slope of the activation is negative or the device fails.
    pub fn activate(&self, activation: Activation) -> Result<Self> {
        activation.check_sign()?;
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
    /// If the sizes or element types differ, or the slope of the activation is negative.
    pub fn add_activate(&self, other: &Self, activation: Activation) -> Result<Self> {
        activation.check_sign()?;
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
