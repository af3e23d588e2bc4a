//! Checked shapes.
//!
//! Every operation obtains its sizes from here. Tensors of wrong shapes give an error that contains
//! the shapes, and the code that uses the sizes cannot index out of bounds.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};

/// Largest stride and padding, far above those of any real network.
const LARGEST: usize = 1 << 16;

/// Returns whether memory could hold a value for each element of a tensor of this shape, even if
/// each took a whole lane of 64 bytes.
pub(crate) fn fits_memory(dims: &[usize]) -> bool {
    let bytes = dims.iter().try_fold(64usize, |bytes, &size| bytes.checked_mul(size));
    bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok())
}

/// Returns the four sizes of an `(N, C, H, W)` tensor, all of them above 0.
pub(crate) fn planes(x: &Tensor, what: &str) -> Result<(usize, usize, usize, usize)> {
    four(x.dims(), what)
}

fn four(dims: &[usize], what: &str) -> Result<(usize, usize, usize, usize)> {
    match *dims {
        [n, c, h, w] if n > 0 && c > 0 && h > 0 && w > 0 => Ok((n, c, h, w)),
        _ => bail!("{what}: expected a non-empty tensor of 4 axes, found {dims:?}"),
    }
}

/// Rows and columns of zeros around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the left.
    pub left: usize,
    /// Columns on the right.
    pub right: usize,
}

impl Padding {
    /// Returns padding of `rows` above and below, and `columns` on the left and right.
    #[must_use]
    pub const fn symmetric(rows: usize, columns: usize) -> Self {
        Self { top: rows, bottom: rows, left: columns, right: columns }
    }

    /// Returns the padding of `TensorFlow`'s `SAME`.
    ///
    /// Along each axis it yields `size / stride` windows (rounded up) of `kernel` pixels. If the
    /// total is odd, the extra row or column goes at the bottom or right. A stride of 0, which no
    /// convolution takes, counts as 1. Source: `tensorflow.org/api_docs/python/tf/nn`, "notes on
    /// padding".
    #[must_use]
    pub fn same((height, width): (usize, usize), kernel: usize, stride: usize) -> Self {
        let stride = stride.max(1);
        let total = |size: usize| {
            // The last window begins within the image.
            let last = size.div_ceil(stride).saturating_sub(1) * stride;
            kernel.saturating_sub(size - last)
        };
        let (rows, columns) = (total(height), total(width));
        let (top, left) = (rows / 2, columns / 2);
        Self { top, bottom: rows - top, left, right: columns - left }
    }

    /// Returns the padding per side if it is the same on all four sides.
    #[cfg(feature = "cuda")]
    pub(crate) fn of_all_sides(self) -> Option<usize> {
        (self == Self::from(self.top)).then_some(self.top)
    }

    /// Planes `(N, C, H, W)` with the zeros around them.
    pub(crate) fn around(self, x: &Tensor) -> Result<Tensor> {
        let Self { top, bottom, left, right } = self;
        x.pad_with_zeros(2, top, bottom)?.pad_with_zeros(3, left, right)
    }

    fn largest(self) -> usize {
        self.top.max(self.bottom).max(self.left).max(self.right)
    }
}

impl From<usize> for Padding {
    /// Returns the same padding on every side.
    fn from(all: usize) -> Self {
        Self::symmetric(all, all)
    }
}

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conv2dShape {
    pub(crate) images: usize,
    pub(crate) in_channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) out_channels: usize,
    pub(crate) kernel_height: usize,
    pub(crate) kernel_width: usize,
    pub(crate) out_height: usize,
    pub(crate) out_width: usize,
    pub(crate) stride: usize,
    /// Rows of padding above. The padding below follows from the other sizes.
    pub(crate) pad_height: usize,
    /// Columns of padding on the left. The padding on the right follows from the other sizes.
    pub(crate) pad_width: usize,
}

impl Conv2dShape {
    /// Returns the sizes for an input `(N, Cin, H, W)` convolved with `weight (Cout, Cin, kh, kw)`.
    pub(crate) fn new(
        x: &[usize],
        weight: &Tensor,
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        let s = Self::sizes(x, weight, stride, padding)?;
        let (_, expected, _, _) = planes(weight, "conv2d weight")?;
        if s.in_channels != expected {
            bail!(
                "conv2d: input {x:?} has {} channels, weight {:?} wants {expected}",
                s.in_channels,
                weight.dims()
            );
        }
        Ok(s)
    }

    /// Returns the sizes for an input `(N, C, H, W)` whose every channel is convolved with its own
    /// kernel from `weight (C, 1, kh, kw)`.
    pub(crate) fn depthwise(
        x: &[usize],
        weight: &Tensor,
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        let s = Self::sizes(x, weight, stride, padding)?;
        if weight.dims().get(..2) != Some(&[s.in_channels, 1]) {
            bail!(
                "depthwise convolution: input {x:?} wants a weight ({}, 1, kh, kw), found {:?}",
                s.in_channels,
                weight.dims()
            );
        }
        Ok(s)
    }

    fn sizes(xs: &[usize], weight: &Tensor, stride: usize, padding: Padding) -> Result<Self> {
        let (images, in_channels, height, width) = four(xs, "conv2d input")?;
        let (out_channels, _, kernel_height, kernel_width) = planes(weight, "conv2d weight")?;
        let ws = weight.dims();
        if !(1..=LARGEST).contains(&stride) {
            bail!("conv2d: stride {stride} out of range (input {xs:?}, weight {ws:?})");
        }
        if padding.largest() > LARGEST {
            bail!("conv2d: padding out of range: {padding:?} (input {xs:?}, weight {ws:?})");
        }
        let padded_height = height.saturating_add(padding.top + padding.bottom);
        let padded_width = width.saturating_add(padding.left + padding.right);
        if kernel_height > padded_height || kernel_width > padded_width {
            bail!("conv2d: kernel of weight {ws:?} is larger than input {xs:?} with {padding:?}");
        }
        let out_height = (padded_height - kernel_height) / stride + 1;
        let out_width = (padded_width - kernel_width) / stride + 1;
        let read = [images, in_channels, padded_height, padded_width];
        if !fits_memory(&read) || !fits_memory(&[images, out_channels, out_height, out_width]) {
            bail!("conv2d: no memory holds weight {ws:?} over input {xs:?} with {padding:?}");
        }
        Ok(Self {
            images,
            in_channels,
            height,
            width,
            out_channels,
            kernel_height,
            kernel_width,
            out_height,
            out_width,
            stride,
            pad_height: padding.top,
            pad_width: padding.left,
        })
    }

    /// Returns the number of taps in the kernel of one channel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel_height * self.kernel_width
    }

    /// Returns the input row that window row `ky` reads for the given output row, or `None` if it
    /// lies in the padding.
    pub(crate) fn source_row(&self, row: usize, ky: usize) -> Option<usize> {
        (row * self.stride + ky).checked_sub(self.pad_height).filter(|row| *row < self.height)
    }

    /// Returns the range of outputs in a row for which window column `kx` lies inside the input,
    /// and the input column that the first of them reads.
    pub(crate) fn inside(&self, kx: usize) -> (Range<usize>, usize) {
        let first = self.pad_width.saturating_sub(kx).div_ceil(self.stride);
        let end = (self.width + self.pad_width).saturating_sub(kx).div_ceil(self.stride);
        let inside = first.min(self.out_width)..end.min(self.out_width);
        let inside = inside.start..inside.end.max(inside.start);
        let column = (inside.start * self.stride + kx).saturating_sub(self.pad_width);
        (inside, column)
    }

    /// Returns the length of each dot product.
    pub(crate) fn depth(&self) -> usize {
        self.in_channels * self.taps()
    }

    /// Returns the number of pixels in one input plane.
    pub(crate) fn in_pixels(&self) -> usize {
        self.height * self.width
    }

    /// Returns the number of pixels in one output plane.
    pub(crate) fn out_pixels(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Returns the stride-1 convolution that maps the output's gradient to the input's gradient,
    /// using the flipped kernel. Returns `None` if there is none.
    pub(crate) fn adjoint(&self) -> Option<Self> {
        if self.stride != 1 {
            return None;
        }
        Some(Self {
            in_channels: self.out_channels,
            height: self.out_height,
            width: self.out_width,
            out_channels: self.in_channels,
            out_height: self.height,
            out_width: self.width,
            pad_height: (self.kernel_height - 1).checked_sub(self.pad_height)?,
            pad_width: (self.kernel_width - 1).checked_sub(self.pad_width)?,
            ..*self
        })
    }
}

/// The sizes of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchNormShape {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    /// Number of values per image and channel; 1 for `(N, C)`.
    pub(crate) plane: usize,
}

impl BatchNormShape {
    /// Returns the sizes of `x (N, C)` or `(N, C, H, W)`.
    pub(crate) fn new(x: &Tensor) -> Result<Self> {
        let shape = match *x.dims() {
            [images, channels] => Self { images, channels, plane: 1 },
            [images, channels, h, w] => Self { images, channels, plane: h * w },
            _ => bail!("batch_norm: expected (N, C) or (N, C, H, W), found {:?}", x.dims()),
        };
        if x.elem_count() == 0 {
            bail!("batch_norm: empty input {:?}", x.dims());
        }
        Ok(shape)
    }

    /// Returns the number of values per channel.
    pub(crate) fn count(&self) -> usize {
        self.images * self.plane
    }
}
