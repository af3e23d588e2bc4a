//! Complete runs on a few pictures: guarantees for resuming, threads and options.

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use stackgan_core::generator::Stage1Statistics;
use stackgan_core::text::Standardise;
use stackgan_core::{Model, NetConfig, Params, Parts, Recipe, Stage, StagePart, TextPart};
use stackgan_data::crop::{Preparation, Resizing};
use stackgan_data::dataset::{Dataset, Split};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::layouts::{Reading, cub};
use stackgan_data::noise::{Noise, Stream};
use stackgan_data::prepared::{Damaged, ImportOptions, Prepared, import};
use stackgan_data::toy::{self, ToyConfig};
use stackgan_train::Pretrained;
use stackgan_train::config::{TrainConfig, Wrong, picture_size, preset};
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::policy::{Policy, Resume};
use stackgan_train::run::{Outcome, Setup, train};
use stackgan_train::run_dir::RunDir;
use stackgan_train::start::Start;
use stackgan_train::step::Checks;

const DIM: usize = 12;

/// Number of toy birds of which eight are for training.
pub(crate) const EIGHT: usize = 9;

/// Toy birds.
fn birds(folder: &Path, count: usize) -> Dataset {
    let toy = folder.join("toy");
    toy::write(&toy, &ToyConfig { count, seed: 3 }, &|_, _| {}).unwrap();
    cub::read(&toy, Reading::default()).unwrap()
}

/// Prepares pictures for one stage, with random embeddings of their captions.
fn prepared(
    folder: &Path,
    birds: &Dataset,
    stage: Stage,
    scale: &dyn Fn(usize) -> f32,
) -> (Arc<Prepared>, Arc<Embeddings>) {
    let file = folder.join("prepared.safetensors");
    let size = picture_size(stage);
    let preparation = Preparation::squeezed(size, Resizing::Residual);
    import(birds, &file, &ImportOptions { preparation, damaged: Damaged::Refuse }, &|_, _| {})
        .unwrap();
    let data = Arc::new(Prepared::open(&file).unwrap());
    let file = folder.join("embeddings.safetensors");
    let mut writer = Embeddings::create(&file, DIM, "random", &data).unwrap();
    for row in 0..data.caption_count() {
        let values = Noise::new(5).normal(Stream::Test, 0, row as u64, DIM);
        writer.append(&values.iter().map(|v| scale(row) * v).collect::<Vec<_>>()).unwrap();
    }
    writer.finish().unwrap();
    (data, Arc::new(Embeddings::open(&file).unwrap()))
}

pub(crate) fn config(stage: Stage, recipe: Recipe) -> TrainConfig {
    let name = format!("toy-stage{}", stage.number());
    let mut cfg = TrainConfig::from_toml(preset(&name).unwrap()).unwrap();
    cfg.net = NetConfig {
        recipe,
        gf: 4,
        df: 2,
        text_dim: DIM,
        cond_dim: 6,
        z_dim: 5,
        residual_blocks: 1,
        channel_floor: 4,
    };
    cfg.optim.batch = 4;
    cfg.optim.steps = 10;
    cfg.data.embedding_standardise = false;
    cfg.run.report_every = 1;
    cfg.run.checkpoint_every = 4;
    cfg.loss.r1.every = 3;
    cfg.loss.matching = 0.0;
    if recipe == Recipe::Plain {
        cfg.data.wrong = Wrong::NextText;
    }
    cfg
}

pub(crate) struct Folder {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) data: (Arc<Prepared>, Arc<Embeddings>),
    /// The device of [`Folder::train_as`].
    pub(crate) device: Device,
}

impl Folder {
    pub(crate) fn new(stage: Stage) -> Self {
        Self::with_embeddings(stage, &|_| 1.0)
    }

    /// Scales the embedding of each caption by `scale`.
    pub(crate) fn with_embeddings(stage: Stage, scale: &dyn Fn(usize) -> f32) -> Self {
        Self::made((stage, 60), scale)
    }

    /// Has `count` pictures instead of 60.
    pub(crate) fn of_pictures(stage: Stage, count: usize) -> Self {
        Self::made((stage, count), &|_| 1.0)
    }

    fn made((stage, count): (Stage, usize), scale: &dyn Fn(usize) -> f32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = prepared(folder.path(), &birds(folder.path(), count), stage, scale);
        Self { folder, data, device: Device::Cpu }
    }

    /// Trains in the run folder `name`, at most `upto` steps in this call.
    pub(crate) fn train(
        &self,
        name: &str,
        config: &TrainConfig,
        stage1: Option<Model>,
        upto: u64,
    ) -> stackgan_train::Result<Outcome> {
        self.train_as(name, config, stage1, upto, &Policy::default()).0
    }

    /// The same with a policy; also returns the warnings.
    pub(crate) fn train_as(
        &self,
        name: &str,
        config: &TrainConfig,
        stage1: Option<Model>,
        upto: u64,
        policy: &Policy,
    ) -> (stackgan_train::Result<Outcome>, Vec<String>) {
        self.run(name, Setup { stage1, ..self.setup(config) }, upto, policy)
    }

    /// Returns the inputs of a run on this folder's data, without Stage-I, encoder or matcher.
    pub(crate) fn setup(&self, config: &TrainConfig) -> Setup {
        let (dataset, embeddings) = (Arc::clone(&self.data.0), Arc::clone(&self.data.1));
        Setup {
            config: config.clone(),
            dataset,
            embeddings,
            encoder: None,
            encoder_source: None,
            pretrained: Pretrained::default(),
            stage1: None,
            device: self.device.clone(),
            start: Start::default(),
            shown: None,
        }
    }

    /// Trains with these inputs, as [`Self::train_as`] does.
    pub(crate) fn run(
        &self,
        name: &str,
        setup: Setup,
        upto: u64,
        policy: &Policy,
    ) -> (stackgan_train::Result<Outcome>, Vec<String>) {
        let mut warnings = Vec::new();
        let taken = std::cell::Cell::new(0);
        let stop = || (taken.get() >= upto).then_some(StopReason::TimeBudget);
        let result = RunDir::open(&self.folder.path().join(name)).and_then(|dir| {
            train(setup, &dir, policy.clone(), &stop, &mut |event| match event {
                TrainEvent::Step { .. } => taken.set(taken.get() + 1),
                TrainEvent::Warning { text, .. } => warnings.push(text),
                _ => {}
            })
        });
        (result, warnings)
    }

    pub(crate) fn bytes(&self, name: &str, file: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name).join(file)).unwrap()
    }

    /// Returns the lines of `stats.jsonl` without the times.
    pub(crate) fn stats(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8(self.bytes(name, "stats.jsonl")).unwrap();
        let without_clock = |line: &str| {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            for clock in ["seconds", "since", "loading"] {
                value.as_object_mut().unwrap().remove(clock);
            }
            value.to_string()
        };
        text.lines().map(without_clock).collect()
    }
}

/// Compares an uninterrupted run of six steps with two threads; one with one thread that is stopped
/// twice; and one with checks at the end of a step. `go` goes on with a run for so many steps.
/// Returns the statistics.
pub(crate) fn ends_in_the_same_bytes(
    folder: &Folder,
    run: &str,
    go: impl Fn(&str, u64, Policy) + Sync,
) -> Vec<String> {
    let name = |what: &str| format!("{run}-{what}");
    let (whole, parts, later) = (name("whole"), name("parts"), name("later"));
    on_threads(2, || go(&whole, 99, Policy::default()));
    for upto in [1, 3, 99] {
        on_threads(1, || go(&parts, upto, Policy::default()));
    }
    go(&later, 99, Policy { checks: Some(Checks::Deferred), ..Policy::default() });
    let file = "checkpoints/step-0000006.safetensors";
    let stats = folder.stats(&whole);
    for other in [parts, later] {
        assert!(folder.bytes(&whole, file) == folder.bytes(&other, file));
        assert_eq!(stats, folder.stats(&other));
    }
    stats
}

pub(crate) fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

const FINAL: &str = "checkpoints/step-0000010.safetensors";

/// Compares an uninterrupted run with two threads with one that is stopped after 1, 5 (after a
/// checkpoint at 4) and 9 steps, with one and two threads.
#[test]
fn a_run_that_is_stopped_and_resumed_ends_in_the_same_bytes() {
    let folder = Folder::new(Stage::One);
    for recipe in [Recipe::Residual, Recipe::Plain] {
        let cfg = config(Stage::One, recipe);
        let name = |what: &str| format!("{recipe:?}-{what}");
        let whole = on_threads(2, || folder.train(&name("whole"), &cfg, None, 99)).unwrap();
        assert_eq!((whole.step, whole.reason), (10, StopReason::Done));
        for threads in [1, 2] {
            let parts = name(&format!("parts-{threads}"));
            for upto in [1, 4, 4, 99] {
                let cfg = TrainConfig {
                    run: stackgan_train::config::RunConfig {
                        prefetch: upto as usize % 3,
                        ..cfg.run
                    },
                    ..cfg.clone()
                };
                on_threads(threads, || folder.train(&parts, &cfg, None, upto)).unwrap();
            }
            for file in [FINAL, "model.safetensors", "samples/000010.png"] {
                assert!(
                    folder.bytes(&name("whole"), file) == folder.bytes(&parts, file),
                    "{parts} {file}"
                );
            }
            assert_eq!(folder.stats(&name("whole")), folder.stats(&parts));
        }
    }
}

/// Returns a fresh Stage-I model without an encoder.
pub(crate) fn stage1(net: NetConfig) -> Model {
    stage1_with(net, None)
}

/// As [`stage1`]; embeddings are standardised before it reads them.
pub(crate) fn stage1_with(net: NetConfig, standardise: Option<Standardise>) -> Model {
    let params = Params::fresh(Noise::new(1), "g1", &Device::Cpu);
    stackgan_core::residual::Stage1Generator::new(&net, &params.trained()).unwrap();
    let info = stackgan_core::StageInfo {
        net,
        truncated_epsilon: true,
        sample_z: 1.0,
        sample_eps: 1.0,
        dataset: "toy".to_owned(),
        dataset_fingerprint: String::new(),
        steps: 0,
        batch: 4,
        seed: 1,
        ema: 0.0,
    };
    let (fingerprint, source) = ("random".to_owned(), None);
    let text = TextPart::Beside { fingerprint, source, standardise };
    let stage1 = StagePart { info, params };
    Model::new(Parts { text, stage1, stage2: None }).unwrap()
}

#[test]
fn stage2_keeps_stage1_and_resumes_exactly() {
    let folder = Folder::new(Stage::Two);
    let mut cfg = config(Stage::Two, Recipe::Residual);
    cfg.optim.steps = 4;
    cfg.run.checkpoint_every = 2;
    folder.train("whole", &cfg, Some(stage1(cfg.net)), 99).unwrap();
    folder.train("parts", &cfg, Some(stage1(cfg.net)), 1).unwrap();
    folder.train("parts", &cfg, Some(stage1(cfg.net)), 99).unwrap();
    let file = "checkpoints/step-0000004.safetensors";
    assert!(folder.bytes("whole", file) == folder.bytes("parts", file));
    let model =
        Model::from_bytes(&folder.bytes("whole", "model.safetensors"), &Device::Cpu).unwrap();
    assert_eq!(model.last_stage(), Stage::Two);
    let error = folder.train("alone", &cfg, None, 1).unwrap_err().to_string();
    assert!(error.contains("Stage-I model") && error.contains("do: "), "{error}");
    // What only Stage-II has cannot change without permission either.
    let (mut looser, mut other) = (cfg.clone(), cfg.clone());
    looser.loss.colour_consistency += 1.0;
    other.noise.stage1_statistics = match cfg.noise.stage1_statistics {
        Stage1Statistics::Batch => Stage1Statistics::Running,
        Stage1Statistics::Running => Stage1Statistics::Batch,
    };
    for (key, changed) in [("loss.colour_consistency", looser), ("noise.stage1_statistics", other)]
    {
        let error = folder.train("parts", &changed, Some(stage1(cfg.net)), 1).unwrap_err();
        assert!(error.to_string().contains(&format!("--allow-change {key}")), "{error}");
    }
}

#[test]
fn another_configuration_or_a_damaged_checkpoint_is_not_taken_up() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 5).unwrap();
    let mut other = cfg.clone();
    other.optim.lr_g = 3e-3;
    let error = folder.train("run", &other, None, 5).unwrap_err().to_string();
    assert!(error.contains("`optim.lr_g`") && error.contains("--allow-change"), "{error}");
    // Keys that do not affect the mathematics can change.
    let mut harmless = cfg;
    harmless.run.report_every = 3;
    let checkpoints = folder.folder.path().join("run/checkpoints");
    let newest = checkpoints.join("step-0000005.safetensors");
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let strict = Policy::from(Resume::Strict);
    let error = folder.train_as("run", &harmless, None, 1, &strict).0.unwrap_err().to_string();
    for part in ["newest checkpoint is damaged", "step-0000005", "step 4 is whole", "--strict"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(folder.train("run", &harmless, None, 1).unwrap().step, 5, "resumed from step 4");
    assert_eq!(folder.train_as("run", &harmless, None, 1, &strict).0.unwrap().step, 6);
}

/// Embeddings of 1e30 overflow in conditioning augmentation.
#[test]
fn a_number_that_is_no_number_stops_before_anything_is_saved() {
    let folder = Folder::with_embeddings(Stage::One, &|_| 1e30);
    let error = folder.train("run", &config(Stage::One, Recipe::Residual), None, 99).unwrap_err();
    assert!(matches!(error, stackgan_train::Error::NonFinite { step: 0, .. }), "{error}");
    let checkpoints = folder.folder.path().join("run/checkpoints");
    let names = std::fs::read_dir(checkpoints).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["step-0000000.safetensors"], "only the fresh state");
}

/// A dataset that a program builds may have such pictures.
#[test]
fn a_test_picture_without_captions_is_not_among_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let mut birds = birds(folder.path(), 60);
    let mut tested = birds.items.iter_mut().filter(|item| item.split == Split::Test);
    let kept = tested.next().unwrap().captions[0].clone();
    tested.for_each(|item| item.captions.clear());
    let data = prepared(folder.path(), &birds, Stage::One, &|_| 1.0);
    let folder = Folder { folder, data, device: Device::Cpu };
    folder.train("run", &config(Stage::One, Recipe::Residual), None, 1).unwrap();
    assert_eq!(folder.bytes("run", "samples/captions.txt"), format!("{kept}\n").into_bytes());
}
