//! Exact results: the same bits for any number of threads, any prefetch depth, in debug and
//! release, and however a run is interrupted. No run continues with different mathematics unless
//! this is permitted.

use candle_core::Device;
use stackgan_core::{Recipe, Stage};
use stackgan_train::Error;
use stackgan_train::config::TrainConfig;
use stackgan_train::policy::Policy;
use stackgan_train::schedule::Decay;
use stackgan_train::store::Store;

use crate::ledger::ledger;
use crate::run::{Folder, config, on_threads};

const LAST: &str = "checkpoints/step-0000004.safetensors";

type Set = fn(&mut TrainConfig);

/// SHA-256 of the state after four steps, on every CPU with fused multiply-adds (x86-64 with AVX2 or
/// AVX-512, 64-bit ARM). Debug and release have the same value:
/// `cargo test --release --workspace --test it exact` compares with it, too. A change must be noted
/// in the changelog.
const GOLDEN: [(&str, Recipe, Set, &str); 4] = [
    (
        "residual",
        Recipe::Residual,
        |_| (),
        "560e5f4ac33d0aad6809558f45f89daea7e276225ce8321b2b59477a8d8b7454",
    ),
    (
        "plain",
        Recipe::Plain,
        |_| (),
        "2f03839acef98e74fe4357f31dabd1df1e7ce13b9c6ff746d873413ad62297ac",
    ),
    // A sum of so many values is split between the lanes of a vector unit, where they are used.
    (
        "plain, 32",
        Recipe::Plain,
        |cfg| cfg.optim.batch = 32,
        "75ffdb41b565dd6d71d9c3cdeeab0f5ad6508bfbf2a3924fe37128d23283c473",
    ),
    (
        "options",
        Recipe::Residual,
        options,
        "84063182865ea7c04c277ccd753f07bdfee841b7e3538c8fbed7743357dc791f",
    ),
];

/// Options whose sums take part in the weights.
fn options(cfg: &mut TrainConfig) {
    cfg.loss.mode_seeking = 1.0;
    (cfg.knobs.clip_g, cfg.knobs.clip_d, cfg.knobs.spectral_norm) = (0.1, 0.1, true);
    cfg.knobs.diff_augment = "colour,translation,cutout".to_owned().try_into().unwrap();
}

fn short(recipe: Recipe) -> TrainConfig {
    let mut cfg = config(Stage::One, recipe);
    cfg.optim.steps = 4;
    (cfg.run.checkpoint_every, cfg.run.sample_every) = (4, 100);
    cfg
}

#[test]
fn threads_and_prefetch_change_no_bit() {
    let folder = Folder::new(Stage::One);
    let mut compared = 0;
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut first: Option<Vec<u8>> = None;
        for threads in [1, 2, 3, 4, 8] {
            for prefetch in [0, 1, 8] {
                let mut cfg = short(recipe);
                cfg.run.prefetch = prefetch;
                let name = format!("{recipe:?}-{threads}-{prefetch}");
                on_threads(threads, || folder.train(&name, &cfg, None, 99)).unwrap();
                let bytes = folder.bytes(&name, LAST);
                assert!(*first.get_or_insert(bytes.clone()) == bytes, "{name}: other bytes");
                compared += 1;
            }
        }
    }
    ledger!(
        "exact.threads",
        compared,
        "runs at 1, 2, 3, 4, 8 threads and prefetch 0, 1, 8: one checkpoint a recipe"
    );
}

#[test]
fn debug_and_release_make_the_recorded_bits() {
    if stackgan_kernels::arithmetic(&Device::Cpu) == "cpu portable" {
        eprintln!("skipped: no bits are recorded for CPUs without fused multiply-adds");
        return;
    }
    let folder = Folder::new(Stage::One);
    let mut found = Vec::new();
    for (name, recipe, set, _) in GOLDEN {
        let mut cfg = short(recipe);
        set(&mut cfg);
        folder.train(name, &cfg, None, 99).unwrap();
        let checkpoints = folder.folder.path().join(name).join("checkpoints");
        let newest = Store::reading(&checkpoints).newest(&Device::Cpu).unwrap();
        let mut state = newest.found.unwrap().1;
        state.metadata.clear(); // the names of settings may change, the numbers may not
        found.push(state.sha256().unwrap());
    }
    assert_eq!(found, GOLDEN.map(|(.., expected)| expected));
}

/// Trains one step per process, so that the run is resumed at every step: within an epoch, at its
/// end, where the rate falls, and at the last step.
#[test]
fn a_run_of_one_step_at_a_time_is_the_same_run() {
    let folder = Folder::new(Stage::One);
    let mut resumes = 0;
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let mut cfg = config(Stage::One, recipe);
        cfg.optim.decay = Decay::Halve { every: 1 };
        cfg.optim.batch = 12; // some steps per epoch
        cfg.run.checkpoint_every = 100;
        let (whole, parts) = (format!("{recipe:?}-whole"), format!("{recipe:?}-parts"));
        folder.train(&whole, &cfg, None, 99).unwrap();
        while folder.train(&parts, &cfg, None, 1).unwrap().step < cfg.optim.steps {
            resumes += 1;
        }
        let last = "checkpoints/step-0000010.safetensors";
        assert!(folder.bytes(&whole, last) == folder.bytes(&parts, last), "{recipe:?}");
        let stats = folder.stats(&whole);
        assert_eq!(stats, folder.stats(&parts));
        let rate = |line: &String| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["lr_g"].as_f64().unwrap()
        };
        let rates: Vec<f64> = stats.iter().map(rate).collect();
        assert!(rates.first() > rates.last(), "the rate never fell: {rates:?}");
    }
    ledger!(
        "exact.resumes",
        resumes,
        "resumes at every step of a run, over epochs and falls of the rate: equal bytes"
    );
}

/// For every key of the configuration, a change that affects the mathematics is refused by name,
/// and a change of `[run]` is allowed.
#[test]
fn a_change_of_the_mathematics_needs_leave() {
    let folder = Folder::new(Stage::One);
    let cfg = short(Recipe::Residual);
    folder.train("run", &cfg, None, 2).unwrap();
    let toml: toml::Table = cfg.to_toml().unwrap().parse().unwrap();
    let (mut refused, mut free) = (0, 0);
    for (key, changed) in changes(&toml).into_iter().filter(|(key, _)| key != "stage") {
        let Ok(text) = toml::to_string(&changed) else { continue };
        let Ok(other) = TrainConfig::from_toml(&text) else { continue }; // out of range anyway
        if other == cfg {
            continue;
        }
        match folder.train("run", &other, None, 0) {
            Ok(_) => {
                assert!(key.starts_with("run."), "{key} was changed and nobody said so");
                free += 1;
            }
            Err(Error::Config { key: named, .. }) => {
                assert!(!key.starts_with("run."), "{key} changes no number and was refused");
                // Sizes can be refused earlier because they do not fit the data.
                assert!(named == key || key.starts_with("net."), "{key}: named {named}");
                refused += 1;
            }
            Err(error) => panic!("{key}: {error}"),
        }
    }
    assert!(refused >= 25 && free >= 4, "{refused} {free}");
    let allow = |keys: &[&str]| Policy {
        allow_change: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..Policy::default()
    };
    // A permission does not make the checkpoint's tensors fit.
    let (mut wider, mut divided) = (cfg.clone(), cfg.clone());
    (wider.net.gf, divided.knobs.spectral_norm) = (2 * cfg.net.gf, true);
    for (key, other) in [("net.gf", wider), ("knobs.spectral_norm", divided)] {
        let error = folder.train_as("run", &other, None, 1, &allow(&[key])).0.unwrap_err();
        let error = match &error {
            Error::Config { key: named, .. } if named == key => error.to_string(),
            _ => panic!("{key}: {error}"),
        };
        assert!(error.contains("train in another folder"), "{error}");
    }
    let mut other = cfg;
    (other.optim.lr_g, other.loss.kl) = (1e-3, 2.0);
    let error = folder.train_as("run", &other, None, 1, &allow(&["optim.lr_g"])).0.unwrap_err();
    for part in ["`loss.kl`", "expected 1.0", "found 2.0", "--allow-change loss.kl"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let allowed = allow(&["optim.lr_g", "loss.kl"]);
    let (result, warnings) = folder.train_as("run", &other, None, 99, &allowed);
    assert_eq!(result.unwrap().step, 4);
    assert!(warnings.iter().any(|w| w.contains("`loss.kl` was 1.0 and is 2.0")), "{warnings:?}");
    ledger!(
        "exact.keys",
        refused,
        "configuration keys whose change is refused by name at a resume"
    );
}

/// Returns a table with one changed leaf for every leaf that is a number or a boolean.
fn changes(table: &toml::Table) -> Vec<(String, toml::Table)> {
    let mut all = Vec::new();
    for (key, value) in table {
        let mut with = |path: String, value: toml::Value| {
            let mut changed = table.clone();
            changed.insert(key.clone(), value);
            all.push((path, changed));
        };
        match value {
            toml::Value::Table(inner) => {
                for (path, changed) in changes(inner) {
                    with(format!("{key}.{path}"), changed.into());
                }
            }
            toml::Value::Integer(n) => with(key.clone(), (n + 1).into()),
            toml::Value::Float(x) => with(key.clone(), (0.5 * x + 0.125).into()),
            toml::Value::Boolean(b) => with(key.clone(), (!b).into()),
            _ => {}
        }
    }
    all
}
