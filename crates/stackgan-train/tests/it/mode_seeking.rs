//! The mode-seeking loss: what it does to pictures of the same texts, and runs with it.

use candle_core::{Device, Tensor};
use stackgan_core::generator_noise::GeneratorNoise;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{Mode, Recipe, Stage, generators};
use stackgan_train::Pretrained;
use stackgan_train::config::TrainConfig;
use stackgan_train::players::Players;
use stackgan_train::policy::Policy;
use stackgan_train::start::Start;
use stackgan_train::step::{Batch, Inputs, StepConfig, StepNoise};

use crate::matching::pictures;
use crate::run::{Folder, config, ends_in_the_same_bytes};

pub(crate) fn settings(recipe: Recipe) -> TrainConfig {
    let mut cfg = config(Stage::One, recipe);
    cfg.loss.mode_seeking = 0.5;
    (cfg.optim.steps, cfg.run.checkpoint_every) = (6, 3);
    cfg
}

fn inputs(cfg: &TrainConfig, step: u64) -> Inputs {
    let text = Noise::new(8).normal(Stream::Test, 1, 0, 4 * 12);
    let text = Tensor::from_vec(text, (4, 12), &Device::Cpu).unwrap();
    let wrong = (cfg.net.recipe == Recipe::Residual).then(|| pictures(64).neg().unwrap());
    let batch = Batch { real: pictures(64), wrong, text, other_text: None };
    Inputs { batch, noise: StepNoise::draw(cfg, step, 4, &Device::Cpu).unwrap() }
}

fn players(cfg: &TrainConfig) -> Players {
    let start = Start::default();
    Players::new(cfg, None, &start, Pretrained::default(), &Device::Cpu).unwrap()
}

/// The mean absolute difference of two batches that differ in `z` alone.
fn apart(
    cfg: &TrainConfig,
    players: &Players,
    inputs: &Inputs,
    noises: [&GeneratorNoise; 2],
) -> f64 {
    let [a, b] = noises;
    let other = GeneratorNoise { z: b.z.clone(), ..a.clone() };
    let g = generators::stage1(&cfg.net, &players.g().params.frozen()).unwrap();
    let paint = |noise| g.paint(&inputs.batch.text, noise, Mode::Train).unwrap().image;
    let difference = (paint(a) - paint(&other)).unwrap().abs().unwrap().mean_all().unwrap();
    f64::from(difference.to_scalar::<f32>().unwrap())
}

/// The term is the reciprocal of how far apart the pictures are, per difference of `z`, and a part of
/// G's loss with its weight. G is the same when it paints again, because it hardly learns.
#[test]
fn the_term_is_of_the_picture_and_of_another_for_the_same_text() {
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut cfg = settings(recipe);
        cfg.optim.lr_g = 1e-9;
        let mut players = players(&cfg);
        let inputs = inputs(&cfg, 0);
        let stats = players.step(&inputs, &StepConfig::of(&cfg, 0, 1.0)).unwrap();
        let StepNoise { d, g, .. } = &inputs.noise;
        let noises = if recipe == Recipe::Residual { [g, d] } else { [d, g] };
        let z = (&d.z - &g.z).unwrap().abs().unwrap().mean_all().unwrap();
        let expected =
            f64::from(z.to_scalar::<f32>().unwrap()) / apart(&cfg, &players, &inputs, noises);
        let term = |name: &str| stats.get(name).unwrap();
        let found = term("mode_seeking");
        assert!((found - expected).abs() < 1e-3 * expected, "{recipe:?}: {found} {expected}");
        let sum = term("g_adv") + cfg.kl() * term("kl") + 0.5 * found;
        assert!((term("g_loss") - sum).abs() < 1e-4 * sum);
    }
}

/// With it, the noise decides more of the pictures.
#[test]
fn pictures_of_a_text_come_to_differ() {
    let ends = |recipe: Recipe, weight: f64| {
        let mut cfg = settings(recipe);
        (cfg.optim.lr_g, cfg.loss.mode_seeking) = (2e-3, weight);
        let mut players = players(&cfg);
        for step in 0..40 {
            players.step(&inputs(&cfg, step), &StepConfig::of(&cfg, step, 1.0)).unwrap();
        }
        let inputs = inputs(&cfg, 99);
        apart(&cfg, &players, &inputs, [&inputs.noise.d, &inputs.noise.g])
    };
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let (with, without) = (ends(recipe, 1.0), ends(recipe, 0.0));
        assert!(with > 1.5 * without, "{recipe:?}: {with} {without}");
    }
}

#[test]
fn runs_with_it_end_in_the_same_bytes() {
    let folder = Folder::new(Stage::One);
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut cfg = settings(recipe);
        cfg.knobs.micro_batch = if recipe == Recipe::Plain { 2 } else { 0 };
        let go = |run: &str, upto, policy: Policy| {
            folder.run(run, folder.setup(&cfg), upto, &policy).0.unwrap();
        };
        let stats = ends_in_the_same_bytes(&folder, &format!("{recipe:?}"), go);
        assert!(stats[0].contains("\"mode_seeking\":"));
    }
}

#[test]
fn without_a_noise_to_compare_it_is_refused() {
    let mut cfg = settings(Recipe::Residual);
    cfg.noise.train_z = 0.0;
    let error = cfg.check().unwrap_err().to_string();
    assert!(error.contains("noise.train_z") && error.contains("loss.mode_seeking"), "{error}");
    let mut cfg = config(Stage::Two, Recipe::Residual);
    cfg.loss.mode_seeking = 0.5;
    let error = cfg.check().unwrap_err().to_string();
    assert!(error.contains("loss.mode_seeking") && error.contains("0 in Stage-II"), "{error}");
}
