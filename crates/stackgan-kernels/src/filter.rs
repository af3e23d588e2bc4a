//! Which convolution is applied to maps.

use crate::Padding;

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
