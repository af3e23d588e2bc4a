//! Maps on a CPU, in blocks of sixteen channels, with gradients that pass beside candle's graph.
//!
//! ```text
//! lane <- buffer <- blocks <- conv, norm, elementwise <- here
//! ```
//!
//! Maps that enter with few channels stay planes until something but a convolution reads them.

mod blocks;
pub(crate) mod buffer;
mod conv;
mod elementwise;
pub(crate) mod lane;
mod norm;
mod path;
mod pool;
mod scratch;
mod tiles;
mod transpose;

use std::sync::Arc;

use candle_core::{Result, Tensor};

use crate::geometry::planes;
use crate::link::{Backward, Gradient, Input, Left, Node, Sum, left, linked};
use crate::maps::{Clamp, Filter, Norm, Statistics};
use crate::{Activation, Pool, fast};
use blocks::{Blocks, Sizes};
use conv::{Finish, UNFINISHED, Wanted, Way};

/// The instructions that products use on this CPU.
pub(crate) fn instructions() -> &'static str {
    match path::Path::best() {
        #[cfg(target_arch = "x86_64")]
        path::Path::Avx512 => "cpu avx512",
        #[cfg(target_arch = "x86_64")]
        path::Path::Avx2 => "cpu avx2",
        path::Path::Portable => "cpu portable",
    }
}

/// Feature maps on a CPU.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    values: Values,
    node: Node<Grad>,
}

/// What maps are.
#[derive(Clone, Debug)]
enum Values {
    Blocks(Arc<Blocks>),
    /// Few channels, `(N, C, H, W)`.
    Pictures {
        planes: Tensor,
        sizes: Sizes,
    },
}

impl Values {
    fn sizes(&self) -> Sizes {
        match self {
            Self::Blocks(blocks) => blocks.sizes,
            Self::Pictures { sizes, .. } => *sizes,
        }
    }
}

/// A gradient of maps, as they are.
#[derive(Clone, Debug)]
enum Grad {
    Blocks(Arc<Blocks>),
    Planes(Arc<[f32]>),
}

impl Sum for Grad {
    fn sum(self, other: Self) -> Result<Self> {
        Ok(match (self, other) {
            (Self::Blocks(a), Self::Blocks(b)) => Self::Blocks(elementwise::sum(a, b).into()),
            (Self::Planes(a), Self::Planes(b)) => {
                Self::Planes(a.iter().zip(b.iter()).map(|(a, b)| a + b).collect())
            }
            _ => candle_core::bail!("maps: gradients of two kinds"),
        })
    }
}

impl Grad {
    fn blocks(self) -> Result<Arc<Blocks>> {
        match self {
            Self::Blocks(blocks) => Ok(blocks),
            Self::Planes(_) => candle_core::bail!("maps: expected a gradient in blocks"),
        }
    }
}

const NONE: [Option<Tensor>; 3] = [None, None, None];

impl Map {
    fn new(
        name: &'static str,
        inputs: &[Input<'_, Grad>],
        blocks: impl Into<Arc<Blocks>>,
        backward: impl FnOnce(Gradient<Grad>) -> Backward,
    ) -> Result<Self> {
        let node = linked(name, inputs, backward)?;
        Ok(Self { values: Values::Blocks(blocks.into()), node })
    }

    /// `(N, C, H, W)`.
    pub(crate) fn sizes(&self) -> (usize, usize, usize, usize) {
        self.values.sizes().dims()
    }

    /// Pictures or features `(N, C, H, W)` in f32 as maps.
    pub(crate) fn enter(x: &Tensor) -> Result<Self> {
        let (images, channels, height, width) = planes(x, "maps")?;
        let (x, sizes) = (x.contiguous()?, Sizes { images, channels, height, width });
        let (tracked, shape) = (x.track_op(), x.shape().clone());
        let backward = |gradient: Gradient<Grad>| -> Backward {
            Box::new(move || {
                if !tracked {
                    return Ok(NONE);
                }
                let dx = match gradient.take()? {
                    Grad::Blocks(dx) => dx.to_planes(),
                    Grad::Planes(dx) => dx.to_vec(),
                };
                Ok([Some(Tensor::from_vec(dx, &shape, &candle_core::Device::Cpu)?), None, None])
            })
        };
        let node = linked("enter maps", &[Input::Tensor(&x)], backward)?;
        let values = if channels <= conv::PICTURE_CHANNELS {
            Values::Pictures { planes: x.detach(), sizes }
        } else {
            let (storage, layout) = x.storage_and_layout();
            Values::Blocks(Blocks::from_planes(fast::locked(&storage, layout)?, sizes).into())
        };
        Ok(Self { values, node })
    }

    /// These maps in blocks.
    fn in_blocks(&self) -> Result<(Self, Arc<Blocks>)> {
        let (planes, sizes) = match &self.values {
            Values::Blocks(blocks) => return Ok((self.clone(), blocks.clone())),
            Values::Pictures { planes, sizes } => (planes, *sizes),
        };
        let blocks = {
            let (storage, layout) = planes.storage_and_layout();
            Arc::new(Blocks::from_planes(fast::locked(&storage, layout)?, sizes))
        };
        let before = self.node.gradient.clone();
        let map =
            Self::new("maps in blocks", &[Input::Map(&self.node)], blocks.clone(), |gradient| {
                Box::new(move || {
                    let dx = gradient.take()?.blocks()?.to_planes();
                    before.add(Grad::Planes(dx.into()))?;
                    Ok(NONE)
                })
            })?;
        Ok((map, blocks))
    }

    /// Maps as `(N, C, H, W)` in f32.
    pub(crate) fn leave(&self) -> Result<Tensor> {
        let (map, blocks) = self.in_blocks()?;
        let (sizes, before) = (blocks.sizes, map.node.gradient.clone());
        left("leave maps", &map.node, Left::Cpu(blocks.to_planes()), sizes.dims(), move |grad| {
            let (storage, layout) = grad.storage_and_layout();
            let dy = Blocks::from_planes(fast::locked(&storage, layout)?, sizes);
            before.add(Grad::Blocks(dy.into()))
        })
    }

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

    /// Maps made of these, by something that has no gradient.
    fn evaluated(&self, name: &str, y: Blocks) -> Result<Self> {
        self.refuse_gradients(name)?;
        Ok(Self { values: Values::Blocks(y.into()), node: self.node.clone() })
    }

    fn refuse_gradients(&self, name: &str) -> Result<()> {
        if self.node.is_tracked() {
            candle_core::bail!("{name}: it has no gradient, and its input asks for one");
        }
        Ok(())
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
            candle_core::bail!("join: expected maps, found none");
        };
        let mut sizes = last.values.sizes();
        for other in others {
            let s = other.values.sizes();
            let alike = Sizes { channels: s.channels, ..last.values.sizes() };
            if s != alike {
                candle_core::bail!("join: maps {:?} and {:?}", s.dims(), sizes.dims());
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
            candle_core::bail!("add: maps {:?} and {:?}", x.sizes.dims(), z.sizes.dims());
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
