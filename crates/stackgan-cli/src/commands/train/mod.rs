//! `stackgan train`: from settings and data to a run folder with a model.

mod dry_run;
mod estimate;
mod evaluation;
mod hours;
mod inputs;
mod preset;
mod pretrained;
mod reading;
mod start;
mod trained;

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Device;
use stackgan_core::Stage;
use stackgan_data::dataset::Split;
use stackgan_train::config::TrainConfig;
use stackgan_train::origins::Origins;
use stackgan_train::policy::{Policy, Resume};
use stackgan_train::run::Setup;
use stackgan_train::run_dir::RunDir;
use stackgan_train::store::Store;

use crate::args::{Resuming, Train};
use crate::config::{Base, Layers, environment};
use crate::context::Context;
use crate::encoders::weights_of;
use crate::exit::{Exit, Problem, out_of_memory};
use crate::output::Form;
use crate::progress::Manner;
use crate::run::{RUNS, Record, Training, train_stage};
use crate::signals::{Stopper, in_hours};
use estimate::Estimate;
use evaluation::Evaluation;
use hours::Timing;
use inputs::{Before, Inputs};
use preset::Chosen;
use stackgan_train::run_files::RunFiles;
use trained::Trained;

/// Trains one stage, or describes what would be done.
pub(super) fn run(args: &Train, context: &Context) -> Result<Exit> {
    check_options(args)?;
    // A network is recorded by its file, which is found from any folder.
    let features = args.features.as_deref().map(weights_of).transpose()?;
    let args = &Train { features, ..args.clone() };
    let (resumed, record) = taken_up(args)?;
    if let (None, None, Some(run)) = (&resumed, &record, &args.run)
        && args.data.is_none()
        && args.stage1.is_none()
        && args.settings.preset.is_none()
    {
        let run = run.display();
        context.manner.say(format!("there is no run in {run}: a new one begins"));
    }
    let planned = record.as_ref().is_some_and(|record| record.plan.is_some());
    let base = match resumed.as_deref().map(|dir| RunFiles::of(dir).config()) {
        None => Base::Preset,
        Some(file) if planned => Base::Planned(file),
        Some(file) => Base::File(file),
    };
    let mut settings = args.settings.clone();
    let chosen = Chosen::of(args, record.as_ref());
    settings.preset.get_or_insert_with(|| chosen.dataset.clone());
    let layers = Layers::over(&base, args.stage, &settings, environment()?)?;
    hours::check_alone(args, &layers)?;
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
    let note = chosen.note().filter(|_| resumed.is_none());
    let mut wanted = Record::of(args, record, chosen.dataset);
    wanted.check_paths()?;
    let hours = hours::to_plan(args, &layers, &mut wanted, resumed.as_deref())?;
    if args.dry_run {
        let folder = resumed.as_deref();
        let plan = dry_run::plan(args, (config, &layers), wanted, (folder, context), hours)?;
        note.iter().for_each(|note| context.manner.say(note));
        Form::from(args.json).show(&plan)?;
        return Ok(Exit::Done);
    }
    let end = args.max_hours.map(in_hours); // what is made before the first step counts, too
    let farewell = reading::STOPPED.to_owned();
    let stopper = Stopper::listen()?.until(end).or_end(context.manner, farewell);
    // Minutes may pass until a new run begins, but one that goes on can be refused at once.
    let held = resumed.as_deref().map(RunDir::open).transpose()?;
    if resumed.is_some() {
        wanted.check_there()?;
    }
    let origins = resumed.as_deref().map(origins).transpose()?.flatten();
    let kept = Before { origins: origins.as_ref(), note: note.as_deref() };
    let Inputs { data, embeddings, encoder, encoder_source, pretrained, stage1 } =
        Inputs::gather(&mut wanted, (&mut config, &layers), (kept, &stopper), context)?;
    let start = start::find(&wanted, &config, (resumed.as_deref(), context))?;
    let low = stage1.as_ref().map(|model| model.info().stage1.net);
    estimate::check(&config, (low.as_ref(), &pretrained), &context.device)?;
    let mut setup = Setup {
        config,
        dataset: data,
        embeddings,
        encoder,
        encoder_source,
        pretrained,
        stage1,
        device: context.device.clone(),
        start,
    };
    setup.check()?; // a refused setup makes no run folder
    let mut evaluation = match wanted.data.as_deref() {
        Some(path) => {
            // As `eval` does it: a model that holds its encoder reads the captions.
            let rows = setup.encoder.is_none().then(|| setup.embeddings.path());
            Evaluation::of(&wanted, (path, &setup.dataset, rows), context)?
        }
        None => None,
    };
    wanted.check_paths()?; // also those that were found
    let name = format!("{}-stage{}", wanted.dataset, args.stage);
    let (batch, pictures) = (setup.config.optim.batch, setup.dataset.indices(Split::Train).len());
    let needed = |(config, pretrained): (&TrainConfig, _), steps, measured| {
        if context.manner != Manner::Quiet {
            let (beside, left) =
                ((low.as_ref(), pretrained), estimate::left(steps, resumed.as_deref()));
            let estimate = Estimate::of(config, beside, Some(left), measured, &context.device);
            estimate.lines().iter().for_each(|line| context.manner.say(line));
        }
    };
    // A run folder is made when nothing is refused any more, and a checkpoint is timed in it.
    let timing = match hours {
        Some(hours) => {
            let beside = (low.as_ref(), &setup.pretrained);
            Some(Timing::begin(hours, &setup.config, beside, context)?)
        }
        None => {
            let steps = setup.config.total_steps((pictures / batch) as u64);
            wanted.steps = Some(steps);
            needed((&setup.config, &setup.pretrained), steps, None);
            None
        }
    };
    let dir = match (held, &args.run) {
        (Some(dir), _) => dir,
        (None, Some(path)) => RunDir::open(path)?,
        (None, None) => RunDir::create(Path::new(RUNS), &name)?,
    };
    if let Some(timing) = timing {
        let config = &mut setup.config;
        let plan = timing.fit(config, (&layers, Some(pictures)), Some(dir.path()))?;
        needed((config, &setup.pretrained), plan.steps, Some(plan.seconds_a_step));
        hours::lines(&plan, &wanted).iter().for_each(|line| context.manner.say(line));
        (wanted.steps, wanted.plan) = (Some(plan.steps), Some(plan));
    }
    if let Some(evaluation) = &mut evaluation {
        evaluation.begin(&dir);
    }
    context.manner.say(format!("run folder {}", dir.path().display()));
    let resume = match args.resume {
        Resuming::Auto if args.strict => Resume::Strict,
        Resuming::Auto => Resume::Auto,
        Resuming::Never => Resume::Never,
    };
    let allow_change = args.allow_change.clone();
    let on_nonfinite = wanted.on_nonfinite.unwrap_or_default();
    let policy = Policy { resume, allow_change, on_nonfinite, checks: None };
    let outcome = stopper.carefully(|stopper| {
        let training = Training {
            setup,
            dir: &dir,
            record: &mut wanted,
            policy,
            stopper,
            manner: context.manner,
            name: &name,
        };
        train_stage(training, &mut |event| evaluation.as_mut()?.on(event, &dir))
    });
    let outcome = outcome.map_err(|error| out_of_memory(error, Some(batch)))?;
    let trained = Trained::of(&outcome, args.stage, &dir, wanted.plan);
    if let Err(error) = Form::from(args.json).show(&trained) {
        context.manner.say(format!("warning: {error:#}")); // the training has ended nevertheless
    }
    if let Some(next) = &trained.next {
        context.manner.say(format!("saved at step {}; go on with:\n  {next}", trained.step));
    }
    Ok(outcome.reason.into())
}

/// What the newest checkpoint of a run says that it was given.
fn origins(run: &Path) -> Result<Option<Origins>> {
    let newest = Store::reading(&RunFiles::of(run).checkpoints()).newest(&Device::Cpu)?;
    Ok(newest.found.map(|(header, _)| header.origins))
}

/// Returns the run folder to resume, which is the given one if it has settings, and its record. The
/// record also exists for a run that ended before its first step.
///
/// # Errors
/// Code 2 if the options do not permit resuming a run. Code 3 or 4 if a run's record or settings
/// are damaged or missing: a new run never replaces one that cannot be read.
fn taken_up(args: &Train) -> Result<(Option<PathBuf>, Option<Record>)> {
    let Some(run) = args.run.as_deref() else {
        only_of_a_run(args)?;
        return Ok((None, None));
    };
    let (settings, record) = (RunFiles::of(run).config(), Record::find(run)?);
    if !settings.is_file() {
        let checkpoints = RunFiles::of(run).checkpoints();
        if checkpoints.is_dir() && !Store::reading(&checkpoints).checkpoints()?.is_empty() {
            let place = format!("file: {}", settings.display());
            let remedy = "restore it from a copy, or train in another folder";
            let what = "the run's settings are gone";
            return Err(Problem::missing(what, place, "those that it began with", remedy).into());
        }
        only_of_a_run(args)?;
        return Ok((None, record));
    }
    if args.resume == Resuming::Never {
        let place = format!("folder: {}", run.display());
        let parts = ("a new folder", "a run that has begun");
        let remedy = "leave `--resume never` out to go on with it, or name another folder";
        return Err(Problem::usage("there is a run already", place, parts, remedy).into());
    }
    if record.is_none() && args.data.is_none() {
        let place = format!("file: {}", Record::file(run).display());
        let remedy = "say what it named: `--data PATH`, with `--encoder FILE` or `--embeddings FILE`; or restore it from a copy";
        let expected = "what the run was told";
        return Err(Problem::missing("the run's record is gone", place, expected, remedy).into());
    }
    Ok((Some(run.to_path_buf()), record))
}

/// Refuses options that would mean nothing.
fn check_options(args: &Train) -> Result<()> {
    if args.stage == Stage::One
        && let Some(model) = &args.stage1
    {
        let place = format!("option: --stage1 {}", model.display());
        let remedy = "leave `--stage1` out, or train Stage-II: `--stage 2`; weights to start from are `--init-from`";
        let parts = ("a Stage-II run to build on it", "`--stage 1`");
        return Err(Problem::usage("Stage-I builds on no model", place, parts, remedy).into());
    }
    Ok(())
}

/// Refuses options that only mean something for a run that goes on.
fn only_of_a_run(args: &Train) -> Result<()> {
    let option = match (args.allow_change.is_empty(), args.strict) {
        (false, _) => "--allow-change",
        (true, true) => "--strict",
        (true, false) => return Ok(()),
    };
    let found =
        args.run.as_deref().map_or("no `--run`".to_owned(), |run| run.display().to_string());
    let parts = ("the folder of a run that has begun", found);
    let remedy =
        "check the name after `--run`: `stackgan runs ls` lists the runs; or leave the option out";
    let what = "there is no run to go on with";
    Err(Problem::usage(what, format!("option: {option}"), parts, remedy).into())
}
