//! The optimiser of both encoders' variables: `RMSprop` as in Torch, or Adam.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use stackgan_core::Params;
use stackgan_core::archive::{prefixed, under};
use stackgan_core::params::restore;

use super::Optimiser;
use crate::Result;
use crate::adam::{Adam, Betas};

const ADAM: Betas = Betas { beta1: 0.9, beta2: 0.999, eps: 1e-8 };

/// Torch's defaults, which the published training uses.
const ALPHA: f64 = 0.99;
const EPS: f64 = 1e-8;

/// The optimiser of one training, with its state.
#[derive(Debug)]
pub(super) enum State {
    Adam(Vec<Adam>),
    RmsProp(Vec<Slot>),
}

#[derive(Debug)]
pub(super) struct Slot {
    param: Var,
    mean_square: Var,
}

impl State {
    /// Fresh state for the trainable variables of `networks`.
    pub(super) fn new(kind: Optimiser, networks: &[&Params]) -> Result<Self> {
        Ok(match kind {
            Optimiser::Adam => Self::Adam(
                networks
                    .iter()
                    .map(|params| Adam::new(params, ADAM))
                    .collect::<candle_core::Result<_>>()?,
            ),
            Optimiser::RmsProp => {
                let all = networks.iter().flat_map(|params| params.trainable());
                let slots = all.map(|(_, param)| {
                    Ok(Slot { mean_square: Var::from_tensor(&param.zeros_like()?)?, param })
                });
                Self::RmsProp(slots.collect::<candle_core::Result<_>>()?)
            }
        })
    }

    /// A copy of the moments, by number.
    pub(super) fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let moments: Vec<(String, Var)> = match self {
            Self::Adam(networks) => {
                let named = |(i, adam): (usize, &Adam)| -> Vec<_> {
                    prefixed(&format!("{i}."), adam.moments()).collect()
                };
                networks.iter().enumerate().flat_map(named).collect()
            }
            Self::RmsProp(slots) => mean_squares(slots),
        };
        moments.into_iter().map(|(name, var)| Ok((name, var.copy()?))).collect()
    }

    /// Restores what [`Self::state`] returned after `steps` steps.
    pub(super) fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        match self {
            Self::Adam(networks) => {
                for (i, adam) in networks.iter_mut().enumerate() {
                    adam.restore(&under(&format!("{i}."), state), steps)?;
                }
            }
            Self::RmsProp(slots) => restore("mean square", &mean_squares(slots), state)?,
        }
        Ok(())
    }

    /// Takes one step along the negative gradients.
    pub(super) fn step(&mut self, grads: &GradStore, lr: f64) -> Result<()> {
        match self {
            Self::Adam(networks) => {
                for adam in networks {
                    adam.step(grads, lr)?;
                }
            }
            Self::RmsProp(slots) => {
                for slot in slots {
                    let Some(grad) = grads.get(&slot.param) else { continue };
                    let (grad, old) = (grad.detach(), slot.mean_square.as_detached_tensor());
                    let mean_square = ((old * ALPHA)? + (grad.sqr()? * (1.0 - ALPHA))?)?;
                    slot.mean_square.set(&mean_square)?;
                    let step = (grad / (mean_square.sqrt()? + EPS)?)?;
                    slot.param.set(&(slot.param.as_detached_tensor() - (step * lr)?)?)?;
                }
            }
        }
        Ok(())
    }
}

/// The variables of the mean squares, by number.
fn mean_squares(slots: &[Slot]) -> Vec<(String, Var)> {
    let slots = slots.iter().enumerate();
    slots.map(|(i, slot)| (i.to_string(), slot.mean_square.clone())).collect()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use stackgan_core::noise::Noise;
    use stackgan_core::params::Init;

    use super::*;

    /// Two steps of Torch's `rmsprop` computed by hand: gradient 2 w at w = 1, then at the new w.
    #[test]
    fn rmsprop_is_torchs() -> Result<()> {
        let params = Params::fresh(Noise::new(0), "x", &Device::Cpu);
        let w = params.trained().weight("w", 1, Init::Constant(1.0))?;
        let mut state = State::new(Optimiser::RmsProp, &[&params])?;
        let (mut expected, mut m) = (1.0f64, 0.0f64);
        for _ in 0..2 {
            state.step(&w.sqr()?.sum_all()?.backward()?, 0.01)?;
            let g = 2.0 * expected;
            m = 0.99 * m + 0.01 * g * g;
            expected -= 0.01 * g / (m.sqrt() + 1e-8);
        }
        assert!((f64::from(w.to_vec1::<f32>()?[0]) - expected).abs() < 1e-6);
        Ok(())
    }
}
