//! What a step of Adam takes: its constants, and a parameter with its gradient and moments.

use candle_core::{Tensor, Var};

/// The constants of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate, above 0.
    pub lr: f64,
    /// Decay rate of the mean of the gradients, in `[0, 1)`.
    pub beta1: f64,
    /// Decay rate of the mean of the squared gradients, in `[0, 1)`.
    pub beta2: f64,
    /// Term added to the square root in the denominator, above 0.
    pub eps: f64,
    /// Number of this step, counted from 1.
    pub step: u64,
}

impl AdamStep {
    /// Returns `1 - beta^step` for both betas.
    pub(crate) fn corrections(&self) -> (f64, f64) {
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        (1. - self.beta1.powi(step), 1. - self.beta2.powi(step))
    }
}

/// The factors of a step, each rounded to `f32` once.
#[derive(Clone, Copy, Debug)]
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

    /// Returns the new running mean of the gradients.
    #[inline(always)]
    pub(crate) fn mean(&self, m: f32, g: f32) -> f32 {
        self.beta1 * m + self.one_minus_beta1 * g
    }

    /// Returns the new running mean of the squared gradients.
    #[inline(always)]
    pub(crate) fn square(&self, v: f32, g: f32) -> f32 {
        self.beta2 * v + self.one_minus_beta2 * (g * g)
    }

    /// Returns what is subtracted from a parameter, given its new moments.
    #[inline(always)]
    pub(crate) fn change(&self, m: f32, v: f32) -> f32 {
        self.rate * (m / (v.sqrt() * self.root + self.eps))
    }
}

/// A parameter with its gradient and moments, all of the same shape.
#[derive(Clone, Copy, Debug)]
pub struct AdamUpdate<'a> {
    /// The parameter.
    pub p: &'a Var,
    /// Its gradient.
    pub grad: &'a Tensor,
    /// The running mean of its gradients.
    pub m: &'a Var,
    /// The running mean of its squared gradients.
    pub v: &'a Var,
}
