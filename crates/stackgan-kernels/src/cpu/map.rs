//! What maps on a CPU and their gradients are.
//!
//! Maps that enter with few channels stay planes until something but a convolution reads them.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};

use super::blocks::{Blocks, Sizes};
use super::elementwise;
use crate::fast;
use crate::geometry::planes;
use crate::link::{Backward, Gradient, Input, Leaving, Node, Sum, leave_graph, linked};

/// Largest number of channels of maps that stay planes.
const PICTURE_CHANNELS: usize = 4;

/// Feature maps on a CPU.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(super) values: Values,
    pub(super) node: Node<Grad>,
}

/// What maps are.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Blocks(Arc<Blocks>),
    /// Few channels, `(N, C, H, W)`.
    Pictures {
        planes: Tensor,
        sizes: Sizes,
    },
}

impl Values {
    pub(super) fn sizes(&self) -> Sizes {
        match self {
            Self::Blocks(blocks) => blocks.sizes,
            Self::Pictures { sizes, .. } => *sizes,
        }
    }
}

/// A gradient of maps, as they are.
#[derive(Clone, Debug)]
pub(super) enum Grad {
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
            _ => bail!("maps: gradients of two kinds"),
        })
    }
}

impl Grad {
    pub(super) fn blocks(self) -> Result<Arc<Blocks>> {
        match self {
            Self::Blocks(blocks) => Ok(blocks),
            Self::Planes(_) => bail!("maps: expected a gradient in blocks"),
        }
    }
}

/// No gradients of tensors: maps receive theirs in their cells.
pub(super) const NONE: [Option<Tensor>; 3] = [None, None, None];

impl Map {
    pub(super) fn new(
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
        let values = if channels <= PICTURE_CHANNELS {
            Values::Pictures { planes: x.detach(), sizes }
        } else {
            let (storage, layout) = x.storage_and_layout();
            Values::Blocks(Blocks::from_planes(fast::locked(&storage, layout)?, sizes).into())
        };
        Ok(Self { values, node })
    }

    /// These maps in blocks.
    pub(super) fn in_blocks(&self) -> Result<(Self, Arc<Blocks>)> {
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
        let planes = Leaving::Cpu(blocks.to_planes());
        leave_graph("leave maps", &map.node, planes, sizes.dims(), move |grad| {
            let (storage, layout) = grad.storage_and_layout();
            let dy = Blocks::from_planes(fast::locked(&storage, layout)?, sizes);
            before.add(Grad::Blocks(dy.into()))
        })
    }

    /// Maps made of these, by something that has no gradient.
    pub(super) fn evaluated(&self, name: &str, y: Blocks) -> Result<Self> {
        self.refuse_gradients(name)?;
        Ok(Self { values: Values::Blocks(y.into()), node: self.node.clone() })
    }

    pub(super) fn refuse_gradients(&self, name: &str) -> Result<()> {
        if self.node.is_tracked() {
            bail!("{name}: it has no gradient, and its input asks for one");
        }
        Ok(())
    }
}
