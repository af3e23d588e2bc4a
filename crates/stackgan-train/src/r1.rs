//! The R1 penalty (Mescheder et al. 2018) on the gradient of the discriminator at real pictures. An
//! option for small models; off in the paper presets.
//!
//! Only the conditional logits are penalised. The unconditional head that the `plain` recipe's
//! discriminator has in Stage-II is not.
//!
//! candle detaches gradients inside its backward pass, so the gradient of |dD/dx|² cannot be taken
//! by a second backward pass. It is computed as a central difference along the input gradient
//! instead. With `g = d(sum D(x)) / dx` held constant and `e = 0.01 / rms(g)`, the term is
//! `gamma k / (2 B e) (sum D(x + e g) - sum D(x - e g))`, where `k` is the interval of the penalty
//! and `B` the batch size. Its gradient in D's weights is that of `gamma k / 2 mean |g|²` up to
//! O(e²). The kinks of `LeakyReLU` make the two differ in single coordinates. Small models train as
//! well with it as with the exact gradient; they do not with a difference along random directions.

use candle_core::{Result, Tensor, Var};
use serde::{Deserialize, Serialize};
use stackgan_kernels::{backward, squared_norm};

/// The name of the penalty's value among those of a step.
pub(crate) const NAME: &str = "r1";

/// Strength and interval of the penalty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct R1 {
    /// Strength; 0 turns the penalty off. A rule of thumb is 0.0002 times the number of pixels over
    /// the batch size (Karras et al. 2020, "Training GANs with limited data", appendix): 0.05 for
    /// 64x64 in batches of 16, 3.3 for 256x256 in batches of 4.
    pub gamma: f64,
    /// Interval in steps. The penalty is taken with `every` times the strength ("lazy
    /// regularisation").
    pub every: u64,
}

/// The penalty in one step.
#[derive(Clone, Debug)]
pub struct Penalty {
    /// The term to add to D's loss.
    pub term: Tensor,
    /// The value of gamma / 2 mean |g|², to report.
    pub value: Tensor,
}

impl R1 {
    /// Whether the penalty is taken at `step`.
    #[must_use]
    pub const fn due(&self, step: u64) -> bool {
        self.gamma > 0.0 && self.every > 0 && step.is_multiple_of(self.every)
    }

    /// The penalty at pictures `images`.
    ///
    /// `frozen` and `trained` compute the logits `(batch,)` of pictures with the same
    /// discriminator, without and with gradients in its weights.
    ///
    /// # Errors
    /// When the discriminator fails.
    pub fn term(
        &self,
        images: &Tensor,
        frozen: impl Fn(&Tensor) -> Result<Tensor>,
        trained: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Penalty> {
        let batch = images.dim(0)? as f64;
        let x = Var::from_tensor(&images.copy()?)?;
        let grads = backward(&frozen(&x)?.sum_all()?)?;
        let Some(g) = grads.get(&x) else {
            candle_core::bail!("the discriminator does not depend on its picture");
        };
        let g = g.detach();
        // Of a fixed order on a CPU, and on a GPU the host does not wait for it.
        let square = squared_norm(&[&g])?;
        let rms = (&square * (1.0 / g.elem_count() as f64))?.sqrt()?.maximum(LEAST)?;
        let e = (rms.recip()? * 0.01)?;
        let step = g.broadcast_mul(&e)?;
        let slope =
            (trained(&(images + &step)?)?.sum_all()? - trained(&(images - &step)?)?.sum_all()?)?;
        let strength = self.gamma * self.every as f64;
        let term = (slope * (strength / (2.0 * batch)))?.div(&e)?;
        let value = (square * (self.gamma / (2.0 * batch)))?;
        Ok(Penalty { term, value })
    }
}

/// Lower bound of the rms, to avoid a division by zero.
const LEAST: f64 = 1e-12;

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// D(x) = sum((w x)²) / 2 is smooth: g = w² x, |g|² = sum w⁴ x², d/dw (gamma/2 |g|²) = 2 gamma w³ x².
    #[test]
    fn equals_the_exact_gradient_on_a_smooth_discriminator() -> Result<()> {
        let (w0, x0) = (vec![0.5f32, -1.5, 2.0], vec![0.3f32, 0.7, -0.2]);
        let w = Var::from_vec(w0.clone(), 3, &Device::Cpu)?;
        let x = Tensor::from_vec(x0.clone(), (1, 3), &Device::Cpu)?;
        let d = |w: &Tensor, x: &Tensor| x.broadcast_mul(w)?.sqr()?.sum(1)? * 0.5;
        let r1 = R1 { gamma: 3.0, every: 1 };
        let frozen = |x: &Tensor| d(&w.as_detached_tensor(), x);
        let Penalty { term, value } = r1.term(&x, frozen, |x| d(&w, x))?;
        let grads = term.backward()?;
        let grad = grads.get(&w).map(|g| g.to_vec1::<f32>()).transpose()?.unwrap_or_default();
        assert_eq!(grad.len(), 3);
        for ((w, x), g) in w0.iter().zip(&x0).zip(&grad) {
            let exact = 2.0 * 3.0 * w.powi(3) * x * x;
            assert!((g - exact).abs() < 2e-3 * exact.abs().max(0.1), "{g} {exact}");
        }
        let exact: f32 = w0.iter().zip(&x0).map(|(w, x)| 1.5 * w.powi(4) * x * x).sum();
        assert!((value.to_scalar::<f32>()? - exact).abs() < 1e-4);
        Ok(())
    }
}
