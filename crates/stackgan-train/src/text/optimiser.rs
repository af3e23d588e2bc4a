//! The optimiser of both encoders' variables: `RMSprop` as in Torch, or Adam.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use stackgan_core::Params;
use stackgan_core::archive::{prefixed, under};

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
    mean_square: Tensor,
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
                    Ok(Slot { mean_square: param.zeros_like()?.detach(), param })
                });
                Self::RmsProp(slots.collect::<candle_core::Result<_>>()?)
            }
        })
    }

    /// The moments, by number.
    pub(super) fn state(&self) -> BTreeMap<String, Tensor> {
        match self {
            Self::Adam(networks) => {
                let mut state = BTreeMap::new();
                for (i, adam) in networks.iter().enumerate() {
                    state.extend(prefixed(&format!("{i}."), adam.state()));
                }
                state
            }
            Self::RmsProp(slots) => {
                let slots = slots.iter().enumerate();
                slots.map(|(i, slot)| (i.to_string(), slot.mean_square.clone())).collect()
            }
        }
    }

    /// Restores what [`Self::state`] returned after `steps` steps.
    pub(super) fn restore(&mut self, state: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        match self {
            Self::Adam(networks) => {
                for (i, adam) in networks.iter_mut().enumerate() {
                    adam.restore(&under(&format!("{i}."), state), steps)?;
                }
            }
            Self::RmsProp(slots) => {
                for (i, slot) in slots.iter_mut().enumerate() {
                    let found = state.get(&i.to_string());
                    let fits = found.filter(|t| t.dims() == slot.param.dims());
                    let missing = || candle_core::Error::msg("a state without a mean square");
                    slot.mean_square = fits.ok_or_else(missing)?.clone();
                }
            }
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
                    let grad = grad.detach();
                    slot.mean_square =
                        ((&slot.mean_square * ALPHA)? + (grad.sqr()? * (1.0 - ALPHA))?)?;
                    let step = (grad / (slot.mean_square.sqrt()? + EPS)?)?;
                    slot.param.set(&(slot.param.as_detached_tensor() - (step * lr)?)?)?;
                }
            }
        }
        Ok(())
    }
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
