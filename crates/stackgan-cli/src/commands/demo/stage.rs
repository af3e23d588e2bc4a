//! Stage-I and Stage-II, each within its share of the time. Their folders are run folders like any
//! other.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use stackgan_core::Stage;
use stackgan_core::text::CharCnnRnnEncoder;
use stackgan_data::prepared::Prepared;
use stackgan_train::Pretrained;
use stackgan_train::config::{TrainConfig, preset};
use stackgan_train::estimate::{Cadence, Given, Plan, Speed, Timed};
use stackgan_train::event::StopReason;
use stackgan_train::matching::Matcher;
use stackgan_train::policy::Resume;
use stackgan_train::run::Setup;
use stackgan_train::run_dir::RunDir;
use stackgan_train::run_files::RunFiles;
use stackgan_train::start::Start;

use super::birds::Birds;
use super::folder::Folder;
use super::words::{ENCODER, Words};
use crate::exit::{Problem, Stopped};
use crate::models::load;
use crate::output::absolute;
use crate::run::{Record, Training, checkpoints, laps, terms, train_stage};
use crate::version::VERSION;

/// Shortest time between two checkpoints in seconds: a kill loses little.
const SAVE_EVERY: f64 = 30.0;

/// What the stages train on.
pub(super) type Material<'a> = (&'a Birds, &'a Words);

/// Trains a stage, or goes on, unless it is trained.
pub(super) fn trained(demo: &mut Folder<'_>, stage: Stage, on: Material<'_>) -> Result<()> {
    let path = demo.stage(stage);
    if demo.notes.has(stage.into()) && RunFiles::of(&path).model().is_file() {
        return Ok(());
    }
    let began = Instant::now();
    let plan = planned(demo, stage, on)?;
    let dir = RunDir::open(&path)?;
    let config = settings(demo, stage, (&plan, &dir, on.1))?;
    let steps = config.optim.steps;
    let before = checkpoints(&path).last().map_or(0, |(step, _)| *step);
    let encoder = on.1.encoder.text.unstandardised(&demo.context.device)?;
    let setup = setup(demo, config, (on, Some(encoder)))?;
    let mut record = record(&path, stage, steps)?;
    // A machine that has become slower takes fewer steps, which the report mentions.
    let left = plan.seconds * (1.0 - before as f64 / steps.max(1) as f64);
    let outcome = demo.stopper.carefully(|stopper| {
        let training = Training {
            setup,
            dir: &dir,
            record: &mut record,
            policy: Resume::Auto.into(),
            stopper: &stopper.for_seconds(1.3 * left + 5.0),
            manner: demo.context.manner,
            name: &preset_name(stage),
        };
        train_stage(training, &mut |_| None)
    })?;
    if let reason @ StopReason::Signal(_) = outcome.reason {
        let message = format!(
            "{} is saved at step {}; the same command goes on from there",
            stage.name(),
            outcome.step
        );
        return Err(Stopped { reason, message }.into());
    }
    let what = format!(
        "{}, {} of {steps} steps planned, timed at {:.0} ms each",
        stage.name(),
        outcome.step,
        1000.0 * plan.pace.step
    );
    let seconds = seconds_until(&path, before) + began.elapsed().as_secs_f64();
    demo.done(stage.into(), what, seconds)
}

/// The plan of a stage, which is made by timing a few steps before its first one.
fn planned(demo: &mut Folder<'_>, stage: Stage, on: Material<'_>) -> Result<Plan> {
    if let Some(plan) = demo.notes.plans[usize::from(stage == Stage::Two)] {
        return Ok(plan);
    }
    let (began, seconds) = (Instant::now(), demo.notes.share(stage.into()));
    let setup = setup(demo, fresh(demo, stage, on.1)?, (on, None))?;
    let Setup { config: cfg, stage1, pretrained, device, .. } = &setup;
    let low = stage1.as_ref().map_or(&cfg.net, |model| &model.info().stage1.net);
    let timed = Timed { cfg, low, pretrained, device };
    let speed = Speed::measure(&timed, seconds)?;
    let folder = tempfile::Builder::new().prefix(".tmp-timing-").tempdir_in(&demo.path);
    let folder = folder.map_err(|e| Problem::storage(&demo.path, &e))?;
    let pace = speed.with_saves(folder.path())?;
    let plan = Plan { seconds: (seconds - began.elapsed().as_secs_f64()).max(1.0), pace };
    demo.plan(stage, plan)?;
    Ok(plan)
}

/// The settings of a run: those that it began with, or its plan.
fn settings(
    demo: &Folder<'_>,
    stage: Stage,
    (plan, dir, words): (&Plan, &RunDir, &Words),
) -> Result<TrainConfig> {
    let file = dir.files().config();
    if file.is_file() {
        let text = std::fs::read_to_string(&file).map_err(|e| Problem::storage(&file, &e))?;
        return Ok(TrainConfig::from_toml(&text)?);
    }
    let mut config = fresh(demo, stage, words)?;
    let grids = demo.notes.wanted.scale().grids[usize::from(stage == Stage::Two)];
    plan.fit(&mut config, Cadence { grids, save_every: SAVE_EVERY }, &Given::default());
    Ok(config)
}

/// The preset's settings, with the demo's seed.
fn fresh(demo: &Folder<'_>, stage: Stage, words: &Words) -> Result<TrainConfig> {
    let text = preset(&preset_name(stage)).context("the toy presets are in this program")?;
    let mut config = TrainConfig::from_toml(text)?;
    (config.seed, config.net.text_dim) = (demo.notes.wanted.seed, words.embeddings.dim());
    Ok(config)
}

fn setup(
    demo: &Folder<'_>,
    config: TrainConfig,
    ((birds, words), encoder): (Material<'_>, Option<CharCnnRnnEncoder>),
) -> Result<Setup> {
    let device = demo.context.device.clone();
    let (data, stage1): (&Arc<Prepared>, _) = match config.stage {
        Stage::One => (&birds.small, None),
        Stage::Two => (&birds.large, Some(load(&demo.stage(Stage::One), demo.context)?.model)),
    };
    let matcher = Matcher::of(&words.encoder, None, &device)?;
    Ok(Setup {
        config,
        dataset: Arc::clone(data),
        embeddings: Arc::clone(&words.embeddings),
        encoder,
        encoder_source: None,
        pretrained: Pretrained { matcher: Some(matcher), projection: None },
        stage1,
        device,
        start: Start::default(),
        shown: None,
    })
}

/// The record of a run, with which `train --run` can go on with it too.
fn record(path: &Path, stage: Stage, steps: u64) -> Result<Record> {
    let beside = |name: &str| Some(absolute(&path.with_file_name(name)));
    let kept = Record::find(path)?;
    Ok(Record {
        preset: "toy".to_owned(),
        stage,
        data: beside("data"),
        encoder: beside(ENCODER),
        stage1: if stage == Stage::Two { beside("stage1") } else { None },
        embeddings: None,
        features: None,
        init_from: None,
        on_nonfinite: None,
        evaluation: None,
        plan: None,
        version: VERSION.to_owned(),
        state: String::new(),
        steps: Some(steps),
        sittings: kept.map(|kept| kept.sittings).unwrap_or_default(),
    })
}

/// The seconds in which the first `step` steps were taken, by the clock of their reports.
fn seconds_until(run: &Path, step: u64) -> f64 {
    let laps = laps(&terms(&RunFiles::of(run).stats()));
    laps.iter().filter(|lap| lap.step <= step as f64).map(|lap| lap.seconds).sum()
}

fn preset_name(stage: Stage) -> String {
    format!("toy-stage{}", stage.number())
}
