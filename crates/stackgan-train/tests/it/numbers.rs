//! Values that are not finite: they are found in their step, before anything changes; the step can
//! be repeated alone or left out; and healthy runs raise no alarm.

use candle_core::{Device, Tensor, Var};
use stackgan_core::archive::Archive;
use stackgan_core::image::Picture;
use stackgan_core::{Recipe, Stage};
use stackgan_data::noise::{Noise, Stream};
use stackgan_train::Error;
use stackgan_train::Pretrained;
use stackgan_train::config::TrainConfig;
use stackgan_train::event::TrainEvent;
use stackgan_train::guard::Guard;
use stackgan_train::players::Players;
use stackgan_train::policy::{OnNonFinite, Policy};
use stackgan_train::replay::{Replayed, replay};
use stackgan_train::run::train;
use stackgan_train::run_dir::RunDir;
use stackgan_train::start::Start;
use stackgan_train::step::{Batch, Checks, Inputs, StepConfig, StepNoise};
use stackgan_train::watch::{Differences, Seen, Watch};

use crate::ledger::{ledger, times};
use crate::run::{EIGHT, Folder, config};

/// Returns everything that a step can change, as bytes, so that NaN is equal to itself.
pub(crate) fn bytes_of(players: &Players) -> Vec<u8> {
    let mut archive = Archive::default();
    for (prefix, player) in [("g.", players.g()), ("d.", players.d())] {
        archive.extend(prefix, player.params.snapshot().unwrap());
        archive.extend(&format!("adam.{prefix}"), player.adam.state());
    }
    archive.to_bytes().unwrap()
}

/// Returns random inputs of a step.
pub(crate) fn inputs(cfg: &TrainConfig, device: &Device) -> (Inputs, StepConfig) {
    let (n, side) = (cfg.optim.batch, cfg.stage.side());
    let draw = |sample, shape: &[usize]| {
        let values = Noise::new(8).normal(Stream::Test, 0, sample, shape.iter().product());
        Tensor::from_vec(values, shape, device).unwrap()
    };
    let picture = |sample| draw(sample, &[n, 3, side, side]).tanh().unwrap();
    let batch = Batch {
        real: picture(0),
        wrong: (cfg.net.recipe == Recipe::Residual).then(|| picture(1)),
        text: draw(2, &[n, cfg.net.text_dim]),
        other_text: None,
    };
    let noise = StepNoise::draw(cfg, 0, n, device).unwrap();
    (Inputs { batch, noise }, StepConfig::of(cfg, 0, 1.0))
}

/// Returns the tensor with its middle element replaced by a value.
fn planted(tensor: &Tensor, value: f32) -> Tensor {
    let mut values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let middle = values.len() / 2;
    values[middle] = value;
    Tensor::from_vec(values, tensor.shape(), tensor.device()).unwrap()
}

fn plant(vars: &[(String, Var)], suffix: &str, value: f32) -> String {
    let (name, var) = vars.iter().find(|(name, _)| name.ends_with(suffix)).unwrap();
    var.set(&planted(var, value)).unwrap();
    name.clone()
}

/// Plants a value in one place, and returns the expected name in the error.
pub(crate) type Plant = fn(&mut Inputs, &mut StepConfig, &Players, f32) -> String;

pub(crate) const INPUTS: [(&str, Plant); 9] = [
    ("pixel", |i, _, _, v| {
        i.batch.real = planted(&i.batch.real, v);
        "input.real".to_owned()
    }),
    ("wrong pixel", |i, _, _, v| {
        i.batch.wrong = i.batch.wrong.as_ref().map(|wrong| planted(wrong, v));
        "input.wrong".to_owned()
    }),
    ("embedding", |i, _, _, v| {
        i.batch.text = planted(&i.batch.text, v);
        "input.text".to_owned()
    }),
    ("z of D's step", |i, _, _, v| {
        i.noise.d.z = planted(&i.noise.d.z, v);
        "input.d.z".to_owned()
    }),
    ("epsilon of G's step", |i, _, _, v| {
        i.noise.g.eps1 = planted(&i.noise.g.eps1, v);
        "input.g.eps1".to_owned()
    }),
    ("weight of G", |_, _, players, v| {
        format!("g.{}", plant(&players.g().params.trainable(), "weight", v))
    }),
    ("weight of D", |_, _, players, v| {
        format!("d.{}", plant(&players.d().params.trainable(), "weight", v))
    }),
    ("running variance of G", |_, _, players, v| {
        format!("g.{}", plant(&players.g().params.all(), "running_var", v))
    }),
    ("rate of D", |_, s, _, v| {
        s.lr_d = f64::from(v);
        "lr_d".to_owned()
    }),
];

const CHECKS: [Checks; 2] = [Checks::Immediate, Checks::Deferred];

/// NaN and infinity in each place are found and named before anything changes. 1e38, which is
/// finite, leads to values in the same step that are not finite. Exceptions are a running variance,
/// which a step does not read, and a weight before a batch norm. A step that is checked at its end
/// names the same place and leaves the same state.
#[test]
fn what_is_planted_is_caught_in_its_step_and_nothing_has_changed() {
    let mut caught = 0;
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut cfg = config(Stage::One, recipe);
        cfg.loss.r1.gamma = 0.0;
        for (place, plant) in INPUTS {
            for value in [f32::NAN, f32::INFINITY, 1e38] {
                let number = value.is_finite();
                let not_read =
                    number && (place.starts_with("weight") || place == "running variance of G");
                let no_wrong = place == "wrong pixel" && recipe == Recipe::Plain;
                let one_fake = place == "epsilon of G's step" && recipe == Recipe::Plain;
                if not_read || no_wrong || (one_fake && number) {
                    continue;
                }
                let case = format!("{recipe:?}, {place}, {value}");
                let terms = CHECKS.map(|checks| {
                    term_of_planted(&cfg, (plant, value), (&Device::Cpu, checks), &case)
                });
                assert_eq!(terms[0].1, terms[1].1, "{case}");
                if !number {
                    assert_eq!(terms[0].0, terms[0].1, "{case}");
                }
                caught += 1;
            }
        }
    }
    ledger!(
        "numbers.planted",
        caught,
        "NaN, infinity or 1e38 planted in a step's inputs and state: caught, named, nothing changed"
    );
}

/// Returns the expected name of a planted value and the name in the error. Checks that nothing has
/// changed.
pub(crate) fn term_of_planted(
    cfg: &TrainConfig,
    (plant, value): (Plant, f32),
    (device, checks): (&Device, Checks),
    case: &str,
) -> (String, String) {
    let case = format!("{case}, {checks:?}");
    let mut players =
        Players::new(cfg, None, &Start::default(), Pretrained::default(), device).unwrap();
    let mut guard = Guard::over(&players, None).unwrap().checking(checks);
    let (inputs, step) = inputs(cfg, device);
    guard.step(&mut players, &inputs, &step, || {}).unwrap(); // moments are not zero
    let (mut planted, mut step) = self::inputs(cfg, device);
    step.step = 1;
    let name = plant(&mut planted, &mut step, &players, value);
    let before = bytes_of(&players);
    let steps = (players.g().adam.steps(), players.d().adam.steps());
    let result = guard.step(&mut players, &planted, &step, || {});
    let Err(Error::NonFinite { step: 1, term, .. }) = result else {
        panic!("{case}: not caught: {:?}", result.err());
    };
    assert!(bytes_of(&players) == before, "{case}: something has changed ({term})");
    assert_eq!((players.g().adam.steps(), players.d().adam.steps()), steps, "{case}");
    (name, term)
}

/// A moment of Adam that is not finite would only have an effect in the next step.
#[test]
fn a_bad_moment_is_caught_before_it_moves_a_weight() {
    let cfg = config(Stage::One, Recipe::Residual);
    let cases = [("adam.g.v.", f32::NAN), ("adam.d.m.", f32::INFINITY)];
    for ((prefix, value), checks) in cases.into_iter().flat_map(|case| CHECKS.map(|l| (case, l))) {
        let mut players =
            Players::new(&cfg, None, &Start::default(), Pretrained::default(), &Device::Cpu)
                .unwrap();
        let mut guard = Guard::over(&players, None).unwrap().checking(checks);
        let (inputs, step) = inputs(&cfg, &Device::Cpu);
        let player = usize::from(prefix.contains(".d."));
        let [g, d] = players.both_mut();
        let adam = if player == 0 { &mut g.adam } else { &mut d.adam };
        let mut state: std::collections::BTreeMap<_, _> =
            adam.state().into_iter().map(|(name, t)| (name, t.copy().unwrap())).collect();
        let key = prefix.split_at(7).1;
        let name = state.keys().find(|name| name.starts_with(key)).unwrap().clone();
        state.insert(name.clone(), planted(&state[&name], value));
        adam.restore(&state, 3).unwrap();
        let before = bytes_of(&players);
        let error = guard.step(&mut players, &inputs, &step, || {}).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("adam.{}.{name}", if player == 0 { "g" } else { "d" })),
            "{error}"
        );
        assert!(bytes_of(&players) == before, "{checks:?}");
    }
}

/// Steps with both times of checking have the same statistics and the same players, with every knob
/// that has a check of its own.
#[test]
fn when_numbers_are_looked_at_changes_no_bit() {
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut cfg = config(Stage::One, recipe);
        (cfg.loss.r1.gamma, cfg.loss.r1.every, cfg.knobs.clip_d) = (1.0, 2, 0.1);
        let [now, later] = CHECKS.map(|checks| {
            let mut players =
                Players::new(&cfg, None, &Start::default(), Pretrained::default(), &Device::Cpu)
                    .unwrap();
            let mut guard = Guard::over(&players, None).unwrap().checking(checks);
            let (inputs, mut step) = inputs(&cfg, &Device::Cpu);
            let (mut terms, mut meanwhile) = (Vec::new(), 0);
            for number in 0..3 {
                step.step = number;
                let stats = guard.step(&mut players, &inputs, &step, || meanwhile += 1);
                terms.push(stats.unwrap().read().unwrap());
            }
            assert_eq!(meanwhile, if checks == Checks::Deferred { 3 } else { 0 });
            (terms, bytes_of(&players))
        });
        assert_eq!(now.0, later.0);
        assert!(now.1 == later.1);
    }
}

/// The first attempt meets a NaN, the second does not: the step is not taken, and the first finding
/// is reported.
#[test]
fn a_step_that_only_goes_wrong_once_is_not_taken() {
    let cfg = config(Stage::One, Recipe::Residual);
    let mut players =
        Players::new(&cfg, None, &Start::default(), Pretrained::default(), &Device::Cpu).unwrap();
    let mut guard = Guard::over(&players, None).unwrap().checking(Checks::Deferred);
    let (mut inputs, step) = inputs(&cfg, &Device::Cpu);
    let good = inputs.batch.real.clone();
    let real = Var::from_tensor(&planted(&good, f32::NAN)).unwrap();
    inputs.batch.real = real.as_detached_tensor();
    let before = bytes_of(&players);
    let mend = || real.set(&good).unwrap();
    let error = guard.step(&mut players, &inputs, &step, mend).unwrap_err();
    assert!(matches!(&error, Error::NonFinite { term, .. } if term == "d_loss"), "{error}");
    assert!(bytes_of(&players) == before);
    assert_eq!((players.g().adam.steps(), players.d().adam.steps()), (0, 0));
    guard.step(&mut players, &inputs, &step, || {}).unwrap();
}

/// Returns a dataset in which the captions of one picture are 1e30: every batch with it overflows
/// in conditioning augmentation.
pub(crate) fn poisoned() -> Folder {
    Folder::with_embeddings(Stage::One, &|row| if row / 10 == 2 { 1e30 } else { 1.0 })
}

pub(crate) fn long(steps: u64) -> TrainConfig {
    let mut cfg = config(Stage::One, Recipe::Residual);
    cfg.optim.steps = steps;
    cfg.run.checkpoint_every = 3;
    cfg.run.sample_every = 1000;
    cfg
}

#[test]
fn a_bundle_takes_the_step_again_alone() {
    let folder = poisoned();
    let error = folder.train("run", &long(40), None, 99).unwrap_err();
    let Error::NonFinite { step, term, .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains("stackgan replay"), "{error}");
    let name = format!("nonfinite-step-{step:07}.safetensors");
    let bytes = folder.bytes("run", &name);
    let Replayed { facts, result } = replay(&bytes, name.as_ref(), &Device::Cpu).unwrap();
    assert_eq!((facts.step, &facts.term, facts.indices.len()), (*step, term, 4));
    match result {
        Err(Error::NonFinite { step: again, term: found, .. }) => {
            assert_eq!((again, &found), (*step, term));
        }
        other => panic!("{other:?}"),
    }
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = replay(&bytes[..cut], name.as_ref(), &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("do: "), "{error}");
    }
}

/// Trains three epochs, each with one batch that cannot be used. If enough rollbacks are allowed,
/// the run ends well, however often it is interrupted; with one fewer it stops.
#[test]
fn steps_that_cannot_be_taken_are_left_out_so_many_times() {
    let folder = poisoned();
    let cfg =
        long(3 * folder.data.0.indices(stackgan_data::dataset::Split::Train).len() as u64 / 4);
    let policy = |most| Policy { on_nonfinite: OnNonFinite::Rollback(most), ..Policy::default() };
    let (result, warnings) = folder.train_as("whole", &cfg, None, 999, &policy(5));
    assert_eq!(result.unwrap().step, cfg.optim.steps);
    let skipped = warnings.iter().filter(|w| w.contains("is left out")).count();
    assert!(skipped >= 2, "{warnings:?}");
    loop {
        let (result, _) = folder.train_as("parts", &cfg, None, 5, &policy(5));
        if result.unwrap().step == cfg.optim.steps {
            break;
        }
    }
    let last = format!("checkpoints/step-{:07}.safetensors", cfg.optim.steps);
    assert!(folder.bytes("whole", &last) == folder.bytes("parts", &last), "two runs, other bytes");
    assert_eq!(folder.stats("whole"), folder.stats("parts"));
    assert_eq!(folder.stats("whole").len() as u64, cfg.optim.steps - skipped as u64);
    // After a rollback, inputs prepared ahead belong to the wrong step.
    let ahead = Policy { checks: Some(Checks::Deferred), ..policy(5) };
    folder.train_as("ahead", &cfg, None, 999, &ahead).0.unwrap();
    assert!(folder.bytes("whole", &last) == folder.bytes("ahead", &last), "ahead: other bytes");
    assert_eq!(folder.stats("whole"), folder.stats("ahead"));
    let (result, _) = folder.train_as("fewer", &cfg, None, 999, &policy(skipped as u64 - 1));
    assert!(matches!(result, Err(Error::NonFinite { .. })));
    ledger!(
        "numbers.rollback",
        skipped,
        "steps left out after going back to a checkpoint; bytes equal however the run is cut"
    );
}

/// Bundles are as large as checkpoints: many of them would fill the disk.
#[test]
fn the_last_bundles_of_steps_that_are_left_out_are_kept() {
    let folder = poisoned();
    let pictures = folder.data.0.indices(stackgan_data::dataset::Split::Train).len() as u64;
    let policy = Policy { on_nonfinite: OnNonFinite::Rollback(99), ..Policy::default() };
    let (result, warnings) = folder.train_as("run", &long(12 * pictures / 4), None, 999, &policy);
    result.unwrap();
    let skipped = warnings.iter().filter(|w| w.contains("is left out")).count();
    let files = std::fs::read_dir(folder.folder.path().join("run")).unwrap().flatten();
    let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
    let bundles = names.filter(|name| name.starts_with("nonfinite-step-")).count();
    assert!(skipped > 8 && bundles == 8, "{bundles} of {skipped}");
}

/// What is wrong with the checkpoints does not hide what was wrong with the step.
#[test]
fn without_a_checkpoint_to_go_back_to_the_number_is_the_error() {
    let folder = poisoned();
    let run = folder.folder.path().join("run");
    let (dir, mut warnings) = (RunDir::open(&run).unwrap(), Vec::new());
    let policy = Policy { on_nonfinite: OnNonFinite::Rollback(5), ..Policy::default() };
    let result = train(folder.setup(&long(40)), &dir, policy, &|| None, &mut |event| {
        if let TrainEvent::Warning { text, .. } = event {
            warnings.push(text);
        }
        for file in std::fs::read_dir(run.join("checkpoints")).unwrap() {
            std::fs::write(file.unwrap().path(), "cut").unwrap();
        }
    });
    assert!(matches!(result, Err(Error::NonFinite { .. })), "{result:?}");
    let told = |text: &String| text.contains("no checkpoint to go back to");
    assert!(warnings.iter().any(told), "{warnings:?}");
}

/// A watch sees D's loss, and the gradient of each player as that player's. G moves in every second step.
#[test]
fn a_watch_sees_what_a_step_tells() {
    let mut cfg = config(Stage::One, Recipe::Residual);
    cfg.knobs.d_steps = 2;
    let mut players =
        Players::new(&cfg, None, &Start::default(), Pretrained::default(), &Device::Cpu).unwrap();
    let mut guard = Guard::over(&players, None).unwrap();
    let (inputs, mut step) = inputs(&cfg, &Device::Cpu);
    for number in 0..2 {
        step.step = number;
        let stats = guard.step(&mut players, &inputs, &step, || {}).unwrap();
        let Seen { d_loss, d_grad, g_grad } = Seen::of(&stats);
        assert_eq!((d_loss, d_grad), (stats.get("d_loss").ok(), stats.get("d_grad").ok()));
        assert_eq!(g_grad, stats.get("g_grad").ok());
        assert!(d_loss.is_some() && d_grad.is_some() && d_loss != d_grad && d_grad != g_grad);
        assert_eq!(g_grad.is_some(), number == 1);
    }
}

/// Healthy runs of small networks raise no alarm; runs whose generator takes very large steps do.
#[test]
fn a_healthy_run_raises_no_alarm_and_a_sick_one_does() {
    let folder = Folder::new(Stage::One);
    let watched = |recipe, seed, steps, sick: bool| {
        let mut cfg = config(Stage::One, recipe);
        (cfg.optim.steps, cfg.seed) = (steps, seed);
        (cfg.run.checkpoint_every, cfg.run.report_every, cfg.run.sample_every) = (steps, 50, 60);
        if sick {
            (cfg.optim.lr_g, cfg.optim.ema) = (0.3, 0.0);
        }
        let name = format!("{recipe:?}-{seed}-{sick}");
        let (result, warnings) = folder.train_as(&name, &cfg, None, 9999, &Policy::default());
        assert!(sick || result.is_ok(), "{result:?}"); // a bad run may also overflow in the end
        warnings
    };
    let (mut steps, mut sick) = (0, 0);
    for seed in 1..=times(2, 20) as u64 {
        let recipe = if seed % 2 == 1 { Recipe::Residual } else { Recipe::Plain };
        let warnings = watched(recipe, seed, 360, false);
        assert!(warnings.is_empty(), "{recipe:?} {seed}: a false alarm: {warnings:?}");
        steps += 360;
    }
    for seed in 1..=times(1, 20) as u64 {
        let warnings = watched(Recipe::Residual, 2 + seed, 660, true);
        assert!(!warnings.is_empty(), "{seed}: no alarm"); // the CPU's rounding decides which one
        sick += 1;
    }
    ledger!("numbers.healthy", steps, "steps of healthy small runs without an alarm");
    ledger!("numbers.sick", sick, "runs whose generator leaps: told so");
}

/// A generator that always paints the same picture is reported by the second grid after it begins
/// to do so, in each of twenty cases. Twenty generators that follow captions and noise are never
/// reported.
#[test]
fn a_constant_generator_is_told_within_two_grids() {
    let flat = |value: u8| Picture { width: 8, height: 8, rgb: vec![value; 192] };
    let (mut told, mut quiet) = (0, 0);
    for seed in 0..20 {
        let mut draws = Noise::new(seed).draws(Stream::Test, 0, 0);
        let one = draws.below(256) as u8;
        let (mut constant, mut healthy) = (Watch::new(40.0), Watch::new(40.0));
        let first = 500 + draws.below(100);
        let mut at = None;
        for step in (first..first + 500).step_by(50) {
            let same = Differences::of(&vec![flat(one); 6], 2);
            at = at.or(constant.grid(step, same).map(|_| step));
            let varied: Vec<Picture> = (0..6).map(|_| flat(draws.below(256) as u8)).collect();
            quiet += usize::from(healthy.grid(step, Differences::of(&varied, 2)).is_none());
        }
        assert_eq!(at, Some(first + 50), "seed {seed}");
        told += 1;
    }
    assert_eq!(quiet, 20 * 10, "a false alarm");
    ledger!(
        "numbers.constant",
        told,
        "constant generators, each told by its second grid, and as many healthy ones without an alarm"
    );
}

/// Tests batches of 1 to 10 with eight pictures: those that fit train on full batches of at least
/// two, with finite variances; the others are refused as settings.
#[test]
fn batches_that_do_not_fit_are_refused_and_no_rest_is_trained_on() {
    let folder = Folder::of_pictures(Stage::One, EIGHT);
    let pictures = folder.data.0.indices(stackgan_data::dataset::Split::Train).len();
    assert_eq!(pictures, 8);
    let mut sizes = 0;
    for recipe in [Recipe::Residual, Recipe::Plain] {
        for batch in 1..=10 {
            let mut cfg = config(Stage::One, recipe);
            (cfg.optim.batch, cfg.optim.steps) = (batch, 8);
            let name = format!("{recipe:?}-{batch}");
            let result = folder.train(&name, &cfg, None, 99);
            sizes += 1;
            if !(2..=8).contains(&batch) {
                let error = result.unwrap_err().to_string();
                assert!(error.contains("batch") && error.contains("do: "), "{batch}: {error}");
                continue;
            }
            result.unwrap();
            let lines: Vec<serde_json::Value> =
                folder.stats(&name).iter().map(|l| serde_json::from_str(l).unwrap()).collect();
            let steps_an_epoch = (8 / batch) as u64;
            for line in &lines {
                let step = line["step"].as_u64().unwrap();
                assert_eq!(line["epoch"].as_u64(), Some((step - 1) / steps_an_epoch), "{name}");
            }
            let bytes = folder.bytes(&name, "checkpoints/step-0000008.safetensors");
            let archive = Archive::from_bytes(&bytes, &Device::Cpu).unwrap();
            let mut variances = 0;
            for (tensor, values) in &archive.tensors {
                let values = values.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert!(values.iter().all(|v| v.is_finite()), "{name}: {tensor}");
                if tensor.ends_with("running_var") {
                    assert!(values.iter().all(|v| *v >= 0.0), "{name}: {tensor}");
                    variances += 1;
                }
            }
            assert!(variances > 0, "{name}: no running variance");
        }
    }
    ledger!(
        "numbers.batches",
        sizes,
        "batches of 1 to 10 from eight pictures, both recipes: trained on whole and finite, or refused"
    );
}
