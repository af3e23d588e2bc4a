//! The exponential function.
//!
//! One implementation serves all machines, because those of different systems may differ in the
//! last bit.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use crate::fast;

/// Returns `exp x` of every element, for any shape.
///
/// # Errors
/// Errors of candle.
#[expect(clippy::disallowed_methods, reason = "candle's own, on other devices and for other types")]
pub fn exp(x: &Tensor) -> Result<Tensor> {
    if fast::applies(&[x]) { x.contiguous()?.apply_op1(Exp) } else { x.exp() }
}

struct Exp;

impl CustomOp1 for Exp {
    fn name(&self) -> &'static str {
        "exp"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = fast::values(storage, layout)?.iter().map(|x| libm::expf(*x)).collect();
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some((y.detach() * grad)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::exp;

    #[test]
    fn values_and_gradients_are_those_of_the_function() {
        let x: Vec<f32> = (-60..=60).map(|i| i as f32 * 0.37).chain([-200., 200.]).collect();
        let var = Var::new(&x[..], &Device::Cpu).unwrap();
        let y = exp(&var).unwrap();
        let grads = (y.sum_all().unwrap() * 3.0).unwrap().backward().unwrap();
        let gradient: Vec<f32> = grads.get(&var).unwrap().to_vec1().unwrap();
        for ((x, y), gradient) in x.iter().zip(y.to_vec1::<f32>().unwrap()).zip(gradient) {
            let exact = f64::from(*x).exp() as f32;
            assert!(y == exact || (y - exact).abs() <= 1.2e-7 * exact, "{x}: {y}, {exact}");
            assert_eq!(gradient, 3.0 * y, "{x}");
        }
    }
}
