//! What `train` is asked for, before anything is read but a run's own files and the options': the
//! settings and the record of a run that begins, or of one that goes on, and sentences for its grids.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::Stage;
use stackgan_train::config::TrainConfig;
use stackgan_train::run_files::RunFiles;
use stackgan_train::store::Store;

use super::hours;
use super::preset::Chosen;
use super::sentences::Sentences;
use super::writable::check_run;
use crate::args::{Resuming, Train};
use crate::config::{Base, Layers, environment};
use crate::context::Context;
use crate::exit::Problem;
use crate::run::{Record, checkpoints};

/// A run as the options describe it.
pub(super) struct Asked {
    /// The folder of a run that goes on.
    pub resumed: Option<PathBuf>,
    /// What a run records of what it was told.
    pub wanted: Record,
    pub layers: Layers,
    pub config: TrainConfig,
    /// The hours to plan for, if the length is still to be planned.
    pub hours: Option<f64>,
    /// What is said of a preset that nobody typed.
    pub note: Option<String>,
    /// Sentences of one's own for the grids.
    pub sentences: Sentences,
}

impl Asked {
    /// Joins the options with the settings and the record of the run folder, if it has them.
    ///
    /// # Errors
    /// Code 2 for options that contradict each other or the run, 3 or 4 if the run's files are damaged
    /// or gone, 4 if what it was given is gone, 6 if the run cannot be written.
    pub(super) fn of(args: &Train, context: &Context) -> Result<Self> {
        check_options(args)?;
        let (resumed, record) = taken_up(args)?;
        check_run(args.run.as_deref())?; // before anything is said of it
        if let (None, None, Some(run)) = (&resumed, &record, &args.run)
            && args.data.is_none()
            && args.stage1.is_none()
            && args.settings.preset.is_none()
        {
            let run = run.display();
            context.manner.say(format!("there is no run in {run}: a new one begins"));
        }
        if let (None, Some(_), Some(run)) = (&resumed, &record, &args.run) {
            let run = run.display();
            let told = "the run in it has no settings yet: it takes those of the preset, and what is typed";
            context.manner.say(format!("{run}: {told}"));
        }
        let planned = record.as_ref().is_some_and(|record| record.plan.is_some());
        let base = match resumed.as_deref().map(|dir| RunFiles::of(dir).config()) {
            None => Base::Preset,
            Some(file) if planned => Base::Planned(file),
            Some(file) => Base::File(file),
        };
        let mut settings = args.settings.clone();
        let chosen = Chosen::of(args, record.as_ref());
        settings.preset.get_or_insert_with(|| chosen.name.clone());
        let layers = Layers::over(&base, args.stage, &settings, environment()?)?;
        hours::check_alone(args, &layers)?;
        let config = layers.resolve()?;
        check_stage(args.stage, config.stage, resumed.as_deref())?;
        if let Some(kept) = record.as_ref().filter(|_| resumed.is_some()) {
            kept.check_preset(args)?;
            if resumed.as_deref().is_some_and(|run| !checkpoints(run).is_empty()) {
                kept.check_init_from(args)?;
            }
        }
        let note = chosen.note().filter(|_| resumed.is_none());
        let mut wanted = Record::of(args, record, chosen.name);
        wanted.check_paths()?;
        if let Some(run) = &resumed {
            wanted.check_there(run)?;
        }
        let hours = hours::to_plan(args, &layers, &mut wanted, resumed.as_deref())?;
        let sentences = Sentences::of(args, resumed.as_deref(), context.manner)?;
        Ok(Self { resumed, wanted, layers, config, hours, note, sentences })
    }
}

/// Refuses a stage that is not the settings'.
fn check_stage(typed: Stage, settings: Stage, resumed: Option<&Path>) -> Result<()> {
    if settings == typed {
        return Ok(());
    }
    let place = format!("run: {}", resumed.unwrap_or(Path::new("configuration")).display());
    let parts = (format!("stage {typed}"), format!("stage {settings}"));
    let remedy = "give the stage of the run";
    Err(Problem::usage("the run is of the other stage", place, parts, remedy).into())
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
