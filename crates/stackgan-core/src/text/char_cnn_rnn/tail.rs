//! Encoding that skips the empty ends of captions.
//!
//! A caption has 201 positions but, in CUB, only about 70 characters. After its end every window of
//! every convolution reads the same rows of zeros and gives the same result. These results are
//! computed once, from an empty caption. The convolutions run only over the caption itself, in
//! groups of captions that end at about the same position. The recurrence runs over all steps.
//!
//! This records no gradients: training uses [`CharCnnRnn::forward`], whose results are the same
//! except for rounding.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::super::alphabet::{CAPTION_LENGTH, CaptionIndices};
use super::super::ops::{LOOKUP_STEPS, convolution, lookup_pool, windows};
use super::{CharCnnRnn, POOL, temporal};

/// Number of characters between steps of the third convolution: two poolings of 3.
const STRIDE: usize = 9;
/// Number of steps of the third convolution.
pub(crate) const STEPS: usize = 18;
/// Number of captions per task, which limits the memory.
const PART: usize = 64;
/// Number of rows that a window covers after its first.
const REACH: usize = 3;

/// The results of an empty caption, the same at every step.
#[derive(Clone, Debug)]
pub(in super::super) struct Tail {
    conv2: Tensor, // (conv2), after threshold
    conv3: Tensor, // (units), before bias
}

impl CharCnnRnn {
    /// Computes the results after the end of every caption.
    pub(in super::super) fn tail(&self) -> Result<Tail> {
        let empty = [[0; CAPTION_LENGTH]];
        let x = lookup_pool(&empty, LOOKUP_STEPS, &self.conv1.weight, &self.conv1.bias)?;
        let x = temporal(&x, &self.conv2, POOL)?;
        let last = |x: &Tensor| x.get(0)?.get(0);
        let conv3 = convolution(&windows(&x)?, &self.conv3.weight)?;
        Ok(Tail { conv2: last(&x)?, conv3: last(&conv3)? })
    }

    /// Returns embeddings `(captions, dim)`. `tail` must be the one of this network.
    ///
    /// Tasks run in parallel. Their division depends only on the captions, never on the number of
    /// threads.
    pub(in super::super) fn encode(
        &self,
        captions: &[CaptionIndices],
        tail: &Tail,
    ) -> Result<Tensor> {
        let mut order: Vec<usize> = (0..captions.len()).collect();
        order.sort_by_key(|&i| captions.get(i).map_or(0, steps));
        let sorted: Vec<CaptionIndices> =
            order.iter().filter_map(|&i| captions.get(i).copied()).collect();
        let groups = sorted.chunk_by(|a, b| steps(a) == steps(b));
        let parts: Vec<&[CaptionIndices]> = groups.flat_map(|group| group.chunks(PART)).collect();
        let parts = parts.into_par_iter().map(|part| self.convolved(part, tail));
        let convolved = Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)?;
        // After the convolutions all captions have the same length, so tasks have the same size.
        let starts: Vec<usize> = (0..sorted.len()).step_by(PART).collect();
        let heads = starts.into_par_iter().map(|start| {
            let count = PART.min(sorted.len() - start);
            self.head(&convolved.narrow(0, start, count)?)
        });
        let vectors = Tensor::cat(&heads.collect::<Result<Vec<_>>>()?, 0)?;
        let mut places = vec![0u32; order.len()];
        for (row, &caption) in (0u32..).zip(&order) {
            if let Some(place) = places.get_mut(caption) {
                *place = row;
            }
        }
        vectors.index_select(&Tensor::new(places, vectors.device())?, 0)
    }

    /// Returns the third convolution `(captions, 18, units)` of captions that end in the same step.
    fn convolved(&self, captions: &[CaptionIndices], tail: &Tail) -> Result<Tensor> {
        let steps = captions.first().map_or(0, steps);
        if steps == 0 {
            return rows(&tail.conv3, captions.len(), STEPS);
        }
        let batch = captions.len();
        // If the last step reads a character, later rows of the second pooling may do so too, so
        // all of them are computed.
        let ends = steps < STEPS;
        let seen = if ends { 3 * steps + REACH } else { LOOKUP_STEPS };
        let x = lookup_pool(captions, seen, &self.conv1.weight, &self.conv1.bias)?;
        let mut x = temporal(&x, &self.conv2, POOL)?;
        if ends {
            x = Tensor::cat(&[&x, &rows(&tail.conv2, batch, REACH)?], 1)?;
        }
        let x = convolution(&windows(&x)?, &self.conv3.weight)?;
        if ends { Tensor::cat(&[&x, &rows(&tail.conv3, batch, STEPS - steps)?], 1) } else { Ok(x) }
    }
}

/// Repeats a row at each of `count` steps of each of `batch` captions.
fn rows(row: &Tensor, batch: usize, count: usize) -> Result<Tensor> {
    row.broadcast_as((batch, count, row.elem_count()))?.contiguous()
}

/// Returns the number of steps of the third convolution whose windows may reach a character.
fn steps(caption: &CaptionIndices) -> usize {
    let end = caption.iter().rposition(|&index| index != 0).map_or(0, |last| last + 1);
    end.div_ceil(STRIDE).min(STEPS)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use stackgan_noise::Noise;

    use super::super::super::alphabet::{AlphabetOptions, indices};
    use super::super::{CharCnnRnnConfig, Recurrence};
    use super::*;
    use crate::Params;

    /// For every length from nothing to more than fits, with an unknown character in the middle,
    /// the result is the same as with all positions computed.
    #[test]
    fn endings_change_nothing_but_rounding() -> Result<()> {
        for recurrence in [Recurrence::Gru, Recurrence::Rnn] {
            let cfg = CharCnnRnnConfig {
                conv1: 12,
                conv2: 16,
                units: 20,
                dim: 9,
                recurrence,
                ..Default::default()
            };
            let params = Params::fresh(Noise::new(2), "text", &Device::Cpu);
            let net = CharCnnRnn::new(&cfg, &params.trained())?;
            for (_, var) in params.trainable() {
                var.set(&(var.as_tensor() * 4.0)?)?; // larger weights, so that captions differ
            }
            let words = "a small é bird with 2 wings; ".repeat(8);
            let captions: Vec<_> = (0..=210)
                .map(|n| indices(words.get(..n).unwrap_or(&words), AlphabetOptions::default()))
                .collect();
            let (fast, plain) = (net.encode(&captions, &net.tail()?)?, net.forward(&captions)?);
            let worst = (fast - &plain)?.abs()?.max_all()?.to_scalar::<f32>()?;
            let spread = plain
                .broadcast_sub(&plain.mean_keepdim(0)?)?
                .abs()?
                .max_all()?
                .to_scalar::<f32>()?;
            assert!(worst < 1e-5 && spread > 0.1, "{recurrence:?}: {worst}, spread {spread}");
        }
        Ok(())
    }
}
