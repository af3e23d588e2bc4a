//! The gradients of a convolution.

use crate::cpu::blocks::Blocks;

/// The gradients to compute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) input: bool,
    pub(crate) weight: bool,
}

/// The gradients of a convolution. That of the weight has the weight's order of values.
pub(crate) struct Gradients<I = Blocks> {
    pub(crate) input: Option<I>,
    pub(crate) weight: Option<Vec<f32>>,
}
