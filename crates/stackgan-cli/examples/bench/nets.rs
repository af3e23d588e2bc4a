//! The sizes to time: those of the presets that reproduce the releases.

use anyhow::{Context as _, Result, bail};
use stackgan_core::{NetConfig, Recipe, Stage};
use stackgan_train::config::{TrainConfig, preset};

/// Returns the network that `cargo xtask bench` calls `name`. It can have another width:
/// `residual:64` has 64 in G and 32 in D.
pub(crate) fn named(name: &str) -> Result<NetConfig> {
    if let Some((name, width)) = name.split_once(':') {
        let gf: usize = width.parse().with_context(|| format!("`{width}` is no width"))?;
        return Ok(NetConfig { gf, df: gf / 2, ..named(name)? });
    }
    let paper = NetConfig::default();
    Ok(match name {
        "residual" => paper,
        "plain" => NetConfig { recipe: Recipe::Plain, ..paper },
        "coco" => config("coco-stage2")?.net,
        _ => bail!("expected the net plain, residual or coco, found `{name}`"),
    })
}

/// Parses a batch and the size of its parts: `64/4` is 64 in parts of 4, `64` is not divided (0).
pub(crate) fn batch(text: &str) -> Result<(usize, usize)> {
    let (batch, part) = text.split_once('/').unwrap_or((text, "0"));
    let number = |text: &str| text.parse().with_context(|| format!("`{text}` is no number"));
    Ok((number(batch)?, number(part)?))
}

/// Returns the configuration of a training run of `net` with batches of `batch`, from the preset of
/// its recipe.
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
