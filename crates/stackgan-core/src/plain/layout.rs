//! The names and shapes of the PyTorch release's generators, as in its state dicts
//! (`code/model.py`).
//!
//! They are used to check a file before any network is built. A test compares them with the
//! networks of this crate.

use crate::shapes::Shapes;
use crate::{NetConfig, Stage};

/// The prefix of the Stage-I generator inside a Stage-II generator.
pub(super) const STAGE1: &str = "STAGE1_G.";

/// Returns the layout of `STAGE1_G`, or of `STAGE2_G` including its `STAGE1_G`, without counters.
pub(super) fn generator(net: &NetConfig, stage: Stage) -> Shapes {
    let mut layout = Layout { all: Shapes::new(), prefix: stage1_prefix(stage) };
    let (wide, units) = (8 * net.gf, 16 * 8 * net.gf);
    layout.conditioning(net);
    layout.put("fc.0.weight", &[units, net.cond_dim + net.z_dim]);
    layout.norm("fc.1", units);
    layout.rising(wide);
    if stage == Stage::Two {
        layout.prefix = "";
        let (gf, wide) = (net.gf, 4 * net.gf);
        layout.conditioning(net);
        layout.put("encoder.0.weight", &[gf, 3, 3, 3]);
        layout.conv("encoder.2", "encoder.3", [2 * gf, gf, 4]);
        layout.conv("encoder.5", "encoder.6", [wide, 2 * gf, 4]);
        layout.conv("hr_joint.0", "hr_joint.1", [wide, wide + net.cond_dim, 3]);
        for i in 0..net.residual_blocks {
            for (conv, norm) in [(0, 1), (3, 4)] {
                let name = |part| format!("residual.{i}.block.{part}");
                layout.conv(&name(conv), &name(norm), [wide, wide, 3]);
            }
        }
        layout.rising(wide);
    }
    layout.all
}

/// Returns the prefix of the Stage-I generator in the state dict of a stage's generator.
pub(super) const fn stage1_prefix(stage: Stage) -> &'static str {
    match stage {
        Stage::One => "",
        Stage::Two => STAGE1,
    }
}

struct Layout {
    all: Shapes,
    prefix: &'static str,
}

impl Layout {
    fn put(&mut self, name: &str, shape: &[usize]) {
        self.all.insert(format!("{}{name}", self.prefix), shape.to_vec());
    }

    fn norm(&mut self, name: &str, width: usize) {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            self.put(&format!("{name}.{part}"), &[width]);
        }
    }

    /// Adds a convolution with `to` output channels, `from` input channels and a kernel of `side` x
    /// `side`, and the norm after it.
    fn conv(&mut self, conv: &str, norm: &str, [to, from, side]: [usize; 3]) {
        self.put(&format!("{conv}.weight"), &[to, from, side, side]);
        self.norm(norm, to);
    }

    fn conditioning(&mut self, net: &NetConfig) {
        self.put("ca_net.fc.weight", &[2 * net.cond_dim, net.text_dim]);
        self.put("ca_net.fc.bias", &[2 * net.cond_dim]);
    }

    /// Adds four blocks that double the side and halve the channels, and the final convolution.
    fn rising(&mut self, wide: usize) {
        for block in 1..=4 {
            let name = format!("upsample{block}");
            let channels = [wide >> block, wide >> (block - 1), 3];
            self.conv(&format!("{name}.1"), &format!("{name}.2"), channels);
        }
        self.put("img.0.weight", &[3, wide >> 4, 3, 3]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::generator::Stage1Statistics;
    use crate::generators::{self, Low};
    use crate::noise::Noise;
    use crate::{Device, Params, Recipe};

    #[test]
    fn it_is_what_the_networks_ask_for() {
        let net = NetConfig {
            recipe: Recipe::Plain,
            gf: 4,
            df: 2,
            text_dim: 16,
            cond_dim: 7,
            z_dim: 6,
            residual_blocks: 3,
            channel_floor: 0,
        };
        let (noise, cpu) = (Noise::new(3), Device::Cpu);
        let (low, high) = (Params::fresh(noise, "g1", &cpu), Params::fresh(noise, "g2", &cpu));
        let (scope, statistics) = (low.frozen(), Stage1Statistics::Running);
        let below = Low { net: &net, scope: &scope, statistics };
        generators::stage2(&net, &below, &high.frozen()).unwrap();
        let of = |params: &Params, prefix: &str| -> Shapes {
            let shape = |(name, var): (String, candle_core::Var)| {
                (format!("{prefix}{name}"), var.dims().to_vec())
            };
            params.all().into_iter().map(shape).collect()
        };
        assert_eq!(generator(&net, Stage::One), of(&low, ""));
        let mut both = of(&high, "");
        both.extend(of(&low, STAGE1));
        assert_eq!(generator(&net, Stage::Two), both);
    }

    /// The counts of the release's networks (parameters and running statistics) at its own widths.
    #[test]
    fn the_coco_model_has_87_tensors_of_57_million_numbers() {
        let net = NetConfig {
            recipe: Recipe::Plain,
            gf: 192,
            df: 96,
            residual_blocks: 2,
            ..NetConfig::default()
        };
        let layout = generator(&net, Stage::Two);
        let numbers: usize = layout.values().map(|shape| shape.iter().product::<usize>()).sum();
        assert_eq!((layout.len(), numbers), (87, 57_151_312 + 63_456));
        let stage1 = generator(&NetConfig { gf: 128, ..net }, Stage::One);
        let numbers: usize = stage1.values().map(|shape| shape.iter().product::<usize>()).sum();
        assert_eq!((stage1.len(), numbers), (28, 10_301_248 + 34_688));
    }
}
