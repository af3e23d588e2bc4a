//! Maps on a CPU, in blocks of sixteen channels, with gradients that pass beside candle's graph.
//!
//! ```text
//! lane <- buffer <- blocks <- elementwise <- map <- conv, norm <- here
//! ```

mod blocks;
pub(crate) mod buffer;
mod conv;
mod elementwise;
pub(crate) mod lane;
mod map;
mod norm;
mod path;
mod pool;
mod scratch;
mod tiles;
mod transpose;

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use crate::link::Input;
use crate::{Activation, Clamp, Filter, Norm, Pool, Statistics, fast};
use blocks::{Blocks, Sizes};
use conv::{Finish, UNFINISHED, Wanted, Way};
pub(crate) use conv::{Matrix, Right, Stored};
pub(crate) use map::Map;
use map::{Grad, NONE};

/// The instructions that products use on this CPU.
pub(crate) fn instructions() -> &'static str {
    match path::Path::best() {
        #[cfg(target_arch = "x86_64")]
        path::Path::Avx512 => "cpu avx512",
        #[cfg(target_arch = "x86_64")]
        path::Path::Avx2 => "cpu avx2",
        #[cfg(target_arch = "aarch64")]
        path::Path::Neon => "cpu neon",
        path::Path::Portable => "cpu portable",
    }
}

impl Map {
    /// These maps as the convolutions of a filter want them.
    fn for_filter(&self, filter: Filter) -> Result<Self> {
        match filter {
            Filter::Plain { .. } => Ok(self.clone()),
            Filter::Up | Filter::Depthwise { .. } => Ok(self.in_blocks()?.0),
        }
    }

    /// The convolution with `weight (Cout, Cin, kh, kw)`.
    pub(crate) fn conv(&self, weight: &Tensor, filter: Filter) -> Result<Self> {
        let (map, weight) = (self.for_filter(filter)?, weight.contiguous()?);
        let way = Way::new(&map.values, &weight, filter)?;
        let y = way.forward(&map.values, &weight, UNFINISHED)?;
        let inputs = [Input::Map(&map.node), Input::Tensor(&weight)];
        let wanted = Wanted { input: map.node.is_tracked(), weight: weight.track_op() };
        let (before, kernel) = (map.clone(), weight.detach());
        Self::new("convolution of maps", &inputs, y, |gradient| {
            Box::new(move || {
                let dy = gradient.take()?.blocks()?;
                let gradients = way.backward(&before.values, &kernel, &dy, wanted)?;
                if let Some(dx) = gradients.input {
                    before.node.gradient.add(dx)?;
                }
                let dw = gradients.weight;
                let dw = dw.map(|dw| Tensor::from_vec(dw, kernel.shape(), kernel.device()));
                Ok([None, dw.transpose()?, None])
            })
        })
    }

    /// The convolution, finished where it is made. It has no gradient.
    fn finished(&self, weight: &Tensor, filter: Filter, finish: Finish<'_>) -> Result<Self> {
        let (map, weight) = (self.for_filter(filter)?, weight.contiguous()?);
        let y = Way::new(&map.values, &weight, filter)?.forward(&map.values, &weight, finish)?;
        map.evaluated("convolution of maps, evaluated", y)
    }

    /// A convolution, batch norm and activation.
    pub(crate) fn conv_norm(
        &self,
        weight: &Tensor,
        filter: Filter,
        norm: &Norm<'_>,
        statistics: Statistics,
    ) -> Result<Self> {
        let parameters = [weight, norm.gamma, norm.beta];
        let tracked = self.node.is_tracked() || parameters.iter().any(|t| t.track_op());
        if statistics == Statistics::Running && !tracked {
            return self.finished(weight, filter, &norm::by_running(norm, weight.dim(0)?)?);
        }
        norm::apply(self.conv(weight, filter)?, norm, statistics)
    }

    /// A convolution, a bias and bounds, with the gradient of the maps.
    pub(crate) fn conv_clamp(
        &self,
        weight: &Tensor,
        filter: Filter,
        clamp: Clamp<'_>,
    ) -> Result<Self> {
        let (bias, bounds) = (norm::lanes(clamp.bias)?, (clamp.low, clamp.high));
        let finish: Finish<'_> = &|block, rows| elementwise::clamp(rows, bias[block], bounds);
        if !self.node.is_tracked() {
            return self.finished(weight, filter, finish);
        }
        let (map, weight) = (self.for_filter(filter)?, weight.contiguous()?);
        let way = Way::new(&map.values, &weight, filter)?;
        let y = Arc::new(way.forward(&map.values, &weight, finish)?);
        let (inputs, result, before) = ([Input::Map(&map.node)], y.clone(), map.clone());
        Self::new("bounded convolution of maps", &inputs, y, |gradient| {
            Box::new(move || {
                let dy = elementwise::within(&result, gradient.take()?.blocks()?, bounds);
                let wanted = Wanted { input: true, weight: false };
                let gradients = way.backward(&before.values, &weight, &dy, wanted)?;
                if let Some(dx) = gradients.input {
                    before.node.gradient.add(dx)?;
                }
                Ok(NONE)
            })
        })
    }

    /// A 3x3 pool.
    pub(crate) fn pool(&self, pool: Pool) -> Result<Self> {
        let (map, x) = self.in_blocks()?;
        map.evaluated("pool of maps", pool::forward(&x, pool))
    }

    /// Maps one behind the other along the channels.
    pub(crate) fn join(all: &[Self]) -> Result<Self> {
        let Some((last, others)) = all.split_last() else {
            bail!("join: expected maps, found none");
        };
        let mut sizes = last.values.sizes();
        for other in others {
            let s = other.values.sizes();
            let alike = Sizes { channels: s.channels, ..last.values.sizes() };
            if s != alike {
                bail!("join: maps {:?} and {:?}", s.dims(), sizes.dims());
            }
            other.refuse_gradients("join")?;
            sizes.channels += s.channels;
        }
        let whole = |map: &Self| map.values.sizes().channels.is_multiple_of(lane::LANES);
        if !others.iter().all(whole) {
            let planes = all.iter().map(Self::leave).collect::<Result<Vec<_>>>()?;
            return Self::enter(&Tensor::cat(&planes, 1)?);
        }
        let blocks = all.iter().map(|map| Ok(map.in_blocks()?.1)).collect::<Result<Vec<_>>>()?;
        let blocks: Vec<&Blocks> = blocks.iter().map(AsRef::as_ref).collect();
        last.evaluated("join", elementwise::join(&blocks, sizes))
    }

    /// The activation of every value.
    pub(crate) fn activate(&self, activation: Activation) -> Result<Self> {
        let (map, x) = self.in_blocks()?;
        let y = Arc::new(elementwise::activate(&x, activation));
        let (result, before) = (y.clone(), map.node.gradient.clone());
        Self::new("activate maps", &[Input::Map(&map.node)], y, |gradient| {
            Box::new(move || {
                let dx = elementwise::masked(&result, gradient.take()?.blocks()?, activation);
                before.add(Grad::Blocks(dx.into()))?;
                Ok(NONE)
            })
        })
    }

    /// The activation of a sum.
    pub(crate) fn add_activate(&self, other: &Self, activation: Activation) -> Result<Self> {
        let ((a, x), (b, z)) = (self.in_blocks()?, other.in_blocks()?);
        if x.sizes != z.sizes {
            bail!("add: maps {:?} and {:?}", x.sizes.dims(), z.sizes.dims());
        }
        let y = Arc::new(elementwise::add_activate(&x, &z, activation));
        let inputs = [Input::Map(&a.node), Input::Map(&b.node)];
        let (result, nodes) = (y.clone(), [a.node.clone(), b.node.clone()]);
        Self::new("add maps", &inputs, y, |gradient| {
            Box::new(move || {
                let dx = elementwise::masked(&result, gradient.take()?.blocks()?, activation);
                let dx = Arc::new(dx);
                for node in nodes.iter().filter(|node| node.is_tracked()) {
                    node.gradient.add(Grad::Blocks(dx.clone()))?;
                }
                Ok(NONE)
            })
        })
    }

    /// A vector `(N, b)` behind the channels of every pixel.
    pub(crate) fn append_tiled(&self, vector: &Tensor) -> Result<Self> {
        let (map, x) = self.in_blocks()?;
        let (vector, b) = (vector.contiguous()?, vector.dim(1)?);
        let y = {
            let (storage, layout) = vector.storage_and_layout();
            elementwise::append_tiled(&x, fast::locked(&storage, layout)?, b)
        };
        let inputs = [Input::Map(&map.node), Input::Tensor(&vector)];
        let (sizes, node, wanted) = (x.sizes, map.node.clone(), vector.track_op());
        Self::new("append to maps", &inputs, y, |gradient| {
            Box::new(move || {
                let dy = gradient.take()?.blocks()?;
                if node.is_tracked() {
                    node.gradient
                        .add(Grad::Blocks(elementwise::first_channels(&dy, sizes).into()))?;
                }
                let dv = wanted.then(|| {
                    let sums = elementwise::sums_behind(&dy, sizes.channels);
                    Tensor::from_vec(sums, (sizes.images, b), &candle_core::Device::Cpu)
                });
                Ok([None, dv.transpose()?, None])
            })
        })
    }
}
