//! Adam (Kingma & Ba 2015) with PyTorch's arithmetic and a state that can be saved.
//!
//! `candle_nn::AdamW` is not used: its moments are private and nameless, so that no run could be resumed.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};
use stackgan_core::Params;
use stackgan_kernels::{
    AdamAttempt, AdamFactors, AdamStep, AdamUpdate, adam_update_all, squared_norm,
};

use crate::nonfinite;

/// The optimiser of exactly one network.
#[derive(Debug)]
pub struct Adam {
    slots: Vec<Slot>, // sorted by name
    step: u64,
    betas: Betas,
    limit: Option<f64>,
    factors: AdamFactors,
    prepared: bool,
    held: Held,
}

/// Whether a step can be taken back.
#[derive(Debug)]
enum Held {
    /// It is final.
    No,
    /// The next one can.
    Next,
    /// This one can; the slots that have moved.
    Step(AdamAttempt, Vec<usize>),
}

/// The constants of Adam. Both releases: 0.5, 0.999, 1e-8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Betas {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl Betas {
    const fn at(self, step: u64, lr: f64) -> AdamStep {
        AdamStep { lr, beta1: self.beta1, beta2: self.beta2, eps: self.eps, step }
    }
}

#[derive(Debug)]
struct Slot {
    name: String,
    param: Var,
    m: Var,
    v: Var,
}

impl Adam {
    /// An optimiser with zero moments over the trainable variables of `params`, which are there once their network is built.
    ///
    /// # Errors
    /// When there are none: it would move nothing, without a word; or memory for the moments cannot be had.
    pub fn new(params: &Params, betas: Betas) -> Result<Self> {
        if params.trainable().is_empty() {
            candle_core::bail!("an optimiser of no variables: build the network before it");
        }
        let slots = params
            .trainable()
            .into_iter()
            .map(|(name, param)| {
                let zeros = param.zeros_like()?;
                Ok(Slot {
                    name,
                    param,
                    m: Var::from_tensor(&zeros)?,
                    v: Var::from_tensor(&zeros.copy()?)?,
                })
            })
            .collect::<Result<_>>()?;
        let factors = AdamFactors::new(betas.at(1, 0.0), params.device())?;
        Ok(Self { slots, step: 0, betas, limit: None, factors, prepared: false, held: Held::No })
    }

    /// Gradients longer than `limit` are shortened to it before a step; 0 sets no limit (Pascanu et al. 2013).
    #[must_use]
    pub fn within(mut self, limit: f64) -> Self {
        self.limit = (limit > 0.0).then_some(limit);
        self
    }

    /// Steps taken so far.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.step
    }

    /// One step down the gradients, at learning rate `lr`. A variable without a gradient keeps its value and moments.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn step(&mut self, grads: &GradStore, lr: f64) -> Result<()> {
        if !self.prepared {
            self.prepare(lr)?;
        }
        self.prepared = false;
        let with_gradient = |(i, slot): (usize, &Slot)| Some((i, grads.get(&slot.param)?.clone()));
        let mut moving: Vec<(usize, Tensor)> =
            self.slots.iter().enumerate().filter_map(with_gradient).collect();
        if let Some(factor) = self.shortening(grads)? {
            for (_, grad) in &mut moving {
                *grad = (&*grad * factor)?;
            }
        }
        let updates: Vec<AdamUpdate<'_>> = moving
            .iter()
            .map(|(i, grad)| (&self.slots[*i], grad))
            .map(|(slot, grad)| AdamUpdate { p: &slot.param, grad, m: &slot.m, v: &slot.v })
            .collect();
        match self.held {
            Held::No => adam_update_all(&updates, &self.factors)?,
            Held::Next => {
                let attempt = AdamAttempt::new(&updates, &self.factors)?;
                self.held = Held::Step(attempt, moving.into_iter().map(|(i, _)| i).collect());
            }
            Held::Step(..) => bail!("a step is taken while the last can still be taken back"),
        }
        Ok(())
    }

    /// Whether this is the optimiser of `var`.
    pub(crate) fn moves(&self, var: &Var) -> bool {
        self.slots.iter().any(|slot| slot.param.id() == var.id())
    }

    /// Makes the next step one that can be taken back, until it is kept.
    pub(crate) fn hold(&mut self) {
        self.held = Held::Next;
    }

    /// The first variable that a held step has made no number, in the order of names; the value.
    pub(crate) fn first_bad(&self) -> Option<(&str, f64)> {
        let Held::Step(attempt, moved) = &self.held else { return None };
        let (place, value) = attempt.first_non_finite()?;
        Some((&self.slots.get(*moved.get(place)?)?.name, value))
    }

    /// Makes a held step final.
    pub(crate) fn keep(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.held, Held::No) {
            Held::Step(attempt, _) => attempt.keep(),
            Held::No | Held::Next => Ok(()),
        }
    }

    /// Takes a held step back, if there was one; its count is [`Self::rewind`]'s.
    pub(crate) fn take_back(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.held, Held::No) {
            Held::Step(attempt, _) => attempt.take_back(),
            Held::No | Held::Next => Ok(()),
        }
    }

    /// Counts the next step and sends its constants to the device; the step itself then sends nothing.
    pub(crate) fn prepare(&mut self, lr: f64) -> Result<()> {
        self.step += 1;
        self.prepared = true;
        self.factors.set(self.betas.at(self.step, lr))
    }

    /// Says that the step for which this was prepared has been taken by other means.
    pub(crate) const fn prepared_was_used(&mut self) {
        self.prepared = false;
    }

    /// Whether a step reads its gradient's norm on the host.
    pub(crate) const fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// The factor that brings gradients to the limit, where they are longer. It is made on the host: with a limit, which is a
    /// knob, a step waits for its device here.
    fn shortening(&self, grads: &GradStore) -> Result<Option<f64>> {
        let Some(limit) = self.limit else { return Ok(None) };
        let norm = f64::from(self.gradient_norm(grads)?.to_scalar::<f32>()?);
        Ok((norm > limit).then(|| limit / norm))
    }

    /// The Euclidean norm of all gradients of this network, summed in the order of names.
    ///
    /// # Errors
    /// When the device fails.
    pub fn gradient_norm(&self, grads: &GradStore) -> Result<Tensor> {
        let grads = self.slots.iter().filter_map(|slot| grads.get(&slot.param));
        let grads: Vec<&Tensor> = grads.collect();
        if grads.is_empty() {
            bail!("no variable of this network has a gradient");
        }
        squared_norm(&grads)?.sqrt()
    }

    /// The first gradient, in the order of names, with a value that is no number; the value.
    ///
    /// # Errors
    /// When the device fails.
    pub fn first_non_finite(&self, grads: &GradStore) -> Result<Option<(String, f64)>> {
        nonfinite::first(
            self.slots.iter().filter_map(|slot| Some((&slot.name, grads.get(&slot.param)?))),
        )
    }

    /// The moments themselves, named as in [`Adam::state`].
    pub(crate) fn moments(&self) -> Vec<(String, Var)> {
        let pair = |s: &Slot| {
            [(format!("m.{}", s.name), s.m.clone()), (format!("v.{}", s.name), s.v.clone())]
        };
        self.slots.iter().flat_map(pair).collect()
    }

    /// Says how many steps are behind moments that were put back.
    pub(crate) const fn rewind(&mut self, step: u64) {
        self.step = step;
        self.prepared = false;
    }

    /// The moments, as `m.NAME` and `v.NAME`.
    #[must_use]
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let pair = |s: &Slot| {
            [
                (format!("m.{}", s.name), s.m.as_detached_tensor()),
                (format!("v.{}", s.name), s.v.as_detached_tensor()),
            ]
        };
        self.slots.iter().flat_map(pair).collect()
    }

    /// Restores moments saved by [`Adam::state`] after `step` steps.
    ///
    /// # Errors
    /// Names the first tensor that is missing, left over or of another shape.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, step: u64) -> Result<()> {
        if state.len() != 2 * self.slots.len() {
            bail!(
                "optimiser state: expected {} tensors, found {}",
                2 * self.slots.len(),
                state.len()
            );
        }
        for slot in &self.slots {
            for (kind, var) in [("m", &slot.m), ("v", &slot.v)] {
                let name = format!("{kind}.{}", slot.name);
                match state.get(&name) {
                    Some(t) if t.dims() == var.dims() => var.set(&t.to_device(var.device())?)?,
                    Some(t) => bail!(
                        "optimiser state `{name}`: expected shape {:?}, found {:?}",
                        var.dims(),
                        t.dims()
                    ),
                    None => bail!("optimiser state `{name}` is missing"),
                }
            }
        }
        self.step = step;
        Ok(())
    }
}
