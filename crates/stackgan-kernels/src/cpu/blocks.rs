//! Maps in blocks of sixteen channels: `(N, C / 16, H, W, 16)`. Unused channels of the last block
//! are zeros.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::lane::{LANES, Lane};
use crate::geometry::Conv2dShape;
use crate::vectorised::vectorised;

/// Sizes of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) images: usize,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Sizes {
    /// Those of what a convolution reads.
    pub(crate) fn of_input(s: &Conv2dShape) -> Self {
        let Conv2dShape { images, in_channels: channels, height, width, .. } = *s;
        Self { images, channels, height, width }
    }

    /// Those of a convolution's result.
    pub(crate) fn of_result(s: &Conv2dShape) -> Self {
        let (height, width) = (s.out_height, s.out_width);
        Self { images: s.images, channels: s.out_channels, height, width }
    }

    /// Blocks of channels.
    pub(crate) fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Pixels of an image.
    pub(crate) fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Lanes of all.
    pub(crate) fn lanes(&self) -> usize {
        self.images * self.blocks() * self.pixels()
    }

    /// `(N, C, H, W)`.
    pub(crate) fn dims(&self) -> (usize, usize, usize, usize) {
        (self.images, self.channels, self.height, self.width)
    }
}

/// Maps with their values.
#[derive(Debug)]
pub(crate) struct Blocks {
    pub(crate) sizes: Sizes,
    pub(crate) lanes: Buffer,
}

impl Blocks {
    /// Maps whose values are all to be written.
    pub(crate) fn stale(sizes: Sizes) -> Self {
        Self { sizes, lanes: Buffer::stale(sizes.lanes()) }
    }

    /// A block of channels of an image.
    pub(crate) fn plane(&self, image: usize, block: usize) -> &[Lane] {
        let pixels = self.sizes.pixels();
        &self.lanes[(image * self.sizes.blocks() + block) * pixels..][..pixels]
    }

    /// A row of a plane; none above the first and below the last.
    pub(crate) fn row(&self, image: usize, block: usize, row: isize) -> Option<&[Lane]> {
        let row = usize::try_from(row).ok().filter(|row| *row < self.sizes.height)?;
        Some(&self.plane(image, block)[row * self.sizes.width..][..self.sizes.width])
    }

    /// From `(N, C, H, W)`.
    pub(crate) fn from_planes(planes: &[f32], sizes: Sizes) -> Self {
        let mut blocks = Self::stale(sizes);
        let pixels = sizes.pixels();
        blocks.lanes.par_chunks_mut(pixels).enumerate().for_each(|(i, out)| {
            let (image, first) = (i / sizes.blocks(), i % sizes.blocks() * LANES);
            let channels = LANES.min(sizes.channels - first);
            let from = &planes[(image * sizes.channels + first) * pixels..][..channels * pixels];
            interleave(out, from, channels);
        });
        blocks
    }

    /// To `(N, C, H, W)`.
    pub(crate) fn to_planes(&self) -> Vec<f32> {
        let Sizes { images, channels, .. } = self.sizes;
        let (blocks, pixels) = (self.sizes.blocks(), self.sizes.pixels());
        let mut planes = vec![0.; images * channels * pixels];
        let mut rest = &mut planes[..];
        let mut parts = Vec::with_capacity(images * blocks);
        for i in 0..images * blocks {
            let width = LANES.min(channels - i % blocks * LANES);
            let (part, tail) = std::mem::take(&mut rest).split_at_mut(width * pixels);
            parts.push((i, width, part));
            rest = tail;
        }
        parts.into_par_iter().for_each(|(i, width, out)| {
            separate(out, self.plane(i / blocks, i % blocks), width);
        });
        planes
    }
}

/// Pixels taken at once, a cache line of each plane.
const LINE: usize = 16;

vectorised! {
    /// `out[pixel][channel] = from[channel][pixel]`; zeros behind the last channel.
    fn interleave(out: &mut [Lane], from: &[f32], channels: usize) {
        let pixels = out.len();
        for (i, out) in out.chunks_mut(LINE).enumerate() {
            out.fill(Lane::ZERO);
            for channel in 0..channels {
                let values = &from[channel * pixels + i * LINE..][..out.len()];
                for (out, value) in out.iter_mut().zip(values) {
                    out.0[channel] = *value;
                }
            }
        }
    }

    /// `out[channel][pixel] = from[pixel][channel]`.
    fn separate(out: &mut [f32], from: &[Lane], channels: usize) {
        let pixels = from.len();
        for (i, from) in from.chunks(LINE).enumerate() {
            for channel in 0..channels {
                let values = &mut out[channel * pixels + i * LINE..][..from.len()];
                for (value, from) in values.iter_mut().zip(from) {
                    *value = from.0[channel];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocks, Sizes};

    #[test]
    fn planes_become_blocks_and_planes_again() {
        for (images, channels, height, width) in [(2, 3, 4, 5), (1, 16, 1, 1), (3, 37, 3, 17)] {
            let sizes = Sizes { images, channels, height, width };
            let planes: Vec<f32> =
                (0..images * channels * height * width).map(|i| i as f32).collect();
            let blocks = Blocks::from_planes(&planes, sizes);
            assert_eq!(blocks.to_planes(), planes);
            let last = blocks.plane(images - 1, sizes.blocks() - 1)[0].0;
            let spare = sizes.blocks() * 16 - channels;
            assert!(last[16 - spare..].iter().all(|v| *v == 0.));
        }
    }
}
