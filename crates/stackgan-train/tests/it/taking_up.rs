//! Runs that are resumed after a change to their folder, and their messages.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::text::{CharCnnRnnConfig, CharCnnRnnEncoder, Standardise, TextEncoder as _};
use stackgan_core::{Model, Params, Recipe, Stage};
use stackgan_data::crop::{Fit, Preparation, Resizing, Stretch};
use stackgan_data::layouts::{Reading, cub};
use stackgan_data::noise::Noise;
use stackgan_data::prepared::{Damaged, ImportOptions, Prepared, import};
use stackgan_train::Error;
use stackgan_train::config::{TrainConfig, picture_size};
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::policy::{Policy, Resume};
use stackgan_train::run::{Setup, model_at, train};
use stackgan_train::run_dir::RunDir;
use stackgan_train::store::Store;

use crate::matching::encoded;
use crate::run::{Folder, config, stage1_with};

/// The process is killed, or the disk is full, between the last checkpoint and the model.
#[test]
fn a_model_of_an_earlier_step_is_written_anew() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 4).unwrap();
    let earlier = folder.bytes("run", "model.safetensors");
    folder.train("run", &cfg, None, 99).unwrap();
    let last = folder.bytes("run", "model.safetensors");
    assert!(earlier != last);
    let run = folder.folder.path().join("run");
    fs::write(run.join("model.safetensors"), earlier).unwrap();
    fs::write(run.join(".tmp-model.safetensors"), "a part").unwrap();
    let outcome = folder.train("run", &cfg, None, 99).unwrap();
    assert_eq!(outcome.step, 10);
    assert!(folder.bytes("run", "model.safetensors") == last);
    assert!(!run.join(".tmp-model.safetensors").exists(), "what was cut off is swept away");
}

/// The process is killed between a checkpoint and its model. What measures the model when the run goes
/// on finds that of the checkpoint.
#[test]
fn a_run_goes_on_with_the_model_of_its_checkpoint() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 4).unwrap();
    let earlier = folder.bytes("run", "model.safetensors");
    folder.train("run", &cfg, None, 1).unwrap();
    let model = folder.bytes("run", "model.safetensors");
    let dir = RunDir::open(&folder.folder.path().join("run")).unwrap();
    fs::write(dir.files().model(), earlier).unwrap();
    let (stop, mut found) = (|| Some(StopReason::TimeBudget), None);
    train(folder.setup(&cfg), &dir, Policy::default(), &stop, &mut |event| {
        if let TrainEvent::Started { step, .. } = event {
            found = Some((step, fs::read(dir.files().model()).unwrap()));
        }
    })
    .unwrap();
    assert!(found == Some((5, model)));
}

#[test]
fn a_checkpoint_says_whether_the_run_ends_with_it() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    let dir = RunDir::open(&folder.folder.path().join("run")).unwrap();
    let (taken, mut found) = (std::cell::Cell::new(0), Vec::new());
    let stop = || (taken.get() == 5).then_some(StopReason::StopFile);
    for _ in 0..2 {
        train(folder.setup(&cfg), &dir, Policy::default(), &stop, &mut |event| match event {
            TrainEvent::Step { step } => taken.set(step),
            TrainEvent::Checkpoint { step, ends, .. } => found.push((step, ends)),
            _ => {}
        })
        .unwrap();
    }
    let (stopped, done) = (Some(StopReason::StopFile), Some(StopReason::Done));
    assert_eq!(found, [(4, None), (5, stopped), (8, None), (10, done)]);
}

/// A folder is in the place where the model is written. That is no failed save, of which the third ends
/// the run.
#[test]
fn a_model_that_cannot_be_written_is_not_called_a_checkpoint() {
    let folder = Folder::new(Stage::One);
    let mut cfg = config(Stage::One, Recipe::Residual);
    cfg.run.checkpoint_every = 1;
    let dir = RunDir::open(&folder.folder.path().join("run")).unwrap();
    let place = dir.path().join(".tmp-model.safetensors");
    let (mut told, mut saved) = (Vec::new(), Vec::new());
    let setup = folder.setup(&cfg);
    train(setup, &dir, Policy::default(), &|| None, &mut |event| match event {
        TrainEvent::Step { step: 1 } => fs::create_dir(&place).unwrap(),
        TrainEvent::Step { step: 8 } => fs::remove_dir(&place).unwrap(),
        TrainEvent::Warning { step, text } if text.contains("saved") => told.push((step, text)),
        TrainEvent::Checkpoint { step, .. } => saved.push(step),
        _ => {}
    })
    .unwrap();
    assert_eq!(saved, (1..=10).collect::<Vec<u64>>());
    assert_eq!(told.len(), 7, "{told:?}");
    for (step, text) in told {
        let there = format!("; the checkpoint of step {step} is saved");
        assert!(text.starts_with("the model is not written") && text.ends_with(&there), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_folder_that_was_moved_is_told() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    let place = |name: &str| folder.folder.path().join(name);
    let (dir, mut told) = (RunDir::open(&place("run")).unwrap(), Vec::new());
    let setup = folder.setup(&cfg);
    let error = train(setup, &dir, Policy::default(), &|| None, &mut |event| match event {
        TrainEvent::Step { step: 2 } => fs::rename(place("run"), place("moved")).unwrap(),
        TrainEvent::Warning { text, .. } => told.push(text),
        _ => {}
    })
    .unwrap_err();
    assert!(error.to_string().contains("the run folder is gone or was moved"), "{error}");
    assert!(told.iter().any(|text| text.starts_with("not saved")), "{told:?}");
    assert!(!told.iter().any(|text| text.contains("free space")), "{told:?}");
    drop(dir);
    assert_eq!(folder.train("moved", &cfg, None, 99).unwrap().step, 10);
}

#[test]
fn a_run_without_its_checkpoints_does_not_begin_again() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 5).unwrap();
    let model = folder.bytes("run", "model.safetensors");
    fs::remove_dir_all(folder.folder.path().join("run/checkpoints")).unwrap();
    for resume in [Resume::Auto, Resume::Strict, Resume::Never] {
        let error = folder.train_as("run", &cfg, None, 1, &resume.into()).0.unwrap_err();
        assert!(matches!(&error, Error::Checkpoint { .. }), "{error}");
        assert!(error.to_string().contains("checkpoints are gone"), "{error}");
    }
    assert!(folder.bytes("run", "model.safetensors") == model && folder.stats("run").len() == 5);
}

/// The process is killed after a permitted change and before the next checkpoint.
#[test]
fn an_allowed_change_holds_from_the_moment_it_is_taken() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 5).unwrap();
    let mut other = cfg;
    other.loss.kl = 1.5;
    let policy = Policy { allow_change: vec!["loss.kl".to_owned()], ..Policy::default() };
    let killed = catch_unwind(AssertUnwindSafe(|| {
        let dir = RunDir::open(&folder.folder.path().join("run")).unwrap();
        let kill = |event: TrainEvent| assert!(!matches!(event, TrainEvent::Started { .. }));
        drop(train(folder.setup(&other), &dir, policy, &|| None, &mut { kill }));
    }));
    assert!(killed.is_err());
    let kept = String::from_utf8(folder.bytes("run", "config.toml")).unwrap();
    assert_eq!(TrainConfig::from_toml(&kept).unwrap().loss.kl, 1.5);
    assert_eq!(folder.train("run", &other, None, 1).unwrap().step, 6);
}

/// Averages that a checkpoint does not have begin at G's weights. The model of a checkpoint tells
/// the average that it had, not that of the run as it is.
#[test]
fn averages_can_begin_in_a_run_that_has_begun() {
    let folder = Folder::new(Stage::One);
    let mut averaged = config(Stage::One, Recipe::Residual);
    averaged.run.keep_every = 1;
    let mut cfg = averaged.clone();
    cfg.optim.ema = 0.0;
    folder.train("run", &cfg, None, 3).unwrap();
    folder.train("run", &cfg, None, 1).unwrap();
    let without = folder.bytes("run", "model.safetensors");
    let policy = Policy { allow_change: vec!["optim.ema".to_owned()], ..Policy::default() };
    let (result, told) = folder.train_as("run", &averaged, None, 1, &policy);
    assert_eq!(result.unwrap().step, 5);
    assert!(told.iter().any(|text| text.contains("`optim.ema` was 0.0")), "{told:?}");
    let tensors = |bytes: &[u8]| Archive::from_bytes(bytes, &Device::Cpu).unwrap().tensors;
    let (before, after) = (tensors(&without), tensors(&folder.bytes("run", "model.safetensors")));
    for (name, before) in before.iter().filter(|(name, _)| !name.contains("running")) {
        let moved = (before - &after[name]).unwrap().abs().unwrap().flatten_all().unwrap();
        let moved = f64::from(moved.max(0).unwrap().to_scalar::<f32>().unwrap());
        assert!(moved < cfg.optim.lr_g, "{name} moved by {moved}, more than the step did");
    }
    let policy = Policy { allow_change: vec!["optim.ema".to_owned()], ..Policy::default() };
    let decays = |steps: [u64; 2]| {
        let model = folder.bytes("run", "model.safetensors");
        let kept = folder.folder.path().join("run/checkpoints");
        steps.map(|step| {
            let file = kept.join(format!("step-{step:07}.safetensors"));
            let (header, archive) = Store::reading(&kept).load(&file, &Device::Cpu).unwrap();
            let run = Model::from_bytes(&model, &Device::Cpu).unwrap();
            model_at(run, (&header, &archive)).unwrap().info().stage1.ema
        })
    };
    assert_eq!(decays([3, 5]), [0.0, averaged.optim.ema]);
    assert_eq!(folder.train_as("run", &cfg, None, 1, &policy).0.unwrap().step, 6, "off again");
    assert_eq!(decays([3, 4]), [0.0, averaged.optim.ema]);
}

#[cfg(unix)]
#[test]
fn a_trainer_writes_no_checkpoint_where_another_trains() {
    let folder = Folder::new(Stage::One);
    let run = folder.folder.path().join("run");
    let (dir, mut other) = (RunDir::open(&run).unwrap(), None);
    let mut on_event = |event: TrainEvent| {
        if let TrainEvent::Step { step: 2 } = event {
            fs::remove_file(run.join("LOCK")).unwrap();
            other = Some(RunDir::open(&run).unwrap());
        }
    };
    let setup = folder.setup(&config(Stage::One, Recipe::Residual));
    let error = train(setup, &dir, Policy::default(), &|| None, &mut on_event).unwrap_err();
    assert!(
        matches!(&error, Error::Storage { .. }) && error.to_string().contains("LOCK"),
        "{error}"
    );
    let written: Vec<_> = fs::read_dir(run.join("checkpoints")).unwrap().collect();
    assert_eq!(written.len(), 1, "that of step 0");
}

#[test]
fn a_damaged_checkpoint_is_told_at_the_step_that_is_gone_on_from() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 5).unwrap();
    let run = folder.folder.path().join("run");
    fs::write(run.join("checkpoints/step-0000005.safetensors"), "cut").unwrap();
    let (dir, mut told) = (RunDir::open(&run).unwrap(), Vec::new());
    let stop = || Some(StopReason::TimeBudget);
    train(folder.setup(&cfg), &dir, Policy::default(), &stop, &mut |event| {
        if let TrainEvent::Warning { step, text } = event {
            told.push((step, text));
        }
    })
    .unwrap();
    let (step, _) = told.iter().find(|(_, text)| text.contains("step-0000005")).unwrap();
    assert_eq!(*step, 4, "{told:?}");
}

/// Reports and R1 rarely fall on the same step. The R1 term of step 5 is not yet reported when the
/// run is stopped after step 6.
#[test]
fn a_term_that_is_seldom_is_reported_and_goes_on() {
    let folder = Folder::new(Stage::One);
    let mut cfg = config(Stage::One, Recipe::Residual);
    (cfg.loss.r1.gamma, cfg.loss.r1.every, cfg.run.report_every) = (0.5, 4, 4);
    folder.train("run", &cfg, None, 99).unwrap();
    let stats = folder.stats("run");
    assert_eq!(stats.len(), 3);
    assert!(stats.iter().all(|line| line.contains("\"r1\":")), "{stats:?}");
    folder.train("parts", &cfg, None, 6).unwrap();
    folder.train("parts", &cfg, None, 99).unwrap();
    assert_eq!(folder.stats("parts"), stats);
}

#[test]
fn statistics_are_cut_around_a_damaged_line() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 5).unwrap();
    let file = folder.folder.path().join("run/stats.jsonl");
    let mut bytes = fs::read(&file).unwrap();
    bytes[10] = 0xff;
    bytes.extend_from_slice(b"{\"step\": 6, \"ep"); // a power cut
    fs::write(&file, bytes).unwrap();
    let newest = folder.folder.path().join("run/checkpoints/step-0000005.safetensors");
    fs::remove_file(newest).unwrap();
    let (result, warnings) = folder.train_as("run", &cfg, None, 2, &Policy::default());
    assert_eq!(result.unwrap().step, 6);
    let lines = folder.stats("run");
    let steps: Vec<u64> = lines
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(steps, [2, 3, 4, 5, 6]);
    let told = |text: &&String| text.contains("stats.jsonl") && text.ends_with("left out: 1");
    assert_eq!(warnings.iter().filter(told).count(), 1, "{warnings:?}");
}

/// What a user kept to choose from is not lost with a setting under `[run]`.
#[test]
fn milestones_stay_when_their_setting_is_changed() {
    let folder = Folder::new(Stage::One);
    let mut cfg = config(Stage::One, Recipe::Residual);
    (cfg.run.checkpoint_every, cfg.run.keep) = (1, 2);
    let store = Store::reading(&folder.folder.path().join("run/checkpoints"));
    for (every, steps, kept) in
        [(2, 5, &[2, 3, 4, 5][..]), (0, 3, &[2, 3, 4, 7, 8]), (0, 2, &[2, 3, 4, 9, 10])]
    {
        cfg.run.keep_every = every;
        folder.train("run", &cfg, None, steps).unwrap();
        let name = |step: &u64| format!("step-{step:07}.safetensors");
        let found = store.checkpoints().unwrap();
        let found: Vec<_> =
            found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(found, kept.iter().map(name).collect::<Vec<_>>(), "every {every}");
    }
}

/// A run goes on from an earlier step than the last one that was measured.
#[test]
fn measurements_are_cut_as_statistics_are() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 5).unwrap();
    let run = folder.folder.path().join("run");
    let lines = ["{\"step\":2}\n", "no line\n", "{\"step\":4}\n", "{\"step\":5}\n", "{\"st"];
    fs::write(run.join("eval.jsonl"), lines.concat()).unwrap();
    fs::remove_file(run.join("checkpoints/step-0000005.safetensors")).unwrap();
    let (result, warnings) = folder.train_as("run", &cfg, None, 2, &Policy::default());
    assert_eq!(result.unwrap().step, 6);
    let kept = String::from_utf8(folder.bytes("run", "eval.jsonl")).unwrap();
    assert_eq!(kept, "{\"step\":2}\n{\"step\":4}\n");
    let told = |text: &&String| text.contains("eval.jsonl") && text.ends_with("left out: 1");
    assert_eq!(warnings.iter().filter(told).count(), 1, "{warnings:?}");
}

/// After the first of ten lines, a folder is in the place of the statistics.
#[test]
fn statistics_that_cannot_be_written_stop_no_training() {
    let folder = Folder::new(Stage::One);
    let dir = RunDir::open(&folder.folder.path().join("run")).unwrap();
    let (stats, mut told) = (dir.files().stats(), Vec::new());
    let setup = folder.setup(&config(Stage::One, Recipe::Residual));
    let outcome = train(setup, &dir, Policy::default(), &|| None, &mut |event| match event {
        TrainEvent::Step { step: 2 } => {
            fs::remove_file(&stats).unwrap();
            fs::create_dir(&stats).unwrap();
        }
        TrainEvent::Warning { step, text } if text.contains("stats.jsonl") => told.push(step),
        _ => {}
    })
    .unwrap();
    assert_eq!((outcome.step, outcome.reason), (10, StopReason::Done));
    assert_eq!(told, [2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

/// The files are the same, but the pixels differ: by their contrast, or by the crop.
#[test]
fn pictures_of_other_pixels_are_other_data() {
    let folder = Folder::new(Stage::One);
    let cfg = config(Stage::One, Recipe::Residual);
    folder.train("run", &cfg, None, 5).unwrap();
    let same = cub::read(&folder.folder.path().join("toy"), Reading::default()).unwrap();
    let mut moved = same.clone();
    moved.items[0].bounding_box.as_mut().unwrap().width /= 2.0;
    for (birds, stretch, fit) in [
        (same.clone(), Stretch::AsReleased, Fit::Squeeze),
        (moved, Stretch::None, Fit::Squeeze),
        (same, Stretch::None, Fit::Centre),
    ] {
        let file = folder.folder.path().join("others.safetensors");
        let size = picture_size(Stage::One);
        let preparation = Preparation { size, resizing: Resizing::Residual, stretch, fit };
        let options = ImportOptions { preparation, damaged: Damaged::Refuse };
        import(&birds, &file, &options, &|_, _| {}).unwrap();
        let data = Arc::new(Prepared::open(&file).unwrap());
        assert_eq!(data.fingerprint(), folder.data.0.fingerprint());
        assert_ne!(data.pixels(), folder.data.0.pixels());
        let setup = Setup { dataset: data, ..folder.setup(&cfg) };
        let error = folder.run("run", setup, 1, &Policy::default()).0.unwrap_err();
        assert!(matches!(&error, Error::Config { key, .. } if key == "pixels"), "{error}");
    }
}

#[test]
fn stage2_reads_embeddings_as_its_stage1_does() {
    let folder = Folder::new(Stage::Two);
    let mut cfg = config(Stage::Two, Recipe::Residual);
    let mean = Tensor::full(0.25f32, cfg.net.text_dim, &Device::Cpu).unwrap();
    let standardise = || Some(Standardise::new(mean.to_dtype(DType::F32).unwrap(), 2.0).unwrap());
    let net = cfg.net;
    let stage1 = |standardise| stage1_with(net, standardise);
    for (wanted, stage1) in [(true, stage1(None)), (false, stage1(standardise()))] {
        cfg.data.embedding_standardise = wanted;
        let error = folder.train("refused", &cfg, Some(stage1), 1).unwrap_err();
        let key = "data.embedding_standardise";
        assert!(matches!(&error, Error::Config { key: found, .. } if found == key), "{error}");
    }
    cfg.data.embedding_standardise = true;
    folder.train("run", &cfg, Some(stage1(standardise())), 1).unwrap();
    let bytes = folder.bytes("run", "model.safetensors");
    let model = Model::from_bytes(&bytes, &Device::Cpu).unwrap();
    let kept = model.standardise().unwrap().tensors().unwrap();
    let expected = standardise().unwrap().tensors().unwrap();
    for (name, tensor) in expected {
        let of = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(of(&kept[&name]), of(&tensor), "Stage-I's numbers, not those of these data");
    }
}

/// A char-CNN-RNN of vectors of `dim` values, the same each time.
fn small_encoder(dim: usize) -> CharCnnRnnEncoder {
    let sizes =
        CharCnnRnnConfig { conv1: 16, conv2: 16, units: 16, dim, ..CharCnnRnnConfig::default() };
    let params = Params::fresh(Noise::new(4), "text", &Device::Cpu);
    CharCnnRnnEncoder::new(sizes, params, None).unwrap()
}

/// Tests standardised and unchanged embeddings.
#[test]
fn the_encoder_is_part_of_the_model() {
    let folder = Folder::new(Stage::One);
    let mut cfg = config(Stage::One, Recipe::Residual);
    let dim = cfg.net.text_dim;
    let encoder = || small_encoder(dim);
    for standardised in [true, false] {
        cfg.data.embedding_standardise = standardised;
        let embeddings = encoded(&folder, &encoder());
        let setup = Setup { embeddings, encoder: Some(encoder()), ..folder.setup(&cfg) };
        let name = format!("run-{standardised}");
        folder.run(&name, setup, 1, &Policy::default()).0.unwrap();
        let bytes = folder.bytes(&name, "model.safetensors");
        let model = Model::from_bytes(&bytes, &Device::Cpu).unwrap();
        assert_eq!(model.encoder().unwrap().standardise().is_some(), standardised);
        assert_eq!(model.encoder_fingerprint(), encoder().fingerprint());
        model.encode(&["a red bird"]).unwrap();
    }
    // The standardisation of the run would take the place of the encoder's own.
    let vectors = encoder().encode(&["a red bird", "a blue bird with a long tail"]).unwrap();
    let standardise = Standardise::fit(&vectors).unwrap();
    let own = || encoder().with_standardise(Some(standardise.clone())).unwrap();
    let embeddings = encoded(&folder, &own());
    for standardised in [true, false] {
        cfg.data.embedding_standardise = standardised;
        let embeddings = Arc::clone(&embeddings);
        let setup = Setup { embeddings, encoder: Some(own()), ..folder.setup(&cfg) };
        let checked = setup.check().map_err(|error| error.to_string());
        assert_eq!(checked.is_err(), standardised, "{checked:?}");
        assert!(checked.err().is_none_or(|said| said.contains("does not standardise by itself")));
    }
}

#[test]
fn stage2_wants_the_embeddings_of_its_stage1() {
    let folder = Folder::new(Stage::Two);
    let cfg = config(Stage::Two, Recipe::Residual);
    let encoder = small_encoder(cfg.net.text_dim);
    let setup = |embeddings| Setup {
        embeddings,
        stage1: Some(stage1_with(cfg.net, None)),
        ..folder.setup(&cfg)
    };
    setup(Arc::clone(&folder.data.1)).check().unwrap();
    let error = setup(encoded(&folder, &encoder)).check().unwrap_err().to_string();
    assert!(error.contains("setting `stage1`") && error.contains("of random"), "{error}");
}
