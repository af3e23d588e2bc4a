//! 3x3 convolutions of stride 1: see [`super::transform::three`].

use super::transform::three::{self, KINDS};
use super::weights::{Order, Pack, Sums, Transform, Weight};
use super::work::{self, At, Grid, Plan, Runs};
use super::{Finish, Gradients, UNFINISHED, Wanted};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::Lane;
use crate::geometry::Conv2dShape;

/// Whether a shape is one of these, with tiles to fill.
pub(super) fn applies(s: &Conv2dShape) -> bool {
    (s.kernel_height, s.kernel_width, s.stride) == (3, 3, 1)
        && s.out_height.min(s.out_width) > 1
        && s.adjoint().is_some()
}

fn grid(s: &Conv2dShape) -> Grid {
    Grid { images: s.images, rows: s.out_height.div_ceil(2), columns: s.out_width.div_ceil(2) }
}

/// Pixels that a line of tiles reads.
fn line(s: &Conv2dShape) -> usize {
    2 * grid(s).columns + 2
}

/// The kinds of a line of tiles.
fn input(x: &Blocks, s: &Conv2dShape) -> impl Fn(At, &mut [Lane], usize, &mut [Lane]) + Sync {
    let (above, left) = (s.pad_height as isize, s.pad_width);
    move |at, out, stride, line| {
        let row = |i: isize| x.row(at.image, at.block, 2 * at.row as isize + i - above);
        three::input(out, stride, [row(0), row(1), row(2), row(3)], left, line);
    }
}

fn convolve(
    x: &Blocks,
    values: &[f32],
    s: &Conv2dShape,
    (order, transform): (Order, Transform),
    finish: Finish<'_>,
) -> Blocks {
    let (inner_channels, out_channels) = (s.in_channels, s.out_channels);
    let pack = Pack { taps: 9, kinds: KINDS, inner_channels, out_channels, ..Pack::ONE };
    let weight = Weight { values, pack, order, transform };
    let plan = Plan { grid: grid(s), kinds: KINDS, line: line(s), weight };
    let mut y = Blocks::stale(Sizes::of_result(s));
    let output = |rows: &mut [Lane], products: &[Lane], stride: usize| {
        three::output(rows, s.out_width, products, stride);
    };
    work::forward(&plan, &mut y, input(x, s), output, finish);
    y
}

/// The convolution.
pub(super) fn forward(x: &Blocks, weight: &[f32], s: &Conv2dShape, finish: Finish<'_>) -> Blocks {
    convolve(x, weight, s, (Order::OutInner, Transform::Three), finish)
}

/// The gradients; that of the input is a convolution with the flipped taps.
pub(super) fn backward(
    x: &Blocks,
    weight: &[f32],
    dy: &Blocks,
    s: &Conv2dShape,
    wanted: Wanted,
) -> Gradients {
    let adjoint = s.adjoint().filter(|_| wanted.input);
    let flipped = (Order::InnerOut, Transform::ThreeFlipped);
    let dx = adjoint.map(|adjoint| convolve(dy, weight, &adjoint, flipped, UNFINISHED));
    let weight_gradient = || {
        let grid = grid(s);
        let (ins, outs) = (x.sizes.blocks(), dy.sizes.blocks());
        let runs = Runs::new(grid, ins.max(outs));
        let new = || Sums::new(KINDS, outs, ins);
        let parts = runs.images().map(|_| ()).collect();
        let sums = runs.sum(parts, Some(new), |(), tile, sums| {
            let pixels = grid.pixels(tile);
            let mut left = Buffer::stale(outs * KINDS * pixels);
            grid.fill(&mut left, tile, KINDS, 0, |at, out, stride, _| {
                let row = |i: usize| dy.row(at.image, at.block, (2 * at.row + i) as isize);
                three::gradient(out, stride, [row(0), row(1)], grid.columns);
            });
            let mut right = Buffer::stale(ins * KINDS * pixels);
            grid.fill(&mut right, tile, KINDS, line(s), input(x, s));
            if let Some(sums) = sums {
                work::add_products(sums, &left, &right, pixels);
            }
        });
        Some(sums?.fold((s.out_channels, s.in_channels), (9, 1), Transform::Three))
    };
    Gradients { input: dx, weight: if wanted.weight { weight_gradient() } else { None } }
}
