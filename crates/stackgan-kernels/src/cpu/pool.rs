//! 3x3 pooling of maps, forward only.

use rayon::prelude::*;

use super::blocks::{Blocks, Sizes};
use super::lane::{Lane, one_pixel};
use crate::Pool;
use crate::vectorised::vectorised;

/// Pools every channel.
pub(super) fn forward(x: &Blocks, pool: Pool) -> Blocks {
    let s = x.sizes;
    let (height, width) = (pool.side(s.height), pool.side(s.width));
    let mut y = Blocks::stale(Sizes { height, width, ..s });
    y.lanes.par_chunks_mut(height * width).enumerate().for_each(|(i, out)| {
        plane(out, x.plane(i / s.blocks(), i % s.blocks()), s, pool);
    });
    y
}

vectorised! {
    fn plane(out: &mut [Lane], x: &[Lane], s: Sizes, pool: Pool) {
        for (y, out) in out.chunks_exact_mut(pool.side(s.width)).enumerate() {
            let (top, bottom) = pool.window(y, s.height);
            for (i, out) in out.iter_mut().enumerate() {
                let (left, right) = pool.window(i, s.width);
                let largest = matches!(pool, Pool::Largest | Pool::Halve);
                let mut all = Lane::splat(if largest { f32::NEG_INFINITY } else { 0. });
                for row in top..bottom {
                    for x in &x[row * s.width + left..row * s.width + right] {
                        one_pixel();
                        all = if largest { all.zip(*x, f32::max) } else { all + *x };
                    }
                }
                *out = match pool {
                    Pool::Largest | Pool::Halve => all,
                    Pool::AveragePadded => all * (1. / 9.),
                    Pool::AverageInside => {
                        all * (1. / ((bottom - top) * (right - left)) as f32)
                    }
                };
            }
        }
    }
}
