//! 3x3 convolutions of stride 1, on tiles of 2x2 or 4x4 pixels; see [`super::transform`].

use super::factors::{Kinds, Transform};
use super::finish::{Finish, UNFINISHED};
use super::gradients::{Gradients, Wanted};
use super::sums::Sums;
use super::transform::{four, two};
use super::weights::{Order, Pack, Weight};
use super::work::{self, At, Grid, Plan, Runs};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::Lane;
use crate::geometry::Conv2dShape;

/// The number of pixels of a tile along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tile {
    Two,
    Four,
}

/// A 3x3 convolution of stride 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Three {
    shape: Conv2dShape,
    tile: Tile,
}

impl Tile {
    const fn pixels(self) -> usize {
        match self {
            Self::Two => two::SIDE,
            Self::Four => four::SIDE,
        }
    }

    const fn kinds(self) -> usize {
        match self {
            Self::Two => two::KINDS,
            Self::Four => four::KINDS,
        }
    }

    fn grid(self, s: &Conv2dShape) -> Grid {
        let tiles = |size: usize| size.div_ceil(self.pixels());
        Grid { images: s.images, rows: tiles(s.out_height), columns: tiles(s.out_width) }
    }

    /// Returns the number of products per image.
    fn products(self, s: &Conv2dShape) -> usize {
        let grid = self.grid(s);
        grid.rows * grid.columns * self.kinds()
    }
}

impl Three {
    /// Returns the convolution for a shape, or `None` if the shape is not of this kind or its
    /// output is only one pixel high or wide.
    pub(super) fn new(shape: Conv2dShape) -> Option<Self> {
        let s = &shape;
        let fits = (s.kernel_height, s.kernel_width, s.stride) == (3, 3, 1)
            && s.out_height.min(s.out_width) > 1
            && s.adjoint().is_some();
        let fewer = Tile::Four.products(s) < Tile::Two.products(s);
        let tile = if fewer { Tile::Four } else { Tile::Two };
        fits.then_some(Self { shape, tile })
    }

    /// Returns the number of lanes of working memory for a line of tiles: its pixels for each
    /// vertical kind.
    fn line(&self) -> usize {
        let side = self.tile.pixels();
        (side + 2) * (self.tile.grid(&self.shape).columns * side + 2)
    }

    /// Writes the kinds of a line of tiles.
    fn input(&self, x: &Blocks, at: At, out: &mut [Lane], stride: usize, line: &mut [Lane]) {
        let (above, left) = (self.shape.pad_height as isize, self.shape.pad_width);
        let first = (at.row * self.tile.pixels()) as isize - above;
        let row = |i: usize| x.row(at.image, at.block, first + i as isize);
        match self.tile {
            Tile::Two => two::input(out, stride, std::array::from_fn(row), left, line),
            Tile::Four => four::input(out, stride, std::array::from_fn(row), left, line),
        }
    }

    fn convolve(
        &self,
        x: &Blocks,
        values: &[f32],
        (order, flipped): (Order, bool),
        finish: Finish<'_>,
    ) -> Blocks {
        let (s, tile) = (&self.shape, self.tile);
        let (kinds, inner_channels, out_channels) = (tile.kinds(), s.in_channels, s.out_channels);
        let pack = Pack { taps: 9, kinds, inner_channels, out_channels, ..Pack::ONE };
        let transform = match tile {
            Tile::Two => Transform::Two { flipped },
            Tile::Four => Transform::Four { flipped },
        };
        let weight = Weight { values, pack, order, transform };
        let (grid, line, height) = (tile.grid(s), self.line(), tile.pixels());
        let plan = Plan { grid, line, height, weight };
        let mut y = Blocks::stale(Sizes::of_result(s));
        let input = |at: At, out: &mut [Lane], stride: usize, line: &mut [Lane]| {
            self.input(x, at, out, stride, line);
        };
        let output = |rows: &mut [Lane], products: &[Lane], stride: usize| match tile {
            Tile::Two => two::output(rows, s.out_width, products, stride),
            Tile::Four => four::output(rows, s.out_width, products, stride),
        };
        work::forward(&plan, &mut y, input, output, finish);
        y
    }

    /// Computes the convolution.
    pub(super) fn forward(&self, x: &Blocks, weight: &[f32], finish: Finish<'_>) -> Blocks {
        self.convolve(x, weight, (Order::OutInner, false), finish)
    }

    /// Computes the gradients. The input's gradient is a convolution with the flipped taps.
    pub(super) fn backward(
        &self,
        x: &Blocks,
        weight: &[f32],
        dy: &Blocks,
        wanted: Wanted,
    ) -> Gradients {
        let adjoint = self.shape.adjoint().filter(|_| wanted.input);
        let dx = adjoint.map(|shape| {
            let adjoint = Self { shape, tile: self.tile };
            adjoint.convolve(dy, weight, (Order::InnerOut, true), UNFINISHED)
        });
        // Larger tiles save no time here, because they need 36 sums for each pair of channels.
        let smaller = Self { tile: Tile::Two, ..*self };
        let dw = if wanted.weight { smaller.weight_gradient(x, dy) } else { None };
        Gradients { input: dx, weight: dw }
    }

    /// Returns the gradient of the weight, computed on tiles of 2x2.
    fn weight_gradient(&self, x: &Blocks, dy: &Blocks) -> Option<Vec<f32>> {
        let (s, grid, kinds) = (&self.shape, self.tile.grid(&self.shape), self.tile.kinds());
        let (ins, outs) = (x.sizes.blocks(), dy.sizes.blocks());
        let runs = Runs::new(grid, ins.max(outs));
        let new = || Sums::new(Kinds::own(kinds), outs, ins);
        let parts = runs.images().map(|_| ()).collect();
        let sums = runs.sum(parts, Some(new), |(), tile, sums| {
            let pixels = grid.pixels(tile);
            let mut left = Buffer::stale(outs * kinds * pixels);
            let line = 4 * two::SIDE * grid.columns;
            grid.fill(&mut left, tile, kinds, line, |at, out, stride, line| {
                let row = |i: usize| dy.row(at.image, at.block, (2 * at.row + i) as isize);
                two::gradient(out, stride, [row(0), row(1)], line);
            });
            let mut right = Buffer::stale(ins * kinds * pixels);
            grid.fill(&mut right, tile, kinds, self.line(), |at, out, stride, line| {
                self.input(x, at, out, stride, line);
            });
            if let Some(sums) = sums {
                work::add_products(sums, &left, &right, pixels);
            }
        });
        let transform = Transform::Two { flipped: false };
        Some(sums?.fold((s.out_channels, s.in_channels), (9, 1), transform))
    }
}
