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
use stackgan_data::dataset::Split;
use stackgan_train::config::{Stage, TrainConfig};
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::policy::{Policy, Resume};
use stackgan_train::run::{Outcome, Setup, train};
use stackgan_train::run_dir::RunDir;
use stackgan_train::tensorboard::Board;

use super::{Context, load_model, print};
use crate::args::{Resuming, Train};
use crate::config::{Base, Layers};
use crate::exit::{Exit, Problem, out_of_memory};
use crate::progress::{Manner, TrainProgress, duration};
use crate::report::RunReport;
use crate::signals::Stopper;
use evaluation::Evaluation;
use inputs::Inputs;

/// Where run folders are made unless `--run` names one.
const RUNS: &str = "runs";

/// Trains one stage, or says what would be done.
pub(super) fn run(args: &Train, context: &Context) -> Result<Exit> {
    let resumed = resumed(args)?;
    let record = resumed.as_deref().and_then(Record::read);
    let base = resumed.as_deref().map_or(Base::Preset, |dir| Base::File(dir.join("config.toml")));
    let layers = Layers::over(&base, args.stage, &args.settings, std::env::vars())?;
    let mut config = layers.resolve()?;
    if config.stage.number() != args.stage {
        let found = format!("stage {}", config.stage.number());
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
    let mut wanted = Record::of(args, record);
    if args.dry_run {
        return dry_run(args, &config, &wanted, (resumed.as_deref(), context));
    }
    let Inputs { data, embeddings, encoder, encoder_source, matcher, stage1 } =
        Inputs::gather(&mut wanted, &mut config, &layers, context)?;
    let start = start::find(&wanted, &config, context)?;
    let low = stage1.as_ref().map(|model| model.info().stage1.net);
    estimate::check(&config, low.as_ref(), &context.device)?;
    let name = format!("{}-stage{}", wanted.dataset, args.stage);
    let dir = match &args.run {
        Some(path) => RunDir::open(path)?,
        None => RunDir::create(Path::new(RUNS), &name)?,
    };
    let mut evaluation = match wanted.data.as_deref() {
        Some(path) => Evaluation::of(args, (path, &data), &dir, context)?,
        None => None,
    };
    let pictures = data.indices(Split::Train).len();
    wanted.steps = Some(config.total_steps((pictures / config.optim.batch) as u64));
    let batch = config.optim.batch;
    wanted.write(&dir, "running")?;
    context.manner.say(format!("run folder {}", dir.path().display()));
    if context.manner != Manner::Quiet {
        let lines = estimate::lines(&config, low.as_ref(), wanted.steps, &context.device);
        lines.iter().for_each(|line| context.manner.say(line));
    }
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
    let resume = match args.resume {
        Resuming::Auto if args.strict => Resume::Strict,
        Resuming::Auto => Resume::Auto,
        Resuming::Never => Resume::Never,
    };
    let stopper = Stopper::listen()?.within_hours(args.max_hours).at_file(dir.path().join("STOP"));
    let (allow_change, on_nonfinite) = (args.allow_change.clone(), args.on_nonfinite);
    let policy = Policy { resume, allow_change, on_nonfinite, looks: None };
    let mut measured = |event: &TrainEvent| evaluation.as_mut()?.on(event, &dir);
    let outcome =
        train_stage(setup, &dir, policy, &stopper, (context.manner, &name), &mut measured);
    let outcome = outcome.inspect_err(|_| drop(wanted.write(&dir, "failed")));
    let outcome = outcome.map_err(|error| out_of_memory(error, Some(batch)))?;
    wanted.write(&dir, if outcome.reason == StopReason::Done { "done" } else { "stopped" })?;
    if outcome.reason == StopReason::Done {
        print(outcome.model.display())?;
    } else {
        let stage = args.stage;
        let folder = dir.path().display();
        context.manner.say(format!(
            "saved at step {}; go on with:\n  stackgan train --stage {stage} --run {folder}",
            outcome.step
        ));
    }
    Ok(outcome.reason.into())
}

/// Trains, with a bar and a report that grows. `name` is shown before the bar. `also` sees every event, and what it returns is
/// said.
///
/// # Errors
/// Whatever the training reports; the last checkpoint stays.
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
            manner.say(format!(
                "warning: nothing more for TensorBoard: {}: {error}",
                folder.display()
            ));
        }
        report.on(&event);
        if let Some(text) = also(&event) {
            manner.say(text);
        }
    })?;
    let why = match outcome.reason {
        StopReason::Done => "done",
        StopReason::Signal(_) => "stopped by a signal",
        StopReason::TimeBudget => "time budget used",
        StopReason::StopFile => "stopped by the file STOP",
    };
    progress.finish(&format!("{why} at step {}", outcome.step));
    report.finish(outcome.reason)?;
    Ok(outcome)
}

/// The run folder that is gone on with: the one named, if it has settings.
fn resumed(args: &Train) -> Result<Option<PathBuf>> {
    let Some(run) = args.run.as_deref().filter(|run| run.join("config.toml").is_file()) else {
        return Ok(None);
    };
    if args.resume == Resuming::Never {
        let place = format!("folder: {}", run.display());
        let parts = ("a new folder", "a run that has begun");
        let remedy = "leave `--resume never` out to go on with it, or name another folder";
        return Err(Problem::usage("the run folder is in use", place, parts, remedy).into());
    }
    Ok(Some(run.to_path_buf()))
}

fn dry_run(
    args: &Train,
    config: &TrainConfig,
    wanted: &Record,
    (resumed, context): (Option<&Path>, &Context),
) -> Result<Exit> {
    let (net, optim) = (&config.net, &config.optim);
    let length = match (optim.steps, optim.epochs) {
        (0, epochs) => format!("{epochs} epochs"),
        (steps, _) => format!("{steps} steps"),
    };
    let pixels = config.stage.picture_size().crop();
    print(
        format!("train      stage {}: {pixels}x{pixels}, recipe {:?}", args.stage, net.recipe)
            .to_lowercase(),
    )?;
    print(format!("sizes      gf {}, df {}, c {}, z {}", net.gf, net.df, net.cond_dim, net.z_dim))?;
    let parts = match config.knobs.micro_batch {
        0 => String::new(),
        n => format!(" in parts of {n}"),
    };
    print(format!("length     {length} of {} pictures{parts}, seed {}", optim.batch, config.seed))?;
    print(format!("data       {}", inputs::planned_data(wanted)?))?;
    print(inputs::planned_text(wanted))?;
    let mut low = None;
    if config.stage == Stage::Two {
        let model = inputs::stage1_model(wanted)?;
        print(format!("stage-I    {}", model.display()))?;
        low = Some(load_model(&model, &context.device)?.0.info().stage1.net);
    }
    print(match (resumed, &args.run) {
        (Some(run), _) => format!("goes on    in {}", run.display()),
        (None, Some(run)) => format!("run        {}", run.display()),
        (None, None) => format!("run        a new folder under {RUNS}"),
    })?;
    if let Some(hours) = args.max_hours {
        print(format!("at most    {}", duration(hours * 3600.0)))?;
    }
    estimate::check(config, low.as_ref(), &context.device)?;
    let steps = wanted.steps.or_else(|| Some(optim.steps).filter(|steps| *steps > 0));
    for line in estimate::lines(config, low.as_ref(), steps, &context.device) {
        print(line)?;
    }
    Ok(Exit::Done)
}
