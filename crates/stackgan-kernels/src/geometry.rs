//! Checked shapes: every operation reads its sizes through here, so wrong tensors give an error with the shapes in it
//! and nothing below can go out of bounds.

use candle_core::{Result, Tensor, bail};

/// The four sizes of an `(N, C, H, W)` tensor, none of them 0.
pub(crate) fn planes(x: &Tensor, what: &str) -> Result<(usize, usize, usize, usize)> {
    match *x.dims() {
        [n, c, h, w] if n > 0 && c > 0 && h > 0 && w > 0 => Ok((n, c, h, w)),
        _ => bail!("{what}: expected a non-empty tensor of 4 axes, found {:?}", x.dims()),
    }
}

/// Sizes of a convolution.
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
    pub(crate) pad_height: usize,
    pub(crate) pad_width: usize,
}

impl Conv2dShape {
    /// The sizes of `x (N, Cin, H, W)` convolved with `weight (Cout, Cin, kh, kw)`.
    pub(crate) fn new(x: &Tensor, weight: &Tensor, stride: usize, padding: usize) -> Result<Self> {
        let (images, in_channels, height, width) = planes(x, "conv2d input")?;
        let (out_channels, expected, kernel_height, kernel_width) =
            planes(weight, "conv2d weight")?;
        let (xs, ws) = (x.dims(), weight.dims());
        if in_channels != expected {
            bail!(
                "conv2d: input {xs:?} has {in_channels} channels, weight {ws:?} wants {expected}"
            );
        }
        if stride == 0 {
            bail!("conv2d: stride 0 (input {xs:?}, weight {ws:?})");
        }
        // Far above any network; keeps the sums below from overflowing.
        if padding > 1 << 16 {
            bail!("conv2d: padding {padding} is out of range (input {xs:?}, weight {ws:?})");
        }
        if kernel_height > height + 2 * padding || kernel_width > width + 2 * padding {
            bail!(
                "conv2d: kernel of weight {ws:?} is larger than input {xs:?} with padding {padding}"
            );
        }
        let out = |size: usize, kernel: usize| (size + 2 * padding - kernel) / stride + 1;
        Ok(Self {
            images,
            in_channels,
            height,
            width,
            out_channels,
            kernel_height,
            kernel_width,
            out_height: out(height, kernel_height),
            out_width: out(width, kernel_width),
            stride,
            pad_height: padding,
            pad_width: padding,
        })
    }

    /// Taps of the kernel of one channel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel_height * self.kernel_width
    }

    /// Rows of the im2col matrix: the length of every dot product.
    pub(crate) fn depth(&self) -> usize {
        self.in_channels * self.taps()
    }

    /// Pixels of one input plane.
    pub(crate) fn in_pixels(&self) -> usize {
        self.height * self.width
    }

    /// Pixels of one output plane.
    pub(crate) fn out_pixels(&self) -> usize {
        self.out_height * self.out_width
    }

    /// The stride-1 convolution of the output's gradient with the flipped kernel that gives the input's gradient,
    /// where there is one.
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

    /// Whether there is one window, which is the whole image: the convolution is a fully connected layer.
    pub(crate) fn is_whole(&self) -> bool {
        self.pad_height + self.pad_width == 0
            && (self.kernel_height, self.kernel_width) == (self.height, self.width)
    }

    /// Whether the im2col matrix of an image is the image.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.taps() == 1 && self.stride == 1 && self.pad_height + self.pad_width == 0
    }
}

/// Sizes of a batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchNormShape {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    /// Values per image and channel; 1 for `(N, C)`.
    pub(crate) plane: usize,
}

impl BatchNormShape {
    /// The sizes of `x`, after checking that every named vector has one value per channel.
    pub(crate) fn new(x: &Tensor, vectors: &[(&str, &Tensor)]) -> Result<Self> {
        let shape = match *x.dims() {
            [images, channels] => Self { images, channels, plane: 1 },
            [images, channels, h, w] => Self { images, channels, plane: h * w },
            _ => bail!("batch_norm: expected (N, C) or (N, C, H, W), found {:?}", x.dims()),
        };
        if x.elem_count() == 0 {
            bail!("batch_norm: empty input {:?}", x.dims());
        }
        for (name, vector) in vectors {
            if vector.dims() != [shape.channels] {
                bail!(
                    "batch_norm: input {:?} has {} channels, {name} has shape {:?}",
                    x.dims(),
                    shape.channels,
                    vector.dims()
                );
            }
        }
        Ok(shape)
    }

    /// Values per channel.
    pub(crate) fn count(&self) -> usize {
        self.images * self.plane
    }
}
