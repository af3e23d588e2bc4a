//! The starting weights of the networks, if they are not fresh: a warm start from a model, and
//! Stage-I's discriminator for fine-tuning.
//!
//! A resumed run takes everything from its checkpoint instead.

use std::collections::BTreeMap;

use candle_core::Tensor;
use stackgan_core::{Model, NetConfig, Stage};

use crate::config::TrainConfig;
use crate::spectral::VECTOR;
use crate::{Error, Result};

/// The starting weights of the networks.
#[derive(Debug, Default)]
pub struct Start {
    /// A model whose generator of the same stage initialises G.
    pub generator: Option<Model>,
    /// The variables of Stage-I's discriminator, from a checkpoint of its run.
    pub stage1_discriminator: Option<BTreeMap<String, Tensor>>,
}

impl Start {
    /// Checks that the weights fit the settings.
    ///
    /// # Errors
    /// [`Error::Config`] when they do not.
    pub fn check(&self, cfg: &TrainConfig) -> Result<()> {
        if cfg.knobs.finetune_stage1 > 0.0 {
            self.discriminator()?;
        }
        self.generator(cfg).map(drop)
    }

    /// The weights of the model's generator for G.
    ///
    /// # Errors
    /// [`Error::Config`] when the model does not have this stage, or has one of other sizes.
    pub fn generator(&self, cfg: &TrainConfig) -> Result<Option<BTreeMap<String, Tensor>>> {
        let Some(model) = &self.generator else { return Ok(None) };
        let (info, params) = match cfg.stage {
            Stage::One => (Some(&model.info().stage1), Some(model.stage1())),
            Stage::Two => (model.info().stage2.as_ref(), model.stage2()),
        };
        let expected = format!("a model whose {} has {}", cfg.stage.name(), sizes(&cfg.net));
        let refuse = |found: String| Error::Config {
            key: "--init-from".to_owned(),
            expected: expected.clone(),
            found,
            remedy: "name a model of the same sizes, or set `net` to the model's".to_owned(),
        };
        match (info, params) {
            (Some(info), Some(_)) if generators(info.net, cfg) != cfg.net => {
                Err(refuse(sizes(&info.net)))
            }
            (Some(_), Some(params)) => Ok(Some(params.values())),
            _ => Err(refuse("none of that stage".to_owned())),
        }
    }

    /// The variables of Stage-I's discriminator.
    ///
    /// # Errors
    /// [`Error::Config`] when there is none, or one that was trained on divided weights, which
    /// Stage-I's game under Stage-II does not divide.
    pub(crate) fn discriminator(&self) -> Result<&BTreeMap<String, Tensor>> {
        let refuse = |found: &str, remedy: &str| Error::Config {
            key: "knobs.finetune_stage1".to_owned(),
            expected: "Stage-I's discriminator, trained without `knobs.spectral_norm`".to_owned(),
            found: found.to_owned(),
            remedy: remedy.to_owned(),
        };
        let remedy = "name the run folder of Stage-I, with its checkpoints: `--stage1 RUN`";
        let found = self.stage1_discriminator.as_ref();
        let found = found.ok_or_else(|| refuse("a Stage-I model alone", remedy))?;
        if found.keys().any(|name| name.ends_with(VECTOR)) {
            let remedy = "leave Stage-I as it is, with 0; or train on another Stage-I";
            return Err(refuse("one that was trained with it", remedy));
        }
        Ok(found)
    }
}

/// Replaces the sizes that do not affect the generator by those of `cfg`: the width of D and, in
/// Stage-I, the number of residual blocks.
const fn generators(net: NetConfig, cfg: &TrainConfig) -> NetConfig {
    let residual_blocks = match cfg.stage {
        Stage::One => cfg.net.residual_blocks,
        Stage::Two => net.residual_blocks,
    };
    NetConfig { df: cfg.net.df, residual_blocks, ..net }
}

fn sizes(net: &NetConfig) -> String {
    format!(
        "recipe {}, gf {}, text_dim {}, cond_dim {}, z_dim {}, residual_blocks {}, channel_floor {}",
        net.recipe.name(),
        net.gf,
        net.text_dim,
        net.cond_dim,
        net.z_dim,
        net.residual_blocks,
        net.channel_floor
    )
}
