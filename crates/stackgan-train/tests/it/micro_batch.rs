//! Batches in parts: if the parts have the statistics of the whole batch, the gradient is the same;
//! a run resumes to the same bytes; and another size of parts counts as different mathematics. What
//! the terms of such a step are made of.

use candle_core::{Device, Tensor};
use stackgan_core::generator_noise::GeneratorNoise;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{Params, Recipe, Stage, generators};
use stackgan_train::Pretrained;
use stackgan_train::config::{TrainConfig, Wrong};
use stackgan_train::knobs::Knobs;
use stackgan_train::players::Players;
use stackgan_train::policy::Policy;
use stackgan_train::start::Start;
use stackgan_train::step::{Batch, Inputs, StepConfig, StepNoise};

use crate::run::{Folder, config, on_threads};

/// The terms of a step, and the gradients of G and of D.
struct Taken {
    terms: Vec<(&'static str, f64)>,
    gradients: [Vec<f32>; 2],
}

impl Taken {
    fn term(&self, name: &str) -> f64 {
        self.terms.iter().find(|(other, _)| *other == name).unwrap().1
    }
}

/// Returns a batch of four pictures. The last two are either the first two again or different.
fn batch(cfg: &TrainConfig, again: bool) -> Inputs {
    let device = Device::Cpu;
    let side = cfg.stage.side();
    let draw = |sample: u64, shape: &[usize]| {
        let half = |sample| {
            let values = Noise::new(8).normal(Stream::Test, 0, sample, shape.iter().product());
            Tensor::from_vec(values, shape, &device).unwrap()
        };
        let second = half(if again { sample } else { 100 + sample });
        Tensor::cat(&[half(sample), second], 0).unwrap()
    };
    let picture = |sample| draw(sample, &[2, 3, side, side]).tanh().unwrap();
    let noise = |sample| GeneratorNoise {
        z: draw(sample, &[2, cfg.net.z_dim]),
        eps1: draw(sample + 1, &[2, cfg.net.cond_dim]),
        eps2: draw(sample + 2, &[2, cfg.net.cond_dim]),
    };
    let other = Tensor::new(&[1u32, 0, 1, 0], &device).unwrap();
    let batch = Batch {
        real: picture(0),
        wrong: (cfg.net.recipe == Recipe::Residual).then(|| picture(1)),
        text: draw(2, &[2, cfg.net.text_dim]),
        other_text: (cfg.net.recipe == Recipe::Plain).then_some(other),
    };
    Inputs { batch, noise: StepNoise { d: noise(3), g: noise(6), augment: None } }
}

/// Takes one step at rate 0, so that G's gradient passes through the same D. Adam's first moment is
/// then (1 - beta1) times the gradient.
fn take(cfg: &TrainConfig, inputs: &Inputs, micro_batch: usize) -> Taken {
    let low = Params::fresh(Noise::new(1), "g1", &Device::Cpu);
    drop(generators::stage1(&cfg.net, &low.trained()).unwrap());
    let mut players = Players::new(
        cfg,
        Some((&low, &cfg.net)),
        &Start::default(),
        Pretrained::default(),
        &Device::Cpu,
    )
    .unwrap();
    let knobs = Knobs { micro_batch, ..cfg.knobs };
    let step = StepConfig { lr_g: 0.0, lr_d: 0.0, knobs, ..StepConfig::of(cfg, 0, 1.0) };
    let stats = players.step(inputs, &step).unwrap();
    let moments = |state: std::collections::BTreeMap<String, Tensor>| -> Vec<f32> {
        let m = state.iter().filter(|(name, _)| name.starts_with("m."));
        m.flat_map(|(_, m)| m.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    };
    let gradients = [players.g(), players.d()].map(|player| moments(player.adam.state()));
    Taken { terms: stats.read().unwrap(), gradients }
}

/// Returns the norm of the difference, divided by the norm of `a`.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    let norm =
        |of: &mut dyn Iterator<Item = f32>| of.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    assert!(a.len() == b.len() && norm(&mut a.iter().copied()) > 1e-6);
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut a.iter().copied())
}

/// G's loss is the sum of its terms, each with its weight.
fn is_the_sum_of_its_terms(cfg: &TrainConfig, whole: &Taken) {
    let mut sum = whole.term("g_adv") + cfg.kl() * whole.term("kl");
    if cfg.stage == Stage::Two {
        let colour = cfg.loss.colour_consistency * whole.term("colour");
        assert!(colour > 1e-3 * sum, "{colour} would not be missed in {sum}");
        sum += colour;
    }
    let found = whole.term("g_loss");
    assert!((found - sum).abs() < 1e-5 * sum, "{:?}: {found} {sum}", cfg.stage);
}

/// Two equal halves have the statistics of the batch. Different halves do not, and their gradient
/// differs.
#[test]
fn parts_of_equal_statistics_give_the_gradient_of_the_whole_batch() {
    for (stage, recipe) in [Stage::One, Stage::Two]
        .into_iter()
        .flat_map(|stage| [Recipe::Residual, Recipe::Plain].map(|recipe| (stage, recipe)))
    {
        let mut cfg = config(stage, recipe);
        (cfg.loss.colour_consistency, cfg.loss.r1.gamma, cfg.loss.kl) = (2.0, 0.5, 2.0);
        cfg.knobs.spectral_norm = true;
        let equal = batch(&cfg, true);
        let (whole, parts) = (take(&cfg, &equal, 0), take(&cfg, &equal, 2));
        is_the_sum_of_its_terms(&cfg, &whole);
        assert_eq!(whole.terms.len(), parts.terms.len());
        for ((name, a), (other, b)) in whole.terms.iter().zip(&parts.terms) {
            assert!(name == other && (a - b).abs() <= 1e-3 * a.abs().max(1e-3), "{name}: {a} {b}");
        }
        for (a, b) in whole.gradients.iter().zip(&parts.gradients) {
            let apart = apart(a, b);
            assert!(apart < 1e-3, "{stage:?} {recipe:?}: {apart}");
        }
        let unequal = batch(&cfg, false);
        let (whole, parts) = (take(&cfg, &unequal, 0), take(&cfg, &unequal, 2));
        for (a, b) in whole.gradients.iter().zip(&parts.gradients) {
            assert!(apart(a, b) > 1e-2, "{stage:?} {recipe:?}: batch norm sees each part alone");
        }
        // One part with all pictures equals the whole batch to the bit.
        assert!(take(&cfg, &unequal, 4).gradients == whole.gradients);
    }
}

/// D judges a wrong pair as it judges the same picture when the chosen text is its own. The texts are
/// large, so that they matter.
#[test]
fn wrong_pairs_of_checked_classes_are_pictures_with_the_chosen_texts() {
    let cfg = config(Stage::One, Recipe::Plain);
    let inputs = batch(&cfg, false);
    let judged = |text: &Tensor, chosen: &Tensor| {
        let (text, other_text) = (text.clone(), Some(chosen.clone()));
        let batch = Batch { text, other_text, ..inputs.batch.clone() };
        let taken = take(&cfg, &Inputs { batch, noise: inputs.noise.clone() }, 0);
        (taken.term("p_real"), taken.term("p_wrong"))
    };
    let of = |indices: [u32; 4]| Tensor::new(&indices, &Device::Cpu).unwrap();
    let (text, own, chosen) =
        ((&inputs.batch.text * 20.0).unwrap(), of([0, 1, 2, 3]), of([2, 0, 3, 0]));
    let (real, wrong) = judged(&text, &own);
    assert_eq!(real, wrong, "with its own text each pair is right");
    let (real, wrong) = judged(&text, &chosen);
    let (expected, _) = judged(&text.index_select(&chosen, 0).unwrap(), &own);
    assert!((wrong - expected).abs() < 1e-6, "{wrong} {expected}");
    assert!((wrong - real).abs() > 1e-5, "{wrong} {real}: the text does not matter");
}

/// Compares an uninterrupted run with two threads with a run of one thread that is stopped after
/// every step. A change of the size of parts must be permitted.
#[test]
fn a_run_in_parts_resumes_to_the_same_bytes_and_is_another_run() {
    let folder = Folder::new(Stage::One);
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut cfg = config(Stage::One, recipe);
        (cfg.optim.steps, cfg.knobs.micro_batch) = (3, 2);
        if recipe == Recipe::Plain {
            cfg.data.wrong = Wrong::NextTextOtherClass;
        }
        let name = |what: &str| format!("{recipe:?}-{what}");
        on_threads(2, || folder.train(&name("whole"), &cfg, None, 99)).unwrap();
        for _ in 0..3 {
            on_threads(1, || folder.train(&name("stopped"), &cfg, None, 1)).unwrap();
        }
        let file = "checkpoints/step-0000003.safetensors";
        assert!(folder.bytes(&name("whole"), file) == folder.bytes(&name("stopped"), file));
        assert_eq!(folder.stats(&name("whole")), folder.stats(&name("stopped")));
        cfg.knobs.micro_batch = 0;
        folder.train(&name("released"), &cfg, None, 99).unwrap();
        assert!(folder.bytes(&name("whole"), file) != folder.bytes(&name("released"), file));

        folder.train(&name("changed"), &cfg, None, 1).unwrap();
        cfg.knobs.micro_batch = 2;
        let key = "knobs.micro_batch";
        let error = folder.train(&name("changed"), &cfg, None, 1).unwrap_err().to_string();
        assert!(error.contains(&format!("--allow-change {key}")), "{error}");
        let leave = Policy { allow_change: vec![key.to_owned()], ..Policy::default() };
        let (result, warnings) = folder.train_as(&name("changed"), &cfg, None, 99, &leave);
        assert_eq!(result.unwrap().step, 3);
        assert!(
            warnings.iter().any(|w| w.contains("`knobs.micro_batch` was 0 and is 2")),
            "{warnings:?}"
        );
    }
}
