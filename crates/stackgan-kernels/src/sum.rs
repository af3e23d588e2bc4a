//! Sums in an order that follows the shape alone, forward and backward. That of candle's, by which it
//! also sums the gradient of what was broadcast, follows the vectors of a CPU.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use crate::fast;
use crate::geometry::fits_memory;
use crate::vectorised::vectorised;

/// Returns the sums of `x (N, ...)` over all axes but the first: `(N)`.
///
/// # Errors
/// A scalar or a vector; errors of candle.
pub fn sum_each(x: &Tensor) -> Result<Tensor> {
    let rows = x.flatten_from(1)?;
    if fast::applies(&[&rows]) { rows.contiguous()?.apply_op1(SumEach) } else { rows.sum(1) }
}

struct SumEach;

impl CustomOp1 for SumEach {
    fn name(&self) -> &'static str {
        "sum-each"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, length) = layout.shape().dims2()?;
        let x = fast::values(storage, layout)?;
        let sum = |i: usize| {
            let row = x.get(i * length..).and_then(|x| x.get(..length)).unwrap_or_default();
            total(row) as f32
        };
        Ok((CpuStorage::F32((0..count).into_par_iter().map(sum).collect()), count.into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        repeat_each(grad, x.shape()).map(Some)
    }
}

/// Returns a tensor of `shape (N, ...)` that repeats each value of `x (N)`.
///
/// # Errors
/// Another number of values than `N`, a shape that no memory holds; errors of candle.
pub fn repeat_each(x: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let shape = shape.into();
    if shape.dims().first() != Some(&x.dims1()?) {
        candle_core::bail!("expected a value for each of {shape:?}, found {:?}", x.shape());
    }
    if !fits_memory(shape.dims()) {
        candle_core::bail!("expected a shape that memory holds, found {shape:?}");
    }
    if fast::applies(&[x]) {
        return x.contiguous()?.apply_op1(RepeatEach(shape));
    }
    let ones = vec![1; shape.rank() - 1];
    x.reshape([&[x.dims1()?][..], &ones].concat())?.broadcast_as(shape)
}

struct RepeatEach(Shape);

impl CustomOp1 for RepeatEach {
    fn name(&self) -> &'static str {
        "repeat-each"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = fast::values(storage, layout)?;
        let length = self.0.elem_count().checked_div(x.len()).unwrap_or(0);
        let mut y = vec![0.; self.0.elem_count()];
        if length > 0 {
            y.par_chunks_mut(length).zip(x).for_each(|(y, x)| y.fill(*x));
        }
        Ok((CpuStorage::F32(y), self.0.clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        match grad.rank() {
            1 => Ok(Some(grad.clone())),
            _ => sum_each(grad).map(Some),
        }
    }
}

vectorised! {
    /// Returns the sum.
    fn total(values: &[f32]) -> f64 {
        total_of(values, |v| v)
    }
}

/// The number of values that are summed in `f32`.
const RUN: usize = 512;

/// Returns the sum of `of` of every value. To be called in [`vectorised`] functions.
#[inline(always)]
pub(crate) fn total_of(values: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    let mut total = 0.;
    for run in values.chunks(RUN) {
        let (lanes, rest) = run.as_chunks::<16>();
        let mut sums = [0f32; 16];
        for lane in lanes {
            for (sum, v) in sums.iter_mut().zip(lane) {
                *sum += of(*v);
            }
        }
        for (sum, v) in sums.iter_mut().zip(rest) {
            *sum += of(*v);
        }
        total += sums.iter().map(|sum| f64::from(*sum)).sum::<f64>();
    }
    total
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;

    #[test]
    fn sums_and_gradients_are_those_of_each_row() {
        for shape in [vec![1, 1], vec![3, 7], vec![2, 3, 40, 41], vec![0, 5], vec![4, 0]] {
            let count: usize = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|i| (i % 1001) as f32 / 7. - 60.).collect();
            let x = Tensor::from_vec(values, shape.clone(), &Device::Cpu).unwrap();
            let x = Var::from_tensor(&x).unwrap();
            let (found, exact) = (sum_each(&x).unwrap(), x.to_dtype(DType::F64).unwrap());
            let exact = sum_each(&exact).unwrap().to_vec1::<f64>().unwrap();
            let found_values = found.to_vec1::<f32>().unwrap();
            assert_eq!(found_values.len(), shape[0]);
            for (found, exact) in found_values.iter().zip(&exact) {
                assert!((f64::from(*found) - exact).abs() <= 1e-6 * exact.abs().max(1.));
            }
            if count == 0 {
                continue;
            }
            let weights = Tensor::arange(1f32, shape[0] as f32 + 1., &Device::Cpu).unwrap();
            let loss = (found * weights).unwrap().sum_all().unwrap();
            let grads = loss.backward().unwrap();
            let grad = grads.get(&x).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let length = count / shape[0];
            assert!(grad.iter().enumerate().all(|(i, g)| *g == (i / length + 1) as f32));
        }
    }

    #[test]
    fn each_value_is_repeated_and_its_gradients_are_summed() {
        for shape in [vec![3], vec![3, 5], vec![3, 2, 4, 1]] {
            let x = Var::new(&[1f32, -2., 0.5], &Device::Cpu).unwrap();
            let y = repeat_each(&x, shape.clone()).unwrap();
            let ones = vec![1; shape.len() - 1];
            let plain = x.reshape([&[3][..], &ones].concat()).unwrap();
            let plain = plain.broadcast_as(shape.clone()).unwrap();
            let weights = Tensor::arange(0f32, y.elem_count() as f32, &Device::Cpu).unwrap();
            let weights = weights.reshape(shape.clone()).unwrap();
            let outcome = |y: &Tensor| {
                let loss = (y * &weights).unwrap().sum_all().unwrap();
                let grads = loss.backward().unwrap();
                let values = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                (values, grads.get(&x).unwrap().to_vec1::<f32>().unwrap())
            };
            assert_eq!(outcome(&y), outcome(&plain), "{shape:?}");
        }
        let x = Tensor::new(&[1f32, 2.], &Device::Cpu).unwrap();
        assert!(repeat_each(&x, (3, 2)).is_err() && repeat_each(&x, ()).is_err());
        assert!(repeat_each(&x, (2, usize::MAX)).is_err());
        assert!(repeat_each(&x.narrow(0, 0, 1).unwrap(), (1, usize::MAX)).is_err());
    }

    #[test]
    fn a_view_is_summed_as_its_copy() {
        let x = Tensor::arange(0f32, 60., &Device::Cpu).unwrap().reshape((3, 4, 5)).unwrap();
        let view = x.transpose(0, 2).unwrap();
        let sums = |x: &Tensor| sum_each(x).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(sums(&view), sums(&view.contiguous().unwrap()));
        assert!(sum_each(&Tensor::new(1f32, &Device::Cpu).unwrap()).is_err());
    }
}
