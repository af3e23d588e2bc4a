//! The memory of a run, from the shapes of its networks.
//!
//! It is counted, not measured: variables with their gradients, moments and what the guard keeps of them, and what the backward
//! pass keeps of each picture. Tests hold the counts against the networks themselves, and against the guard's copies.

use stackgan_core::{NetConfig, Recipe, Stage};
use stackgan_data::plan::WrongPairs;
use stackgan_eval::features::efficientnet_lite;

use crate::config::{TrainConfig, Wrong};
use crate::guard::Undo;
use crate::matching::Matcher;
use crate::pretrained::Pretrained;
use crate::projected::head::{self, WIDTH};
use crate::projected::{self, Projection};
use crate::r1::R1;
use crate::ranges::LARGEST_BATCH;
use crate::text::{ImageSide, PictureNetwork, SIDE};

/// Bytes of a number.
const F32: u64 = 4;

/// What the program takes without a network: itself, threads, buffers of the kernels.
const PROGRAM: u64 = 48 << 20;

/// The largest maps that are alive besides during a backward pass: gradients on their way, and buffers of the kernels.
const UNDERWAY: u64 = 6;

/// Times a generator's largest weight that the kernels hold of it: 25 ninths in sums and as much packed after an up-sampling, sixteen
/// ninths and four of a 3x3 convolution.
const PACKED_G: u64 = 6;

/// The same for a discriminator: nine quarters in sums, one packed.
const PACKED_D: u64 = 3;

/// Each part of the memory for settings out of range: more than any machine has, but the sum of all is a number.
const BEYOND: u64 = u64::MAX / 8;

/// Numbers of a network: its variables, its running statistics, and what a training pass keeps of each picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) weights: u64,
    pub(super) statistics: u64,
    pub(super) kept: u64,
    largest: u64, // of the maps that are kept
    layer: u64,   // the largest weight
}

impl Size {
    fn linear(mut self, from: u64, to: u64, bias: u64) -> Self {
        self.weights += from * to + bias * to;
        self.layer = self.layer.max(from * to);
        self.keep(to, 2)
    }

    fn conv(mut self, (from, to): (u64, u64), k: u64) -> Self {
        self.weights += from * to * k * k;
        self.layer = self.layer.max(from * to * k * k);
        self
    }

    fn norm(mut self, channels: u64) -> Self {
        self.weights += 2 * channels;
        self.statistics += 2 * channels;
        self
    }

    /// `maps` maps of `numbers` numbers each.
    fn keep(mut self, numbers: u64, maps: u64) -> Self {
        self.kept += numbers * maps;
        self.largest = self.largest.max(numbers);
        self
    }

    /// A convolution and its batch norm: both outputs are kept.
    fn conv_norm(self, channels: (u64, u64), k: u64, side: u64) -> Self {
        self.conv(channels, k).norm(channels.1).keep(channels.1 * side * side, 2)
    }

    /// 1x1 to a quarter, 3x3, 3x3 back, addition, activation.
    fn bottleneck(self, c: u64, side: u64) -> Self {
        self.conv_norm((c, c / 4), 1, side)
            .conv_norm((c / 4, c / 4), 3, side)
            .conv_norm((c / 4, c), 3, side)
            .keep(c * side * side, 2)
    }
}

fn up(net: &NetConfig, wanted: usize) -> u64 {
    net.up_channels(wanted) as u64
}

pub(super) fn stage1_generator(net: &NetConfig) -> Size {
    let ngf = 8 * net.gf;
    let [c8, c16, c32, c64] = [2, 4, 8, 16].map(|d| up(net, ngf / d));
    let (n, cond, z) = (ngf as u64, net.cond_dim as u64, net.z_dim as u64);
    let size = Size::default().linear(net.text_dim as u64, 2 * cond, 1);
    match net.recipe {
        Recipe::Residual => size
            .linear(cond + z, 16 * n, 1)
            .norm(16 * n)
            .bottleneck(n, 4)
            .conv_norm((n, c8), 3, 8)
            .bottleneck(c8, 8)
            .conv_norm((c8, c16), 3, 16)
            .conv_norm((c16, c32), 3, 32)
            .conv((c32, 3), 3)
            .keep(3 * 64 * 64, 2),
        Recipe::Plain => size
            .linear(cond + z, 16 * n, 0)
            .norm(16 * n)
            .conv_norm((n, c8), 3, 8)
            .conv_norm((c8, c16), 3, 16)
            .conv_norm((c16, c32), 3, 32)
            .conv_norm((c32, c64), 3, 64)
            .conv((c64, 3), 3)
            .keep(3 * 64 * 64, 2),
    }
}

/// Stage-II's own part.
pub(super) fn stage2_generator(net: &NetConfig) -> Size {
    let (g, cond) = (net.gf as u64, net.cond_dim as u64);
    let [u1, u2] = [2 * net.gf, net.gf].map(|c| up(net, c));
    let [u3, u4] = [net.gf / 2, net.gf / 4].map(|c| up(net, c));
    let mut size = Size::default()
        .linear(net.text_dim as u64, 2 * cond, 1)
        .conv((3, g), 3)
        .keep(g * 64 * 64, 2)
        .conv_norm((g, 2 * g), 4, 32)
        .conv_norm((2 * g, 4 * g), 4, 16)
        .keep((4 * g + cond) * 16 * 16, 1)
        .conv_norm((4 * g + cond, 4 * g), 3, 16);
    for _ in 0..net.residual_blocks {
        size = size
            .conv_norm((4 * g, 4 * g), 3, 16)
            .conv_norm((4 * g, 4 * g), 3, 16)
            .keep(4 * g * 16 * 16, 2);
    }
    size.conv_norm((4 * g, u1), 3, 32)
        .conv_norm((u1, u2), 3, 64)
        .conv_norm((u2, u3), 3, 128)
        .conv_norm((u3, u4), 3, 256)
        .conv((u4, 3), 3)
        .keep(3 * 256 * 256, 2)
}

/// One pass over a picture.
pub(super) fn discriminator(net: &NetConfig, stage: Stage) -> Size {
    let (n, cond) = (net.df as u64, net.cond_dim as u64);
    let half = stage.side() as u64 / 2;
    let mut size = Size::default().conv((3, n), 4).keep(n * half * half, 2);
    let (mut side, mut channels) = (half, n);
    while side > 4 {
        side /= 2;
        size = size.conv_norm((channels, 2 * channels), 4, side);
        channels *= 2;
    }
    let k = if net.recipe == Recipe::Residual { 1 } else { 3 };
    if stage == Stage::Two {
        size = size.conv_norm((32 * n, 16 * n), k, 4).conv_norm((16 * n, 8 * n), k, 4);
    }
    let joint = |size: Size| {
        size.keep((8 * n + cond) * 16, 1).conv_norm((8 * n + cond, 8 * n), k, 4).conv((8 * n, 1), 4)
    };
    match (net.recipe, stage) {
        (Recipe::Residual, _) => {
            joint(size.bottleneck(8 * n, 4).linear(net.text_dim as u64, cond, 1))
        }
        (Recipe::Plain, stage) => {
            let mut size = joint(size);
            size.weights += 1; // the bias of the logit
            if stage == Stage::Two {
                size = size.conv((8 * n, 1), 4);
                size.weights += 1;
            }
            size
        }
    }
}

/// The image side of a text encoder, which the matching loss keeps for G's gradient. It has none of its own.
pub(super) fn image_side(matcher: &Matcher) -> Size {
    let config = &matcher.encoders().config;
    let dim = config.encoder.dim as u64;
    let (size, width) = match &config.image {
        ImageSide::Convolutions { channels } => {
            let (mut size, mut from, mut side) = (Size::default(), 3, SIDE as u64);
            for to in channels.iter().map(|&c| c as u64) {
                side /= 2;
                size = size.conv_norm((from, to), 4, side);
                from = to;
            }
            (size, from)
        }
        ImageSide::Features { width, side, .. } => {
            let mut size = Size::default().norm(*width as u64);
            // As read, and with its norms folded into its convolutions.
            size.statistics += 2 * matcher.network().map_or(0, PictureNetwork::count);
            for map in efficientnet_lite::maps(*side) {
                size = size.keep(map as u64, 1);
            }
            (size, *width as u64)
        }
    };
    let mut size = size.linear(width, dim, 1).norm(dim);
    size.weights += 1; // the contrastive loss's scale
    size.statistics += dim; // and the texts' mean
    size
}

/// The heads of the second discriminator: their variables, and what they keep of a picture.
pub(super) fn heads(net: &NetConfig, stage: Stage) -> Size {
    let width = WIDTH as u64;
    let mut size = Size::default();
    let end = head::end(stage) as u64;
    let layer = |size: Size, from, k, side| match stage {
        Stage::One => size.conv_norm((from, width), k, side),
        Stage::Two => size.conv((from, width), k).keep(width * side * side, 2),
    };
    for side in Projection::sides(stage) {
        let mut side = side as u64;
        if side == end {
            size = layer(size, width, 3, end);
        }
        while side > end {
            side /= 2;
            size = layer(size, width, 4, side);
        }
        size = size.linear(net.text_dim as u64, width, 1).keep(2 * width * end * end, 2);
        size = layer(size, 2 * width, 1, end).conv((width, 1), 4);
    }
    size
}

/// The network on whose maps they play, which is kept for G's gradient. It has none of its own.
pub(super) fn projection(projection: &Projection, stage: Stage) -> Size {
    let side = projected::side(stage);
    let mut size = Size::default().keep(3 * (side * side) as u64, 2);
    for map in efficientnet_lite::maps(side) {
        size = size.keep(map as u64, 1);
    }
    for side in Projection::sides(stage) {
        size = size.keep((WIDTH * side * side) as u64, 1);
    }
    // As read, and with its norms folded into its convolutions.
    size.statistics = 2 * projection.tensors().values().map(|t| t.elem_count() as u64).sum::<u64>();
    size
}

/// Whether the sizes are so small that no count overflows.
fn is_countable(cfg: &TrainConfig, low: &NetConfig) -> bool {
    let (batch, ahead) = (cfg.optim.batch, cfg.run.prefetch);
    let nets = [&cfg.net, low].iter().all(|net| net.check().is_ok());
    nets && batch <= LARGEST_BATCH && cfg.micro_batch() <= batch && ahead <= LARGEST_BATCH
}

/// Memory that a run will want at its peak, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Variables, moments, averages, what the guard keeps of them, gradients.
    pub variables: u64,
    /// What the backward pass keeps of a batch in f32, and what is on its way.
    pub pictures: u64,
    /// The same of a step without R1, which a GPU keeps besides where some steps have R1: each kind is recorded on its own.
    pub beside: u64,
    /// What the kernels hold of the largest weight: packed, and the sums that its gradient is made of.
    pub working: u64,
    /// Batches that are loaded ahead.
    pub loading: u64,
    /// On a CPU what is there while checkpoint and model are written, in place of the three above; with a GPU what the host then holds.
    pub saving: u64,
}

impl Memory {
    /// The run's, with Stage-I of the sizes `low` under Stage-II, the networks through which its losses look, and a guard that undoes
    /// steps as `undo` says. Of settings so far out of range that the counts overflow: 2 EiB in each field, which no machine has.
    #[must_use]
    pub fn of(cfg: &TrainConfig, low: &NetConfig, pretrained: &Pretrained, undo: Undo) -> Self {
        let low = if cfg.stage == Stage::Two { low } else { &cfg.net };
        if !is_countable(cfg, low) {
            let [variables, pictures, beside, working, loading, saving] = [BEYOND; 6];
            return Self { variables, pictures, beside, working, loading, saving };
        }
        let (net, batch, part) = (&cfg.net, cfg.optim.batch as u64, cfg.micro_batch() as u64);
        let g = match cfg.stage {
            Stage::One => stage1_generator(net),
            Stage::Two => stage2_generator(net),
        };
        let (mut d, frozen) = (discriminator(net, cfg.stage), stage1_generator(low));
        let (matched, projected) = (cfg.loss.matching > 0.0, cfg.loss.projected > 0.0);
        let looks = pretrained.projection.as_ref().filter(|_| projected);
        let looks = looks.map(|looks| (heads(net, cfg.stage), projection(looks, cfg.stage)));
        let (heads, looks) = looks.unwrap_or_default();
        // Of two more batches of real pictures, which the heads do not see.
        let penalised = if cfg.loss.r1.gamma > 0.0 { 2 * d.kept } else { 0 };
        (d.weights, d.statistics) = (d.weights + heads.weights, d.statistics + heads.statistics);
        d.kept += heads.kept;
        let under = if cfg.stage == Stage::Two { frozen } else { Size::default() };
        let tuned = cfg.knobs.finetune_stage1 > 0.0;
        let side = cfg.stage.side() as u64;
        let picture = 3 * side * side;

        // Weights, two moments of each, running statistics: what a step changes.
        let statistics = g.statistics + d.statistics;
        let changing = 3 * (g.weights + d.weights) + statistics;
        let low_changing = match (cfg.stage, tuned) {
            (Stage::One, _) => 0,
            (Stage::Two, false) => under.statistics,
            (Stage::Two, true) => {
                // Stage-I's generator has a second optimiser.
                let low_d = discriminator(low, Stage::One);
                5 * under.weights + under.statistics + 3 * low_d.weights + low_d.statistics
            }
        };
        let average = if cfg.optim.ema > 0.0 { g.weights + g.statistics } else { 0 };
        let low = if tuned { low_changing } else { under.weights + under.statistics };
        let matcher = pretrained.matcher.as_ref().filter(|_| matched);
        let matching = matcher.map(image_side).unwrap_or_default();
        let state = changing + average + low;
        // Where there are parts, the sum of their gradients besides the last one's.
        let parts = if part < batch { 2 } else { 1 };
        let besides = low_changing
            + match undo {
                Undo::Copied => changing + parts * g.weights.max(d.weights),
                // In G's step what D's weights were, and D's gradient, are still there.
                Undo::Held => statistics + 2 * d.weights + parts * g.weights,
            };
        let variables =
            F32 * (state + besides + matching.weights + matching.statistics + looks.statistics);

        // The plain recipe keeps the fake's graph through D's step, and its two passes; the residual recipe has a pass for each
        // group of pairs, and paints anew, as does the plain recipe in parts.
        let shown = if cfg.plan().wrong == WrongPairs::None { 1 } else { 2 };
        let in_d = match net.recipe {
            Recipe::Residual => (shown + 1) * d.kept,
            Recipe::Plain if part < batch => 2 * d.kept,
            Recipe::Plain => g.kept + 2 * d.kept,
        };
        let stage1 = if tuned { under.kept } else { 4 * under.largest };
        // In D's step the network keeps nothing but what the heads see, and has a few maps of all groups at once.
        let in_d = in_d + (shown + 1) * UNDERWAY * looks.largest;
        let painted = if cfg.loss.mode_seeking > 0.0 { 2 * g.kept } else { g.kept };
        let in_g = painted + d.kept + matching.kept + looks.kept;
        let underway = UNDERWAY * g.largest.max(d.largest);
        let of_step = |in_d: u64| {
            let kept = in_d.max(in_g) + stage1;
            F32 * (part * (kept + underway) + batch * shown * picture)
        };
        let pictures = of_step(in_d + penalised);
        let loading = batch * (cfg.run.prefetch as u64 + 2) * shown * picture; // bytes
        // The model is put together apart from the variables, and its file in memory; the state of a GPU comes to the host first.
        let model = 2 * (g.weights + g.statistics + under.weights + under.statistics);
        let saving = match undo {
            Undo::Held => state + model,
            Undo::Copied => state.max(model),
        };
        let R1 { gamma, every } = cfg.loss.r1;
        let recorded = cfg.knobs.can_be_recorded() && cfg.data.wrong != Wrong::NextTextOtherClass;
        let beside = if recorded && gamma > 0.0 && every > 1 { of_step(in_d) } else { 0 };
        let working = F32 * (PACKED_G * g.layer).max(PACKED_D * d.layer);
        Self { variables, pictures, beside, working, loading, saving: F32 * saving }
    }

    /// The whole process at its peak, on a CPU.
    #[must_use]
    pub fn peak(&self) -> u64 {
        let step = self.variables + self.pictures + self.working;
        PROGRAM + self.loading + step.max(self.saving)
    }

    /// A GPU's part at its peak, without buffers of cuDNN's and of the driver. Batches and checkpoints are the host's.
    #[must_use]
    pub const fn on_gpu(&self) -> u64 {
        self.variables + self.pictures + self.beside
    }
}
