//! The settings of one step, and when its values are checked.

use candle_core::Device;

use crate::config::{LossConfig, TrainConfig};
use crate::knobs::Knobs;

/// When a step's losses, gradients and weights are checked for non-finite values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checks {
    /// Each value is checked before it is used. This costs no waiting on a CPU.
    #[default]
    Immediate,
    /// All values are checked together once the step has been queued. A GPU would idle at each
    /// check, so there is only one wait.
    Deferred,
}

impl Checks {
    /// The default for a device.
    #[must_use]
    pub fn on(device: &Device) -> Self {
        if device.is_cpu() { Self::Immediate } else { Self::Deferred }
    }
}

/// The settings of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepConfig {
    /// The step, counted from 0.
    pub step: u64,
    /// Learning rate of G.
    pub lr_g: f64,
    /// Learning rate of D.
    pub lr_d: f64,
    /// Weights of the loss terms. The KL term's is 0 without conditioning augmentation.
    pub loss: LossConfig,
    /// Options that the releases do not use.
    pub knobs: Knobs,
    /// When losses and gradients are checked.
    pub checks: Checks,
}

impl StepConfig {
    /// The settings of `step` (counted from 0), with the factor `decay` on the learning rates.
    /// Values are checked as the step goes.
    #[must_use]
    pub fn of(cfg: &TrainConfig, step: u64, decay: f64) -> Self {
        Self {
            step,
            lr_g: cfg.optim.lr_g * decay,
            lr_d: cfg.optim.lr_d * decay,
            loss: LossConfig { kl: cfg.kl(), ..cfg.loss },
            knobs: cfg.knobs,
            checks: Checks::Immediate,
        }
    }

    /// Whether G is updated in this step: the last of every `d_steps`.
    #[must_use]
    pub const fn generator_moves(&self) -> bool {
        let every = self.knobs.d_steps;
        every <= 1 || self.step % every == every - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;

    #[test]
    fn the_generator_moves_in_the_last_of_every_few_steps() {
        let mut cfg = TrainConfig::from_toml(preset("toy-stage1").unwrap()).unwrap();
        cfg.knobs.d_steps = 5; // of which 2^64 - 1 is a multiple
        let moves = |step: &u64| StepConfig::of(&cfg, *step, 1.0).generator_moves();
        let moved: Vec<u64> = (0..12).chain(u64::MAX - 5..=u64::MAX).filter(moves).collect();
        assert_eq!(moved, [4, 9, u64::MAX - 1]);
    }
}
