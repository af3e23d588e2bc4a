//! What the blocks are made of: a convolution with batch norm and ReLU, and 3x3 pools.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, bail};
use rayon::prelude::*;
use stackgan_kernels::Padding;

use crate::Result;
use crate::features::folded::{FoldedConv, Names, Rectifier, Weights};

/// Epsilon of every batch norm.
const EPS: f64 = 1e-3;

/// A convolution without bias, batch norm and ReLU.
#[derive(Clone, Debug)]
pub(super) struct ConvNorm {
    conv: FoldedConv,
    stride: usize,
    padding: Padding,
}

/// A convolution's place among the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// All weights.
    pub(super) weights: Weights<'a>,
    /// Before `.conv.weight` and `.bn.*`.
    pub(super) name: &'a str,
}

impl ConvNorm {
    /// `padding` is rows above and below, columns on either side.
    pub(super) fn new(
        place: Place<'_>,
        (from, to): (usize, usize),
        (kh, kw): (usize, usize),
        stride: usize,
        (rows, columns): (usize, usize),
    ) -> Result<Self> {
        let (conv, norm) = (format!("{}.conv", place.name), format!("{}.bn", place.name));
        let names = Names { conv: &conv, norm: &norm };
        let shape = [to, from, kh, kw];
        let conv = FoldedConv::new(place.weights, names, shape, EPS, Rectifier::Relu)?;
        Ok(Self { conv, stride, padding: Padding::symmetric(rows, columns) })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.conv.forward(x, self.stride, self.padding)
    }
}

/// A 3x3 pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pool {
    /// The average of what lies inside of the map; keeps the size.
    AverageInside,
    /// The average with zeros around the map; keeps the size.
    AveragePadded,
    /// The largest; keeps the size.
    Largest,
    /// The largest with stride 2 and no padding; halves the size.
    Halve,
}

impl Pool {
    /// `(batch, channels, h, w)`.
    pub(super) fn forward(self, x: &Tensor) -> Result<Tensor> {
        Ok(x.contiguous()?.apply_op1_no_bwd(&self)?)
    }

    const fn size(self, side: usize) -> usize {
        match self {
            Self::Halve => (side - 3) / 2 + 1,
            _ => side,
        }
    }

    /// The window around place `i` of a side: its beginning and end.
    fn window(self, i: usize, side: usize) -> (usize, usize) {
        match self {
            Self::Halve => (2 * i, 2 * i + 3),
            _ => (i.saturating_sub(1), (i + 2).min(side)),
        }
    }

    fn plane(self, x: &[f32], (h, w): (usize, usize), out: &mut [f32]) {
        let across = self.size(w);
        for (y, row) in out.chunks_exact_mut(across).enumerate() {
            let (top, bottom) = self.window(y, h);
            for (i, value) in row.iter_mut().enumerate() {
                let (left, right) = self.window(i, w);
                let rows = x.chunks_exact(w).take(bottom).skip(top);
                let inside = rows.flat_map(|row| row.iter().take(right).skip(left).copied());
                *value = match self {
                    Self::Largest | Self::Halve => inside.fold(f32::NEG_INFINITY, f32::max),
                    Self::AveragePadded => inside.sum::<f32>() / 9.0,
                    Self::AverageInside => {
                        inside.sum::<f32>() / ((bottom - top) * (right - left)) as f32
                    }
                };
            }
        }
    }
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool of 3x3"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (batch, channels, h, w) = layout.shape().dims4()?;
        let all = storage.as_slice::<f32>()?;
        let x = layout.contiguous_offsets().and_then(|(from, to)| all.get(from..to));
        let least = if *self == Self::Halve { 3 } else { 1 };
        let Some(x) = x.filter(|_| h.min(w) >= least) else {
            bail!("a pool needs a contiguous map of {least}x{least} or more, found {layout:?}");
        };
        let (to_h, to_w) = (self.size(h), self.size(w));
        let mut out = vec![0f32; batch * channels * to_h * to_w];
        let planes = out.par_chunks_exact_mut(to_h * to_w).zip(x.par_chunks_exact(h * w));
        planes.for_each(|(out, x)| self.plane(x, (h, w), out));
        Ok((CpuStorage::F32(out), Shape::from((batch, channels, to_h, to_w))))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn pools_by_hand() -> Result<()> {
        let x = Tensor::arange(1f32, 17.0, &Device::Cpu)?.reshape((1, 1, 4, 4))?; // 1 to 16
        let pooled =
            |pool: Pool| Ok::<_, crate::Error>(pool.forward(&x)?.flatten_all()?.to_vec1::<f32>()?);
        assert_eq!(pooled(Pool::Halve)?, [11.0]);
        let corner = 1.0 + 2.0 + 5.0 + 6.0;
        assert_eq!(pooled(Pool::AverageInside)?[0], corner / 4.0);
        assert_eq!(pooled(Pool::AveragePadded)?[0], corner / 9.0);
        assert_eq!(pooled(Pool::AverageInside)?[5], 6.0);
        assert_eq!(pooled(Pool::AveragePadded)?[5], 6.0);
        assert_eq!(pooled(Pool::Largest)?[..4], [6.0, 7.0, 8.0, 8.0]);
        assert!(Pool::Halve.forward(&x.narrow(2, 0, 2)?).is_err());
        Ok(())
    }
}
