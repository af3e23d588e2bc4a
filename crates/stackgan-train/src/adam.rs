//! Adam (Kingma & Ba 2015) with PyTorch's arithmetic, and with a state that can be saved.
//!
//! `candle_nn::AdamW` is not used because its moments are private and unnamed, so a run could not
//! be resumed.
//!
//! Differs from the release: TensorFlow's Adam adds epsilon outside of the bias correction
//! ("epsilon-hat"): `p -= lr √(1 - beta2^t) / (1 - beta1^t) · m / (√v + eps)`. Both recipes here
//! use the form of `torch.optim.Adam`: `p -= lr / (1 - beta1^t) · m / (√v / √(1 - beta2^t) + eps)`.
//! The reason is that the golden steps of both recipes, which the optimiser is checked against,
//! were computed in PyTorch (`tests/golden/README.md`).

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var, bail};
use stackgan_core::Params;
use stackgan_core::params::restore;
use stackgan_kernels::{
    AdamAttempt, AdamFactors, AdamStep, AdamUpdate, adam_update_all, squared_norm,
};

use crate::nonfinite;

/// The optimiser of one network.
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

/// Whether a step can be undone.
#[derive(Debug)]
enum Held {
    /// The step is final.
    No,
    /// The next step can be undone.
    Next,
    /// This step can be undone; the indices of the slots that it changed.
    Step(AdamAttempt, Vec<usize>),
}

/// The constants of Adam. Both releases use 0.5, 0.999 and 1e-8.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Betas {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the square root of the second moment.
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
    /// Creates an optimiser with zero moments for the trainable variables of `params`.
    ///
    /// Build the network first: that is what creates the variables.
    ///
    /// # Errors
    /// When `params` has no trainable variables, because the optimiser would silently do nothing;
    /// or when memory for the moments cannot be allocated.
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

    /// Limits the gradient norm (Pascanu et al. 2013).
    ///
    /// Gradients with a norm above `limit` are scaled down to it before each step; 0 means no
    /// limit.
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

    /// Takes one step along the negative gradients at learning rate `lr`.
    ///
    /// A variable without a gradient keeps its value and its moments.
    ///
    /// # Errors
    /// When shapes do not match.
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

    /// Whether this optimiser updates `var`.
    pub(crate) fn moves(&self, var: &Var) -> bool {
        self.slots.iter().any(|slot| slot.param.id() == var.id())
    }

    /// Makes the next step undoable until it is kept.
    pub(crate) fn hold(&mut self) {
        self.held = Held::Next;
    }

    /// The name and value of the first variable, in name order, that a held step made non-finite.
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

    /// Undoes a held step, if there is one. The step count is reset by [`Self::rewind`].
    pub(crate) fn take_back(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.held, Held::No) {
            Held::Step(attempt, _) => attempt.take_back(),
            Held::No | Held::Next => Ok(()),
        }
    }

    /// Counts the next step and sends its constants to the device, so that the step itself sends
    /// nothing.
    pub(crate) fn prepare(&mut self, lr: f64) -> Result<()> {
        self.step = self.step.saturating_add(1); // the corrections are 1 long before
        self.prepared = true;
        self.factors.set(self.betas.at(self.step, lr))
    }

    /// Records that the prepared step was taken by other means, such as a replay.
    pub(crate) const fn prepared_was_used(&mut self) {
        self.prepared = false;
    }

    /// The factor that scales the gradients down to the limit, or `None` if they are within it.
    ///
    /// It is computed on the host, so with a limit each step waits for the device here.
    fn shortening(&self, grads: &GradStore) -> Result<Option<f64>> {
        let Some(limit) = self.limit else { return Ok(None) };
        let norm = f64::from(self.gradient_norm(grads)?.to_scalar::<f32>()?);
        Ok((norm > limit).then(|| limit / norm))
    }

    /// The Euclidean norm over all gradients of this network, summed in name order.
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

    /// The name and value of the first gradient, in name order, that holds a non-finite value.
    ///
    /// # Errors
    /// When the device fails.
    pub fn first_non_finite(&self, grads: &GradStore) -> Result<Option<(String, f64)>> {
        nonfinite::first(
            self.slots.iter().filter_map(|slot| Some((&slot.name, grads.get(&slot.param)?))),
        )
    }

    /// The variables of the moments, named as in [`Adam::state`].
    pub(crate) fn moments(&self) -> Vec<(String, Var)> {
        let pair = |s: &Slot| {
            [(format!("m.{}", s.name), s.m.clone()), (format!("v.{}", s.name), s.v.clone())]
        };
        self.slots.iter().flat_map(pair).collect()
    }

    /// Sets the step count to that of moments that were restored.
    pub(crate) const fn rewind(&mut self, step: u64) {
        self.step = step;
        self.prepared = false;
    }

    /// The moments, named `m.NAME` and `v.NAME`.
    #[must_use]
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let moments = self.moments().into_iter();
        moments.map(|(name, var)| (name, var.as_detached_tensor())).collect()
    }

    /// Restores moments that [`Adam::state`] returned after `step` steps.
    ///
    /// # Errors
    /// Names the first tensor that is missing, unexpected or of the wrong shape; nothing is changed
    /// then.
    pub fn restore(&mut self, state: &BTreeMap<String, Tensor>, step: u64) -> Result<()> {
        restore("optimiser state", &self.moments(), state)?;
        self.rewind(step);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use stackgan_core::noise::Noise;
    use stackgan_core::params::Init;

    use super::*;

    /// A count that was read may be any.
    #[test]
    fn the_largest_count_of_steps_stays() -> Result<()> {
        let params = Params::fresh(Noise::new(0), "x", &Device::Cpu);
        let w = params.trained().weight("w", 1, Init::Constant(1.0))?;
        let mut adam = Adam::new(&params, Betas { beta1: 0.5, beta2: 0.999, eps: 1e-8 })?;
        adam.rewind(u64::MAX - 1);
        for _ in 0..2 {
            adam.step(&w.sqr()?.sum_all()?.backward()?, 0.01)?;
            assert_eq!(adam.steps(), u64::MAX);
        }
        let w = w.to_vec1::<f32>()?;
        assert!(w.iter().all(|w| w.is_finite() && *w < 1.0), "{w:?}");
        Ok(())
    }
}
