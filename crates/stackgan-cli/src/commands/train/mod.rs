//! `stackgan train`: from settings and data to a run folder with a model.

mod estimate;
mod evaluation;
mod inputs;
mod reading;
mod record;
mod start;

pub(crate) use record::Record;

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::Stage;
use stackgan_data::counted;
use stackgan_data::dataset::Split;
use stackgan_train::config::TrainConfig;
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::policy::{Policy, Resume};
use stackgan_train::run::{Outcome, Setup, train};
use stackgan_train::run_dir::RunDir;
use stackgan_train::store::Store;
use stackgan_train::tensorboard::Board;

use super::{Context, print, quoted};
use crate::args::{Resuming, Train};
use crate::config::{Base, Layers, environment};
use crate::exit::{Exit, Problem, out_of_memory};
use crate::progress::{Manner, TrainProgress, duration};
use crate::report::RunReport;
use crate::signals::Stopper;
use evaluation::Evaluation;
use inputs::Inputs;

/// The folder for run folders if `--run` is not given.
const RUNS: &str = "runs";

/// Trains one stage, or describes what would be done.
pub(super) fn run(args: &Train, context: &Context) -> Result<Exit> {
    let (resumed, record) = taken_up(args)?;
    let base = resumed.as_deref().map_or(Base::Preset, |dir| Base::File(dir.join("config.toml")));
    let mut settings = args.settings.clone();
    settings.preset = settings.preset.or_else(|| record.as_ref().map(|r| r.dataset.clone()));
    let layers = Layers::over(&base, args.stage, &settings, environment()?)?;
    let mut config = layers.resolve()?;
    if config.stage != args.stage {
        let found = format!("stage {}", config.stage);
        let place = resumed.as_deref().unwrap_or(Path::new("configuration")).display();
        let parts = (format!("stage {}", args.stage), found);
        let remedy = "give the stage of the run";
        return Err(Problem::usage(
            "the run is of the other stage",
            format!("run: {place}"),
            parts,
            remedy,
        )
        .into());
    }
    if let Some(kept) = record.as_ref().filter(|_| resumed.is_some()) {
        kept.check_preset(args)?;
    }
    let mut wanted = Record::of(args, record);
    wanted.check_paths()?;
    if args.dry_run {
        return dry_run(args, (config, &layers), wanted, (resumed.as_deref(), context));
    }
    // Minutes may pass until a new run begins, but one that goes on can be refused at once.
    let held = resumed.as_deref().map(RunDir::open).transpose()?;
    let Inputs { data, embeddings, encoder, encoder_source, matcher, stage1 } =
        Inputs::gather(&mut wanted, &mut config, &layers, context)?;
    let start = start::find(&wanted, &config, (resumed.as_deref(), context))?;
    let low = stage1.as_ref().map(|model| model.info().stage1.net);
    estimate::check(&config, (low.as_ref(), matcher.as_ref()), &context.device)?;
    let setup = Setup {
        config,
        dataset: data,
        embeddings,
        encoder,
        encoder_source,
        matcher,
        stage1,
        device: context.device.clone(),
        start,
    };
    setup.check()?; // a refused setup makes no run folder
    let mut evaluation = match wanted.data.as_deref() {
        Some(path) => {
            Evaluation::of(args, (path, &setup.dataset, setup.embeddings.path()), context)?
        }
        None => None,
    };
    wanted.check_paths()?; // also those that were found
    let name = format!("{}-stage{}", wanted.dataset, args.stage);
    let dir = match (held, &args.run) {
        (Some(dir), _) => dir,
        (None, Some(path)) => RunDir::open(path)?,
        (None, None) => RunDir::create(Path::new(RUNS), &name)?,
    };
    if let Some(evaluation) = &mut evaluation {
        evaluation.begin(&dir);
    }
    let (config, pictures) = (&setup.config, setup.dataset.indices(Split::Train).len());
    let batch = config.optim.batch;
    wanted.steps = Some(config.total_steps((pictures / batch) as u64));
    if resumed.is_none() {
        wanted.write(&dir, "running")?; // a resumed run: at its start, after all refusals
    }
    context.manner.say(format!("run folder {}", dir.path().display()));
    if context.manner != Manner::Quiet {
        let beside = (low.as_ref(), setup.matcher.as_ref());
        let left = wanted.steps.map(|steps| estimate::left(steps, resumed.as_deref()));
        let lines = estimate::lines(config, beside, left, &context.device);
        lines.iter().for_each(|line| context.manner.say(line));
    }
    let resume = match args.resume {
        Resuming::Auto if args.strict => Resume::Strict,
        Resuming::Auto => Resume::Auto,
        Resuming::Never => Resume::Never,
    };
    let stopper = Stopper::listen()?.within_hours(args.max_hours).at_file(dir.path().join("STOP"));
    let (allow_change, on_nonfinite) = (args.allow_change.clone(), args.on_nonfinite);
    let policy = Policy { resume, allow_change, on_nonfinite, looks: None };
    let mut begun = resumed.is_none();
    let mut also = |event: &TrainEvent| {
        if let TrainEvent::Started { .. } = event {
            begun = true;
            let written = wanted.write(&dir, "running");
            return written.err().map(|error| format!("warning: {error:#}"));
        }
        evaluation.as_mut()?.on(event, &dir)
    };
    let outcome = train_stage(setup, &dir, policy, &stopper, (context.manner, &name), &mut also);
    if outcome.is_err() && begun {
        drop(wanted.write(&dir, "failed")); // a full disk must not hide what happened
    }
    let outcome = outcome.map_err(|error| out_of_memory(error, Some(batch)))?;
    wanted.write(&dir, if outcome.reason == StopReason::Done { "done" } else { "stopped" })?;
    if outcome.reason == StopReason::Done {
        if let Err(error) = print(outcome.model.display()) {
            context.manner.say(format!("warning: {error:#}")); // the training is done nevertheless
        }
    } else {
        let stage = args.stage;
        let folder = quoted(dir.path());
        context.manner.say(format!(
            "saved at step {}; go on with:\n  stackgan train --stage {stage} --run {folder}",
            outcome.step
        ));
    }
    Ok(outcome.reason.into())
}

/// Trains with a progress bar and a growing report. `name` is shown before the bar. `also` receives
/// every event; the message that it returns is printed.
///
/// # Errors
/// Those of the training. The last checkpoint is kept.
pub(crate) fn train_stage(
    setup: Setup,
    dir: &RunDir,
    policy: impl Into<Policy>,
    stopper: &Stopper,
    (manner, name): (Manner, &str),
    also: &mut dyn FnMut(&TrainEvent) -> Option<String>,
) -> Result<Outcome> {
    let mut progress = TrainProgress::new(manner, name);
    let (mut board, mut report) = (Board::new(dir.path()), RunReport::new(dir));
    let outcome = train(setup, dir, policy, &|| stopper.reason(), &mut |event| {
        progress.on(&event);
        if let Err(error) = board.on(&event) {
            let folder = dir.path().join("tb");
            progress.say(&format!(
                "warning: nothing more for TensorBoard: {}: {error}",
                folder.display()
            ));
        }
        report.on(&event);
        if let Some(text) = also(&event) {
            progress.say(&text);
        }
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            drop(report.fail(&error.to_string())); // a full disk must not hide what happened
            return Err(error.into());
        }
    };
    let why = match outcome.reason {
        StopReason::Done => "done",
        StopReason::Signal(_) => "stopped by a signal",
        StopReason::TimeBudget => "time budget used",
        StopReason::StopFile => "stopped by the file STOP",
        StopReason::Requested => "stopped as asked",
    };
    progress.finish(&format!("{why} at step {}", outcome.step));
    if let Err(error) = report.finish(outcome.reason) {
        manner.say(format!("warning: no report: {error:#}")); // the model exists nevertheless
    }
    Ok(outcome)
}

/// Returns the run folder to resume, which is the given one if it has settings, and its record. The
/// record also exists for a run that ended before its first step.
///
/// # Errors
/// Code 2 if the options do not permit resuming a run. Code 3 or 4 if a run's record or settings
/// are damaged or missing: a new run never replaces one that cannot be read.
fn taken_up(args: &Train) -> Result<(Option<PathBuf>, Option<Record>)> {
    let Some(run) = args.run.as_deref() else { return Ok((None, None)) };
    let (settings, record) = (run.join("config.toml"), Record::find(run)?);
    if !settings.is_file() {
        let checkpoints = run.join("checkpoints");
        if checkpoints.is_dir() && !Store::reading(&checkpoints).checkpoints()?.is_empty() {
            let place = format!("file: {}", settings.display());
            let remedy = "restore it from a copy, or train in another folder";
            let what = "the run's settings are gone";
            return Err(Problem::missing(what, place, "those that it began with", remedy).into());
        }
        return Ok((None, record));
    }
    if args.resume == Resuming::Never {
        let place = format!("folder: {}", run.display());
        let parts = ("a new folder", "a run that has begun");
        let remedy = "leave `--resume never` out to go on with it, or name another folder";
        return Err(Problem::usage("there is a run already", place, parts, remedy).into());
    }
    if record.is_none() && args.data.is_none() {
        let place = format!("file: {}", run.join("run.json").display());
        let remedy = "say what it named: `--data PATH`, with `--encoder FILE` or `--embeddings FILE`; or restore it from a copy";
        let expected = "what the run was told";
        return Err(Problem::missing("the run's record is gone", place, expected, remedy).into());
    }
    Ok((Some(run.to_path_buf()), record))
}

fn dry_run(
    args: &Train,
    (mut config, layers): (TrainConfig, &Layers),
    mut wanted: Record,
    (resumed, context): (Option<&Path>, &Context),
) -> Result<Exit> {
    let (net, optim) = (&config.net, &config.optim);
    let length = match (optim.steps, optim.epochs) {
        (0, epochs) => counted(epochs, "epoch"),
        (steps, _) => counted(steps, "step"),
    };
    let pixels = config.stage.side();
    print(
        format!("train      stage {}: {pixels}x{pixels}, recipe {:?}", args.stage, net.recipe)
            .to_lowercase(),
    )?;
    print(format!("sizes      gf {}, df {}, c {}, z {}", net.gf, net.df, net.cond_dim, net.z_dim))?;
    let parts = match config.knobs.micro_batch {
        0 => String::new(),
        n => format!(" in parts of {n}"),
    };
    let batch = counted(optim.batch, "picture");
    print(format!("length     {length} of {batch}{parts}, seed {}", config.seed))?;
    let stage1 = match config.stage {
        Stage::One => None,
        Stage::Two => Some(inputs::stage1(&mut wanted, context)?),
    };
    let (data, pictures) = inputs::planned_data(&wanted, &config)?;
    print(format!("data       {data}"))?;
    Evaluation::check(args, wanted.data.as_deref())?;
    let (text, matcher) =
        inputs::planned_text(&wanted, stage1.as_ref(), (&mut config, layers), context)?;
    print(text)?;
    if let Some(model) = &wanted.stage1 {
        print(format!("stage-I    {}", model.display()))?;
    }
    let low = stage1.map(|model| model.info().stage1.net);
    if let Some(low) = &low {
        config.check_over(low)?;
    }
    start::find(&wanted, &config, (resumed, context))?.generator(&config)?;
    print(match (resumed, &args.run) {
        (Some(run), _) => format!("goes on    in {}", run.display()),
        (None, Some(run)) => format!("run        {}", run.display()),
        (None, None) => format!("run        a new folder under {RUNS}"),
    })?;
    if let Some(hours) = args.max_hours {
        print(format!("at most    {}", duration(hours * 3600.0)))?;
    }
    let beside = (low.as_ref(), matcher.as_ref());
    estimate::check(&config, beside, &context.device)?;
    let steps = pictures.map(|n| config.total_steps((n / config.optim.batch) as u64));
    let steps = wanted.steps.or(steps).or(Some(config.optim.steps)).filter(|n| *n > 0);
    let left = steps.map(|steps| estimate::left(steps, resumed));
    for line in estimate::lines(&config, beside, left, &context.device) {
        print(line)?;
    }
    Ok(Exit::Done)
}
