//! The losses of text encoders, for the images and captions of one batch: row i of both belongs to
//! the same picture.

use candle_core::{D, DType, Result, Tensor, bail};
use stackgan_kernels::product;

/// The margin of the structured joint embedding.
const MARGIN: f64 = 1.0;

/// Returns the symmetric structured joint embedding loss.
///
/// With s(i, j) the dot product of picture i and caption j, it is the sum over i and j ≠ i of
/// `max(0, s(i, j) - s(i, i) + 1)` and of `max(0, s(j, i) - s(i, i) + 1)`, divided by batch².
///
/// Every row must be of another class. Source: `train_sje_hybrid.lua` (Reed et al., CVPR 2016,
/// equation 4).
///
/// # Errors
/// `images` and `texts` that are not both `(batch, dim)`.
pub fn symmetric_joint_embedding(images: &Tensor, texts: &Tensor) -> Result<Tensor> {
    let batch = check(images, texts)?;
    let scores = product(images, &texts.t()?)?;
    let eye = Tensor::eye(batch, scores.dtype(), scores.device())?;
    let own = (&scores * &eye)?.sum_keepdim(1)?; // s(i, i)
    let others = (1.0 - &eye)?;
    let hinge = |scores: &Tensor| {
        let violation = (scores.broadcast_sub(&own)? + MARGIN)?;
        let counted = (violation.gt(0.0)?.to_dtype(scores.dtype())? * &others)?;
        (violation * counted)?.sum_all()
    };
    (hinge(&scores)? + hinge(&scores.t()?.contiguous()?)?)? / (batch * batch) as f64
}

/// Returns the symmetric softmax contrastive loss.
///
/// It is the cross-entropy of finding the caption of each picture among all captions of the batch,
/// with `scale` times the cosine as logits, averaged with the same in the other direction. `scale`
/// is one value: exp(s) of a learnt s, or a constant.
///
/// Differs from the release, which has only the joint embedding: with small encoders this loss
/// learns the rarer words (wings, belly) in a third of the time.
///
/// # Errors
/// `images` and `texts` that are not both `(batch, dim)`, or a `scale` that is not one value.
pub fn contrastive(images: &Tensor, texts: &Tensor, scale: &Tensor) -> Result<Tensor> {
    let batch = check(images, texts)?;
    let cosines = product(&unit(images)?, &unit(texts)?.t()?)?;
    let scores = cosines.broadcast_mul(&scale.reshape((1, 1))?)?;
    let eye = Tensor::eye(batch, scores.dtype(), scores.device())?;
    let own = (&scores * &eye)?.sum_all()?; // sum of s(i, i)
    let rivals = (scores.log_sum_exp(D::Minus1)?.sum_all()? + scores.log_sum_exp(0)?.sum_all()?)?;
    ((rivals * 0.5)? - own)? / batch as f64
}

/// Divides rows by their lengths.
///
/// # Errors
/// A tensor that is not a matrix.
pub fn unit(x: &Tensor) -> Result<Tensor> {
    x.broadcast_div(&(x.sqr()?.sum_keepdim(1)? + 1e-12)?.sqrt()?)
}

fn check(images: &Tensor, texts: &Tensor) -> Result<usize> {
    if images.rank() != 2 || images.dims() != texts.dims() || images.dtype() == DType::U8 {
        bail!(
            "pictures {:?} and captions {:?} must be two matrices of one shape",
            images.dims(),
            texts.dims()
        );
    }
    images.dim(0)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use stackgan_kernels::exp;
    use stackgan_noise::{Noise, Stream};

    use super::*;

    fn random(sample: u64) -> Result<Var> {
        Var::from_vec(Noise::new(4).normal(Stream::Test, 0, sample, 15), (5, 3), &Device::Cpu)
    }

    #[test]
    fn joint_embedding_is_its_definition() -> Result<()> {
        let (images, texts) = (random(0)?, random(1)?);
        let (v, t) = (images.to_vec2::<f32>()?, texts.to_vec2::<f32>()?);
        let s = |i: usize, j: usize| v[i].iter().zip(&t[j]).map(|(a, b)| a * b).sum::<f32>();
        let mut sum = 0.0;
        for i in 0..5 {
            for j in (0..5).filter(|&j| j != i) {
                sum += (s(i, j) - s(i, i) + 1.0).max(0.0) + (s(j, i) - s(i, i) + 1.0).max(0.0);
            }
        }
        let loss = symmetric_joint_embedding(&images, &texts)?.to_scalar::<f32>()?;
        assert!((loss - sum / 25.0).abs() < 1e-5);
        Ok(())
    }

    #[test]
    fn gradients_equal_differences() -> Result<()> {
        let (images, texts, log_scale) =
            (random(0)?, random(1)?, Var::new(&[1.3f32], &Device::Cpu)?);
        let both: [&dyn Fn() -> Result<Tensor>; 2] =
            [&|| symmetric_joint_embedding(&images, &texts), &|| {
                contrastive(&images, &texts, &exp(&log_scale)?)
            }];
        for (which, loss) in both.into_iter().enumerate() {
            let grads = loss()?.backward()?;
            for var in [&images, &texts, &log_scale] {
                let Some(grad) = grads.get(var) else {
                    assert!(which == 0 && var.elem_count() == 1);
                    continue;
                };
                let origin = var.as_tensor().copy()?;
                let direction = Noise::new(4).normal(Stream::Test, 1, 0, var.elem_count());
                let direction = Tensor::from_vec(direction, var.shape(), &Device::Cpu)?;
                let along = (grad * &direction)?.sum_all()?.to_scalar::<f32>()?;
                let at = |h: f64| {
                    var.set(&(&origin + (&direction * h)?)?)?;
                    loss()?.to_scalar::<f32>()
                };
                let difference = (at(1e-3)? - at(-1e-3)?) / 2e-3;
                var.set(&origin)?;
                assert!(
                    (along - difference).abs() < 0.01 * along.abs().max(0.1),
                    "{which}: {along} {difference}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn contrastive_of_equal_rows_is_the_logarithm_of_the_batch() -> Result<()> {
        let rows = Tensor::ones((8, 3), DType::F32, &Device::Cpu)?;
        let loss =
            contrastive(&rows, &rows, &Tensor::new(&[10f32], &Device::Cpu)?)?.to_scalar::<f32>()?;
        assert!((loss - 8f32.ln()).abs() < 1e-5);
        assert!(contrastive(&rows, &rows.t()?, &Tensor::new(&[10f32], &Device::Cpu)?).is_err());
        Ok(())
    }
}
