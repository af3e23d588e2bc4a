//! Bounds-checked products of lanes on one thread, which take most of the time of every
//! convolution.
#![allow(unsafe_code, reason = "calls the inner loop, which takes pointers, on checked operands")]

use std::ops::Range;

use super::microkernel::{Left, Tile, run};
use super::packed::Packed;
use crate::cpu::lane::{LANES, Lane, floats};
use crate::cpu::path::Path;

/// Blocks of lanes, `stride` lanes apart, of which the first `rows` are used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) lanes: &'a [Lane],
    pub(super) stride: usize,
    pub(super) rows: usize,
}

impl Side<'_> {
    /// Panics if there are fewer lanes than `blocks` blocks need.
    fn assert_has(&self, blocks: usize) {
        let end = (blocks - 1) * self.stride + self.rows;
        assert!(end <= self.lanes.len(), "product: {end} lanes, found {}", self.lanes.len());
    }
}

/// The destination of a product: blocks of lanes, `stride` lanes apart.
#[derive(Debug)]
pub(super) struct Out<'a> {
    pub(super) lanes: &'a mut [Lane],
    pub(super) stride: usize,
    /// Whether to add to the existing values instead of overwriting them.
    pub(super) add: bool,
}

/// Number of inner blocks processed together. The right operand's part (two lanes wide) and the
/// tile's rows of the left operand then stay in the first-level cache.
pub(super) const DEPTH: usize = 8;

/// Computes `out = left · right`, or adds it to `out` if `out.add` is set.
///
/// Rows are pixels. The inner index runs through the blocks of input channels of `right`. Columns
/// are its blocks `outs` of output channels, which start at an even number.
///
/// # Panics
/// If sizes do not match. This is a bug in this crate, and must not lead to an out-of-bounds write.
pub(super) fn multiply(
    path: Path,
    out: Out<'_>,
    left: Side<'_>,
    (right, kind): (Packed<'_>, usize),
    outs: Range<usize>,
) {
    left.assert_has(right.depth);
    assert!(
        (outs.len() - 1) * out.stride + left.rows <= out.lanes.len(),
        "product: result out of bounds"
    );
    assert!(outs.start.is_multiple_of(2) && outs.end <= right.outs, "product: columns {outs:?}");
    let parts = left.rows.div_ceil(Left::Along.rows());
    let step = left.rows.div_ceil(parts); // tiles of equal height
    for first in (0..right.depth).step_by(DEPTH) {
        let runs = DEPTH.min(right.depth - first);
        for block in outs.clone().step_by(2) {
            let panel = right.panel(kind, block, first);
            let lanes = panel.wide.min(outs.end - block);
            let end = (runs - 1) * panel.block + (lanes - 1) * panel.column + LANES;
            let weights = &panel.lanes[..end];
            for row in (0..left.rows).step_by(step) {
                let tile = Tile {
                    runs,
                    run: LANES,
                    a: left.lanes[first * left.stride + row..].as_ptr().cast(),
                    a_run: left.stride * LANES,
                    b: weights.as_ptr().cast(),
                    b_run: panel.block * LANES,
                    b_row: LANES,
                    b_lane: panel.column * LANES,
                    c: out.lanes[(block - outs.start) * out.stride + row..].as_mut_ptr().cast(),
                    c_row: LANES,
                    c_lane: out.stride * LANES,
                    add: out.add || first > 0,
                };
                // SAFETY: `path` is available (it comes from `Path::available`). Rows, inner
                // indices and columns are inside the operands, whose ends are checked above. `out`
                // is a unique borrow.
                unsafe { run(path, tile, Left::Along, step.min(left.rows - row), lanes) };
            }
        }
    }
}

/// Number of pixels processed together. Two lanes of the right operand and one of the left then
/// stay in the first-level cache.
const PIXELS: usize = 192;

/// Computes `out = leftᵀ · right`, or adds it to `out` if `add` is set.
///
/// The inner index runs through the pixels. Rows are the channels of `blocks.0` blocks of the left
/// operand, columns those of `blocks.1` blocks of the right one. `out` has `16 * blocks.0` rows of
/// `16 * blocks.1` values.
///
/// # Panics
/// As [`multiply`].
pub(super) fn correlate(
    path: Path,
    (out, add): (&mut [f32], bool),
    left: Side<'_>,
    right: Side<'_>,
    blocks: (usize, usize),
) {
    left.assert_has(blocks.0);
    right.assert_has(blocks.1);
    assert_eq!(left.rows, right.rows, "product: pixels of the operands");
    assert!(LANES * LANES * blocks.0 * blocks.1 <= out.len(), "product: result out of bounds");
    for first in (0..right.rows).step_by(PIXELS) {
        for block in (0..blocks.1).step_by(2) {
            let lanes = 2.min(blocks.1 - block);
            for row in (0..LANES * blocks.0).step_by(Left::Across.rows()) {
                let a = floats(&left.lanes[row / LANES * left.stride + first..]);
                let tile = Tile {
                    runs: 1,
                    run: PIXELS.min(right.rows - first),
                    a: a[row % LANES..].as_ptr(),
                    a_run: 0,
                    b: right.lanes[block * right.stride + first..].as_ptr().cast(),
                    b_run: 0,
                    b_row: LANES,
                    b_lane: right.stride * LANES,
                    c: out[(row * blocks.1 + block) * LANES..].as_mut_ptr(),
                    c_row: blocks.1 * LANES,
                    c_lane: LANES,
                    add: add || first > 0,
                };
                // SAFETY: as in `multiply`. Each pointer may reach the end of its operand, in which
                // the left one's values and the right one's lanes continue for `run` pixels.
                unsafe { run(path, tile, Left::Across, Left::Across.rows(), lanes) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::factors::Transform;
    use super::super::weights::{Order, Pack, Weight};
    use super::{LANES, Lane, Out, Packed, Path, Side, correlate, multiply};
    use crate::cpu::lane::floats_mut;

    fn packed<'a>(memory: &'a mut Vec<Lane>, values: &[f32], pack: Pack) -> Packed<'a> {
        let weight = Weight { values, pack, order: Order::OutInner, transform: Transform::Each };
        memory.resize(weight.lanes(weight.outs()), Lane::ZERO);
        weight.packed(memory)
    }

    /// Small integers, so that every sum is exact.
    fn lanes(count: usize, seed: usize) -> Vec<Lane> {
        let value = |i: usize, l: usize| ((i * 7 + l * 3 + seed) % 9) as f32 - 4.;
        (0..count).map(|i| Lane(std::array::from_fn(|l| value(i, l)))).collect()
    }

    #[test]
    fn products_on_every_path_equal_the_plain_sum() {
        for path in Path::available() {
            for (rows, depth, outs) in [
                (1, 1, 0..1),
                (14, 1, 0..2),
                (15, 2, 0..3),
                (33, 13, 2..4),
                (5, 30, 0..5),
                (27, 12, 4..5),
            ] {
                let (stride, out_stride) = (rows + 3, rows + 1);
                let a = lanes(depth * stride, 1);
                let taps: Vec<f32> =
                    lanes(depth * outs.end * LANES, 2).iter().flat_map(|lane| lane.0).collect();
                let shape = Pack {
                    inner_channels: depth * LANES,
                    out_channels: outs.end * LANES,
                    ..Pack::ONE
                };
                let mut memory = Vec::new();
                let right = packed(&mut memory, &taps, shape);
                let mut out = vec![Lane::splat(f32::NAN); outs.len() * out_stride];
                let left = Side { lanes: &a, stride, rows };
                let to = Out { lanes: &mut out, stride: out_stride, add: false };
                multiply(path, to, left, (right, 0), outs.clone());
                for column in outs.start * LANES..outs.end * LANES {
                    for row in 0..rows {
                        let expected: f32 = (0..depth * LANES)
                            .map(|k| {
                                let x = a[k / LANES * stride + row].0[k % LANES];
                                taps[column * depth * LANES + k] * x
                            })
                            .sum();
                        let lane = out[(column / LANES - outs.start) * out_stride + row];
                        assert_eq!(
                            lane.0[column % LANES],
                            expected,
                            "{path:?} {rows} {depth} {outs:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn correlations_on_every_path_equal_the_plain_sum() {
        for path in Path::available() {
            for (pixels, blocks) in
                [(1, (1, 1)), (7, (1, 2)), (200, (2, 3)), (385, (3, 1)), (16, (1, 5))]
            {
                let stride = pixels + 2;
                let (a, b) = (lanes(blocks.0 * stride, 3), lanes(blocks.1 * stride, 4));
                let before = lanes(LANES * blocks.0 * blocks.1, 5);
                let mut out = before.clone();
                let left = Side { lanes: &a, stride, rows: pixels };
                let right = Side { lanes: &b, stride, rows: pixels };
                correlate(path, (floats_mut(&mut out), true), left, right, blocks);
                for (i, found) in out.iter().enumerate() {
                    let mut expected = before[i];
                    let (row, block) = (i / blocks.1, i % blocks.1);
                    for pixel in 0..pixels {
                        let x = a[row / LANES * stride + pixel].0[row % LANES];
                        expected += b[block * stride + pixel] * Lane::splat(x);
                    }
                    assert_eq!(*found, expected, "{path:?} {pixels} {blocks:?}: {i}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "out of bounds")]
    fn a_result_that_is_too_short_is_refused() {
        let a = lanes(4, 1);
        let mut memory = Vec::new();
        let right = packed(&mut memory, &[1.], Pack::ONE);
        let left = Side { lanes: &a, stride: 4, rows: 4 };
        let out = Out { lanes: &mut lanes(3, 0), stride: 4, add: false };
        multiply(Path::Portable, out, left, (right, 0), 0..1);
    }
}
