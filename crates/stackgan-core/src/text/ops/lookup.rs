//! The first convolution, fused with its bias, threshold and 3/3 pooling.
//!
//! Its input is one-hot, so it is a table look-up: the sum of one row of weights for each of the
//! four characters under the kernel, instead of a product with a matrix that is nearly all zeros.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use stackgan_kernels::{is_fast, values};

use super::super::alphabet::{ALPHABET_SIZE, CAPTION_LENGTH, CaptionIndices};
use super::convolution::{KERNEL, THRESHOLD};
use super::host::host;
use super::reference;

/// Size and stride of the pooling.
const POOL: usize = 3;

/// Number of windows of the pooling: (201 - 3) / 3.
pub(in super::super) const STEPS: usize = (CAPTION_LENGTH + 1 - KERNEL) / POOL;

/// Maps captions to the first `steps` of the 66 steps, `(batch, steps, channels)`, with
/// `weight (channels, 70, 4)` and `bias (channels)`.
pub(in super::super) fn lookup_pool(
    captions: &[CaptionIndices],
    steps: usize,
    weight: &Tensor,
    bias: &Tensor,
) -> Result<Tensor> {
    if is_fast(&[weight]) {
        let op = LookupPool { captions: captions.to_vec(), steps: steps.min(STEPS) };
        weight.contiguous()?.apply_op2(&bias.contiguous()?, op)
    } else {
        reference::lookup_pool(captions, weight, bias)?.narrow(1, 0, steps.min(STEPS))
    }
}

struct LookupPool {
    captions: Vec<CaptionIndices>,
    steps: usize,
}

/// One row of channels for each (position in the kernel, character). The rows of character 0 are
/// zeros.
struct Table {
    rows: Vec<f32>,
    channels: usize,
}

impl Table {
    fn zeros(channels: usize) -> Self {
        Self { rows: vec![0.0; KERNEL * (ALPHABET_SIZE + 1) * channels], channels }
    }

    /// Builds the table from `(channels, 70, 4)`.
    fn new(weight: &[f32], channels: usize) -> Self {
        let mut table = Self::zeros(channels);
        for (c, weight) in weight.chunks_exact(ALPHABET_SIZE * KERNEL).enumerate() {
            for (character, places) in (1..).zip(weight.chunks_exact(KERNEL)) {
                for (place, &w) in places.iter().enumerate() {
                    let row = table.start(place, character);
                    table.rows[row + c] = w;
                }
            }
        }
        table
    }

    /// Converts the table back to `(channels, 70, 4)`.
    fn weight(&self) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.channels * ALPHABET_SIZE * KERNEL);
        for c in 0..self.channels {
            for character in 1..=ALPHABET_SIZE {
                out.extend((0..KERNEL).map(|place| self.rows[self.start(place, character) + c]));
            }
        }
        out
    }

    fn start(&self, place: usize, character: usize) -> usize {
        (place * (ALPHABET_SIZE + 1) + character) * self.channels
    }

    fn row(&self, place: usize, character: u8) -> &[f32] {
        &self.rows[self.start(place, usize::from(character))..][..self.channels]
    }

    /// Computes the convolution without bias at one position of a caption.
    fn sum(&self, characters: &[u8; KERNEL], out: &mut [f32]) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|place| self.row(place, characters[place]));
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out = (a + b) + (c + d);
        }
    }
}

/// Returns the characters under the kernel at the `j`th position of pooling window `t`.
fn under_kernel(caption: &CaptionIndices, t: usize, j: usize) -> [u8; KERNEL] {
    let at = t * POOL + j;
    [caption[at], caption[at + 1], caption[at + 2], caption[at + 3]]
}

impl CustomOp2 for LookupPool {
    fn name(&self) -> &'static str {
        "text-lookup-pool"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (values(s1, l1)?, values(s2, l2)?);
        let channels = bias.len();
        if l1.dims() != [channels, ALPHABET_SIZE, KERNEL]
            || self.captions.as_flattened().iter().any(|&i| i > 70)
        {
            bail!("look-up: weight {:?}, bias {:?}, indices up to 70", l1.dims(), l2.dims());
        }
        let table = Table::new(weight, channels);
        let mut out = vec![0f32; self.captions.len() * self.steps * channels];
        let mut row = vec![0f32; channels];
        for (caption, out) in self.captions.iter().zip(out.chunks_exact_mut(self.steps * channels))
        {
            for (t, out) in out.chunks_exact_mut(channels).enumerate() {
                table.sum(&under_kernel(caption, t, 0), out);
                for j in 1..POOL {
                    table.sum(&under_kernel(caption, t, j), &mut row);
                    out.iter_mut().zip(&row).for_each(|(m, &v)| *m = if v > *m { v } else { *m });
                }
                for (v, b) in out.iter_mut().zip(bias) {
                    *v += b;
                    *v = if *v > THRESHOLD { *v } else { 0.0 };
                }
            }
        }
        Ok((CpuStorage::F32(out), (self.captions.len(), self.steps, channels).into()))
    }

    fn bwd(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let channels = bias.elem_count();
        let table = Table::new(&host(weight)?, channels);
        let (passed, grad) = (host(res)?, host(grad)?);
        let mut sums = Table::zeros(channels);
        let mut bias_grad = vec![0f32; channels];
        let mut rows = vec![vec![0f32; channels]; POOL];
        let mut masked = vec![0f32; channels];
        let windows = passed.chunks_exact(channels).zip(grad.chunks_exact(channels));
        for (window, (passed, grad)) in windows.enumerate() {
            let (caption, t) = (&self.captions[window / self.steps], window % self.steps);
            for (j, row) in rows.iter_mut().enumerate() {
                table.sum(&under_kernel(caption, t, j), row);
            }
            // The gradient goes to the first of the largest values, if that passed the threshold.
            for j in 0..POOL {
                let [a, b, c] = [&rows[0], &rows[1], &rows[2]];
                for (i, out) in masked.iter_mut().enumerate() {
                    let best = match j {
                        0 => a[i] >= b[i] && a[i] >= c[i],
                        1 => b[i] > a[i] && b[i] >= c[i],
                        _ => c[i] > a[i] && c[i] > b[i],
                    };
                    *out = if best && passed[i] > 0.0 { grad[i] } else { 0.0 };
                }
                bias_grad.iter_mut().zip(&masked).for_each(|(sum, g)| *sum += g);
                for (place, &character) in under_kernel(caption, t, j).iter().enumerate() {
                    let start = sums.start(place, usize::from(character));
                    let row = &mut sums.rows[start..start + channels];
                    row.iter_mut().zip(&masked).for_each(|(sum, g)| *sum += g);
                }
            }
        }
        let weight_grad = Tensor::from_vec(sums.weight(), weight.shape(), weight.device())?;
        Ok((Some(weight_grad), Some(Tensor::from_vec(bias_grad, bias.shape(), bias.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::alphabet::{AlphabetOptions, indices};
    use super::super::tests::{assert_differences, assert_twins, random};
    use super::*;

    #[test]
    fn look_up_equals_its_twin_and_differences() -> Result<()> {
        let captions = ["a red bird, with é and a 2-inch beak", ""]
            .map(|c| indices(c, AlphabetOptions::default()));
        let (weight, bias) = (random(0, &[6, 70, 4])?, random(1, &[6])?);
        for steps in [STEPS, 7] {
            let fast = || lookup_pool(&captions, steps, &weight, &bias);
            let plain = || reference::lookup_pool(&captions, &weight, &bias)?.narrow(1, 0, steps);
            assert_twins(fast, plain, &[&weight, &bias])?;
            assert_differences(fast, &[&weight, &bias])?;
        }
        Ok(())
    }
}
