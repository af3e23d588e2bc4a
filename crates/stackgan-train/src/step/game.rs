//! The two players: networks, and the optimisers that move them.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor};
use stackgan_core::{Generator, Params};

use super::config::StepConfig;
use super::parts::Gradients;
use super::stats::StepStats;
use crate::adam::Adam;
use crate::matching::Matcher;
use crate::projected::Projected;
use crate::r1::Penalty;
use crate::spectral::Spectral;

/// A network's variables, and the optimiser that updates them.
#[derive(Debug)]
pub struct Optimised {
    /// The variables.
    pub params: Params,
    /// Their optimiser.
    pub adam: Adam,
}

/// Who moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Player {
    G,
    D,
}

/// G, and the variables and optimisers of both players. D itself, whose type is its recipe's, lies
/// in [`Views`].
#[derive(Debug)]
pub struct Game {
    /// G, with weights that record gradients.
    pub generator: Box<dyn Generator>,
    /// G's variables.
    pub g: Optimised,
    /// D's variables.
    pub d: Optimised,
    /// Compares G's pictures with their captions, if the matching loss is on.
    pub matcher: Option<Matcher>,
    /// The second discriminator, if it plays along. Its variables are D's.
    pub projected: Option<Projected>,
}

/// Two views of D, on the same variables.
#[derive(Debug)]
pub struct Views<D> {
    /// With weights that record gradients, for D's step.
    pub trained: D,
    /// With frozen weights, for G's step.
    pub frozen: D,
    /// Spectral normalisation of the weights, if it is on.
    pub spectral: Option<Spectral<D>>,
}

impl<D> Views<D> {
    /// Divides D's current weights by their largest singular values; does nothing without spectral
    /// normalisation.
    ///
    /// Call it after D was built or updated.
    pub(super) fn normalise(&mut self, params: &Params) -> Result<()> {
        if let Some(spectral) = &self.spectral {
            (self.trained, self.frozen) = spectral.renewed(params)?;
        }
        Ok(())
    }

    /// The R1 penalty at real pictures, in the steps in which it is due. `logits` computes the
    /// logits `(batch,)` of pictures with their texts.
    pub(super) fn r1(
        &self,
        real: &Tensor,
        logits: impl Fn(&D, &Tensor) -> Result<Tensor>,
        cfg: &StepConfig,
    ) -> Result<Option<Penalty>> {
        let r1 = cfg.loss.r1;
        let (frozen, trained) =
            (|x: &Tensor| logits(&self.frozen, x), |x: &Tensor| logits(&self.trained, x));
        r1.due(cfg.step).then(|| r1.term(real, frozen, trained)).transpose()
    }
}

impl Game {
    /// Computes the gradient norm of a player and takes the step of its optimiser. Returns the
    /// gradients.
    ///
    /// If values are checked as the step goes, nothing is changed when a gradient is not finite.
    pub(super) fn descend(
        &mut self,
        player: Player,
        grads: Gradients,
        cfg: &StepConfig,
        stats: &mut StepStats,
    ) -> crate::Result<GradStore> {
        let grads = grads.sum()?;
        let (adam, name, lr) = match player {
            Player::G => (&mut self.g.adam, "g_grad", cfg.lr_g),
            Player::D => (&mut self.d.adam, "d_grad", cfg.lr_d),
        };
        let norm = adam.gradient_norm(&grads)?;
        if let Err(error) = stats.check(name, &norm, cfg) {
            return Err(error.naming(name, adam.first_non_finite(&grads)?));
        }
        stats.push(name, &norm);
        adam.step(&grads, lr)?;
        Ok(grads)
    }
}
