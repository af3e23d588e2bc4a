//! Nearest-neighbour up-sampling by two.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use crate::geometry::planes;
use crate::vectorised::vectorised;
use crate::{fast, reference};

/// Every pixel of `x (N, C, H, W)` as a 2x2 square: `(N, C, 2H, 2W)`.
///
/// candle 0.11.1's own `upsample_nearest2d` loses gradients of a tensor that is used twice; this does not.
///
/// # Errors
/// A tensor that has not 4 axes or is empty.
pub fn upsample2x(x: &Tensor) -> Result<Tensor> {
    planes(x, "upsample2x")?;
    if fast::applies(&[x]) { x.contiguous()?.apply_op1(Op) } else { reference::upsample2x(x) }
}

struct Op;

impl CustomOp1 for Op {
    fn name(&self) -> &'static str {
        "upsample2x"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = fast::values(storage, layout)?;
        let &[n, c, h, w] = layout.dims() else { bail!("upsample2x: {:?}", layout.dims()) };
        let mut y = vec![0.0; 4 * x.len()];
        y.par_chunks_mut(4 * h * w).zip(x.par_chunks(h * w)).for_each(|(y, x)| repeat(y, x, w));
        Ok((CpuStorage::F32(y), (n, c, 2 * h, 2 * w).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, h, w) = x.dims4()?;
        let grad = grad.contiguous()?;
        let (storage, layout) = grad.storage_and_layout();
        let dy = fast::locked(&storage, layout)?;
        let mut dx = vec![0.0; dy.len() / 4];
        dx.par_chunks_mut(h * w).zip(dy.par_chunks(4 * h * w)).for_each(|(dx, dy)| fold(dx, dy, w));
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
}

vectorised! {
    /// One plane, every pixel four times.
    fn repeat(y: &mut [f32], x: &[f32], w: usize) {
        for (y, x) in y.chunks_exact_mut(4 * w).zip(x.chunks_exact(w)) {
            let (first, second) = y.split_at_mut(2 * w);
            for (y, x) in first.chunks_exact_mut(2).zip(x) {
                y[0] = *x;
                y[1] = *x;
            }
            second.copy_from_slice(first);
        }
    }

    /// One plane of sums over 2x2 squares.
    fn fold(dx: &mut [f32], dy: &[f32], w: usize) {
        for (dx, dy) in dx.chunks_exact_mut(w).zip(dy.chunks_exact(4 * w)) {
            let (first, second) = dy.split_at(2 * w);
            let squares = first.chunks_exact(2).zip(second.chunks_exact(2));
            for (dx, (a, b)) in dx.iter_mut().zip(squares) {
                *dx = (a[0] + a[1]) + (b[0] + b[1]);
            }
        }
    }
}
