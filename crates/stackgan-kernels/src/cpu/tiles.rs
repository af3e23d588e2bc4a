//! How the pixels of a batch are divided into pieces of work, by shape alone.
//!
//! A tile is several whole images if they are small, or some rows of one image. Every piece of work
//! owns its part of the output as a list of slices, one per image and channel, so that threads need
//! no shared mutable memory.

use std::ops::Range;

/// Number of pieces of work below which a second axis is divided too, so that all cores have work.
pub(crate) const ENOUGH_PIECES: usize = 8;

/// A rectangle of pixels: all columns of `rows` in each of `images`. With more than one image,
/// `rows` is all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) images: Range<usize>,
    pub(crate) rows: Range<usize>,
}

/// A batch of `images` grids of `height` rows, divided into tiles of `group` images and `rows`
/// rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    images: usize,
    height: usize,
    group: usize,
    rows: usize,
}

impl Tiling {
    /// Divides the grids into tiles of about `target` pixels, but at least one row.
    pub(crate) fn new(images: usize, height: usize, width: usize, target: usize) -> Self {
        let pixels = height * width;
        if pixels >= target {
            // Tiles of equal height instead of a thin last one.
            let parts = height.div_ceil((target / width).max(1));
            Self { images, height, group: 1, rows: height.div_ceil(parts) }
        } else {
            let parts = images.div_ceil((target / pixels).max(1));
            Self { images, height, group: images.div_ceil(parts), rows: height }
        }
    }

    /// Divides the grids into tiles of `group` whole images.
    pub(crate) fn whole_images(images: usize, height: usize, group: usize) -> Self {
        Self { images, height, group, rows: height }
    }

    /// Returns the number of images per tile.
    pub(crate) fn group(&self) -> usize {
        self.group
    }

    /// Returns the number of tiles per group of images.
    pub(crate) fn row_parts(&self) -> usize {
        self.height.div_ceil(self.rows)
    }

    /// Returns the number of tiles.
    pub(crate) fn len(&self) -> usize {
        self.images.div_ceil(self.group) * self.row_parts()
    }

    /// Returns tile number `index`, counted image by image and from top to bottom.
    pub(crate) fn tile(&self, index: usize) -> Tile {
        let first = index / self.row_parts() * self.group;
        let top = index % self.row_parts() * self.rows;
        Tile {
            images: first..self.images.min(first + self.group),
            rows: top..self.height.min(top + self.rows),
        }
    }

    /// Divides `out` (images, channels, plane) into one piece per tile and block of channels.
    ///
    /// A row of the grid is `row` values of a plane; the last row may have fewer.
    pub(crate) fn pieces<'a, T>(
        &self,
        out: &'a mut [T],
        (channels, block): (usize, usize),
        (plane, row): (usize, usize),
    ) -> Vec<Piece<'a, T>> {
        let blocks = channels.div_ceil(block);
        let mut pieces: Vec<_> = (0..self.len() * blocks)
            .map(|i| {
                let first = i % blocks * block;
                Piece {
                    tile: self.tile(i / blocks),
                    channels: first..channels.min(first + block),
                    planes: Vec::new(),
                }
            })
            .collect();
        for (i, plane) in out.chunks_mut(plane).enumerate() {
            let (image, channel) = (i / channels, i % channels);
            for (part, slice) in plane.chunks_mut(self.rows * row).enumerate() {
                let tile = image / self.group * self.row_parts() + part;
                pieces[tile * blocks + channel / block].planes.push(slice);
            }
        }
        pieces
    }
}

/// A tile of some channels of an output.
#[derive(Debug)]
pub(crate) struct Piece<'a, T> {
    pub(crate) tile: Tile,
    pub(crate) channels: Range<usize>,
    /// The tile's rows of each image and each of `channels`, with channels varying fastest.
    pub(crate) planes: Vec<&'a mut [T]>,
}

/// Divides `count` items into at most `parts` runs of equal length, except for the last.
pub(crate) fn runs(count: usize, parts: usize) -> Vec<Range<usize>> {
    let length = count.div_ceil(parts.clamp(1, count.max(1))).max(1);
    (0..count).step_by(length).map(|first| first..count.min(first + length)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Tiling, runs};

    #[test]
    fn every_element_belongs_to_exactly_one_piece() {
        for (n, c, h, w, target, block) in
            [(5, 3, 4, 4, 40, 2), (2, 7, 9, 5, 16, 16), (1, 1, 1, 1, 256, 1), (3, 4, 6, 8, 48, 4)]
        {
            let tiling = Tiling::new(n, h, w, target);
            // A plane whose last row is incomplete.
            let plane = h * w - w / 2;
            let mut out = vec![0; n * c * plane];
            for piece in tiling.pieces(&mut out, (c, block), (plane, w)) {
                let images = piece.tile.images.len();
                assert_eq!(piece.planes.len(), images * piece.channels.len());
                for plane in piece.planes {
                    let missing = if piece.tile.rows.end == h { w / 2 } else { 0 };
                    assert_eq!(plane.len(), piece.tile.rows.len() * w - missing);
                    plane.iter_mut().for_each(|v| *v += 1);
                }
            }
            assert!(out.iter().all(|&v| v == 1));
        }
    }

    #[test]
    fn runs_cover_everything_in_order() {
        assert_eq!(runs(10, 4), [0..3, 3..6, 6..9, 9..10]);
        assert_eq!(runs(2, 8), [0..1, 1..2]);
        assert!(runs(0, 8).is_empty());
    }
}
