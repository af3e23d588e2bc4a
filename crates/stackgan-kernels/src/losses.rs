//! Losses that are a single operation.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::{fast, reference};

/// Returns the mean binary cross-entropy of logits `(N)` against one label (0 or 1), a scalar.
///
/// # Errors
/// A failure of the device.
pub fn bce_with_logits(logits: &Tensor, label: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if logits.device().is_cuda() && logits.dtype() == candle_core::DType::F32 {
        return crate::cuda::bce_with_logits(logits, label);
    }
    if fast::applies(&[logits]) {
        logits.contiguous()?.apply_op1(Bce { label })
    } else {
        reference::bce_with_logits(logits, label)
    }
}

struct Bce {
    label: f64,
}

impl CustomOp1 for Bce {
    fn name(&self) -> &'static str {
        "bce-with-logits"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = fast::values(storage, layout)?;
        let terms = logits.iter().map(|logit| {
            let l = f64::from(*logit);
            (l.max(0.) - l * self.label) + libm::log1p(libm::exp(-l.abs()))
        });
        let mean = terms.sum::<f64>() / logits.len() as f64;
        Ok((CpuStorage::F32(vec![mean as f32]), ().into()))
    }

    /// The derivative of a term is the probability less the label.
    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let scale = f64::from(grad.to_scalar::<f32>()?) / logits.elem_count() as f64;
        let (storage, layout) = logits.storage_and_layout();
        let derivative = |logit: &f32| {
            let probability = 1. / (1. + libm::exp(-f64::from(*logit)));
            ((probability - self.label) * scale) as f32
        };
        let values = fast::locked(&storage, layout)?.iter().map(derivative).collect();
        Tensor::from_vec(values, logits.shape(), logits.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor, Var};

    use super::{bce_with_logits, reference};

    #[test]
    fn values_and_gradients_are_those_of_plain_operations_in_f64() {
        let values: Vec<f32> = (-40..=40).map(|i| i as f32 * 1.7).chain([0., 1e4, -1e4]).collect();
        let (fast, plain) = (
            Var::new(&values[..], &Device::Cpu).unwrap(),
            Var::from_tensor(
                &Tensor::new(&values[..], &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap(),
            )
            .unwrap(),
        );
        for label in [0., 0.9, 1.] {
            let loss = (bce_with_logits(&fast, label).unwrap() * 3.).unwrap();
            let exact = (reference::bce_with_logits(&plain, label).unwrap() * 3.).unwrap();
            let gradient = loss.backward().unwrap().get(&fast).unwrap().to_vec1::<f32>().unwrap();
            let expected = exact.backward().unwrap().get(&plain).unwrap().to_vec1::<f64>().unwrap();
            let (loss, exact) =
                (loss.to_scalar::<f32>().unwrap(), exact.to_scalar::<f64>().unwrap());
            assert!((f64::from(loss) - exact).abs() < 1e-6 * exact, "{label}: {loss} {exact}");
            for ((l, g), e) in values.iter().zip(gradient).zip(expected) {
                assert!((f64::from(g) - e).abs() < 1e-8, "{label}: {l} {g} {e}");
            }
        }
    }

    #[test]
    fn numbers_that_are_not_finite_show() {
        for bad in [f32::NAN, f32::INFINITY] {
            let logits = Tensor::new(&[0., bad], &Device::Cpu).unwrap();
            let loss = bce_with_logits(&logits, 1.).unwrap().to_scalar::<f32>().unwrap();
            assert!(!loss.is_finite(), "{bad}: {loss}");
        }
    }
}
