//! One step of Adam (Kingma and Ba 2015) with the arithmetic of `torch.optim.Adam`, in place.

use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result, Tensor, Var, bail};
use rayon::prelude::*;

use crate::vectorised::vectorised;
use crate::{fast, reference};

/// The constants of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate, above 0.
    pub lr: f64,
    /// Decay of the mean of gradients, in `[0, 1)`.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, in `[0, 1)`.
    pub beta2: f64,
    /// Added to the root in the denominator, above 0.
    pub eps: f64,
    /// Number of this step, from 1.
    pub step: u64,
}

impl AdamStep {
    /// `1 - beta^step` for both betas.
    pub(crate) fn corrections(&self) -> (f64, f64) {
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        (1. - self.beta1.powi(step), 1. - self.beta2.powi(step))
    }
}

/// Updates a parameter and its two moments, all of one shape:
///
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g²`, `p -= lr / (1 - b1^t) · m / (√v / √(1 - b2^t) + eps)`.
///
/// # Errors
/// Tensors of different shapes, one variable given twice, or step 0.
pub fn adam_update(p: &Var, grad: &Tensor, m: &Var, v: &Var, cfg: AdamStep) -> Result<()> {
    if cfg.step == 0 {
        bail!("adam_update: steps count from 1, found 0");
    }
    for (name, other) in [("gradient", grad), ("m", m.as_tensor()), ("v", v.as_tensor())] {
        if other.shape() != p.shape() {
            bail!("adam_update: {name} is {:?}, parameter is {:?}", other.dims(), p.dims());
        }
    }
    if p.id() == m.id() || p.id() == v.id() || m.id() == v.id() {
        bail!("adam_update: parameter and moments must be three variables");
    }
    let grad = grad.contiguous()?;
    let vars = [p.as_tensor(), m.as_tensor(), v.as_tensor()];
    let in_place = fast::applies(&[p, &grad, m, v])
        && vars.iter().all(|var| var.is_contiguous() && !shares_storage(var, &grad));
    if !in_place {
        return reference::adam_update(p, &grad, m, v, cfg);
    }
    p.inplace_op1(&Parameter { grad: &grad, m, v, cfg })
}

/// Whether writing to one would change, or wait for, the other.
fn shares_storage(a: &Tensor, b: &Tensor) -> bool {
    let (a, _) = a.storage_and_layout();
    let (b, _) = b.storage_and_layout();
    std::ptr::eq(&raw const *a, &raw const *b)
}

// candle lends one tensor mutably per in-place operation, and three are written here: so the operation on `p`
// starts one on `m`, which starts one on `v`, and the innermost runs the loop.

struct Parameter<'a> {
    grad: &'a Tensor,
    m: &'a Tensor,
    v: &'a Tensor,
    cfg: AdamStep,
}

impl InplaceOp1 for Parameter<'_> {
    fn name(&self) -> &'static str {
        "adam_update"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let p = Lent::new(values_mut(storage, layout)?);
        self.m.inplace_op1(&FirstMoment { p, outer: self })
    }
}

struct FirstMoment<'a, 'b> {
    p: Lent<'a>,
    outer: &'a Parameter<'b>,
}

impl InplaceOp1 for FirstMoment<'_, '_> {
    fn name(&self) -> &'static str {
        "adam_update"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let m = Lent::new(values_mut(storage, layout)?);
        let op = SecondMoment { p: &self.p, m, cfg: self.outer.cfg };
        self.outer.v.inplace_op2(self.outer.grad, &op)
    }
}

struct SecondMoment<'a, 'p> {
    p: &'a Lent<'p>,
    m: Lent<'a>,
    cfg: AdamStep,
}

impl InplaceOp2 for SecondMoment<'_, '_> {
    fn name(&self) -> &'static str {
        "adam_update"
    }

    fn cpu_fwd(
        &self,
        v_storage: &mut CpuStorage,
        v_layout: &Layout,
        grad_storage: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<()> {
        let v = values_mut(v_storage, v_layout)?;
        let grad = fast::values(grad_storage, grad_layout)?;
        let constants = Constants::new(self.cfg);
        let (p, m) = (self.p.take(), self.m.take());
        (
            p.par_chunks_mut(CHUNK),
            m.par_chunks_mut(CHUNK),
            v.par_chunks_mut(CHUNK),
            grad.par_chunks(CHUNK),
        )
            .into_par_iter()
            .for_each(|(p, m, v, grad)| update(p, m, v, grad, constants));
        Ok(())
    }
}

/// A mutable slice that can be taken out of a shared reference, once.
struct Lent<'a>(std::cell::Cell<Option<&'a mut [f32]>>);

impl<'a> Lent<'a> {
    fn new(values: &'a mut [f32]) -> Self {
        Self(std::cell::Cell::new(Some(values)))
    }

    fn take(&self) -> &'a mut [f32] {
        self.0.take().unwrap_or_default()
    }
}

fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) if end <= all.len() => Ok(&mut all[start..end]),
        _ => bail!("adam_update: expected a contiguous f32 variable, found {layout:?}"),
    }
}

/// Elements handed to a thread at once.
const CHUNK: usize = 1 << 14;

/// The factors of a step, rounded to f32 once.
#[derive(Clone, Copy)]
pub(crate) struct Constants {
    pub(crate) beta1: f32,
    pub(crate) one_minus_beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) one_minus_beta2: f32,
    pub(crate) rate: f32,
    pub(crate) root: f32,
    pub(crate) eps: f32,
}

impl Constants {
    pub(crate) fn new(cfg: AdamStep) -> Self {
        let (correction1, correction2) = cfg.corrections();
        Self {
            beta1: cfg.beta1 as f32,
            one_minus_beta1: (1. - cfg.beta1) as f32,
            beta2: cfg.beta2 as f32,
            one_minus_beta2: (1. - cfg.beta2) as f32,
            rate: (cfg.lr / correction1) as f32,
            root: (1. / correction2.sqrt()) as f32,
            eps: cfg.eps as f32,
        }
    }
}

vectorised! {
    fn update(p: &mut [f32], m: &mut [f32], v: &mut [f32], grad: &[f32], c: Constants) {
        for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(grad) {
            *m = c.beta1 * *m + c.one_minus_beta1 * g;
            *v = c.beta2 * *v + c.one_minus_beta2 * (g * g);
            *p -= c.rate * (*m / (v.sqrt() * c.root + c.eps));
        }
    }
}
