//! The learning-rate schedule.
//!
//! The rate is computed from the progress of the run and never stored, so a resumed run cannot lose
//! its halvings.
//!
//! Differs from the release: both begin anew with the full rate after a resume, and the TensorFlow
//! release counts the epochs of Stage-II on from those of its Stage-I.

use serde::{Deserialize, Serialize};

/// How the learning rate decays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Decay {
    /// Halved at the start of every epoch that is a positive multiple of `every` (both releases).
    Halve {
        /// Epochs between halvings. Paper: 100; TensorFlow release: 50 in Stage-I, 100 in Stage-II; PyTorch release: 20.
        every: u64,
    },
    /// Constant up to the fraction `from` of the run, then linear down to the fraction `to` of the
    /// base rate.
    Linear {
        /// Fraction of the run at which the decay begins, 0 to 1.
        from: f64,
        /// Fraction of the base rate that is left at the end, 0 to 1.
        to: f64,
    },
    /// The base rate throughout.
    Constant,
}

impl Decay {
    /// The factor on the base rate at `step` of `steps`, in `epoch` (step and epoch counted from
    /// 0).
    #[must_use]
    pub fn factor(self, step: u64, steps: u64, epoch: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Halve { every } => 0.5f64.powi((epoch / every.max(1)).min(1000) as i32),
            Self::Linear { from, to } => linear(step as f64 / steps.max(1) as f64, from, to),
        }
    }
}

/// The factor of a linear decay when the fraction `done` of a run has passed; see
/// [`Decay::Linear`].
pub(crate) fn linear(done: f64, from: f64, to: f64) -> f64 {
    let fallen = ((done - from) / (1.0 - from).max(1e-9)).clamp(0.0, 1.0);
    1.0 - (1.0 - to) * fallen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_halves_eleven_times_in_600_epochs() {
        let decay = Decay::Halve { every: 50 };
        assert_eq!(decay.factor(0, 0, 0), 1.0);
        assert_eq!(decay.factor(0, 0, 49), 1.0);
        assert_eq!(decay.factor(0, 0, 50), 0.5);
        assert_eq!(decay.factor(0, 0, 599), 0.5f64.powi(11)); // 2e-4 becomes 9.8e-8
    }

    #[test]
    fn linear_decay_holds_and_falls() {
        let decay = Decay::Linear { from: 0.5, to: 0.02 };
        assert_eq!(decay.factor(50, 100, 9), 1.0);
        assert!((decay.factor(75, 100, 9) - 0.51).abs() < 1e-12);
        assert!((decay.factor(100, 100, 9) - 0.02).abs() < 1e-12);
    }
}
