//! The hyperbolic tangent, at the output of the generators and in recurrences.
//!
//! One implementation serves all machines, because the `tanh` functions of different systems differ
//! in the last bit.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::fast;
use crate::vectorised::vectorised;
use crate::written::written;

/// Number of elements per parallel task.
const CHUNK: usize = 1 << 13;

/// Returns `tanh x` of every element, for any shape.
///
/// # Errors
/// Errors of candle.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    if fast::applies(&[x]) { x.contiguous()?.apply_op1(Tanh) } else { x.tanh() }
}

/// Replaces each value by its tanh, on this thread, with the bits of [`tanh`].
pub fn tanh_in_place(values: &mut [f32]) {
    in_place(values);
}

struct Tanh;

impl CustomOp1 for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = fast::values(storage, layout)?;
        let y = written(x.len(), CHUNK, |i, y| of_all(y, x.get(i * CHUNK..).unwrap_or_default()));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        let (y_storage, y_layout) = y.storage_and_layout();
        let (grad_storage, grad_layout) = grad.storage_and_layout();
        let y = fast::locked(&y_storage, y_layout)?;
        let mut dx = fast::locked(&grad_storage, grad_layout)?.to_vec();
        dx.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(dx, y)| times_slope(dx, y));
        Tensor::from_vec(dx, grad.shape(), grad.device()).map(Some)
    }
}

vectorised! {
    fn of_all(out: &mut [f32], x: &[f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = value(*x);
        }
    }

    fn in_place(values: &mut [f32]) {
        for x in values.iter_mut() {
            *x = value(*x);
        }
    }

    fn times_slope(dx: &mut [f32], y: &[f32]) {
        for (dx, y) in dx.iter_mut().zip(y) {
            *dx *= 1.0 - y * y;
        }
    }
}

/// A polynomial for |x| < 0.625, and 1 - 2 / (exp 2|x| + 1) with the sign of x otherwise.
/// Coefficients: Moshier, Cephes, `tanhf.c` and `expf.c`.
#[inline(always)]
fn value(x: f32) -> f32 {
    let (size, square) = (x.abs(), x * x);
    let polynomial = [2.063_908_8e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1];
    let small = polynomial.into_iter().fold(-5.704_988_7e-3, |sum, c| sum * square + c);
    let small = x + x * square * small;
    // From 9.1 on the result is 1.
    let large = 1.0 - 2.0 / (exponential(2.0 * if size < 9.1 { size } else { 9.1 }) + 1.0);
    let large = if x < 0.0 { -large } else { large };
    let result = if size < 0.625 { small } else { large };
    if x.is_nan() { x } else { result }
}

/// Returns `exp x` for x from 0 to 20.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    /// Adding this to a number below 2^22 leaves the nearest integer in the last bits.
    const INTEGER: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + INTEGER;
    let (power, whole) = (shifted.to_bits() << 23, shifted - INTEGER);
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4; // ln 2 in two parts
    let polynomial = [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let sum = polynomial.into_iter().fold(1.987_569_1e-4, |sum, c| sum * rest + c);
    let of_rest = sum * (rest * rest) + rest + 1.0;
    f32::from_bits(of_rest.to_bits().wrapping_add(power)) // times a power of two
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn every_value_is_within_three_ulps_and_odd() {
        let step = |i: i32| (i as f32 / 20_000.0).powi(3).copysign(i as f32); // dense at 0
        let x: Vec<f32> = (-50_000..=50_000).map(step).chain([f32::MIN, -0.0, f32::MAX]).collect();
        let y = tanh(&Tensor::new(&x[..], &Device::Cpu).unwrap()).unwrap();
        for (x, y) in x.iter().zip(y.to_vec1::<f32>().unwrap()) {
            let exact = f64::from(*x).tanh();
            let far = (f64::from(y) - exact).abs() / exact.abs().max(1e-30);
            assert!(far <= 3.0 * f64::from(f32::EPSILON), "{x}: {y}, expected {exact}");
            assert_eq!(value(-x), -y);
        }
        let mut again = x;
        tanh_in_place(&mut again);
        assert_eq!(again, y.to_vec1::<f32>().unwrap());
        assert!(value(f32::NAN).is_nan());
        assert_eq!([value(f32::INFINITY), value(f32::NEG_INFINITY)], [1.0, -1.0]);
    }

    #[test]
    fn the_gradient_is_one_less_the_square() {
        let x: Vec<f32> = (0..3 * CHUNK).map(|i| i as f32 / CHUNK as f32 - 1.5).collect();
        let x = Var::new(&x[..], &Device::Cpu).unwrap();
        let loss = tanh(&x).unwrap().sqr().unwrap().sum_all().unwrap();
        let plain = x.tanh().unwrap().sqr().unwrap().sum_all().unwrap();
        let gradient = |loss: &Tensor| -> Vec<f32> {
            loss.backward().unwrap().get(&x).unwrap().to_vec1().unwrap()
        };
        for (a, b) in gradient(&loss).iter().zip(gradient(&plain)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
