//! A step of Adam that can be undone until its result has been checked.
//!
//! It costs half as much as copying everything: the parameters move and their old values are kept,
//! while the moments stay unchanged, together with the gradient that will update them.

use candle_core::{Result, Tensor, Var};
use rayon::prelude::*;

use super::step::{AdamUpdate, Constants};
use super::{CHUNK, adam_update, check, in_place, lend};
use crate::cpu::buffer::Buffer;
use crate::cpu::lane::{LANES, floats, floats_mut};
use crate::fast;
use crate::finite::non_finite;
use crate::many::{AdamFactors, copy_all};
use crate::vectorised::vectorised;

/// A step whose parameters have moved, to be kept or taken back.
///
/// Dropping it leaves parameters and moments that belong to two different steps.
#[must_use = "a step is kept or taken back"]
#[derive(Debug)]
pub struct AdamAttempt {
    moved: Vec<Moved>,
    constants: Constants,
}

#[derive(Debug)]
struct Moved {
    p: Var,
    m: Var,
    v: Var,
    before: Before,
    bad: Option<f32>,
}

#[derive(Debug)]
enum Before {
    /// The old values of the parameter, and the gradient.
    Moving(Buffer, Tensor),
    /// The old values of parameter and moments, all of which have been updated.
    Whole([Tensor; 3]),
}

impl AdamAttempt {
    /// Moves every parameter as [`crate::adam_update_all`] does, with the same bits.
    ///
    /// # Errors
    /// Errors of [`crate::adam_update`]. No parameter has moved in that case.
    pub fn new(updates: &[AdamUpdate<'_>], factors: &AdamFactors) -> Result<Self> {
        let step = factors.step();
        for AdamUpdate { p, grad, m, v } in updates {
            check(p, grad, m, v, step)?;
        }
        let constants = Constants::new(step);
        let mut attempt = Self { moved: Vec::with_capacity(updates.len()), constants };
        for update in updates {
            match Moved::new(update, factors, constants) {
                Ok(moved) => attempt.moved.push(moved),
                Err(error) => {
                    attempt.take_back()?;
                    return Err(error);
                }
            }
        }
        Ok(attempt)
    }

    /// Returns the index (among the updates) of the first parameter with a value that is not
    /// finite, and that value.
    #[must_use]
    pub fn first_non_finite(&self) -> Option<(usize, f64)> {
        let bad = |(i, moved): (usize, &Moved)| Some((i, f64::from(moved.bad?)));
        self.moved.iter().enumerate().find_map(bad)
    }

    /// Keeps the step by updating the moments too.
    ///
    /// # Errors
    /// Variables whose storage or shape has changed since [`Self::new`].
    pub fn keep(self) -> Result<()> {
        let c = self.constants;
        for Moved { m, v, before, .. } in &self.moved {
            let Before::Moving(_, grad) = before else { continue };
            let (storage, layout) = grad.storage_and_layout();
            let grad = fast::locked(&storage, layout)?;
            lend([m, v], |[m, v]| {
                (m.par_chunks_mut(CHUNK), v.par_chunks_mut(CHUNK), grad.par_chunks(CHUNK))
                    .into_par_iter()
                    .for_each(|(m, v, grad)| moments(m, v, grad, c));
            })?;
        }
        Ok(())
    }

    /// Restores the old values of every parameter.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub fn take_back(self) -> Result<()> {
        for Moved { p, m, v, before, .. } in &self.moved {
            match before {
                Before::Moving(before, _) => lend([p], |[p]| {
                    let n = p.len();
                    let before = floats(before)[..n].par_chunks(CHUNK);
                    p.par_chunks_mut(CHUNK).zip(before).for_each(|(p, b)| p.copy_from_slice(b));
                })?,
                Before::Whole([p0, m0, v0]) => copy_all(&[(p, p0), (m, m0), (v, v0)])?,
            }
        }
        Ok(())
    }
}

impl Moved {
    fn new(
        AdamUpdate { p, grad, m, v }: &AdamUpdate<'_>,
        factors: &AdamFactors,
        constants: Constants,
    ) -> Result<Self> {
        let (p, m, v) = ((*p).clone(), (*m).clone(), (*v).clone());
        let grad = grad.contiguous()?;
        if !in_place(&p, &grad, &m, &v) {
            let before = [p.copy()?, m.copy()?, v.copy()?];
            adam_update(&p, &grad, &m, &v, factors.step())?;
            let finite = crate::many::count_non_finite(&[&p])?.to_scalar::<f32>()? == 0.;
            let bad = (!finite).then_some(f32::NAN);
            return Ok(Self { p, m, v, before: Before::Whole(before), bad });
        }
        let mut before = Buffer::stale(p.elem_count().div_ceil(LANES));
        let mut bad = None;
        {
            let ((m, m_layout), (v, v_layout), (grad, grad_layout)) =
                (m.storage_and_layout(), v.storage_and_layout(), grad.storage_and_layout());
            let m = fast::locked(&m, m_layout)?;
            let v = fast::locked(&v, v_layout)?;
            let grad = fast::locked(&grad, grad_layout)?;
            lend([&p], |[p]| {
                let n = p.len();
                bad = (
                    p.par_chunks_mut(CHUNK),
                    floats_mut(&mut before)[..n].par_chunks_mut(CHUNK),
                    m.par_chunks(CHUNK),
                    v.par_chunks(CHUNK),
                    grad.par_chunks(CHUNK),
                )
                    .into_par_iter()
                    .map(|(p, before, m, v, grad)| {
                        let all_finite = moved(p, before, m, v, (grad, constants));
                        if all_finite { None } else { p.iter().copied().find(|p| !p.is_finite()) }
                    })
                    .reduce(|| None, Option::or); // no short circuit: every chunk must be moved
            })?;
        }
        Ok(Self { p, m, v, before: Before::Moving(before, grad), bad })
    }
}

vectorised! {
    /// Moves parameters and keeps their old values. Returns whether the new values are all finite.
    fn moved(p: &mut [f32], before: &mut [f32], m: &[f32], v: &[f32], by: (&[f32], Constants)) -> bool {
        let (grad, c) = by;
        let mut bad = 0u32;
        for ((((p, before), m), v), g) in p.iter_mut().zip(before).zip(m).zip(v).zip(grad) {
            let (m, v) = (c.mean(*m, *g), c.square(*v, *g));
            *before = *p;
            *p -= c.change(m, v);
            bad |= non_finite(*p);
        }
        bad == 0
    }

    fn moments(m: &mut [f32], v: &mut [f32], grad: &[f32], c: Constants) {
        for ((m, v), g) in m.iter_mut().zip(v).zip(grad) {
            *m = c.mean(*m, *g);
            *v = c.square(*v, *g);
        }
    }
}
