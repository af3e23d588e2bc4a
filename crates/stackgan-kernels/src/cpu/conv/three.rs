//! 3x3 convolutions of stride 1 and padding 1 on maps of even size: see [`super::transform::three`].

use super::transform::three::{self, KINDS};
use super::weights::{Order, Pack, Sums, Transform, Weight};
use super::work::{self, At, Grid, Runs};
use super::{Gradients, Wanted};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::Lane;

/// Whether maps of such sizes are made of whole tiles.
pub(super) fn applies(s: Sizes) -> bool {
    s.height.is_multiple_of(2) && s.width.is_multiple_of(2)
}

fn grid(s: Sizes) -> Grid {
    Grid { images: s.images, rows: s.height / 2, columns: s.width / 2 }
}

/// The kinds of a line of tiles.
fn input(x: &Blocks) -> impl Fn(At, &mut [Lane], usize, &mut [Lane]) + Sync {
    |at, out, stride, line| {
        let row = |offset: isize| x.row(at.image, at.block, 2 * at.row as isize + offset);
        three::input(out, stride, [row(-1), row(0), row(1), row(2)], line);
    }
}

fn convolve(
    x: &Blocks,
    values: &[f32],
    out_channels: usize,
    order: Order,
    transform: Transform,
) -> Blocks {
    let s = x.sizes;
    let pack =
        Pack { taps: 9, kinds: KINDS, inner_channels: s.channels, out_channels, ..Pack::ONE };
    let weight = Weight { values, pack, order, transform };
    let mut y = Blocks::stale(Sizes { channels: out_channels, ..s });
    work::forward(grid(s), (KINDS, s.width + 2), &weight, &mut y, input(x), three::output);
    y
}

/// The convolution.
pub(super) fn forward(x: &Blocks, weight: &[f32], out_channels: usize) -> Blocks {
    convolve(x, weight, out_channels, Order::OutInner, Transform::Three)
}

/// The gradients; that of the input is a convolution with the flipped taps.
pub(super) fn backward(x: &Blocks, weight: &[f32], dy: &Blocks, wanted: Wanted) -> Gradients {
    let (s, outs) = (x.sizes, dy.sizes);
    let dx = wanted
        .input
        .then(|| convolve(dy, weight, s.channels, Order::InnerOut, Transform::ThreeFlipped));
    let weight_gradient = || {
        let grid = grid(s);
        let runs = Runs::new(grid, outs.blocks().max(s.blocks()));
        let new = || Sums::new(KINDS, outs.blocks(), s.blocks());
        let parts = runs.images().map(|_| ()).collect();
        let sums = runs.sum(parts, Some(new), |(), tile, sums| {
            let pixels = grid.pixels(tile);
            let mut left = Buffer::stale(outs.blocks() * KINDS * pixels);
            grid.fill(&mut left, tile, KINDS, 0, |at, out, stride, _| {
                let plane = &dy.plane(at.image, at.block)[2 * at.row * s.width..];
                three::gradient(out, stride, [&plane[..s.width], &plane[s.width..][..s.width]]);
            });
            let mut right = Buffer::stale(s.blocks() * KINDS * pixels);
            grid.fill(&mut right, tile, KINDS, s.width + 2, input(x));
            if let Some(sums) = sums {
                work::add_products(sums, &left, &right, pixels);
            }
        });
        Some(sums?.fold((outs.channels, s.channels), (9, 1), Transform::Three))
    };
    Gradients { input: dx, weight: if wanted.weight { weight_gradient() } else { None } }
}
