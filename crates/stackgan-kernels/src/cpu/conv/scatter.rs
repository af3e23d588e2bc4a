//! Convolutions whose input gradient is computed by scattering.
//!
//! These are 4x4 convolutions of stride 2 ([`super::transform::halve`]), 3x3 convolutions after an
//! up-sampling ([`super::transform::up`]), and all other windows.

use std::ops::Range;

use rayon::prelude::*;

use super::factors::{Kinds, MOST, Transform};
use super::finish::Finish;
use super::gradients::{Gradients, Wanted};
use super::packed::Packed;
use super::products::{Out, Side, multiply};
use super::sums::Sums;
use super::transform::{halve, up};
use super::weights::{Order, Pack, Weight};
use super::work::{self, At, Grid, Plan, Runs};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::Lane;
use crate::cpu::path::Path;
use crate::cpu::scratch;
use crate::cpu::tiles::Tile;
use crate::geometry::Conv2dShape;
use crate::vectorised::vectorised;

/// How pixels become the inputs of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Four phases of nine or 25 kinds of product.
    Halve(halve::Tile),
    /// Sixteen sums of pixels for 25 kinds of product.
    Up,
    /// One block per tap.
    Columns,
}

/// Smallest number of outputs along an axis of one image for which having fewer products outweighs
/// having more factors per weight.
const LARGE: usize = 32;

/// The part of the input's gradient that belongs to a run of images.
struct Part<'a> {
    first: usize,
    /// For each block of channels, its plane in every image.
    planes: Vec<Vec<&'a mut [Lane]>>,
}

/// A convolution of one of these forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scatter {
    way: Way,
    shape: Conv2dShape,
}

impl Scatter {
    /// Chooses the better form for a shape.
    pub(super) fn new(shape: Conv2dShape) -> Self {
        let s = &shape;
        let halve = (s.kernel_height, s.kernel_width, s.stride) == (4, 4, 2)
            && (s.pad_height, s.pad_width) == (1, 1)
            && (s.out_height, s.out_width) == (s.height / 2, s.width / 2);
        let large = s.out_height.min(s.out_width) >= LARGE;
        let side = if large { halve::Tile::Four } else { halve::Tile::Two };
        Self { way: if halve { Way::Halve(side) } else { Way::Columns }, shape }
    }

    /// Returns an up-sampling convolution. Its shape has the sizes of the small input and the large
    /// output.
    pub(super) fn up(small: Sizes, out_channels: usize) -> Self {
        let shape = Conv2dShape {
            images: small.images,
            in_channels: small.channels,
            height: small.height,
            width: small.width,
            out_channels,
            kernel_height: 3,
            kernel_width: 3,
            out_height: 2 * small.height,
            out_width: 2 * small.width,
            stride: 1,
            pad_height: 1,
            pad_width: 1,
        };
        Self { way: Way::Up, shape }
    }

    fn kinds(&self) -> Kinds {
        match self.way {
            Way::Halve(side) => Kinds::own(side.kinds()),
            Way::Up => Kinds::UP,
            Way::Columns => Kinds::own(1),
        }
    }

    /// Returns the number of inner blocks per block of channels.
    fn groups(&self) -> usize {
        match self.way {
            Way::Halve(_) => halve::PHASES,
            Way::Up => 1,
            Way::Columns => self.shape.taps(),
        }
    }

    fn transform(&self) -> Transform {
        match self.way {
            Way::Halve(side) => Transform::Halve(side),
            Way::Up => Transform::Up,
            Way::Columns => Transform::Each,
        }
    }

    /// Returns the number of outputs of a tile along an axis.
    fn side(&self) -> usize {
        match self.way {
            Way::Halve(side) => side.outputs(),
            Way::Up => 2 * up::SIDE,
            Way::Columns => 1,
        }
    }

    fn grid(&self) -> Grid {
        let (s, side) = (&self.shape, self.side());
        let (rows, columns) = (s.out_height.div_ceil(side), s.out_width.div_ceil(side));
        Grid { images: s.images, rows, columns }
    }

    /// Returns the number of lanes of working memory for a line of inputs.
    fn line(&self) -> usize {
        let columns = self.grid().columns;
        match self.way {
            Way::Halve(side) => side.along() * (2 * side.outputs() * columns + 2),
            Way::Up => up::SUMS_ALONG * (up::SIDE * columns + 2),
            Way::Columns => 0,
        }
    }

    /// Returns the number of lanes of working memory for a line of the result's gradient.
    fn gradient_line(&self) -> usize {
        let along = match self.way {
            Way::Halve(side) => side.along(),
            Way::Up => up::KINDS_ALONG,
            Way::Columns => 0,
        };
        along * self.side() * self.grid().columns
    }

    /// Returns the input row that row `ky` of the window reads for a line of outputs.
    fn row(&self, line: usize, ky: usize) -> isize {
        (line * self.shape.stride + ky) as isize - self.shape.pad_height as isize
    }

    /// Writes the inputs of a line's products. `at.block` counts groups of blocks of channels.
    fn input(&self, x: &Blocks, at: At, out: &mut [Lane], stride: usize, line: &mut [Lane]) {
        let (block, group) = (at.block / self.groups(), at.block % self.groups());
        match self.way {
            Way::Halve(side) => {
                let first = (2 * side.outputs() * at.row + group / 2) as isize - 1;
                let row = |i: usize| x.row(at.image, block, first + 2 * i as isize);
                halve::input(side, out, stride, std::array::from_fn(row), group % 2, line);
            }
            Way::Up => {
                let row = |i: usize| x.row(at.image, block, (2 * at.row + i) as isize - 1);
                up::input(out, stride, std::array::from_fn(row), line);
            }
            Way::Columns => {
                let (ky, kx) = (group / self.shape.kernel_width, group % self.shape.kernel_width);
                let out = &mut out[..self.shape.out_width];
                let Some(row) = x.row(at.image, block, self.row(at.row, ky)) else {
                    return out.fill(Lane::ZERO);
                };
                let (inside, first) = self.shape.inside(kx);
                out[..inside.start].fill(Lane::ZERO);
                out[inside.end..].fill(Lane::ZERO);
                taken(&mut out[inside], &row[first.min(row.len())..], self.shape.stride);
            }
        }
    }

    /// Writes the kinds of a line of the result's gradient.
    fn gradient(&self, dy: &Blocks, at: At, out: &mut [Lane], stride: usize, line: &mut [Lane]) {
        let row = |i: usize| dy.row(at.image, at.block, (self.side() * at.row + i) as isize);
        match self.way {
            Way::Halve(side) => halve::gradient(side, out, stride, std::array::from_fn(row), line),
            Way::Up => up::gradient(out, stride, std::array::from_fn(row), line),
            Way::Columns => {
                let row = row(0).unwrap_or_default();
                out[..row.len()].copy_from_slice(row);
            }
        }
    }

    /// Adds a line's part of the input's gradient to a plane. `sums` contains the sums of all
    /// groups, `pixels` apart.
    fn add(&self, plane: &mut [Lane], line: usize, sums: &[Lane], pixels: usize) {
        let s = &self.shape;
        for group in 0..self.groups() {
            let sums = &sums[group * self.kinds().sums * pixels..];
            match self.way {
                Way::Halve(side) => {
                    halve::scatter(side, plane, s.width, line, group, sums, pixels);
                }
                Way::Up => up::scatter(plane, s.width, line, sums, pixels),
                Way::Columns => {
                    let (ky, kx) = (group / s.kernel_width, group % s.kernel_width);
                    let row = usize::try_from(self.row(line, ky)).ok();
                    let Some(row) = row.filter(|row| *row < s.height) else { continue };
                    let row = &mut plane[row * s.width..][..s.width];
                    for (i, sum) in sums[..s.out_width].iter().enumerate() {
                        let column = (i * s.stride + kx).checked_sub(s.pad_width);
                        if let Some(out) = column.and_then(|c| row.get_mut(c)) {
                            *out += *sum;
                        }
                    }
                }
            }
        }
    }

    /// Computes the convolution.
    pub(super) fn forward(&self, x: &Blocks, weight: &[f32], finish: Finish<'_>) -> Blocks {
        let s = &self.shape;
        let pack = Pack {
            taps: s.taps(),
            kinds: self.kinds().products,
            inner_groups: self.groups(),
            inner_channels: s.in_channels,
            out_groups: 1,
            out_channels: s.out_channels,
        };
        let transform = self.transform();
        let weight = Weight { values: weight, pack, order: Order::OutInner, transform };
        let mut y = Blocks::stale(Sizes::of_result(s));
        let input = |at: At, out: &mut [Lane], stride: usize, line: &mut [Lane]| {
            self.input(x, at, out, stride, line);
        };
        let plan = Plan { grid: self.grid(), line: self.line(), height: self.side(), weight };
        let output = |rows: &mut [Lane], products: &[Lane], stride: usize| match self.way {
            Way::Halve(side) => halve::output(side, rows, s.out_width, products, stride),
            Way::Up => up::output(rows, s.out_width, products, stride),
            Way::Columns => work::as_they_are(rows, products, stride),
        };
        work::forward(&plan, &mut y, input, output, finish);
        y
    }

    /// Computes the gradients, which share the transformed `dy`.
    pub(super) fn backward(
        &self,
        x: &Blocks,
        weight: &[f32],
        dy: &Blocks,
        wanted: Wanted,
    ) -> Gradients {
        let (s, grid, kinds, groups) = (&self.shape, self.grid(), self.kinds(), self.groups());
        let (ins, outs) = (x.sizes.blocks(), dy.sizes.blocks());
        let runs = Runs::new(grid, ins.max(outs));
        let pack = Pack {
            taps: s.taps(),
            kinds: kinds.products,
            inner_groups: 1,
            inner_channels: s.out_channels,
            out_groups: self.groups(),
            out_channels: s.in_channels,
        };
        let transform = self.transform();
        let weight = Weight { values: weight, pack, order: Order::InnerOut, transform };
        // Weights that are used only once are packed at the place of use.
        let once = runs.tiling().len() == 1;
        let early = wanted.input && !once;
        let mut memory = Buffer::stale(if early { weight.lanes(weight.outs()) } else { 0 });
        let packed = early.then(|| weight.packed(&mut memory));
        let mut dx =
            wanted.input.then(|| Blocks { sizes: x.sizes, lanes: Buffer::zeroed(x.sizes.lanes()) });
        let mut planes = dx.as_mut().map(|dx| dx.lanes.chunks_mut(s.in_pixels()));
        let parts = runs.images().map(|images| {
            let mut part = Part { first: images.start, planes: Vec::new() };
            part.planes.resize_with(ins, Vec::new);
            let mine = planes.iter_mut().flatten().take(images.len() * ins);
            mine.enumerate().for_each(|(i, plane)| part.planes[i % ins].push(plane));
            part
        });
        let new = || Sums::new(kinds, outs, ins * groups);
        let each = |part: &mut Part<'_>, tile: &Tile, sums: Option<&mut Sums>| {
            let pixels = grid.pixels(tile);
            let mut left = Buffer::stale(outs * kinds.products * pixels);
            let line = self.gradient_line();
            grid.fill(&mut left, tile, kinds.products, line, |at, out, stride, line| {
                self.gradient(dy, at, out, stride, line);
            });
            if let Some(sums) = sums {
                let mut right = Buffer::stale(ins * groups * kinds.sums * pixels);
                grid.fill(&mut right, tile, kinds.sums, self.line(), |at, out, stride, line| {
                    self.input(x, at, out, stride, line);
                });
                work::add_products(sums, &left, &right, pixels);
            }
            if wanted.input {
                let images = tile.images.start - part.first..tile.images.end - part.first;
                // Number of blocks whose columns form whole panels.
                let step = weight.step();
                part.planes.par_chunks_mut(step).enumerate().for_each(|(i, planes)| {
                    let outs = i * step * groups..(i * step + planes.len()) * groups;
                    let (left, to) = ((&left[..], pixels), (images.clone(), &tile.rows));
                    match packed {
                        Some(packed) => self.scatter(planes, to, left, packed, outs),
                        None => scratch::lanes([weight.lanes(outs.len())], |[memory]| {
                            let part = weight.part(memory, outs.clone(), 0..weight.depth());
                            self.scatter(planes, to, left, part, 0..outs.len());
                        }),
                    }
                });
            }
        };
        let sums = runs.sum(parts.collect(), wanted.weight.then_some(new), each);
        let dw = sums.map(|sums| {
            let channels = (s.out_channels, s.in_channels);
            sums.fold(channels, (s.taps(), self.groups()), self.transform())
        });
        Gradients { input: dx, weight: dw }
    }

    /// Adds a tile's part of the input's gradient for some blocks of channels.
    ///
    /// The tile covers `rows` of `images` of the given planes. The blocks are the columns `outs` of
    /// the weights.
    fn scatter(
        &self,
        planes: &mut [Vec<&mut [Lane]>],
        (images, rows): (Range<usize>, &Range<usize>),
        (left, pixels): (&[Lane], usize),
        weights: Packed<'_>,
        outs: Range<usize>,
    ) {
        let (groups, Kinds { products, sums, sum_of }) = (self.groups(), self.kinds());
        scratch::lanes([outs.len() * sums * pixels], |[out]| {
            let mut begun = [false; MOST];
            for kind in 0..products {
                let lanes = &left[kind * pixels..];
                let left = Side { lanes, stride: products * pixels, rows: pixels };
                let sum = sum_of(kind);
                let lanes = &mut out[sum * pixels..];
                let add = std::mem::replace(&mut begun[sum], true);
                let out = Out { lanes, stride: sums * pixels, add };
                multiply(Path::best(), out, left, (weights, kind), outs.clone());
            }
            let columns = self.grid().columns;
            for (planes, out) in planes.iter_mut().zip(out.chunks(groups * sums * pixels)) {
                for (i, plane) in planes[images.clone()].iter_mut().enumerate() {
                    for (r, line) in rows.clone().enumerate() {
                        self.add(plane, line, &out[(i * rows.len() + r) * columns..], pixels);
                    }
                }
            }
        });
    }
}

vectorised! {
    /// Sets `out[i] = from[i * stride]`.
    fn taken(out: &mut [Lane], from: &[Lane], stride: usize) {
        for (out, from) in out.iter_mut().zip(from.iter().step_by(stride)) {
            *out = *from;
        }
    }
}
