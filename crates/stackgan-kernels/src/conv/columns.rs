//! im2col and its adjoint on a tile.
//!
//! Column matrices are `(channels * taps, pixels)`, pixels of the tile image by image. A channel's rows are first split
//! by their column modulo the stride ("phases"), padded with zeros; then every tap's row is a contiguous run, for any
//! stride and without a test for the border.

use std::ops::Range;

use crate::gemm::Matrix;
use crate::geometry::Conv2dShape;
use crate::tiles::{Tile, Tiling};
use crate::vectorised::vectorised;

/// How the columns of a convolution are gathered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub(super) shape: Conv2dShape,
    /// Values of a phase's row.
    pub(super) run: usize,
}

impl Columns {
    pub(super) fn new(shape: &Conv2dShape) -> Self {
        Self { shape: *shape, run: shape.out_width + (shape.kernel_width - 1) / shape.stride }
    }

    /// Padded input rows that `rows` output rows read.
    pub(super) fn padded_rows(&self, rows: usize) -> usize {
        (rows - 1) * self.shape.stride + self.shape.kernel_height
    }

    /// Scratch for the phases of one channel of the largest tile.
    pub(super) fn phase_length(&self, tiling: &Tiling) -> usize {
        self.phases(tiling.max_pixels(1).div_ceil(tiling.group()))
    }

    /// Fills `out` with the columns of some channels of `x`.
    pub(super) fn gather<'a>(
        &self,
        out: &'a mut [f32],
        x: &[f32],
        tile: &Tile,
        channels: Range<usize>,
        phases: &mut [f32],
    ) -> Matrix<'a> {
        let s = &self.shape;
        let plane_columns = tile.rows.len() * s.out_width;
        let pixels = tile.images.len() * plane_columns;
        let rows = channels.len() * s.taps();
        let blocks = out.chunks_exact_mut(s.taps() * pixels).zip(channels);
        for (block, channel) in blocks {
            for (i, image) in tile.images.clone().enumerate() {
                let start = (image * s.in_channels + channel) * s.in_pixels();
                let plane = &x[start..start + s.in_pixels()];
                let into = (i * plane_columns, pixels);
                gather_plane(block, into, plane, tile.rows.clone(), *self, phases);
            }
        }
        Matrix::dense(out, rows, pixels)
    }

    /// Adds columns of `channels` channels to the planes they came from, `(images, channels)`.
    pub(super) fn scatter(
        &self,
        planes: &mut [&mut [f32]],
        columns: &[f32],
        tile: &Tile,
        channels: usize,
        phases: &mut [f32],
    ) {
        let s = &self.shape;
        let plane_columns = tile.rows.len() * s.out_width;
        let pixels = tile.images.len() * plane_columns;
        for (i, plane) in planes.iter_mut().enumerate() {
            let (image, channel) = (i / channels, i % channels);
            let block = &columns[channel * s.taps() * pixels..][..s.taps() * pixels];
            let from = (image * plane_columns, pixels);
            scatter_plane(plane, block, from, tile.rows.clone(), *self, phases);
        }
    }

    /// The input row that padded row `r` of a tile is, unless it is padding.
    #[inline(always)]
    fn input_row(&self, top: usize, r: usize) -> Option<usize> {
        let row = (top * self.shape.stride + r).checked_sub(self.shape.pad_height)?;
        (row < self.shape.height).then_some(row)
    }

    /// The part of a phase's row that is not padding, and the input column where it starts.
    #[inline(always)]
    fn inside(&self, phase: usize) -> (Range<usize>, usize) {
        let (s, pad) = (&self.shape, self.shape.pad_width);
        let first = pad.saturating_sub(phase).div_ceil(s.stride).min(self.run);
        let end = (s.width + pad).saturating_sub(phase).div_ceil(s.stride).clamp(first, self.run);
        (first..end, (first * s.stride + phase).saturating_sub(pad))
    }

    /// Splits the padded rows that some output rows read into phases.
    #[inline(always)]
    pub(super) fn split(&self, plane: &[f32], rows: Range<usize>, phases: &mut [f32]) {
        let (s, run) = (&self.shape, self.run);
        let padded_rows = self.padded_rows(rows.len());
        for phase in 0..s.stride {
            let (inside, start) = self.inside(phase);
            let phases = &mut phases[phase * padded_rows * run..][..padded_rows * run];
            for (r, out) in phases.chunks_exact_mut(run).enumerate() {
                match self.input_row(rows.start, r) {
                    Some(row) if !inside.is_empty() => {
                        let row = &plane[row * s.width..(row + 1) * s.width];
                        out[..inside.start].fill(0.);
                        out[inside.end..].fill(0.);
                        take_every(&mut out[inside.clone()], &row[start..], s.stride);
                    }
                    _ => out.fill(0.),
                }
            }
        }
    }

    /// Values of all phases for `rows` output rows.
    pub(super) fn phases(&self, rows: usize) -> usize {
        self.shape.stride * self.padded_rows(rows) * self.run
    }

    /// Offset in the phases of what tap `(i, j)` reads for the tile's first row.
    #[inline(always)]
    pub(super) fn tap(&self, i: usize, j: usize, padded_rows: usize) -> usize {
        (j % self.shape.stride * padded_rows + i) * self.run + j / self.shape.stride
    }
}

vectorised! {
    /// Columns of one plane, into rows of `block` at `into = (offset, row stride)`.
    fn gather_plane(
        block: &mut [f32],
        into: (usize, usize),
        plane: &[f32],
        rows: Range<usize>,
        columns: Columns,
        phases: &mut [f32],
    ) {
        let s = &columns.shape;
        let padded_rows = columns.padded_rows(rows.len());
        let run = columns.run;
        columns.split(plane, rows.clone(), phases);
        let rows = rows.len();
        for i in 0..s.kernel_height {
            for j in 0..s.kernel_width {
                let out = &mut block[(i * s.kernel_width + j) * into.1 + into.0..];
                let out = &mut out[..rows * s.out_width];
                let from = &phases[columns.tap(i, j, padded_rows)..];
                let step = s.stride * run;
                match s.out_width {
                    4 => copy_rows::<4>(out, from, step),
                    8 => copy_rows::<8>(out, from, step),
                    16 => copy_rows::<16>(out, from, step),
                    32 => copy_rows::<32>(out, from, step),
                    64 => copy_rows::<64>(out, from, step),
                    width => {
                        for (out, from) in out.chunks_exact_mut(width).zip(from.chunks(step)) {
                            out.copy_from_slice(&from[..width]);
                        }
                    }
                }
            }
        }
    }

    /// Adds the columns of one plane to it.
    fn scatter_plane(
        plane: &mut [f32],
        block: &[f32],
        from: (usize, usize),
        rows: Range<usize>,
        columns: Columns,
        phases: &mut [f32],
    ) {
        let s = &columns.shape;
        let padded_rows = columns.padded_rows(rows.len());
        let run = columns.run;
        phases[..s.stride * padded_rows * run].fill(0.);
        for i in 0..s.kernel_height {
            for j in 0..s.kernel_width {
                let values = &block[(i * s.kernel_width + j) * from.1 + from.0..];
                let values = &values[..rows.len() * s.out_width];
                let out = &mut phases[columns.tap(i, j, padded_rows)..];
                let step = s.stride * run;
                match s.out_width {
                    4 => add_rows::<4>(out, values, step),
                    8 => add_rows::<8>(out, values, step),
                    16 => add_rows::<16>(out, values, step),
                    32 => add_rows::<32>(out, values, step),
                    64 => add_rows::<64>(out, values, step),
                    width => {
                        for (out, values) in out.chunks_mut(step).zip(values.chunks_exact(width)) {
                            out.iter_mut().zip(values).for_each(|(out, v)| *out += v);
                        }
                    }
                }
            }
        }
        for phase in 0..s.stride {
            let (inside, start) = columns.inside(phase);
            if inside.is_empty() {
                continue;
            }
            let phases = &phases[phase * padded_rows * run..][..padded_rows * run];
            for (r, values) in phases.chunks_exact(run).enumerate() {
                if let Some(row) = columns.input_row(rows.start, r) {
                    let row = &mut plane[row * s.width..(row + 1) * s.width];
                    add_every(&mut row[start..], &values[inside.clone()], s.stride);
                }
            }
        }
    }
}

/// `out[i] = from[i * stride]`.
#[inline(always)]
fn take_every(out: &mut [f32], from: &[f32], stride: usize) {
    match stride {
        1 => out.copy_from_slice(&from[..out.len()]),
        2 => {
            // The last pair may lack its second half.
            let pairs = from.as_chunks::<2>().0;
            let paired = out.len().min(pairs.len());
            out[..paired].iter_mut().zip(pairs).for_each(|(out, pair)| *out = pair[0]);
            if let Some(last) = out.get_mut(paired) {
                *last = from[2 * paired];
            }
        }
        _ => out.iter_mut().zip(from.iter().step_by(stride)).for_each(|(out, v)| *out = *v),
    }
}

/// `out[i * stride] += values[i]`.
#[inline(always)]
fn add_every(out: &mut [f32], values: &[f32], stride: usize) {
    match stride {
        2 => {
            let paired = values.len().min(out.len() / 2);
            let pairs = out.as_chunks_mut::<2>().0;
            pairs.iter_mut().zip(values).for_each(|(pair, v)| pair[0] += v);
            if let Some(last) = values.get(paired) {
                out[2 * paired] += last;
            }
        }
        _ => out.iter_mut().step_by(stride).zip(values).for_each(|(out, v)| *out += v),
    }
}

/// Copies rows of `W` values, `step` apart, to dense rows. A width known to the compiler costs a few moves a row.
#[inline(always)]
fn copy_rows<const W: usize>(out: &mut [f32], from: &[f32], step: usize) {
    for (out, from) in out.as_chunks_mut::<W>().0.iter_mut().zip(from.chunks(step)) {
        if let Some(from) = from.first_chunk::<W>() {
            *out = *from;
        }
    }
}

/// Adds dense rows of `W` values to rows `step` apart.
#[inline(always)]
fn add_rows<const W: usize>(out: &mut [f32], values: &[f32], step: usize) {
    for (out, values) in out.chunks_mut(step).zip(values.as_chunks::<W>().0) {
        if let Some(out) = out.first_chunk_mut::<W>() {
            for i in 0..W {
                out[i] += values[i];
            }
        }
    }
}
