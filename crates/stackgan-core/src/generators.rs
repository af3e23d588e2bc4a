//! The generators of both recipes. The recipe of the sizes decides which network is built.

use candle_core::Result;

use crate::cond_aug::Augmentation;
use crate::generator::{Generator, Stage1Statistics};
use crate::stage2::Stage2Generator;
use crate::{NetConfig, Recipe, Scope, plain, residual};

/// The Stage-I generator that a Stage-II generator is built on.
#[derive(Debug)]
pub struct Low<'a> {
    /// Its sizes. `gf`, `df`, `residual_blocks` and `channel_floor` may differ from those of Stage-II.
    pub net: &'a NetConfig,
    /// Its tensors.
    pub scope: &'a Scope<'a>,
    /// The statistics of its batch norms while Stage-II is trained.
    pub statistics: Stage1Statistics,
}

/// Builds the Stage-I generator of `net` on the tensors of `scope`.
///
/// # Errors
/// A size out of its range, or tensors that do not match.
pub fn stage1(net: &NetConfig, scope: &Scope<'_>) -> Result<Box<dyn Generator>> {
    Ok(match net.recipe {
        Recipe::Residual => Box::new(residual::Stage1Generator::new(net, scope)?),
        Recipe::Plain => Box::new(plain::Stage1Generator::new(net, scope)?),
    })
}

/// Builds the Stage-II generator of `net` on the tensors of `scope`, with Stage-I below it.
///
/// If Stage-I's scope is frozen, Stage-I stays unchanged and needs no memory for gradients. If it is
/// trained, Stage-II's gradient reaches it.
///
/// # Errors
/// As [`stage1`], and a Stage-I that does not fit ([`NetConfig::misfit_over`]).
pub fn stage2(net: &NetConfig, low: &Low<'_>, scope: &Scope<'_>) -> Result<Box<dyn Generator>> {
    net.check_of(net.recipe)?;
    if let Some((key, low, own)) = net.misfit_over(low.net) {
        candle_core::bail!("Stage-II with `{key}` {own} over a Stage-I with {low}");
    }
    let below = (stage1(low.net, low.scope)?, low.statistics);
    let (widths, ca_net) = ((net.text_dim, net.cond_dim), scope.pp("ca_net"));
    let (style, ca_net) = match net.recipe {
        Recipe::Residual => {
            (residual::STYLE, Augmentation::log_sigma(widths, residual::STYLE, ca_net)?)
        }
        Recipe::Plain => (plain::STYLE, Augmentation::log_variance(widths, plain::STYLE, ca_net)?),
    };
    Ok(Box::new(Stage2Generator::new(net, below, ca_net, style, scope)?))
}
