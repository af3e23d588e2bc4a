//! The same game on a GPU, where there is one and the feature `cuda` is on; skipped elsewhere.

use candle_core::Device;
use stackgan_core::noise::Noise;
use stackgan_core::{Generator, Model, NetConfig, Params, Recipe, plain, residual};
use stackgan_kernels::{Precision, gpu as kernels};
use stackgan_train::Error;
use stackgan_train::config::{Stage, TrainConfig};
use stackgan_train::guard::Guard;
use stackgan_train::players::players;
use stackgan_train::policy::{OnNonFinite, Policy};
use stackgan_train::replay::replay;
use stackgan_train::step::Looks;

use crate::numbers::{INPUTS, inputs, long, poisoned, term_of_planted};
use crate::run::{Folder, config};

fn gpu() -> Option<Device> {
    let device = kernels::open(0).ok();
    kernels::set_precision(Precision::F32);
    if device.is_none() {
        eprintln!("skipped: no GPU, or built without the feature `cuda`");
    }
    device
}

/// The numbers of two steps.
fn steps(cfg: &TrainConfig, device: &Device) -> Vec<Vec<(&'static str, f64)>> {
    let low = (cfg.stage == Stage::Two).then(|| stage1(&cfg.net, device));
    let mut players = players(cfg, low.as_ref().map(|low| (low, &cfg.net)), device).unwrap();
    let mut guard = Guard::over(&players, low.as_ref()).unwrap();
    let (pictures, noise, mut settings) = inputs(cfg, device);
    let step = |step| {
        settings.step = step;
        let stats = guard.step(&mut players, (&pictures, &noise), &settings, || {});
        stats.unwrap().read().unwrap()
    };
    (0..2).map(step).collect()
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

/// Additions come in another order: close at first, and not far after Adam has made small differences larger (the sign of a
/// vanishing gradient is a whole step). Later steps of such small networks are others.
#[test]
fn a_step_has_the_numbers_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for recipe in [Recipe::Residual, Recipe::Plain] {
        for stage in [Stage::One, Stage::Two] {
            let mut cfg = config(stage, recipe);
            (cfg.loss.r1.gamma, cfg.optim.lr_g, cfg.optim.lr_d) = (0.0, 2e-4, 2e-4);
            let (here, there) = (steps(&cfg, &Device::Cpu), steps(&cfg, &gpu));
            for (step, (here, there)) in here.iter().zip(&there).enumerate() {
                assert_eq!(here.len(), there.len());
                let within = if step == 0 { 0.02 } else { 0.15 };
                for ((name, a), (_, b)) in here.iter().zip(there) {
                    let far = (a - b).abs() > within * a.abs().max(0.1);
                    assert!(!far, "{recipe:?} {stage:?}, step {step}, {name}: {a}, on the GPU {b}");
                }
            }
        }
    }
}

#[test]
fn what_is_planted_is_named_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let mut cfg = config(Stage::One, Recipe::Residual);
    cfg.loss.r1.gamma = 0.0;
    for (place, plant) in INPUTS {
        for value in [f32::NAN, f32::INFINITY] {
            let on = (&gpu, Looks::on(&gpu));
            let (name, term) = term_of_planted(&cfg, (plant, value), on, place);
            assert_eq!(term, name, "{place}, {value}");
        }
    }
}

/// In two parts, with averages, samples, checkpoints and a model, which the CPU reads.
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
        assert_eq!(model.unwrap().stages(), 1);
    }
}

/// A step that becomes non-finite on the GPU does so again on the CPU, from its bundle; a run can leave it out.
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

/// A step that is replayed has the bits of the same step queued anew.
#[test]
fn a_replayed_step_is_the_same_to_the_bit() {
    let Some(gpu) = gpu() else { return };
    for (recipe, stage) in [(Recipe::Residual, Stage::One), (Recipe::Plain, Stage::Two)] {
        let mut cfg = config(stage, recipe);
        cfg.loss.r1.gamma = 0.0;
        let low = (stage == Stage::Two).then(|| stage1(&cfg.net, &gpu));
        let states = [true, false].map(|recorded| {
            let low = low.as_ref().map(|low| (low, &cfg.net));
            let mut players = players(&cfg, low, &gpu).unwrap();
            let mut guard = Guard::over(&players, None).unwrap();
            for step in 0..6 {
                let (pictures, noise, mut settings) = inputs(&cfg, &gpu);
                (settings.step, settings.lr_d) = (step, 1e-4 * (1.0 + step as f64));
                if !recorded {
                    guard = Guard::over(&players, None).unwrap(); // has recorded nothing
                }
                guard.step(&mut players, (&pictures, &noise), &settings, || {}).unwrap();
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
