//! One in-place step of Adam (Kingma and Ba 2015), with the arithmetic of `torch.optim.Adam`.

mod attempt;
mod lend;
mod step;

use candle_core::{Result, Tensor, Var, bail};
use rayon::prelude::*;

use crate::vectorised::vectorised;
use crate::{fast, reference};
pub use attempt::AdamAttempt;
use lend::lend;
pub(crate) use step::Constants;
pub use step::{AdamStep, AdamUpdate};

/// Updates a parameter and its two moments in place. All have the same shape.
///
/// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g²`,
/// `p -= lr / (1 - b1^t) · m / (√v / √(1 - b2^t) + eps)`.
///
/// # Errors
/// Tensors of different shapes, the same variable given twice, or step 0.
pub fn adam_update(p: &Var, grad: &Tensor, m: &Var, v: &Var, cfg: AdamStep) -> Result<()> {
    check(p, grad, m, v, cfg)?;
    let grad = grad.contiguous()?;
    if !in_place(p, &grad, m, v) {
        return reference::adam_update(p, &grad, m, v, cfg);
    }
    let (storage, layout) = grad.storage_and_layout();
    let (grad, constants) = (fast::locked(&storage, layout)?, Constants::new(cfg));
    lend([p, m, v], |[p, m, v]| {
        (
            p.par_chunks_mut(CHUNK),
            m.par_chunks_mut(CHUNK),
            v.par_chunks_mut(CHUNK),
            grad.par_chunks(CHUNK),
        )
            .into_par_iter()
            .for_each(|(p, m, v, grad)| update(p, m, v, grad, constants));
    })
}

/// Returns an error unless the step number, the shapes and the variables of an update are valid.
pub(crate) fn check(p: &Var, grad: &Tensor, m: &Var, v: &Var, cfg: AdamStep) -> Result<()> {
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
    Ok(())
}

/// Returns whether the fast loops can update the variables in place.
fn in_place(p: &Var, grad: &Tensor, m: &Var, v: &Var) -> bool {
    fast::applies(&[p, grad, m, v])
        && [p, m, v].iter().all(|var| var.is_contiguous() && !shares_storage(var, grad))
}

/// Returns whether two tensors share their storage, so that writing to one changes the other or
/// waits for its lock.
fn shares_storage(a: &Tensor, b: &Tensor) -> bool {
    let (a, _) = a.storage_and_layout();
    let (b, _) = b.storage_and_layout();
    std::ptr::eq(&raw const *a, &raw const *b)
}

/// Number of elements per parallel task.
const CHUNK: usize = 1 << 14;

vectorised! {
    fn update(p: &mut [f32], m: &mut [f32], v: &mut [f32], grad: &[f32], c: Constants) {
        for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(grad) {
            *m = c.mean(*m, *g);
            *v = c.square(*v, *g);
            *p -= c.change(*m, *v);
        }
    }
}
