//! Operations on all tensors of a network at once, as a trainer needs between two steps.
//!
//! On a GPU each needs one launch for every 72 tensors; on a CPU it is a loop.

use candle_core::{DType, Device, Result, Tensor, Var, bail};
use rayon::prelude::*;

use crate::adam::{AdamStep, AdamUpdate, Constants, adam_update, check};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::fast;
use crate::sum::total_of;
use crate::vectorised::vectorised;

/// The constants of an optimiser's next step, stored where the device reads them.
///
/// A recorded step therefore uses new values after [`AdamFactors::set`].
#[derive(Debug)]
pub struct AdamFactors {
    step: AdamStep,
    there: Option<Var>, // only on a GPU
}

impl AdamFactors {
    /// Stores the constants of `step` for parameters on `device`.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn new(step: AdamStep, device: &Device) -> Result<Self> {
        let there =
            device.is_cuda().then(|| Var::from_tensor(&factors(step, device)?)).transpose()?;
        Ok(Self { step, there })
    }

    /// Returns the step.
    pub(crate) const fn step(&self) -> AdamStep {
        self.step
    }

    /// Replaces the constants by those of another step.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn set(&mut self, step: AdamStep) -> Result<()> {
        self.step = step;
        match &self.there {
            Some(there) => there.set(&factors(step, there.device())?),
            None => Ok(()),
        }
    }
}

fn factors(step: AdamStep, device: &Device) -> Result<Tensor> {
    let c = Constants::new(step);
    let factors = [c.beta1, c.one_minus_beta1, c.beta2, c.one_minus_beta2, c.rate, c.root, c.eps];
    Tensor::new(&factors, device)
}

/// Applies [`adam_update`] to every parameter.
///
/// # Errors
/// Errors of [`adam_update`]. Wrong arguments are found before any parameter is updated.
pub fn adam_update_all(updates: &[AdamUpdate<'_>], factors: &AdamFactors) -> Result<()> {
    for AdamUpdate { p, grad, m, v } in updates {
        check(p, grad, m, v, factors.step)?;
    }
    #[cfg(feature = "cuda")]
    if let Some(there) = &factors.there
        && !updates.is_empty()
        && cuda::applies(updates.iter().flat_map(|u| [u.p.as_tensor(), u.m, u.v]))
    {
        return cuda::adam_update_all(updates, there);
    }
    for AdamUpdate { p, grad, m, v } in updates {
        adam_update(p, grad, m, v, factors.step)?;
    }
    Ok(())
}

/// Copies the second tensor of each pair into the first.
///
/// # Errors
/// Pairs of different shapes.
pub fn copy_all(pairs: &[(&Var, &Tensor)]) -> Result<()> {
    #[cfg(feature = "cuda")]
    if let Some(pairs) = on_gpu(pairs) {
        return cuda::copy_all(&pairs);
    }
    pairs.par_iter().try_for_each(|(to, from)| to.set(from))
}

/// Replaces the first of each pair by `decay` times itself plus `1 - decay` times the second.
///
/// # Errors
/// Pairs of different shapes.
pub fn average_all(pairs: &[(&Var, &Tensor)], decay: f64) -> Result<()> {
    #[cfg(feature = "cuda")]
    if let Some(pairs) = on_gpu(pairs) {
        return cuda::average_all(&pairs, decay);
    }
    for (average, live) in pairs {
        let moved = ((average.as_detached_tensor() * decay)? + (live.detach() * (1.0 - decay))?)?;
        average.set(&moved)?;
    }
    Ok(())
}

/// Returns the sum of the squares of all values, an `f32` scalar on the tensors' device.
///
/// The sums are taken tensor by tensor, in the given order.
///
/// # Errors
/// No tensors, or an element type other than `f32`.
pub fn squared_norm(tensors: &[&Tensor]) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if !tensors.is_empty() && cuda::applies(tensors.iter().copied()) {
        return cuda::squared_norm(tensors);
    }
    if let Some(other) = tensors.iter().find(|tensor| tensor.dtype() != DType::F32) {
        bail!("squared_norm: expected f32, found {:?}", other.dtype());
    }
    let Some(first) = tensors.first() else { bail!("squared_norm: no tensors") };
    let mut sum = 0.;
    for tensor in tensors {
        let tensor = tensor.contiguous()?;
        if fast::applies(&[&tensor]) {
            let (storage, layout) = tensor.storage_and_layout();
            let parts = fast::locked(&storage, layout)?.par_chunks(CHUNK).map(squares);
            sum += parts.collect::<Vec<f64>>().iter().sum::<f64>();
        } else {
            sum += f64::from(tensor.detach().sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    Tensor::new(sum as f32, first.device())
}

/// Number of values per parallel task.
const CHUNK: usize = 1 << 16;

vectorised! {
    /// Returns the sum of the squares.
    fn squares(values: &[f32]) -> f64 {
        total_of(values, |v| v * v)
    }
}

/// Returns the number of values that are not finite, an `f32` scalar on the tensors' device.
///
/// The number is exact up to 2^24, and 0 only if all values are finite.
///
/// # Errors
/// No tensors, or a failure of the device.
pub fn count_non_finite(tensors: &[&Tensor]) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if !tensors.is_empty() && cuda::applies(tensors.iter().copied()) {
        return cuda::count_non_finite(tensors);
    }
    let mut count: Option<Tensor> = None;
    for tensor in tensors {
        // x * 0 is 0 for every finite number and NaN otherwise; NaN differs from itself.
        let zero = (tensor.detach() * 0.0)?;
        let bad = zero.ne(&zero)?.to_dtype(DType::F32)?.sum_all()?;
        count = Some(match count {
            None => bad,
            Some(count) => (count + bad)?,
        });
    }
    count.map_or_else(|| bail!("count_non_finite: no tensors"), Ok)
}

/// Returns the pairs if all of them are on a GPU and each has two tensors of the same shape.
#[cfg(feature = "cuda")]
fn on_gpu<'a>(pairs: &[(&'a Var, &'a Tensor)]) -> Option<Vec<(&'a Tensor, &'a Tensor)>> {
    let fits = !pairs.is_empty()
        && cuda::applies(pairs.iter().flat_map(|(to, from)| [to.as_tensor(), *from]))
        && pairs.iter().all(|(to, from)| to.shape() == from.shape());
    fits.then(|| pairs.iter().map(|(to, from)| (to.as_tensor(), *from)).collect())
}
