//! `stackgan train`: from settings and data to a run folder with a model.

mod dry_run;
mod estimate;
mod evaluation;
mod inputs;
mod reading;
mod start;
mod trained;

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_data::dataset::Split;
use stackgan_train::policy::{Policy, Resume};
use stackgan_train::run::Setup;
use stackgan_train::run_dir::RunDir;
use stackgan_train::store::Store;

use crate::args::{Resuming, Train};
use crate::config::{Base, Layers, environment};
use crate::context::Context;
use crate::exit::{Exit, Problem, out_of_memory};
use crate::output::Form;
use crate::progress::Manner;
use crate::run::{RUNS, Record, Training, train_stage};
use crate::signals::Stopper;
use estimate::Estimate;
use evaluation::Evaluation;
use inputs::Inputs;
use trained::Trained;

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
        let plan = dry_run::plan(args, (config, &layers), wanted, (resumed.as_deref(), context))?;
        Form::from(args.json).show(&plan)?;
        return Ok(Exit::Done);
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
    let (config, pictures) = (&setup.config, setup.dataset.indices(Split::Train).len());
    let batch = config.optim.batch;
    wanted.steps = Some(config.total_steps((pictures / batch) as u64));
    if context.manner != Manner::Quiet {
        let beside = (low.as_ref(), setup.matcher.as_ref());
        let left = wanted.steps.map(|steps| estimate::left(steps, resumed.as_deref()));
        let estimate = Estimate::of(config, beside, left, &context.device);
        estimate.lines().iter().for_each(|line| context.manner.say(line));
    }
    let dir = match (held, &args.run) {
        (Some(dir), _) => dir,
        (None, Some(path)) => RunDir::open(path)?,
        (None, None) => RunDir::create(Path::new(RUNS), &name)?,
    };
    if let Some(evaluation) = &mut evaluation {
        evaluation.begin(&dir);
    }
    context.manner.say(format!("run folder {}", dir.path().display()));
    let resume = match args.resume {
        Resuming::Auto if args.strict => Resume::Strict,
        Resuming::Auto => Resume::Auto,
        Resuming::Never => Resume::Never,
    };
    let stopper = Stopper::listen()?.within_hours(args.max_hours).at_file(dir.path().join("STOP"));
    let (allow_change, on_nonfinite) = (args.allow_change.clone(), args.on_nonfinite);
    let policy = Policy { resume, allow_change, on_nonfinite, checks: None };
    let training = Training {
        setup,
        dir: &dir,
        record: &mut wanted,
        policy,
        stopper: &stopper,
        manner: context.manner,
        name: &name,
    };
    let outcome = train_stage(training, &mut |event| evaluation.as_mut()?.on(event, &dir));
    let outcome = outcome.map_err(|error| out_of_memory(error, Some(batch)))?;
    let trained = Trained::of(&outcome, args.stage, &dir);
    if let Err(error) = Form::from(args.json).show(&trained) {
        context.manner.say(format!("warning: {error:#}")); // the training has ended nevertheless
    }
    if let Some(next) = &trained.next {
        context.manner.say(format!("saved at step {}; go on with:\n  {next}", trained.step));
    }
    Ok(outcome.reason.into())
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
