//! The twins of the fast forms: every operation as plain tensor operations, differentiated by
//! candle.
#![expect(
    clippy::disallowed_methods,
    reason = "plain operations, for other devices and types, and for tests"
)]

use candle_core::{D, Device, Result, Tensor};

use super::super::alphabet::{ALPHABET_SIZE, CAPTION_LENGTH, CaptionIndices};
use super::convolution::{KERNEL, THRESHOLD};
use super::pool::Pool;

/// Twin of [`super::lookup_pool`]: a product with the one-hot matrix.
pub(in super::super) fn lookup_pool(
    captions: &[CaptionIndices],
    weight: &Tensor,
    bias: &Tensor,
) -> Result<Tensor> {
    let hot = one_hot(captions, weight.device())?.to_dtype(weight.dtype())?;
    bias_threshold_pool(
        &super::convolution(&windows(&hot)?, weight)?,
        bias,
        Pool { size: 3, stride: 3 },
    )
}

/// Returns the one-hot matrix `(batch, 201, 70)`. The rows of index 0 are zeros.
fn one_hot(captions: &[CaptionIndices], device: &Device) -> Result<Tensor> {
    let mut hot = vec![0f32; captions.len() * CAPTION_LENGTH * ALPHABET_SIZE];
    for (row, &index) in hot.chunks_exact_mut(ALPHABET_SIZE).zip(captions.as_flattened()) {
        if let Some(slot) = usize::from(index).checked_sub(1).and_then(|i| row.get_mut(i)) {
            *slot = 1.0;
        }
    }
    Tensor::from_vec(hot, (captions.len(), CAPTION_LENGTH, ALPHABET_SIZE), device)
}

/// Twin of [`super::windows`].
pub(in super::super) fn windows(x: &Tensor) -> Result<Tensor> {
    let steps = (x.dim(1)? + 1).saturating_sub(KERNEL);
    let rows = (0..KERNEL).map(|place| x.narrow(1, place, steps)).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&rows, 2)
}

/// Twin of [`super::bias_threshold_pool`].
pub(in super::super) fn bias_threshold_pool(
    x: &Tensor,
    bias: &Tensor,
    pool: Pool,
) -> Result<Tensor> {
    let x = x.broadcast_add(bias)?;
    let x = (&x * x.gt(f64::from(THRESHOLD))?.to_dtype(x.dtype())?)?;
    let starts: Vec<u32> =
        (0..pool.steps(x.dim(1)?) as u32).map(|t| t * pool.stride as u32).collect();
    let mut places = (0..pool.size as u32).map(|place| {
        let at: Vec<u32> = starts.iter().map(|start| start + place).collect();
        x.index_select(&Tensor::new(at, x.device())?, 1)
    });
    let Some(first) = places.next() else { return Ok(x) };
    places.try_fold(first?, |max, next| max.maximum(&next?))
}

/// Twin of [`super::rnn`].
pub(in super::super) fn rnn(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let mut states: Vec<Tensor> = Vec::with_capacity(x.dim(0)?);
    for t in 0..x.dim(0)? {
        let mut sum = x.get(t)?;
        if let Some(h) = states.last() {
            sum = (sum + h.matmul(&weight.t()?)?)?.broadcast_add(bias)?;
        }
        states.push((&sum * sum.gt(0.0)?.to_dtype(sum.dtype())?)?);
    }
    Tensor::stack(&states, 0)
}

/// Twin of [`super::gru`].
pub(in super::super) fn gru(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let units = weight.dim(1)?;
    let part = |t: &Tensor, dim: D, i: usize| t.narrow(dim, i * units, units);
    let hidden = |input: &Tensor, i: usize| {
        let matrix = weight.narrow(0, i * units, units)?;
        input.matmul(&matrix.t()?)?.broadcast_add(&bias.narrow(0, i * units, units)?)
    };
    let sigmoid = |t: Tensor| (t.neg()?.exp()? + 1.0)?.recip();
    let mut states: Vec<Tensor> = Vec::with_capacity(x.dim(0)?);
    for t in 0..x.dim(0)? {
        let x = x.get(t)?;
        let candidate = part(&x, D::Minus1, 2)?;
        states.push(match states.last() {
            None => candidate.tanh()?,
            Some(h) => {
                let update = sigmoid((part(&x, D::Minus1, 0)? + hidden(h, 0)?)?)?;
                let reset = sigmoid((part(&x, D::Minus1, 1)? + hidden(h, 1)?)?)?;
                let candidate = (candidate + hidden(&(reset * h)?, 2)?)?.tanh()?;
                ((&update * candidate)? + ((1.0 - update)? * h)?)?
            }
        });
    }
    Tensor::stack(&states, 0)
}
