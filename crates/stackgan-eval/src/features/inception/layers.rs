//! The layer of all blocks: a convolution with batch norm and ReLU.

use stackgan_kernels::{Filter, Maps, Padding};

use crate::Result;
use crate::features::folded::{FoldedConv, Names, Rectifier, Weights};

/// Epsilon of every batch norm.
const EPS: f64 = 1e-3;

/// A convolution without bias, batch norm and ReLU.
#[derive(Clone, Debug)]
pub(super) struct ConvNorm {
    conv: FoldedConv,
    filter: Filter,
}

/// The position of a convolution among the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// All weights.
    pub(super) weights: Weights<'a>,
    /// Prefix of `.conv.weight` and `.bn.*`.
    pub(super) name: &'a str,
}

impl ConvNorm {
    /// `padding` is the number of rows above and below, and of columns on either side.
    pub(super) fn new(
        place: Place<'_>,
        (from, to): (usize, usize),
        (kh, kw): (usize, usize),
        stride: usize,
        (rows, columns): (usize, usize),
    ) -> Result<Self> {
        let (conv, norm) = (format!("{}.conv", place.name), format!("{}.bn", place.name));
        let names = Names { conv: &conv, norm: &norm };
        let shape = [to, from, kh, kw];
        let conv = FoldedConv::new(place.weights, names, shape, EPS, Rectifier::Relu)?;
        let padding = Padding::symmetric(rows, columns);
        Ok(Self { conv, filter: Filter::Plain { stride, padding } })
    }

    pub(super) fn forward(&self, x: &Maps) -> Result<Maps> {
        self.conv.forward(x, self.filter)
    }
}
