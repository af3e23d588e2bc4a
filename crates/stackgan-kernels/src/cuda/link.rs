//! Maps on a GPU.

use candle_core::{CudaStorage, Result, Shape, Tensor};

use super::device::{self, Arg, MAPS, at};
use crate::Precision;
use crate::link::{self, Backward, Leaving, Node, Sum};

/// Feature maps `(N, H, W, C)` on a GPU.
///
/// A small number of channels is padded with zeros or arbitrary values; see [`padded`].
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(super) values: Tensor,
    pub(super) channels: usize,
    pub(super) precision: Precision,
    node: Node<Tensor>,
}

/// The maps that an operation began from, without their values, whose memory is large.
pub(super) struct Origin {
    gradient: Gradient,
    /// Whether a gradient of these maps is needed.
    pub(super) is_tracked: bool,
}

impl Origin {
    /// Adds a part of their gradient.
    pub(super) fn add(&self, part: Tensor) -> Result<()> {
        self.gradient.add(part)
    }
}

/// The cell in which the gradient of a map is accumulated.
pub(super) type Gradient = link::Gradient<Tensor>;

/// Returns the number of values per pixel of maps with `channels` channels that may be padded.
/// Tensor cores read 16 bytes at a time.
pub(super) fn padded(channels: usize, precision: Precision) -> usize {
    let full = 16 / precision.dtype().size_in_bytes();
    if channels < full { full } else { channels }
}

/// An input of an operation.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    Map(&'a Map),
    Tensor(&'a Tensor),
}

impl Map {
    /// Returns how they are stored and multiplied.
    pub(crate) const fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns what a backward pass keeps of these maps if it does not read their values.
    pub(super) fn origin(&self) -> Origin {
        Origin { gradient: self.node.gradient.clone(), is_tracked: self.node.is_tracked() }
    }

    /// Returns the sizes `(n, h, w, c)`.
    pub(crate) fn sizes(&self) -> Result<(usize, usize, usize, usize)> {
        let (n, h, w, _) = self.values.dims4()?;
        Ok((n, h, w, self.channels))
    }

    /// Returns the number of values per pixel.
    pub(super) fn stride(&self) -> Result<usize> {
        self.values.dim(3)
    }
}

impl Sum for Tensor {
    fn sum(self, other: Self) -> Result<Self> {
        let device = device::of(&self)?;
        let out = device::empty(&device, self.shape(), self.dtype())?;
        let count = self.elem_count();
        let identity = Arg::F32(1.0);
        let args = [at(&self)?, at(&other)?, at(&out)?, Arg::I64(count as i64), identity];
        MAPS.each(&self, "add_activate", count.div_ceil(4), &args)?;
        Ok(out)
    }
}

/// Creates the map of `values` with `channels` channels, computed from at most three `inputs`.
pub(super) fn linked(
    name: &'static str,
    inputs: &[Input<'_>],
    (values, channels): (Tensor, usize),
    precision: Precision,
    backward: impl FnOnce(Gradient) -> Backward,
) -> Result<Map> {
    let inputs: Vec<link::Input<'_, Tensor>> = inputs
        .iter()
        .map(|input| match *input {
            Input::Map(map) => link::Input::Map(&map.node),
            Input::Tensor(tensor) => link::Input::Tensor(tensor),
        })
        .collect();
    let node = link::linked(name, &inputs, backward)?;
    Ok(Map { values, channels, precision, node })
}

/// Returns an `f32` tensor of `shape` in candle's graph with values computed from a map. `backward`
/// receives its gradient.
pub(super) fn leave_graph(
    name: &'static str,
    map: &Map,
    output: CudaStorage,
    shape: impl Into<Shape>,
    backward: impl Fn(&Tensor) -> Result<()> + Send + Sync + 'static,
) -> Result<Tensor> {
    link::leave_graph(name, &map.node, Leaving::Gpu(output), shape, backward)
}
