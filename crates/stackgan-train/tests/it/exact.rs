//! Exact results: the same bits for any number of threads, any prefetch depth, in debug and
//! release, and however a run is interrupted. No run continues with different mathematics unless
//! this is permitted.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Device;
use stackgan_core::{Recipe, Stage};
use stackgan_train::Error;
use stackgan_train::config::{TrainConfig, Wrong};
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

/// Keys that a run of Stage-I cannot change, or not without another key, and where they are tried.
const NOT_ALONE: [&str; 9] = [
    "knobs.finetune_stage1",   // knobs.rs
    "loss.colour_consistency", // run.rs
    "loss.matching",           // matching.rs
    "loss.projected",          // projected.rs
    "net.recipe",              // TOGETHER
    "noise.stage1_statistics", // run.rs
    "optim.decay.kind",        // TOGETHER
    "optim.epochs",            // TOGETHER
    "stage",                   // its networks are others
];

/// Changes of several keys, and the name of the change.
const TOGETHER: [(&str, Set); 3] = [
    ("net.recipe", |cfg| (cfg.net.recipe, cfg.data.wrong) = (Recipe::Plain, Wrong::NextText)),
    ("optim.decay", |cfg| cfg.optim.decay = Decay::Constant),
    ("optim.epochs", |cfg| (cfg.optim.epochs, cfg.optim.steps) = (1, 0)),
];

/// For every key of the configuration, a change that affects the mathematics is refused by name,
/// and a change of `[run]` is allowed. Options that are on are written, so they are keys too.
#[test]
fn a_change_of_the_mathematics_needs_leave() {
    let folder = Folder::new(Stage::One);
    let mut cfg = short(Recipe::Residual);
    options(&mut cfg);
    (cfg.knobs.real_label, cfg.knobs.d_steps, cfg.knobs.micro_batch) = (0.9, 2, 2);
    cfg.run.keep_every = 2;
    folder.train("run", &cfg, None, 2).unwrap();
    let (mut others, not_alone) = changes(&cfg);
    assert_eq!(not_alone.iter().map(String::as_str).collect::<Vec<_>>(), NOT_ALONE);
    for (key, set) in TOGETHER {
        let mut other = cfg.clone();
        set(&mut other);
        other.check().unwrap();
        others.insert(key.to_owned(), other);
    }
    let (mut refused, mut free) = (0, 0);
    for (key, other) in others {
        match folder.train("run", &other, None, 0) {
            Ok(_) => {
                assert!(key.starts_with("run."), "{key} was changed and nobody said so");
                free += 1;
            }
            Err(Error::Config { key: named, .. }) => {
                assert!(!key.starts_with("run."), "{key} changes no number and was refused");
                assert_eq!(named, key);
                refused += 1;
            }
            Err(error) => panic!("{key}: {error}"),
        }
    }
    assert!(refused >= 40 && free >= 6, "{refused} {free}");
    only_what_is_permitted_changes(&folder, cfg);
    ledger!(
        "exact.keys",
        refused,
        "configuration keys whose change is refused by name at a resume"
    );
}

/// Changes the configuration of the run in the folder, with permissions.
fn only_what_is_permitted_changes(folder: &Folder, cfg: TrainConfig) {
    let allow = |keys: &[&str]| Policy {
        allow_change: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..Policy::default()
    };
    // A permission does not make the checkpoint's tensors fit.
    let (mut wider, mut divided) = (cfg.clone(), cfg.clone());
    (wider.net.gf, divided.knobs.spectral_norm) = (2 * cfg.net.gf, false);
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
}

/// Returns a configuration with another value of the key for each key that can be changed alone, and
/// the other keys.
fn changes(cfg: &TrainConfig) -> (BTreeMap<String, TrainConfig>, BTreeSet<String>) {
    let table: toml::Table = cfg.to_toml().unwrap().parse().unwrap();
    let off = TrainConfig::absent_when_off().into_iter().map(|(key, _)| key);
    let (mut changed, mut others) = (BTreeMap::new(), off.collect::<BTreeSet<String>>());
    for (key, table) in changed_leaves(&table) {
        let text = toml::to_string(&table).unwrap();
        if let Some(other) = TrainConfig::from_toml(&text).ok().filter(|other| other != cfg) {
            changed.entry(key.clone()).or_insert(other);
        }
        others.insert(key);
    }
    others.retain(|key| !changed.contains_key(key));
    (changed, others)
}

/// Words that are values of a key.
const WORDS: [&str; 6] = ["as-released", "cutout", "mean", "normal", "plain", "running"];

/// Returns tables with one changed leaf, for every leaf one or more. Many are not in range.
fn changed_leaves(table: &toml::Table) -> Vec<(String, toml::Table)> {
    let mut all = Vec::new();
    for (key, value) in table {
        let mut with = |path: String, value: toml::Value| {
            let mut changed = table.clone();
            changed.insert(key.clone(), value);
            all.push((path, changed));
        };
        match value {
            toml::Value::Table(inner) => {
                for (path, changed) in changed_leaves(inner) {
                    with(format!("{key}.{path}"), changed.into());
                }
            }
            toml::Value::Integer(n) => {
                [n + 1, 2 * n].into_iter().for_each(|n| with(key.clone(), n.into()));
            }
            toml::Value::Float(x) => with(key.clone(), (0.5 * x + 0.125).into()),
            toml::Value::Boolean(b) => with(key.clone(), (!b).into()),
            toml::Value::String(_) => {
                WORDS.into_iter().for_each(|word| with(key.clone(), word.into()));
            }
            other => panic!("{key} is {other}"),
        }
    }
    all
}
