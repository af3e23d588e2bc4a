//! The sizes that are timed: those of the presets that reproduce the releases.

use anyhow::{Context as _, Result, bail};
use stackgan_core::{NetConfig, Recipe};
use stackgan_train::config::{Stage, TrainConfig, preset};

/// A network by the name that `cargo xtask bench` uses.
pub(crate) fn named(name: &str) -> Result<NetConfig> {
    let paper = NetConfig::default();
    Ok(match name {
        "residual" => paper,
        "plain" => NetConfig { recipe: Recipe::Plain, ..paper },
        "coco" => config("coco-stage2")?.net,
        _ => bail!("expected the net plain, residual or coco, found `{name}`"),
    })
}

/// The configuration of a training run of `net` with batches of `batch`: the preset of its recipe.
pub(crate) fn training(net: &NetConfig, stage: u8, batch: usize) -> Result<TrainConfig> {
    let family = match net.recipe {
        Recipe::Residual => "cub",
        Recipe::Plain => "coco",
    };
    let stage = Stage::try_from(stage).map_err(anyhow::Error::msg)?;
    let mut config = config(&format!("{family}-stage{}", stage.number()))?;
    (config.net, config.optim.batch) = (*net, batch);
    Ok(config)
}

fn config(name: &str) -> Result<TrainConfig> {
    Ok(TrainConfig::from_toml(preset(name).context("a preset of this program")?)?)
}
