//! Counts of memory and times, of networks of all kinds.

use candle_core::{Device, Tensor};
use stackgan_core::noise::Noise;
use stackgan_core::{NetConfig, Params, Recipe, Stage};

use super::memory::{Memory, discriminator, heads, image_side, stage1_generator, stage2_generator};
use super::plan::Plan;
use super::time::{Speed, seconds_a_step};
use super::trial::{Timed, fresh_stage1};

use crate::config::{TrainConfig, preset};
use crate::guard::{Guard, Undo};
use crate::matching::Matcher;
use crate::players::Players;
use crate::projected::Projection;
use crate::projected::head::Head;
use crate::r1::R1;
use crate::start::Start;
use crate::text::TextTrainConfig;
use crate::{Error, Pretrained};

/// Both recipes and stages, at sizes where no two widths are equal.
fn configs() -> Vec<TrainConfig> {
    let mut all = Vec::new();
    for name in ["cub-stage1", "cub-stage2", "coco-stage1", "coco-stage2"] {
        for (gf, df, channel_floor) in [(8, 6, 0), (12, 4, 10)] {
            let mut cfg = TrainConfig::from_toml(preset(name).unwrap()).unwrap();
            let (text_dim, cond_dim, z_dim, residual_blocks) = (9, 7, 5, 3);
            let recipe = cfg.net.recipe;
            cfg.net = NetConfig {
                recipe,
                gf,
                df,
                text_dim,
                cond_dim,
                z_dim,
                residual_blocks,
                channel_floor,
            };
            all.push(cfg);
        }
    }
    all
}

fn fresh(cfg: &TrainConfig, low: &Params) -> Players {
    let (low, start) = (Some((low, &cfg.net)), Start::default());
    Players::new(cfg, low, &start, Pretrained::default(), &Device::Cpu).unwrap()
}

#[test]
fn the_count_of_variables_is_that_of_the_networks() {
    for cfg in configs() {
        let low = fresh_stage1(&cfg.net, &Device::Cpu).unwrap();
        let players = fresh(&cfg, &low);
        let g = match cfg.stage {
            Stage::One => stage1_generator(&cfg.net),
            Stage::Two => stage2_generator(&cfg.net),
        };
        let d = discriminator(&cfg.net, cfg.stage);
        for (size, params) in [(g, &players.g().params), (d, &players.d().params)] {
            assert_eq!(size.weights, params.count() as u64, "{:?} {:?}", cfg.stage, cfg.net);
            let all: usize = params.all().iter().map(|(_, var)| var.elem_count()).sum();
            assert_eq!(size.weights + size.statistics, all as u64);
        }
    }
}

/// What is left when gradients, and what D's weights were, are taken off: the state, and what the guard copies of it. Where
/// it copies everything, the state twice, but for what no step changes, and the larger network's gradients.
#[test]
fn the_guards_copies_are_counted() {
    for mut cfg in configs() {
        cfg.optim.ema = 0.0;
        let low = fresh_stage1(&cfg.net, &Device::Cpu).unwrap();
        let players = fresh(&cfg, &low);
        let under = (cfg.stage == Stage::Two).then_some(&low);
        let copies = Guard::over(&players, under).unwrap().copies();
        let fixed = under.map_or(0, Params::count); // Stage-I's weights stay as they are
        let [g, d] = [players.g().params.count(), players.d().params.count()];
        let variables = |undo| Memory::of(&cfg, &cfg.net, &Pretrained::default(), undo).variables;
        let held = 4 * (2 * copies + fixed + 3 * (g + d) + 2 * d + g) as u64;
        assert_eq!(variables(Undo::Held), held, "{:?}", cfg.stage);
        let copied = 4 * (2 * (copies + 3 * (g + d)) + fixed + g.max(d)) as u64;
        assert_eq!(variables(Undo::Copied), copied, "{:?}", cfg.stage);
    }
}

#[test]
fn a_tuned_stage1_is_copied_too() {
    for mut cfg in configs() {
        if cfg.stage == Stage::One || cfg.net.recipe == Recipe::Plain {
            continue;
        }
        cfg.optim.ema = 0.0;
        cfg.knobs.finetune_stage1 = 0.1;
        let low = fresh_stage1(&cfg.net, &Device::Cpu).unwrap();
        let d = Params::fresh(Noise::new(0), "d1", &Device::Cpu);
        drop(stackgan_core::residual::Discriminator::stage1(&cfg.net, &d.trained()).unwrap());
        let start = Start { stage1_discriminator: Some(d.snapshot().unwrap()), ..Start::default() };
        let parts = Some((&low, &cfg.net));
        let players =
            Players::new(&cfg, parts, &start, Pretrained::default(), &Device::Cpu).unwrap();
        let copies = Guard::over(&players, Some(&low)).unwrap().copies();
        let [g, d] = [players.g().params.count(), players.d().params.count()];
        let counted = 4 * (2 * copies + 3 * (g + d) + 2 * d + g) as u64;
        assert_eq!(
            Memory::of(&cfg, &cfg.net, &Pretrained::default(), Undo::Held).variables,
            counted
        );
    }
}

#[test]
fn memory_grows_with_the_batch_and_not_otherwise() {
    let mut cfg = configs().remove(0);
    let at = |cfg: &TrainConfig| Memory::of(cfg, &cfg.net, &Pretrained::default(), Undo::Held);
    cfg.optim.batch = 4;
    let small = at(&cfg);
    cfg.optim.batch = 8;
    let large = at(&cfg);
    assert_eq!((large.pictures, large.loading), (2 * small.pictures, 2 * small.loading));
    assert_eq!((large.variables, large.saving), (small.variables, small.saving));
    assert!(small.peak() > small.variables + small.pictures);
}

#[test]
fn settings_out_of_range_need_more_than_there_is_and_are_not_timed() {
    let (pretrained, device) = (Pretrained::default(), Device::Cpu);
    let stage2 = configs().into_iter().find(|cfg| cfg.stage == Stage::Two).unwrap();
    let [mut batch, mut parts, mut ahead, mut net] = [(); 4].map(|()| stage2.clone());
    batch.optim.batch = usize::MAX;
    parts.knobs.micro_batch = usize::MAX;
    ahead.run.prefetch = usize::MAX;
    net.net.gf = usize::MAX;
    for cfg in [batch, parts, ahead, net] {
        let memory = Memory::of(&cfg, &stage2.net, &pretrained, Undo::Copied);
        assert!(memory.peak() > 1 << 62 && memory.on_gpu() > 1 << 62, "{memory:?}");
        let of = Timed { cfg: &cfg, low: &stage2.net, pretrained: &pretrained, device: &device };
        assert!(matches!(seconds_a_step(&of), Err(Error::Config { .. })));
    }
    let low = NetConfig { gf: usize::MAX, ..stage2.net };
    let of = |cfg: &TrainConfig| Memory::of(cfg, &low, &pretrained, Undo::Held).peak();
    assert!(of(&stage2) > 1 << 62);
    let stage1 = configs().remove(0);
    let own = Memory::of(&stage1, &stage1.net, &pretrained, Undo::Held).peak();
    assert_eq!(of(&stage1), own, "nothing is under Stage-I");
}

/// Steps with R1 are queued beside a recorded step, whose memory stays its own.
#[test]
fn a_gpu_keeps_a_second_batch_where_some_steps_are_recorded_and_some_are_not() {
    let mut cfg = configs().remove(0);
    let mut of = |gamma, every, spectral| {
        (cfg.loss.r1, cfg.knobs.spectral_norm) = (R1 { gamma, every }, spectral);
        Memory::of(&cfg, &cfg.net, &Pretrained::default(), Undo::Copied)
    };
    let (without, some) = (of(0.0, 5, false), of(0.5, 5, false));
    assert_eq!(some.on_gpu(), some.variables + some.pictures + without.pictures);
    for one_kind in [without, of(0.5, 1, false), of(0.5, 5, true)] {
        assert_eq!(one_kind.on_gpu(), one_kind.variables + one_kind.pictures);
    }
}

/// In parts a batch keeps what a part keeps; its pictures are there whole, and gradients are summed.
#[test]
fn memory_in_parts_is_that_of_a_part() {
    for mut cfg in configs() {
        let at = |cfg: &TrainConfig| Memory::of(cfg, &cfg.net, &Pretrained::default(), Undo::Held);
        cfg.optim.batch = 64;
        let whole = at(&cfg);
        cfg.knobs.micro_batch = 4;
        cfg.check().unwrap();
        let parts = at(&cfg);
        (cfg.knobs.micro_batch, cfg.optim.batch) = (0, 4);
        let small = at(&cfg);
        let side = cfg.stage.side() as u64;
        let shown = if cfg.net.recipe == Recipe::Residual { 2 } else { 1 };
        let pictures = 4 * (64 - 4) * shown * 3 * side * side;
        assert!(parts.pictures <= small.pictures + pictures, "{:?}", cfg.stage);
        // The plain recipe keeps no fake for the generator's step.
        assert!(10 * (parts.pictures - pictures) > 6 * small.pictures, "{:?}", cfg.stage);
        let low = fresh_stage1(&cfg.net, &Device::Cpu).unwrap();
        let players = fresh(&cfg, &low);
        let gradients = players.g().params.count() as u64;
        assert_eq!(parts.variables, whole.variables + 4 * gradients);
        assert_eq!((parts.loading, parts.saving), (whole.loading, whole.saving));
    }
}

/// Its weights, and what it keeps of each picture where G's step is the larger one.
#[test]
fn the_matching_loss_is_counted() {
    let config = TextTrainConfig::small();
    let matcher = Matcher::fresh(&config, &Device::Cpu).unwrap();
    let side = image_side(&matcher);
    let numbers: usize = matcher.tensors().unwrap().values().map(Tensor::elem_count).sum();
    assert_eq!(side.weights + side.statistics, numbers as u64);
    // Twice each map, and both sides of the last layer and its norm.
    let maps = 24 * 32 * 32 + 48 * 16 * 16 + 96 * 8 * 8 + 128 * 4 * 4;
    assert_eq!(side.kept, 2 * maps + 2 * 128);
    let mut cfg = configs().remove(0);
    (cfg.net.gf, cfg.optim.batch) = (64, 4);
    cfg.loss.matching = 1.0;
    let of = |matcher| {
        let pretrained = Pretrained { matcher, projection: None };
        Memory::of(&cfg, &cfg.net, &pretrained, Undo::Held)
    };
    let (without, with) = (of(None), of(Some(matcher)));
    assert_eq!(with.pictures - without.pictures, 4 * 4 * side.kept);
    assert_eq!(with.variables - without.variables, 4 * numbers as u64);
}

/// The pictures of the other noise are kept besides.
#[test]
fn mode_seeking_is_counted() {
    let mut cfg = configs().remove(0);
    (cfg.net.gf, cfg.optim.batch) = (64, 4);
    let of = |cfg: &TrainConfig| Memory::of(cfg, &cfg.net, &Pretrained::default(), Undo::Held);
    let kept = |cfg: &TrainConfig| of(cfg).pictures;
    let without = kept(&cfg);
    cfg.loss.mode_seeking = 1.0;
    assert_eq!(kept(&cfg) - without, 4 * 4 * stage1_generator(&cfg.net).kept);
}

/// D's maps of the pictures on both sides of the real ones are kept besides.
#[test]
fn the_penalty_is_counted() {
    let mut cfg = configs().remove(0);
    (cfg.net.gf, cfg.net.df, cfg.optim.batch) = (4, 64, 4); // D's step is the larger one
    let mut kept = |gamma| {
        cfg.loss.r1.gamma = gamma;
        Memory::of(&cfg, &cfg.net, &Pretrained::default(), Undo::Held).pictures
    };
    assert_eq!(kept(1.0) - kept(0.0), 4 * 4 * 2 * discriminator(&cfg.net, Stage::One).kept);
}

/// The heads' variables are counted as they are built.
#[test]
fn the_second_discriminator_is_counted() {
    // Pixels of the maps of all layers of the encoders: 16x16, 8x8, 4x4; 8x8, 4x4; 4x4; 4x4, and in Stage-II from 32x32 to 8x8.
    for (stage, pixels, last) in [(Stage::One, 448, 16), (Stage::Two, 1792, 64)] {
        let net = NetConfig { text_dim: 24, ..NetConfig::default() };
        let params = Params::fresh(Noise::new(0), "d", &Device::Cpu);
        for (i, side) in Projection::sides(stage).into_iter().enumerate() {
            Head::new((stage, side), net.text_dim, &params.trained().pp(i)).unwrap();
        }
        let counted = heads(&net, stage);
        let all: usize = params.all().iter().map(|(_, var)| var.elem_count()).sum();
        assert_eq!(counted.weights, params.count() as u64);
        assert_eq!(counted.weights + counted.statistics, all as u64);
        // Two maps of each layer, and of the texts.
        assert_eq!(counted.kept, 2 * 64 * pixels + 4 * 2 * (64 + 128 * last + 64 * last));
    }
}

/// A busy machine may hold up one step, but not the same one again and again.
#[test]
fn a_step_takes_longer_with_more_pictures() {
    let mut cfg = configs().remove(1);
    let mut seconds = |batch| {
        cfg.optim.batch = batch;
        let of = Timed {
            cfg: &cfg,
            low: &cfg.net,
            pretrained: &Pretrained::default(),
            device: &Device::Cpu,
        };
        seconds_a_step(&of).unwrap()
    };
    let times: Vec<_> = (0..5).map(|_| [2, 64].map(&mut seconds)).collect();
    let longer = |[small, large]: &[f64; 2]| *small > 0.0 && *large > 2.0 * small;
    assert!(times.iter().filter(|times| longer(times)).count() >= 2, "{times:?}");
}

/// Of both recipes and stages, in parts, and with Stage-I tuned under Stage-II.
#[test]
fn every_kind_of_run_has_a_pace() {
    for mut cfg in configs() {
        (cfg.optim.batch, cfg.knobs.micro_batch, cfg.optim.ema) = (4, 2, 0.9);
        if cfg.stage == Stage::Two && cfg.net.recipe == Recipe::Residual {
            (cfg.knobs.finetune_stage1, cfg.optim.ema) = (0.1, 0.0);
        }
        cfg.check().unwrap();
        let of = Timed {
            cfg: &cfg,
            low: &cfg.net,
            pretrained: &Pretrained::default(),
            device: &Device::Cpu,
        };
        for seconds in [0.0, 10.0] {
            let folder = tempfile::tempdir().unwrap();
            let speed = Speed::measure(&of, seconds).unwrap();
            let (without, pace) = (speed.without_saves(), speed.with_saves(folder.path()).unwrap());
            assert_eq!((without.step, without.grid, without.save), (pace.step, pace.grid, 0.0));
            let plan = Plan { seconds, pace };
            assert!(plan.is_possible() && pace.grid > 0.0 && pace.save > 0.0, "{pace:?}");
            assert_eq!(folder.path().read_dir().unwrap().count(), 2, "checkpoint and model");
            let speed = speed.with_rows(8);
            let taller = speed.without_saves();
            assert_eq!((taller.step, taller.grid), (pace.step, 2.0 * pace.grid), "twice the rows");
            assert!(speed.with_rows(usize::MAX).without_saves().grid.is_finite());
        }
    }
}
