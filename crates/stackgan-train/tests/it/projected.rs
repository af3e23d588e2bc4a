//! The second discriminator, on a pretrained network's maps: its gradient, what it changes, what it
//! is shown, and runs with it.

use candle_core::{Device, Tensor, Var};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{Params, Recipe, Stage};
use stackgan_train::Pretrained;
use stackgan_train::adam::Adam;
use stackgan_train::config::{LossConfig, TrainConfig};
use stackgan_train::players::Players;
use stackgan_train::policy::Policy;
use stackgan_train::projected::{Pictures, Projected, Projection, Wrong};
use stackgan_train::replay::replay;
use stackgan_train::run::Setup;
use stackgan_train::start::Start;
use stackgan_train::step::{Batch, Inputs, StepConfig, StepNoise};

use crate::matching::{network, pictures};
use crate::run::{Folder, config, ends_in_the_same_bytes};

pub(crate) fn projection(device: &Device) -> Projection {
    Projection::of(&network(device), device).unwrap()
}

pub(crate) fn pretrained(device: &Device) -> Pretrained {
    Pretrained { matcher: None, projection: Some(projection(device)) }
}

fn text(part: u64) -> Tensor {
    let text = Noise::new(8).normal(Stream::Test, part, 0, 4 * 12);
    Tensor::from_vec(text, (4, 12), &Device::Cpu).unwrap()
}

fn batch(side: usize) -> Batch {
    let (real, wrong) = (pictures(side), Some(pictures(side).neg().unwrap()));
    Batch { real, wrong, text: text(1), other_text: None }
}

/// Heads for a stage's pictures.
fn heads(stage: Stage) -> (Params, Projected) {
    let d = Params::fresh(Noise::new(3), "d", &Device::Cpu);
    let heads = Projected::new(projection(&Device::Cpu), (stage, 12), &d).unwrap();
    (d, heads)
}

fn number(scalar: &Tensor) -> f64 {
    f64::from(scalar.to_scalar::<f32>().unwrap())
}

pub(crate) fn settings(stage: Stage, recipe: Recipe) -> TrainConfig {
    let mut cfg = config(stage, recipe);
    cfg.loss.projected = 0.5;
    (cfg.optim.steps, cfg.run.checkpoint_every) = (6, 3);
    cfg
}

/// Along the gradient, so that rounding is small compared with the difference. The network is not
/// smooth at the bounds of its layers.
#[test]
fn its_gradient_in_the_pictures_equals_differences() {
    for stage in [Stage::One, Stage::Two] {
        let (_, heads) = heads(stage);
        let (start, text, h) = (pictures(stage.side()), text(1), 5e-4);
        let var = Var::from_tensor(&start).unwrap();
        let grads = stackgan_kernels::backward(&heads.of_g(&var, &text).unwrap()).unwrap();
        let gradient = grads.get(&var).unwrap();
        let length = number(&gradient.sqr().unwrap().sum_all().unwrap()).sqrt();
        assert!(length > 0.0);
        let other = if stage == Stage::One { 256 } else { 64 };
        let error = heads.of_g(&pictures(other), &text).unwrap_err().to_string();
        assert!(error.contains("pictures of the other stage"), "{error}");
        let at = |by: f64| {
            let moved = (&start + (gradient * (by / length)).unwrap()).unwrap();
            number(&heads.of_g(&moved, &text).unwrap())
        };
        let difference = (at(h) - at(-h)) / (2.0 * h);
        assert!((difference - length).abs() < 0.03 * length, "{stage}: {difference} {length}");
    }
}

/// Heads that have learnt one batch tell its groups apart, by the picture and by the text. Each wrong
/// pair is one that only its own part of the loss shows.
#[test]
fn heads_learn_pictures_and_texts() {
    for (stage, texts) in [(Stage::One, false), (Stage::One, true), (Stage::Two, false)] {
        let side = stage.side();
        let fake = Noise::new(9).normal(Stream::Test, 0, 0, 4 * 3 * side * side);
        let fake = Tensor::from_vec(fake, (4, 3, side, side), &Device::Cpu).unwrap();
        let batch = batch(side);
        let wrong = batch.wrong.as_ref().unwrap();
        let by = if texts { Wrong::Texts } else { Wrong::Pictures(wrong) };
        let (d, heads) = heads(stage);
        let mut adam = Adam::new(&d, settings(Stage::One, Recipe::Residual).betas()).unwrap();
        let shown = Pictures { real: &batch.real, wrong: by, fake: &fake };
        let before = number(&heads.of_d(shown, &batch, 1.0).unwrap());
        for _ in 0..60 {
            let loss = heads.of_d(shown, &batch, 1.0).unwrap();
            let grads = stackgan_kernels::backward(&loss).unwrap();
            for (name, var) in d.trainable() {
                assert!(grads.get(&var).is_some(), "{name} has no gradient");
            }
            adam.step(&grads, 2e-3).unwrap();
        }
        let after = number(&heads.of_d(shown, &batch, 1.0).unwrap());
        assert!(after < 0.4 * before, "{by:?}: {before} {after}");
        // The wrong pairs, shown as the right ones.
        let alone = Pictures { wrong: Wrong::None, ..shown };
        let swapped = match by {
            Wrong::Pictures(wrong) => Pictures { real: wrong, ..alone },
            _ => alone,
        };
        let text = match by {
            Wrong::Texts => batch
                .text
                .index_select(&Tensor::new(&[1u32, 2, 3, 0], &Device::Cpu).unwrap(), 0)
                .unwrap(),
            _ => batch.text.clone(),
        };
        let as_right = Batch { text, ..batch.clone() };
        let as_right = number(&heads.of_d(swapped, &as_right, 1.0).unwrap());
        assert!(as_right > 3.0 * after, "{by:?}: {after} {as_right}");
    }
}

/// Repeats one batch with a tiny rate for D, so that the heads stay and G goes down their loss.
#[test]
fn the_generator_goes_down_it() {
    let ends = |weight: f64| {
        let mut cfg = settings(Stage::One, Recipe::Residual);
        (cfg.optim.lr_g, cfg.optim.lr_d, cfg.loss.projected) = (4e-3, 1e-9, weight);
        let (start, given) = (Start::default(), pretrained(&Device::Cpu));
        let mut players = Players::new(&cfg, None, &start, given, &Device::Cpu).unwrap();
        let step = |step: u64| {
            let noise = StepNoise::draw(&cfg, step, 4, &Device::Cpu).unwrap();
            let inputs = Inputs { batch: batch(64), noise };
            let stats = players.step(&inputs, &StepConfig::of(&cfg, step, 1.0)).unwrap();
            stats.get("projected_g").unwrap()
        };
        let losses: Vec<f64> = (0..60).map(step).collect();
        losses[50..].iter().sum::<f64>() / 10.0
    };
    let (much, little) = (ends(30.0), ends(1e-9));
    assert!(much < little, "{much} {little}");
}

/// The heads are D's and learn with it, the network learns nothing, and D itself learns what it does
/// without them.
#[test]
fn a_step_moves_the_heads_and_changes_nothing_else_of_d() {
    for (stage, recipe) in [(Stage::One, Recipe::Residual), (Stage::One, Recipe::Plain)] {
        let cfg = settings(stage, recipe);
        let stepped = |given: Pretrained, moved: &mut dyn FnMut(&str)| {
            let start = Start::default();
            let mut players = Players::new(&cfg, None, &start, given, &Device::Cpu).unwrap();
            let before = players.d().params.snapshot().unwrap();
            let noise = StepNoise::draw(&cfg, 0, 4, &Device::Cpu).unwrap();
            let mut batch = batch(64);
            if recipe == Recipe::Plain {
                batch.wrong = None;
            }
            let inputs = Inputs { batch, noise };
            let stats = players.step(&inputs, &StepConfig::of(&cfg, 0, 1.0)).unwrap();
            let after = players.d().params.snapshot().unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for (name, old) in &before {
                if flat(old) != flat(&after[name]) {
                    moved(name);
                }
            }
            let own = after.into_iter().filter(|(name, _)| !name.starts_with("projected."));
            let own: Vec<_> = own.map(|(name, tensor)| (name, flat(&tensor))).collect();
            (own, stats)
        };
        let mut heads = [0; 4];
        let (with, stats) = stepped(pretrained(&Device::Cpu), &mut |name: &str| {
            let of = name.strip_prefix("projected.").and_then(|name| name.split_once('.'));
            if let Some((i, _)) = of {
                heads[i.parse::<usize>().unwrap()] += 1;
            }
        });
        assert!(heads.iter().all(|&moved| moved > 5), "{heads:?}");
        let (without, _) = stepped(Pretrained::default(), &mut |_| {});
        assert!(with == without, "{recipe:?}");
        // The terms are parts of the losses, with their weight.
        let term = |name: &str| stats.get(name).unwrap();
        let sum = term("g_adv") + cfg.kl() * term("kl") + 0.5 * term("projected_g");
        assert!((term("g_loss") - sum).abs() < 1e-4 * sum);
        assert!(term("projected_d") > 0.0);
    }
}

#[test]
fn runs_with_it_end_in_the_same_bytes() {
    let folder = Folder::new(Stage::One);
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut cfg = settings(Stage::One, recipe);
        cfg.knobs.micro_batch = if recipe == Recipe::Plain { 2 } else { 0 };
        let go = |run: &str, upto, policy: Policy| {
            let setup = Setup { pretrained: pretrained(&Device::Cpu), ..folder.setup(&cfg) };
            folder.run(run, setup, upto, &policy).0.unwrap();
        };
        ends_in_the_same_bytes(&folder, &format!("{recipe:?}"), go);
    }
}

#[test]
fn without_a_network_or_with_another_one_it_is_refused() {
    let folder = Folder::new(Stage::One);
    let cfg = settings(Stage::One, Recipe::Residual);
    let go = |given| {
        let setup = Setup { pretrained: given, ..folder.setup(&cfg) };
        folder.run("run", setup, 1, &Policy::default()).0.map(drop)
    };
    let error = go(Pretrained::default()).unwrap_err().to_string();
    for part in ["loss.projected", "found none", "--features FILE"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    go(pretrained(&Device::Cpu)).unwrap();
    go(pretrained(&Device::Cpu)).unwrap();
    let other = stackgan_train::text::PictureNetwork::new(
        ("another", 96),
        crate::lite0::lite0(),
        &Device::Cpu,
    )
    .unwrap();
    let other = Some(Projection::of(&other, &Device::Cpu).unwrap());
    let error = go(Pretrained { matcher: None, projection: other }).unwrap_err().to_string();
    for part in ["`features`", "lite0 by formula, as when", "found another", "--features FILE"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let more = TrainConfig { loss: LossConfig { projected: 2.0, ..cfg.loss }, ..cfg.clone() };
    let setup = Setup { pretrained: pretrained(&Device::Cpu), ..folder.setup(&more) };
    let error = folder.run("run", setup, 1, &Policy::default()).0.map(drop).unwrap_err();
    assert!(error.to_string().contains("--allow-change loss.projected"), "{error}");
    // Its variables are in the checkpoint.
    let allow_change = vec!["loss.projected".to_owned()];
    let policy = Policy { allow_change, ..Policy::default() };
    let less = TrainConfig { loss: LossConfig { projected: 0.0, ..cfg.loss }, ..cfg.clone() };
    let error = folder.run("run", folder.setup(&less), 1, &policy).0.map(drop).unwrap_err();
    assert!(error.to_string().contains("a run that has begun keeps it"), "{error}");
}

/// The step that becomes non-finite is repeated from its file alone, with the network.
#[test]
fn a_bad_step_is_taken_again_alone() {
    let folder = Folder::new(Stage::One);
    let mut cfg = settings(Stage::One, Recipe::Residual);
    // With this weight and these rates, values become non-finite within 400 steps.
    (cfg.optim.steps, cfg.loss.projected) = (400, 1e4);
    (cfg.optim.lr_g, cfg.optim.lr_d) = (1.0, 1.0);
    let setup = Setup { pretrained: pretrained(&Device::Cpu), ..folder.setup(&cfg) };
    let error = folder.run("run", setup, 400, &Policy::default()).0.map(drop).unwrap_err();
    let stackgan_train::Error::NonFinite { step, term, .. } = error else { panic!("{error}") };
    let name = format!("nonfinite-step-{step:07}.safetensors");
    match replay(&folder.bytes("run", &name), name.as_ref(), &Device::Cpu).unwrap().result {
        Err(stackgan_train::Error::NonFinite { step: again, term: found, .. }) => {
            assert_eq!((again, found), (step, term));
        }
        other => panic!("{other:?}"),
    }
}
