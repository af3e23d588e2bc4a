//! Up-sampling by two with a 3x3 convolution: see [`super::transform::up`].

use std::collections::VecDeque;

use rayon::prelude::*;

use super::products::{Side, multiply};
use super::sums::Sums;
use super::transform::up::{self, KINDS};
use super::weights::{Order, Pack, Transform, Weight};
use super::work::{self, At, Grid, Plan, Runs};
use super::{Finish, Gradients, Wanted};
use crate::cpu::blocks::{Blocks, Sizes};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::Lane;
use crate::cpu::path::Path;
use crate::cpu::scratch;
use crate::cpu::tiles::{Piece, Tile};

fn grid(small: Sizes) -> Grid {
    Grid { images: small.images, rows: small.height, columns: small.width }
}

/// `x` of size `(h, w)` to `(2h, 2w)`.
pub(super) fn forward(
    x: &Blocks,
    weight: &[f32],
    out_channels: usize,
    finish: Finish<'_>,
) -> Blocks {
    let s = x.sizes;
    let pack =
        Pack { taps: 9, kinds: KINDS, inner_channels: s.channels, out_channels, ..Pack::ONE };
    let weight = Weight { values: weight, pack, order: Order::OutInner, transform: Transform::Up };
    let large = Sizes { channels: out_channels, height: 2 * s.height, width: 2 * s.width, ..s };
    let mut y = Blocks::stale(large);
    let input = |at: At, out: &mut [Lane], stride: usize, line: &mut [Lane]| {
        let row = |offset: isize| x.row(at.image, at.block, at.row as isize + offset);
        up::input(out, stride, row(-1), row(0), row(1), line);
    };
    let plan = Plan { grid: grid(s), line: s.width + 2, height: 2, weight };
    work::forward(&plan, &mut y, input, up::output, finish);
    y
}

/// Both gradients, from one transform of `dy`.
pub(super) fn backward(x: &Blocks, weight: &[f32], dy: &Blocks, wanted: Wanted) -> Gradients {
    let (s, large) = (x.sizes, dy.sizes);
    let grid = grid(s);
    let kinds = |at: At, out: &mut [Lane], stride: usize, line: &mut [Lane]| {
        let row = |offset: isize| dy.row(at.image, at.block, 2 * at.row as isize + offset);
        up::gradient(out, stride, row(-1), (row(0), row(1)), row(2), line);
    };
    let pack = Pack {
        taps: 9,
        inner_groups: KINDS,
        inner_channels: large.channels,
        out_channels: s.channels,
        ..Pack::ONE
    };
    let weight = Weight { values: weight, pack, order: Order::InnerOut, transform: Transform::Up };
    let mut memory = Buffer::stale(if wanted.input { weight.lanes(weight.outs()) } else { 0 });
    let weights = wanted.input.then(|| weight.packed(&mut memory));
    let mut dx = wanted.input.then(|| Blocks::stale(s));
    let runs = Runs::new(grid, large.blocks().max(s.blocks()));
    let halves = s.blocks().div_ceil(2);
    let pieces = dx
        .as_mut()
        .map(|dx| runs.tiling().pieces(&mut dx.lanes, (s.blocks(), 2), (s.pixels(), s.width)));
    let mut pieces = pieces.unwrap_or_default().into_iter();
    let parts = runs.tiles().map(|tiles| pieces.by_ref().take(tiles * halves).collect()).collect();
    let new = || Sums::new(KINDS, large.blocks(), s.blocks());
    let each = |pieces: &mut VecDeque<Piece<'_, Lane>>, tile: &Tile, sums: Option<&mut Sums>| {
        let pixels = grid.pixels(tile);
        let mut left = Buffer::stale(large.blocks() * KINDS * pixels);
        grid.fill(&mut left, tile, KINDS, large.width + 2, kinds);
        if let Some(sums) = sums {
            let mut right = Buffer::stale(s.blocks() * pixels);
            grid.fill(&mut right, tile, 1, 0, |at, out, _, _| {
                if let Some(row) = x.row(at.image, at.block, at.row as isize) {
                    out[..s.width].copy_from_slice(row);
                }
            });
            work::add_products(sums, &left, &right, pixels);
        }
        if let Some(weights) = weights {
            let rest = pieces.split_off(halves);
            std::mem::replace(pieces, rest).into_par_iter().for_each(|piece| {
                let blocks = piece.channels.len();
                scratch::lanes([blocks * pixels], |[out]| {
                    let left = Side { lanes: &left, stride: pixels, rows: pixels };
                    let result = (&mut *out, pixels);
                    multiply(Path::best(), result, left, (weights, 0), piece.channels.clone());
                    let rows = piece.tile.rows.len() * s.width;
                    for (i, plane) in piece.planes.into_iter().enumerate() {
                        let at = i % blocks * pixels + i / blocks * rows;
                        plane.copy_from_slice(&out[at..at + rows]);
                    }
                });
            });
        }
    };
    let sums = runs.sum(parts, wanted.weight.then_some(new), each);
    let dw = sums.map(|sums| sums.fold((large.channels, s.channels), (9, 1), Transform::Up));
    Gradients { input: dx, weight: dw }
}
