//! How the pixels of a batch are cut into pieces of work, by shape alone.
//!
//! A tile is some whole images, when they are small, or some rows of one image. Every piece of work owns its part of
//! the output as a list of slices, one per image and channel, so threads need no shared mutable memory.

use std::ops::Range;

use crate::gemm::Matrix;

/// Pieces of work below which a second axis is cut too, so that all cores have some.
pub(crate) const ENOUGH_PIECES: usize = 8;

/// A rectangle of pixels: all columns of `rows` of each of `images`. More than one image only with all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) images: Range<usize>,
    pub(crate) rows: Range<usize>,
}

/// A batch of `images` grids of `height` rows, cut into tiles of `group` images and `rows` rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    images: usize,
    height: usize,
    group: usize,
    rows: usize,
}

impl Tiling {
    /// Tiles of about `target` pixels, at least one row.
    pub(crate) fn new(images: usize, height: usize, width: usize, target: usize) -> Self {
        let pixels = height * width;
        if pixels >= target {
            // Equal tiles rather than a thin last one.
            let parts = height.div_ceil((target / width).max(1));
            Self { images, height, group: 1, rows: height.div_ceil(parts) }
        } else {
            let parts = images.div_ceil((target / pixels).max(1));
            Self { images, height, group: images.div_ceil(parts), rows: height }
        }
    }

    /// Tiles of `group` whole images.
    pub(crate) fn whole_images(images: usize, height: usize, group: usize) -> Self {
        Self { images, height, group, rows: height }
    }

    /// Images per tile.
    pub(crate) fn group(&self) -> usize {
        self.group
    }

    /// The runs of rows of one image.
    pub(crate) fn row_runs(&self) -> impl Iterator<Item = Range<usize>> {
        let (rows, height) = (self.rows, self.height);
        (0..height).step_by(rows).map(move |top| top..height.min(top + rows))
    }

    /// Tiles of one group of images.
    pub(crate) fn row_parts(&self) -> usize {
        self.height.div_ceil(self.rows)
    }

    /// Number of tiles.
    pub(crate) fn len(&self) -> usize {
        self.images.div_ceil(self.group) * self.row_parts()
    }

    /// Tile number `index`, image by image, from top to bottom.
    pub(crate) fn tile(&self, index: usize) -> Tile {
        let first = index / self.row_parts() * self.group;
        let top = index % self.row_parts() * self.rows;
        Tile {
            images: first..self.images.min(first + self.group),
            rows: top..self.height.min(top + self.rows),
        }
    }

    /// Pixels of the largest tile, for rows of `width`.
    pub(crate) fn max_pixels(&self, width: usize) -> usize {
        self.group * self.rows * width
    }

    /// Cuts `out` (images, channels, height, row) into one piece per tile and block of channels.
    pub(crate) fn pieces<'a, T>(
        &self,
        out: &'a mut [T],
        channels: usize,
        block: usize,
        row: usize,
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
        for (i, plane) in out.chunks_mut(self.height * row).enumerate() {
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
    /// The tile's rows of each image and each of `channels`, channels fastest.
    pub(crate) planes: Vec<&'a mut [T]>,
}

impl Piece<'_, f32> {
    /// Writes the values of the tile, `(channels, images, rows, row)`.
    pub(crate) fn store(self, values: &[f32]) {
        let (images, channels) = (self.tile.images.len(), self.channels.len());
        let length = self.planes.first().map_or(1, |plane| plane.len());
        for (i, plane) in self.planes.into_iter().enumerate() {
            let start = (i % channels * images + i / channels) * length;
            plane.copy_from_slice(&values[start..start + length]);
        }
    }
}

/// Copies the values of `tile` of some channels of `from` (N, `all` channels, height, row) to
/// `out` (channels, images, rows, row): the inverse of [`Piece::store`].
pub(crate) fn load(
    out: &mut [f32],
    from: &[f32],
    tile: &Tile,
    channels: Range<usize>,
    layout: PlaneLayout,
) {
    let length = tile.rows.len() * layout.row;
    let mut parts = out.chunks_exact_mut(length);
    for channel in channels {
        for image in tile.images.clone() {
            let start = layout.start(image, channel, tile.rows.start);
            if let Some(part) = parts.next() {
                part.copy_from_slice(&from[start..start + length]);
            }
        }
    }
}

/// Where rows lie in an `(N, channels, height, row)` array.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaneLayout {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) row: usize,
}

impl PlaneLayout {
    /// Offset of the first value of a row.
    pub(crate) fn start(&self, image: usize, channel: usize, row: usize) -> usize {
        ((image * self.channels + channel) * self.height + row) * self.row
    }

    /// Values of a plane.
    pub(crate) fn plane(&self) -> usize {
        self.height * self.row
    }

    /// `tile` of some channels as a matrix `(channels, pixels)`: in place for one image, else copied to `buffer`.
    pub(crate) fn matrix<'a>(
        &self,
        from: &'a [f32],
        tile: &Tile,
        channels: Range<usize>,
        buffer: &'a mut [f32],
    ) -> Matrix<'a> {
        let pixels = tile.images.len() * tile.rows.len() * self.row;
        let rows = channels.len();
        if tile.images.len() == 1 {
            let start = self.start(tile.images.start, channels.start, tile.rows.start);
            return Matrix::new(&from[start..], rows, pixels, self.plane());
        }
        load(buffer, from, tile, channels, *self);
        Matrix::dense(buffer, rows, pixels)
    }
}

/// The size of blocks of channels that gives `ENOUGH_PIECES` together with `tiles`, a multiple of 16, at least `least`.
pub(crate) fn channel_block(channels: usize, tiles: usize, least: usize) -> usize {
    let blocks = ENOUGH_PIECES.div_ceil(tiles);
    channels.div_ceil(blocks).next_multiple_of(16).max(least)
}

/// `count` things cut into at most `parts` runs of equal length, but for the last.
pub(crate) fn runs(count: usize, parts: usize) -> Vec<Range<usize>> {
    let length = count.div_ceil(parts.clamp(1, count.max(1))).max(1);
    (0..count).step_by(length).map(|first| first..count.min(first + length)).collect()
}

/// The sum of equally long vectors, in their order.
pub(crate) fn total(sums: Vec<Vec<f32>>) -> Vec<f32> {
    let mut sums = sums.into_iter();
    let mut total = sums.next().unwrap_or_default();
    for sum in sums {
        total.iter_mut().zip(&sum).for_each(|(total, sum)| *total += sum);
    }
    total
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
            let mut out = vec![0; n * c * h * w];
            for piece in tiling.pieces(&mut out, c, block, w) {
                let images = piece.tile.images.len();
                assert_eq!(piece.planes.len(), images * piece.channels.len());
                for plane in piece.planes {
                    assert_eq!(plane.len(), piece.tile.rows.len() * w);
                    assert!(images * plane.len() <= tiling.max_pixels(w));
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
