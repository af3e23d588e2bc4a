//! The knobs: each has its documented effect and no other one, and a run with all of them resumes
//! to the same bytes.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{Model, Params, Recipe, Stage, generators, residual};
use stackgan_data::plan::WrongPairs;
use stackgan_train::Error;
use stackgan_train::Pretrained;
use stackgan_train::config::{TrainConfig, Wrong};
use stackgan_train::knobs::{Conditioning, Knobs};
use stackgan_train::players::Players;
use stackgan_train::policy::Policy;
use stackgan_train::replay::replay;
use stackgan_train::run::Setup;
use stackgan_train::start::Start;
use stackgan_train::step::{
    Batch, Checks, Inputs, StepConfig, StepNoise, StepStats, next_of_other_class,
};
use stackgan_train::store::Store;

use crate::run::{Folder, config, on_threads};

type Tensors = BTreeMap<String, Tensor>;

const RECIPES: [Recipe; 2] = [Recipe::Residual, Recipe::Plain];

fn with(recipe: Recipe, change: impl FnOnce(&mut Knobs)) -> TrainConfig {
    let mut cfg = config(Stage::One, recipe);
    cfg.optim.ema = 0.0;
    change(&mut cfg.knobs);
    cfg.check().unwrap();
    cfg
}

/// Returns fresh players and the statistics of their first `steps` steps on random pictures.
fn play(cfg: &TrainConfig, steps: u64) -> (Players, Vec<StepStats>) {
    let (batch, side, device) = (cfg.optim.batch, cfg.stage.side(), Device::Cpu);
    let draw = |sample, n| Noise::new(8).normal(Stream::Test, 0, sample, n);
    let pictures = |sample| {
        let values = draw(sample, batch * 3 * side * side);
        Tensor::from_vec(values, (batch, 3, side, side), &device).unwrap().tanh().unwrap()
    };
    let batch_of = Batch {
        real: pictures(0),
        wrong: (cfg.plan().wrong != WrongPairs::None).then(|| pictures(1)),
        text: Tensor::from_vec(
            draw(2, batch * cfg.net.text_dim),
            (batch, cfg.net.text_dim),
            &device,
        )
        .unwrap(),
        other_text: None,
    };
    let low = Params::fresh(Noise::new(1), "g1", &device); // Stage-II paints on it
    drop(generators::stage1(&cfg.net, &low.trained()).unwrap());
    let low = Some((&low, &cfg.net));
    let mut players =
        Players::new(cfg, low, &Start::default(), Pretrained::default(), &device).unwrap();
    let step = |step: u64| {
        let noise = StepNoise::draw(cfg, step, batch, &device).unwrap();
        let inputs = Inputs { batch: batch_of.clone(), noise };
        players.step(&inputs, &StepConfig::of(cfg, step, 1.0)).unwrap()
    };
    let stats = (0..steps).map(step).collect();
    (players, stats)
}

fn flat(tensors: &Tensors) -> Vec<f32> {
    tensors.values().flat_map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn label_smoothing_is_one_sided() {
    for recipe in RECIPES {
        let released = &play(&with(recipe, |_| ()), 1).1[0];
        let smooth = &play(&with(recipe, |k| k.real_label = 0.9), 1).1[0];
        for term in ["d_wrong", "d_fake", "p_real", "p_wrong", "p_fake"] {
            assert_eq!(released.get(term).unwrap(), smooth.get(term).unwrap(), "{term}");
        }
        assert_ne!(released.get("d_real").unwrap(), smooth.get("d_real").unwrap());
    }
}

/// In Stage-II, D of `plain` also judges pictures without their text. The gradient of that head's bias
/// has the label in it, with the head's half of the loss of real pictures. After one step, Adam's first
/// moment is (1 - beta1) times the gradient.
#[test]
fn label_smoothing_holds_for_pictures_without_their_text() {
    let mut cfg = config(Stage::Two, Recipe::Plain);
    cfg.optim.batch = 2;
    let mut moment = |label| {
        cfg.knobs.real_label = label;
        let state = play(&cfg, 1).0.d().adam.state();
        f64::from(state["m.get_uncond_logits.outlogits.0.bias"].to_vec1::<f32>().unwrap()[0])
    };
    let moved = moment(0.9) - moment(1.0);
    let expected = (1.0 - cfg.optim.beta1) * 0.5 * 0.1;
    assert!((moved - expected).abs() < 1e-5, "{moved} {expected}");
}

/// With the same pictures and players, D's output for real and painted pairs is the same, and both
/// terms have full weight.
#[test]
fn without_wrong_pairs_d_tells_real_from_painted_alone() {
    let released = with(Recipe::Residual, |_| ());
    let mut alone = released.clone();
    alone.data.wrong = Wrong::None;
    alone.check().unwrap();
    let (three, two) = (&play(&released, 1).1[0], &play(&alone, 1).1[0]);
    let term = |stats: &StepStats, name: &str| stats.get(name).unwrap();
    for name in ["d_real", "d_fake", "p_real", "p_fake"] {
        assert_eq!(term(three, name), term(two, name), "{name}");
    }
    let sum = term(two, "d_real") + term(two, "d_fake");
    assert!((term(two, "d_loss") - sum).abs() < 1e-6 * sum);
    assert_ne!(term(three, "d_grad"), term(two, "d_grad"));
    for absent in ["d_wrong", "p_wrong"] {
        assert!(two.get(absent).is_err(), "{absent}");
    }

    let mut plain = with(Recipe::Plain, |_| ());
    plain.data.wrong = Wrong::None;
    let error = plain.check().unwrap_err();
    assert!(matches!(&error, Error::Config { key, .. } if key == "data.wrong"));
    assert!(error.to_string().contains("found \"none\""), "{error}");

    let folder = Folder::new(Stage::One);
    (alone.optim.steps, alone.run.report_every) = (3, 1);
    go(&folder, "whole", &alone, (None, Start::default()), 99).unwrap();
    for upto in [2, 99] {
        go(&folder, "parts", &alone, (None, Start::default()), upto).unwrap();
    }
    let file = "checkpoints/step-0000003.safetensors";
    assert!(folder.bytes("whole", file) == folder.bytes("parts", file));
    assert!(folder.stats("whole").iter().all(|line| !line.contains("wrong")));
}

/// After one step, Adam's first moment is (1 - beta1) times the gradient that it received.
#[test]
fn gradients_are_shortened_to_the_limit_and_no_further() {
    for recipe in RECIPES {
        let released = with(recipe, |_| ());
        let stats = &play(&released, 1).1[0];
        let share = 1.0 - released.optim.beta1;
        for (limit, shorter) in [(1e-3, true), (1e6, false)] {
            let cfg = with(recipe, |k| (k.clip_g, k.clip_d) = (limit, limit));
            let (players, clipped) = play(&cfg, 1);
            for (player, name) in [(players.g(), "g_grad"), (players.d(), "d_grad")] {
                // The reported gradient is the one before clipping. G's comes after a clipped step
                // of D.
                let before = clipped[0].get(name).unwrap();
                let state = player.adam.state();
                let m: Tensors = state.into_iter().filter(|(n, _)| n.starts_with("m.")).collect();
                let given = norm(&flat(&m)) / share;
                let expected = if shorter { limit } else { before };
                assert!((given - expected).abs() < 1e-3 * expected, "{name} {given} {expected}");
            }
            assert_eq!(clipped[0].get("d_grad").unwrap(), stats.get("d_grad").unwrap());
        }
    }
}

#[test]
fn the_generator_moves_in_the_last_of_d_steps() {
    for recipe in RECIPES {
        let cfg = with(recipe, |k| k.d_steps = 3);
        let fresh = flat(&play(&cfg, 0).0.d().params.snapshot().unwrap());
        let weights = |steps| {
            let (players, stats) = play(&cfg, steps);
            let (g, d) = (players.g(), players.d());
            assert_eq!((g.adam.steps(), d.adam.steps()), (steps / 3, steps));
            assert_eq!(stats.last().unwrap().get("g_loss").is_ok(), steps % 3 == 0);
            let g: Vec<f32> = g
                .params
                .trainable()
                .iter()
                .flat_map(|(_, v)| v.flatten_all().unwrap().to_vec1::<f32>().unwrap())
                .collect();
            (g, flat(&d.params.snapshot().unwrap()))
        };
        let (one, two, three) = (weights(1), weights(2), weights(3));
        assert!(one.0 == two.0 && two.0 != three.0);
        assert!(fresh != one.1 && one.1 != two.1);
    }
}

/// The average follows the steps in which G moves, with the decay of their number.
#[test]
fn the_average_follows_the_steps_of_the_generator() {
    let folder = Folder::new(Stage::One);
    let mut cfg = with(Recipe::Residual, |k| k.d_steps = 3);
    (cfg.optim.ema, cfg.optim.steps, cfg.run.checkpoint_every) = (0.9, 6, 1);
    cfg.run.keep_every = 1;
    folder.train("run", &cfg, None, 99).unwrap();
    let part = |step: u64, part: &str| {
        let file = format!("run/checkpoints/step-{step:07}.safetensors");
        let bytes = std::fs::read(folder.folder.path().join(file)).unwrap();
        weights(&Archive::from_bytes(&bytes, &Device::Cpu).unwrap().part(part))
    };
    let mix = |average: &[f32], live: &[f32], decay: f32| -> Vec<f32> {
        average.iter().zip(live).map(|(a, w)| decay * a + (1.0 - decay) * w).collect()
    };
    let first = mix(&part(2, "g."), &part(3, "g."), 0.1); // 1 / 10
    let second = mix(&first, &part(6, "g."), 2.0 / 11.0);
    for (step, expected) in [(2, part(2, "g.")), (3, first.clone()), (5, first), (6, second)] {
        let found = part(step, "ema.");
        let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(found.len() == expected.len() && apart < 1e-6, "step {step}: {apart}");
    }
}

#[test]
fn without_conditioning_augmentation_the_draw_does_not_matter_and_kl_is_left_out() {
    for recipe in RECIPES {
        let terms = |conditioning| {
            let stats = play(&with(recipe, |k| k.conditioning = conditioning), 1).1.remove(0);
            ["g_adv", "kl", "g_loss"].map(|term| stats.get(term).unwrap())
        };
        let [adversarial, kl, loss] = terms(Conditioning::Mean);
        assert!(kl > 0.0 && adversarial == loss, "{adversarial} {kl} {loss}");
        let [adversarial, _, loss] = terms(Conditioning::Augmented);
        assert!(loss > adversarial);
        let drawn = |conditioning| {
            let cfg = with(recipe, |k| k.conditioning = conditioning);
            let StepNoise { d, g, .. } = StepNoise::draw(&cfg, 0, 4, &Device::Cpu).unwrap();
            [d.eps1, d.eps2, g.eps1, g.eps2]
                .map(|eps| norm(&eps.flatten_all().unwrap().to_vec1::<f32>().unwrap()))
        };
        assert_eq!(drawn(Conditioning::Mean), [0.0; 4]);
        assert!(drawn(Conditioning::Augmented).iter().all(|norm| *norm > 0.0));
    }
}

#[test]
fn augmentation_and_spectral_norm_change_what_d_sees() {
    for recipe in RECIPES {
        let loss = |change: fn(&mut Knobs)| {
            let (players, stats) = play(&with(recipe, change), 2);
            let names: Vec<String> =
                players.d().params.all().into_iter().map(|(name, _)| name).collect();
            (stats[1].get("d_loss").unwrap(), stats[1].get("g_adv").unwrap(), names)
        };
        let released = loss(|_| ());
        let augmented = loss(|k| k.diff_augment = "translation".to_owned().try_into().unwrap());
        assert_eq!(augmented.2, released.2);
        let spectral = loss(|k| k.spectral_norm = true);
        let vectors = |names: &[String]| names.iter().filter(|n| n.ends_with("_u")).count();
        assert_eq!(vectors(&released.2), 0);
        assert!(vectors(&spectral.2) >= 6, "{:?}", spectral.2);
        for other in [augmented, spectral] {
            assert!(other.0 != released.0 && other.1 != released.1);
        }
    }
}

#[test]
fn the_next_of_another_class_is_found_in_a_circle() {
    assert_eq!(next_of_other_class(&[1, 1, 2, 2, 1]), [2, 2, 4, 4, 2]);
    assert_eq!(next_of_other_class(&[7, 7, 7]), [1, 2, 0], "none: as released");
    assert_eq!(next_of_other_class(&[7]), [0]);
    assert!(next_of_other_class(&[]).is_empty());
}

/// Trains in the run folder `name`, at most `upto` steps in this call.
fn go(
    folder: &Folder,
    name: &str,
    cfg: &TrainConfig,
    from: (Option<Model>, Start),
    upto: u64,
) -> stackgan_train::Result<()> {
    go_under(folder, name, cfg, from, upto, Policy::default())
}

/// Returns a policy that checks values at the end of a step.
fn later() -> Policy {
    Policy { checks: Some(Checks::Deferred), ..Policy::default() }
}

fn go_under(
    folder: &Folder,
    name: &str,
    cfg: &TrainConfig,
    (stage1, start): (Option<Model>, Start),
    upto: u64,
    policy: Policy,
) -> stackgan_train::Result<()> {
    let setup = Setup { stage1, start, ..folder.setup(cfg) };
    folder.run(name, setup, upto, &policy).0.map(|_| ())
}

/// Compares runs with all knobs of a stage: one uninterrupted with two threads, one with one thread
/// that is stopped after 1, 3 and 4 steps.
#[test]
fn runs_with_knobs_end_in_the_same_bytes() {
    let folder = Folder::new(Stage::One);
    for recipe in RECIPES {
        let mut cfg = with(recipe, |k| {
            *k = Knobs {
                clip_g: 0.5,
                clip_d: 0.5,
                real_label: 0.9,
                spectral_norm: true,
                diff_augment: "colour,translation,cutout".to_owned().try_into().unwrap(),
                d_steps: 2,
                micro_batch: 2,
                ..Knobs::default()
            };
        });
        if recipe == Recipe::Plain {
            cfg.data.wrong = Wrong::NextTextOtherClass;
        }
        (cfg.optim.steps, cfg.optim.ema) = (6, 0.9);
        let start = || (None, Start::default());
        let name = |what: &str| format!("{recipe:?}-{what}");
        on_threads(2, || go(&folder, &name("whole"), &cfg, start(), 99)).unwrap();
        for upto in [1, 2, 1, 99] {
            on_threads(1, || go(&folder, &name("parts"), &cfg, start(), upto)).unwrap();
        }
        go_under(&folder, &name("later"), &cfg, start(), 99, later()).unwrap();
        let file = "checkpoints/step-0000006.safetensors";
        for other in ["parts", "later"] {
            assert!(folder.bytes(&name("whole"), file) == folder.bytes(&name(other), file));
            assert_eq!(folder.stats(&name("whole")), folder.stats(&name(other)));
        }
    }
}

/// Returns an untrained Stage-I model, and the discriminator of its run.
fn stage1(cfg: &TrainConfig) -> (Model, Tensors) {
    let d = Params::fresh(Noise::new(1), "d1", &Device::Cpu);
    drop(residual::Discriminator::stage1(&cfg.net, &d.trained()).unwrap());
    (crate::run::stage1(cfg.net), d.snapshot().unwrap())
}

fn weights(tensors: &Tensors) -> Vec<f32> {
    flat(
        &tensors
            .iter()
            .filter(|(n, _)| !n.contains("running_"))
            .map(|(n, t)| (n.clone(), t.clone()))
            .collect(),
    )
}

#[test]
fn stage1_is_tuned_under_stage2_and_resumes_exactly() {
    let folder = Folder::new(Stage::Two);
    let mut cfg = config(Stage::Two, Recipe::Residual);
    (cfg.optim.steps, cfg.run.checkpoint_every, cfg.knobs.finetune_stage1) = (3, 1, 0.1);
    cfg.optim.ema = 0.0; // Stage-I has no average
    let start = || {
        let (model, d) = stage1(&cfg);
        (Some(model), Start { generator: None, stage1_discriminator: Some(d) })
    };
    go(&folder, "whole", &cfg, start(), 99).unwrap();
    for upto in [1, 99] {
        go(&folder, "parts", &cfg, start(), upto).unwrap();
    }
    go_under(&folder, "later", &cfg, start(), 99, later()).unwrap();
    let file = "checkpoints/step-0000003.safetensors";
    for other in ["parts", "later"] {
        assert!(folder.bytes("whole", file) == folder.bytes(other, file), "{other}");
        assert_eq!(folder.stats("whole"), folder.stats(other));
    }
    assert!(folder.stats("whole")[0].contains("stage1_d_loss"));

    let checkpoints = folder.folder.path().join("whole/checkpoints");
    let (_, archive) = Store::reading(&checkpoints).newest(&Device::Cpu).unwrap().found.unwrap();
    let (model, d) = stage1(&cfg);
    let before = weights(&model.stage1().snapshot().unwrap());
    let after = weights(&archive.part("stage1."));
    // A step of Adam is at most about its rate. There are 3 steps of Stage-I's own and 3 along
    // Stage-II's loss, at a tenth each.
    let largest = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let step = (cfg.optim.lr_g * 0.1) as f32;
    assert!(largest > 1.5 * step && largest < 8.0 * step, "{largest} {step}");
    assert_ne!(weights(&d), weights(&archive.part("tune.d.")));
    let by_stage2 = flat(&archive.part("tune.adam.by_stage2.m."));
    assert!(norm(&by_stage2) > 0.0, "Stage-II's gradient reaches Stage-I");

    let mut faster = cfg.clone();
    faster.knobs.finetune_stage1 = 0.2;
    let error = go(&folder, "parts", &faster, start(), 1).unwrap_err().to_string();
    assert!(error.contains("--allow-change knobs.finetune_stage1"), "{error}");
    let alone = (start().0, Start::default());
    let error = go(&folder, "alone", &cfg, alone, 1).unwrap_err().to_string();
    assert!(error.contains("finetune_stage1") && error.contains("--stage1 RUN"), "{error}");
    let (model, mut divided) = start();
    let u = Tensor::ones(2, DType::F32, &Device::Cpu).unwrap();
    divided.stage1_discriminator.as_mut().unwrap().insert("encode_img.0.weight_u".to_owned(), u);
    let error = go(&folder, "divided", &cfg, (model, divided), 1).unwrap_err().to_string();
    assert!(error.contains("finetune_stage1") && error.contains("spectral_norm"), "{error}");
    cfg.knobs.finetune_stage1 = 0.0;
    go(&folder, "frozen", &cfg, (Some(stage1(&cfg).0), Start::default()), 1).unwrap();
    let checkpoints = folder.folder.path().join("frozen/checkpoints");
    let (_, archive) = Store::reading(&checkpoints).newest(&Device::Cpu).unwrap().found.unwrap();
    assert_eq!(before, weights(&archive.part("stage1.")));
}

/// The captions of one picture are 1e30. The bundle contains the state before the step, which is
/// that of the last checkpoint.
#[test]
fn a_bad_step_leaves_the_tuned_stage1_as_it_was_and_is_taken_again_alone() {
    let folder = Folder::with_embeddings(Stage::Two, &|row| if row / 10 == 2 { 1e30 } else { 1.0 });
    let mut cfg = config(Stage::Two, Recipe::Residual);
    (cfg.optim.steps, cfg.run.checkpoint_every, cfg.knobs.finetune_stage1) = (40, 1, 0.1);
    cfg.optim.ema = 0.0;
    cfg.knobs.micro_batch = 2;
    let (model, d) = stage1(&cfg);
    let start = Start { generator: None, stage1_discriminator: Some(d) };
    let error = go(&folder, "run", &cfg, (Some(model), start), 99).unwrap_err();
    let Error::NonFinite { step, term, .. } = error else { panic!("{error}") };
    let name = format!("nonfinite-step-{step:07}.safetensors");
    let bundle = folder.bytes("run", &name);
    let (model, d) = stage1(&cfg);
    let start = Start { generator: None, stage1_discriminator: Some(d) };
    go_under(&folder, "later", &cfg, (Some(model), start), 99, later()).unwrap_err();
    assert!(bundle == folder.bytes("later", &name), "found at the end: another bundle");
    let held = Archive::from_bytes(&bundle, &Device::Cpu).unwrap();
    let checkpoints = folder.folder.path().join("run/checkpoints");
    let (_, saved) = Store::reading(&checkpoints).newest(&Device::Cpu).unwrap().found.unwrap();
    for part in ["g.", "d.", "stage1.", "tune.d.", "tune.adam."] {
        let bytes = |of: &Archive| {
            let tensors = of.part(part);
            assert!(!tensors.is_empty());
            Archive { tensors, ..Default::default() }.to_bytes().unwrap()
        };
        assert!(bytes(&held) == bytes(&saved), "{part}");
    }
    match replay(&bundle, name.as_ref(), &Device::Cpu).unwrap().result {
        Err(Error::NonFinite { step: again, term: found, .. }) => {
            assert_eq!((again, found), (step, term));
        }
        other => panic!("{other:?}"),
    }
}

/// The tuned discriminator has such large weights that a variance overflows. Batch norm still gives
/// finite logits, and the losses of the step are finite. Only the running variance is not.
#[test]
fn a_bad_number_in_the_tuned_networks_is_caught_in_its_step() {
    let folder = Folder::new(Stage::Two);
    let mut cfg = config(Stage::Two, Recipe::Residual);
    (cfg.optim.steps, cfg.run.checkpoint_every, cfg.knobs.finetune_stage1) = (3, 3, 0.1);
    cfg.optim.ema = 0.0;
    let start = || {
        let (model, mut d) = stage1(&cfg);
        let conv =
            |(name, t): &(&String, &mut Tensor)| name.contains("encode_img") && t.rank() == 4;
        let weight = d.iter_mut().filter(conv).nth(1).unwrap().1;
        *weight = (&*weight * 1e22).unwrap();
        (Some(model), Start { generator: None, stage1_discriminator: Some(d) })
    };
    for (name, policy) in [("run", Policy::default()), ("later", later())] {
        let error = go_under(&folder, name, &cfg, start(), 99, policy).unwrap_err();
        let Error::NonFinite { step, term, .. } = error else { panic!("{error}") };
        assert!(
            step == 0 && term.starts_with("tune.d.") && term.ends_with("running_var"),
            "{term}"
        );
        assert!(!folder.bytes(name, "nonfinite-step-0000000.safetensors").is_empty());
    }
}

#[test]
fn a_warm_start_begins_at_the_models_weights() {
    let folder = Folder::new(Stage::One);
    let mut cfg = with(Recipe::Residual, |_| ());
    (cfg.optim.steps, cfg.optim.lr_g) = (1, 1e-9);
    let start = |cfg: &TrainConfig| {
        (None, Start { generator: Some(stage1(cfg).0), stage1_discriminator: None })
    };
    go(&folder, "warm", &cfg, start(&cfg), 99).unwrap();
    go(&folder, "fresh", &cfg, (None, Start::default()), 99).unwrap();
    let of = |name: &str| {
        let model = Model::from_bytes(&folder.bytes(name, "model.safetensors"), &Device::Cpu);
        weights(&model.unwrap().stage1().snapshot().unwrap())
    };
    let given = weights(&stage1(&cfg).0.stage1().snapshot().unwrap());
    let far = |a: &[f32], b: &[f32]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-6);
    assert!(!far(&of("warm"), &given) && far(&of("fresh"), &given));
    let mut wider = cfg.clone();
    wider.net.gf = 8;
    let error = go(&folder, "wider", &cfg, start(&wider), 1).unwrap_err().to_string();
    assert!(error.contains("--init-from") && error.contains("gf 8"), "{error}");
}
