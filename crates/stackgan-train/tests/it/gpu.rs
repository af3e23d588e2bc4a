//! Training on a GPU. Skipped without a GPU or without the feature `cuda`.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::text::{CharCnnRnnConfig, CharCnnRnnEncoder, TextEncoder as _};
use stackgan_core::{Generator, Model, NetConfig, Params, Recipe, Stage, plain, residual};
use stackgan_kernels::{Precision, gpu as kernels};
use stackgan_train::Error;
use stackgan_train::Pretrained;
use stackgan_train::config::TrainConfig;
use stackgan_train::guard::Guard;
use stackgan_train::knobs::Conditioning;
use stackgan_train::matching::Matcher;
use stackgan_train::players::Players;
use stackgan_train::policy::{OnNonFinite, Policy};
use stackgan_train::projected::Projected;
use stackgan_train::replay::replay;
use stackgan_train::run::Setup;
use stackgan_train::start::Start;
use stackgan_train::step::Checks;
use stackgan_train::text::{ImageSide, Loss, TrainedEncoder};

use crate::numbers::{INPUTS, inputs, long, poisoned, term_of_planted};
use crate::run::{Folder, config};
use crate::{matching, mode_seeking, projected};

type Values = BTreeMap<String, Tensor>;

/// The statistics of each step.
type Told = Vec<Vec<(&'static str, f64)>>;

/// Returns the GPU, if there is one. With `STACKGAN_TEST_DEVICE=cuda` there must be.
fn gpu() -> Option<Device> {
    kernels::set_precision(Precision::F32);
    match kernels::open(0) {
        Ok(device) => Some(device),
        Err(error) => {
            let wanted = std::env::var_os("STACKGAN_TEST_DEVICE").is_some_and(|v| v == "cuda");
            assert!(!wanted, "no GPU answers: {error}");
            eprintln!("skipped: no GPU, or built without the feature `cuda`");
            None
        }
    }
}

/// Captions are encoded by all threads of the host. What one queues, another uses: without one
/// order of all of it, vectors are wrong, and no error tells.
#[test]
fn what_several_threads_queue_is_in_order() {
    let Some(gpu) = gpu() else { return };
    let sizes = CharCnnRnnConfig { dim: 64, ..CharCnnRnnConfig::default() };
    let of = |device: &Device| {
        let params = Params::fresh(Noise::new(4), "text", device);
        CharCnnRnnEncoder::new(sizes, params, None).unwrap()
    };
    let captions: Vec<String> =
        (0..100).map(|i| format!("a bird {}", "of a red kind ".repeat(i % 13))).collect();
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    let here = of(&Device::Cpu).encode(&captions).unwrap();
    let there = of(&gpu);
    let values = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let first = values(&there.encode(&captions).unwrap());
    let far = values(&here).iter().zip(&first).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-4, "{far}");
    for _ in 0..8 {
        assert_eq!(values(&there.encode(&captions).unwrap()), first);
    }
}

/// Returns the statistics of two steps, and G and D after the first one. If `after` is given, the
/// second step begins with these: Adam amplifies the sign of a vanishing gradient, so that the
/// second steps of two devices would begin at different weights.
fn steps(cfg: &TrainConfig, device: &Device, after: Option<&[Values; 2]>) -> (Told, [Values; 2]) {
    let low = (cfg.stage == Stage::Two).then(|| stage1(&cfg.net, device));
    let mut players = Players::new(
        cfg,
        low.as_ref().map(|low| (low, &cfg.net)),
        &Start::default(),
        Pretrained::default(),
        device,
    )
    .unwrap();
    let mut guard = Guard::over(&players, low.as_ref()).unwrap();
    let (inputs, mut settings) = inputs(cfg, device);
    let mut told = Vec::new();
    let mut left = None;
    for step in 0..2 {
        settings.step = step;
        let stats = guard.step(&mut players, &inputs, &settings, || {}).unwrap();
        told.push(stats.read().unwrap());
        let networks = [players.g().params.shared(), players.d().params.shared()];
        if let Some(after) = after.filter(|_| step == 0) {
            networks.iter().zip(after).for_each(|(network, values)| network.set(values).unwrap());
        }
        left.get_or_insert_with(|| networks.map(|network| network.snapshot().unwrap()));
    }
    (told, left.unwrap())
}

fn stage1(net: &NetConfig, device: &Device) -> Params {
    let params = Params::fresh(Noise::new(1), "g1", device);
    let built: Box<dyn Generator> = match net.recipe {
        Recipe::Residual => {
            Box::new(residual::Stage1Generator::new(net, &params.trained()).unwrap())
        }
        Recipe::Plain => Box::new(plain::Stage1Generator::new(net, &params.trained()).unwrap()),
    };
    drop(built);
    params
}

/// Compares both recipes and stages; sums have another order.
#[test]
fn a_step_has_the_numbers_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for recipe in [Recipe::Residual, Recipe::Plain] {
        for stage in [Stage::One, Stage::Two] {
            let mut cfg = config(stage, recipe);
            (cfg.loss.r1.gamma, cfg.optim.lr_g, cfg.optim.lr_d) = (0.0, 2e-4, 2e-4);
            assert_same_numbers(&format!("{recipe:?} {stage:?}"), &cfg, &gpu);
        }
    }
}

fn assert_same_numbers(what: &str, cfg: &TrainConfig, gpu: &Device) {
    let (here, after) = steps(cfg, &Device::Cpu, None);
    let (there, _) = steps(cfg, gpu, Some(&after));
    for (step, (here, there)) in here.iter().zip(&there).enumerate() {
        assert_eq!(here.len(), there.len(), "{what}");
        for ((name, a), (_, b)) in here.iter().zip(there) {
            let far = (a - b).abs() > 0.02 * a.abs().max(0.1);
            assert!(!far, "{what}, step {step}, {name}: {a}, on the GPU {b}");
        }
    }
}

/// Tests each knob alone.
#[test]
fn every_knob_has_the_numbers_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    type Set = fn(&mut TrainConfig);
    let knobs: [(&str, Set); 9] = [
        ("r1", |cfg| (cfg.loss.r1.gamma, cfg.loss.r1.every) = (0.5, 1)),
        ("clip_g", |cfg| cfg.knobs.clip_g = 0.1),
        ("clip_d", |cfg| cfg.knobs.clip_d = 0.1),
        ("real_label", |cfg| cfg.knobs.real_label = 0.9),
        ("spectral_norm", |cfg| cfg.knobs.spectral_norm = true),
        ("diff_augment", |cfg| {
            cfg.knobs.diff_augment = "colour,translation,cutout".to_owned().try_into().unwrap();
        }),
        ("d_steps", |cfg| cfg.knobs.d_steps = 2),
        ("conditioning", |cfg| cfg.knobs.conditioning = Conditioning::Mean),
        ("micro_batch", |cfg| cfg.knobs.micro_batch = 2),
    ];
    for (name, set) in knobs {
        let mut cfg = config(Stage::One, Recipe::Residual);
        (cfg.loss.r1.gamma, cfg.optim.lr_g, cfg.optim.lr_d) = (0.0, 2e-4, 2e-4);
        set(&mut cfg);
        assert_same_numbers(name, &cfg, &gpu);
    }
}

#[test]
fn what_is_planted_is_named_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let mut cfg = config(Stage::One, Recipe::Residual);
    cfg.loss.r1.gamma = 0.0;
    for (place, plant) in INPUTS {
        for value in [f32::NAN, f32::INFINITY] {
            let on = (&gpu, Checks::on(&gpu));
            let (name, term) = term_of_planted(&cfg, (plant, value), on, place);
            assert_eq!(term, name, "{place}, {value}");
        }
    }
}

/// Trains in two parts, with averages, samples, checkpoints and a model, which the CPU reads.
#[test]
fn a_run_goes_through_and_is_resumed() {
    let Some(gpu) = gpu() else { return };
    let mut folder = Folder::new(Stage::One);
    folder.device = gpu;
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let (cfg, name) = (config(Stage::One, recipe), format!("{recipe:?}"));
        for upto in [5, 99] {
            folder.train(&name, &cfg, None, upto).unwrap();
        }
        assert_eq!(folder.stats(&name).len(), 10);
        assert!(!folder.bytes(&name, "samples/000010.png").is_empty());
        let model = Model::from_bytes(&folder.bytes(&name, "model.safetensors"), &Device::Cpu);
        assert_eq!(model.unwrap().last_stage(), Stage::One);
    }
}

/// Compares a loss of pictures on both devices. Returns the squared distance of its gradients, as a
/// share of their squared length.
fn apart(gpu: &Device, side: usize, loss: impl Fn(&Device, &Tensor) -> Tensor) -> f32 {
    let [here, there] = [Device::Cpu, gpu.clone()].map(|device| {
        let pictures = matching::pictures(side).to_device(&device).unwrap();
        let var = Var::from_tensor(&pictures).unwrap();
        let value = loss(&device, &var);
        let grads = stackgan_kernels::backward(&value).unwrap();
        let gradient = grads.get(&var).unwrap().to_device(&Device::Cpu).unwrap();
        (value.to_scalar::<f32>().unwrap(), gradient)
    });
    assert!((here.0 - there.0).abs() < 1e-4 * here.0.abs(), "{} {}", here.0, there.0);
    let length = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    length(&(&here.1 - &there.1).unwrap()) / length(&here.1)
}

/// Compares G's loss and its gradient for the pictures. Also trains with it: recorded steps have the
/// same bits as steps queued one by one.
#[test]
fn the_second_discriminator_has_the_numbers_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let text = Noise::new(8).normal(Stream::Test, 1, 0, 4 * 12);
    let text = Tensor::from_vec(text, (4, 12), &Device::Cpu).unwrap();
    for stage in [Stage::One, Stage::Two] {
        let apart = apart(&gpu, stage.side(), |device, pictures| {
            let d = Params::fresh(Noise::new(3), "d", device);
            let heads = Projected::new(projected::projection(device), (stage, 12), &d).unwrap();
            heads.of_g(pictures, &text.to_device(device).unwrap()).unwrap()
        });
        assert!(apart < 1e-4, "{stage}: {apart}");
    }
    let mut folder = Folder::new(Stage::One);
    folder.device = gpu.clone();
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let cfg = projected::settings(Stage::One, recipe);
        recorded_as_queued(&folder, &format!("{recipe:?}"), "projected_g", || Setup {
            pretrained: projected::pretrained(&gpu),
            ..folder.setup(&cfg)
        });
    }
}

/// Compares steps that are recorded with steps that are queued one by one, of runs of six with a loss that
/// reports `term`.
fn recorded_as_queued(folder: &Folder, run: &str, term: &str, setup: impl Fn() -> Setup) {
    let name = |what: &str| format!("{run}-{what}");
    let go = |what: &str, upto| {
        let setup = setup();
        let (result, told) = folder.run(&name(what), setup, upto, &Policy::default());
        result.unwrap();
        assert!(!told.iter().any(|text| text.contains("cannot be recorded")), "{told:?}");
    };
    go("recorded", 99);
    for _ in 0..6 {
        go("queued", 1); // a process records its third step
    }
    let stats = folder.stats(&name("recorded"));
    assert!(stats.iter().all(|line| line.contains(&format!("\"{term}\":"))), "{stats:?}");
    assert_eq!(stats, folder.stats(&name("queued")));
    let file = "checkpoints/step-0000006.safetensors";
    assert!(folder.bytes(&name("recorded"), file) == folder.bytes(&name("queued"), file));
}

#[test]
fn mode_seeking_is_recorded_as_it_is_queued() {
    let Some(gpu) = gpu() else { return };
    let mut folder = Folder::new(Stage::One);
    folder.device = gpu;
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let cfg = mode_seeking::settings(recipe);
        let name = format!("{recipe:?}");
        recorded_as_queued(&folder, &name, "mode_seeking", || folder.setup(&cfg));
    }
}

/// The random values of DiffAugment enter a recorded step as its noise does.
#[test]
fn augmented_steps_are_recorded_as_they_are_queued() {
    let Some(gpu) = gpu() else { return };
    let mut folder = Folder::new(Stage::One);
    folder.device = gpu.clone();
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut cfg = projected::settings(Stage::One, recipe);
        cfg.knobs.diff_augment = "colour,translation,cutout".to_owned().try_into().unwrap();
        recorded_as_queued(&folder, &format!("{recipe:?}"), "projected_g", || Setup {
            pretrained: projected::pretrained(&gpu),
            ..folder.setup(&cfg)
        });
    }
}

/// Compares the loss and its gradient for the pictures, with both losses of the encoder. Also
/// trains with it: recorded steps have the same bits as steps queued one by one.
#[test]
fn the_matching_loss_has_the_numbers_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let mut folder = Folder::new(Stage::One);
    let losses = [Loss::Contrastive, Loss::JointEmbedding];
    let seeing = losses.map(|by| matching::encoder(&folder, by, 3));
    let reading = matching::of_features(&folder, Loss::Contrastive);
    let network = |encoder: &TrainedEncoder, device: &Device| {
        let features = matches!(encoder.config.image, ImageSide::Features { .. });
        features.then(|| matching::network(device))
    };
    // In fifty bounded layers, rounding moves some values over a bound, where their gradient ends.
    for (encoder, tolerance) in [(&seeing[0], 1e-6), (&seeing[1], 1e-6), (&reading, 1e-4)] {
        let text = Noise::new(8).normal(Stream::Test, 1, 0, 4 * 12);
        let text = Tensor::from_vec(text, (4, 12), &Device::Cpu).unwrap();
        for side in [64, 256] {
            let apart = apart(&gpu, side, |device, pictures| {
                let network = network(encoder, device);
                let matcher = Matcher::of(encoder, network, device).unwrap();
                matcher.loss(pictures, &text.to_device(device).unwrap()).unwrap()
            });
            assert!(apart < tolerance, "{side}: {apart}");
        }
    }
    folder.device = gpu.clone();
    let (residual, plain) = (Recipe::Residual, Recipe::Plain);
    for (recipe, encoder) in [(residual, &seeing[0]), (plain, &seeing[0]), (residual, &reading)] {
        let embeddings = matching::embeddings(&folder, encoder);
        let cfg = matching::matching(Stage::One, recipe);
        let run = format!("{recipe:?}-{}", encoder.text.fingerprint());
        recorded_as_queued(&folder, &run, "matching", || {
            let matcher = Matcher::of(encoder, network(encoder, &gpu), &gpu).ok();
            let pretrained = Pretrained { matcher, projection: None };
            Setup { pretrained, embeddings: Arc::clone(&embeddings), ..folder.setup(&cfg) }
        });
    }
}

/// A step that becomes non-finite on the GPU does so again on the CPU when its bundle is replayed.
/// A run can leave it out.
#[test]
fn a_bad_step_is_taken_again_and_left_out() {
    let Some(gpu) = gpu() else { return };
    let mut folder = poisoned();
    folder.device = gpu;
    let error = folder.train("run", &long(40), None, 99).unwrap_err();
    let Error::NonFinite { step, .. } = &error else { panic!("{error}") };
    let name = format!("nonfinite-step-{step:07}.safetensors");
    let again = replay(&folder.bytes("run", &name), name.as_ref(), &Device::Cpu).unwrap();
    assert!(matches!(again.result, Err(Error::NonFinite { .. })), "{:?}", again.result);
    let policy = Policy { on_nonfinite: OnNonFinite::Rollback(20), ..Policy::default() };
    let (result, warnings) = folder.train_as("leave", &long(40), None, 999, &policy);
    assert_eq!(result.unwrap().step, 40);
    assert!(warnings.iter().any(|text| text.contains("is left out")), "{warnings:?}");
}

/// A replayed step has the same bits as one that is queued anew. Steps with R1, every third, are
/// recorded on their own.
#[test]
fn a_replayed_step_is_the_same_to_the_bit() {
    let Some(gpu) = gpu() else { return };
    for (recipe, stage) in [(Recipe::Residual, Stage::One), (Recipe::Plain, Stage::Two)] {
        let mut cfg = config(stage, recipe);
        (cfg.loss.r1.gamma, cfg.loss.r1.every) = (0.5, 3);
        let low = (stage == Stage::Two).then(|| stage1(&cfg.net, &gpu));
        let states = [true, false].map(|recorded| {
            let low = low.as_ref().map(|low| (low, &cfg.net));
            let mut players =
                Players::new(&cfg, low, &Start::default(), Pretrained::default(), &gpu).unwrap();
            let mut guard = Guard::over(&players, None).unwrap();
            for step in 0..12 {
                let (inputs, mut settings) = inputs(&cfg, &gpu);
                (settings.step, settings.lr_d) = (step, 1e-4 * (1.0 + step as f64));
                if !recorded {
                    guard = Guard::over(&players, None).unwrap(); // has recorded nothing
                }
                guard.step(&mut players, &inputs, &settings, || {}).unwrap();
            }
            assert_eq!(guard.not_recorded(), None);
            let bits = |params: &Params| -> Vec<u32> {
                let values = params.snapshot().unwrap().into_values();
                let all = values.flat_map(|t| t.flatten_all().unwrap().to_vec1::<f32>().unwrap());
                all.map(f32::to_bits).collect()
            };
            (bits(&players.g().params), bits(&players.d().params))
        });
        assert!(states[0] == states[1], "{recipe:?} {stage:?}");
    }
}
