//! `train --hours`: a run whose length is given as time. Before its first step its speed is measured, and the steps that fit are
//! written into its settings. From then on it is a run like any other.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use stackgan_train::config::TrainConfig;
use stackgan_train::estimate::{Cadence, FITTED, Given, Plan, Speed, Timed};

use super::estimate::Beside;
use crate::args::Train;
use crate::config::{LENGTH, Layers, Origin};
use crate::context::Context;
use crate::exit::{Problem, out_of_memory};
use crate::progress::brief;
use crate::run::{Planned, Record, told};

/// Grids of a run, and seconds between its checkpoints.
const CADENCE: Cadence = Cadence { grids: 20, save_every: 300.0 };

/// The key of the run's length that was typed, if one was, and its origin.
fn typed(layers: &Layers) -> Option<(&'static str, &Origin)> {
    LENGTH.into_iter().find_map(|key| Some((key, layers.typed(key)?)))
}

/// Refuses hours beside a number of steps or epochs.
///
/// # Errors
/// Code 2.
pub(super) fn check_alone(args: &Train, layers: &Layers) -> Result<()> {
    let (Some(hours), Some((key, origin))) = (args.hours, typed(layers)) else { return Ok(()) };
    let parts = ("one length".to_owned(), format!("`--hours {hours}` and `{key}`"));
    let remedy = format!("leave `{key}` out: it follows from the hours; or leave `--hours` out");
    let (what, place) = ("the run's length is given twice", format!("{key}, from: {origin}"));
    Err(Problem::usage(what, place, parts, remedy).into())
}

/// Returns the hours to plan for: those that were typed, or those that a run was told which never began. A run that goes on has
/// its plan.
///
/// # Errors
/// Code 2 for others than the run began with.
pub(super) fn to_plan(
    args: &Train,
    layers: &Layers,
    wanted: &mut Record,
    resumed: Option<&Path>,
) -> Result<Option<f64>> {
    if resumed.is_some() {
        return args.hours.map_or(Ok(()), |hours| goes_on(hours, wanted)).map(|()| None);
    }
    let told = wanted.plan.take().map(|plan| plan.hours);
    Ok(args.hours.or(told.filter(|_| typed(layers).is_none())))
}

/// Checks that a run that goes on began with these hours.
fn goes_on(hours: f64, wanted: &Record) -> Result<()> {
    let began = match &wanted.plan {
        Some(plan) if plan.hours == hours => return Ok(()),
        Some(plan) => format!("`--hours {}`, as it began: {} steps", plan.hours, plan.steps),
        None => "the number of steps with which it began".to_owned(),
    };
    let parts = (began, format!("`--hours {hours}`"));
    let remedy = "leave `--hours` out: a run keeps its steps; for another number of them give \
                  `--set optim.steps=N --allow-change optim.steps`; or name another folder with `--run`";
    let what = "the run has another length";
    Err(Problem::usage(what, format!("option: --hours {hours}"), parts, remedy).into())
}

/// A run whose speed has been measured.
pub(super) struct Timing {
    hours: f64,
    began: Instant,
    speed: Speed,
}

impl Timing {
    /// Measures the speed of a run whose grids have so many rows more than the dataset's. From here its
    /// hours count.
    ///
    /// # Errors
    /// Code 2 if a few steps take longer than that; when memory cannot be had.
    pub(super) fn begin(
        (hours, more_rows): (f64, usize),
        cfg: &TrainConfig,
        (low, pretrained): Beside,
        context: &Context,
    ) -> Result<Self> {
        context.manner.say("measuring how long a step takes, for two minutes or a few steps …");
        let began = Instant::now();
        let device = &context.device;
        let timed = Timed { cfg, low: low.unwrap_or(&cfg.net), pretrained, device };
        let speed = Speed::measure(&timed, hours * 3600.0)
            .map_err(|error| out_of_memory(error.into(), Some(cfg.optim.batch)))?;
        let timing = Self { hours, began, speed: speed.with_rows(more_rows) };
        let pace = timing.speed.without_saves();
        let plan = Plan { seconds: timing.left(), pace };
        if plan.least() <= plan.seconds {
            return Ok(timing);
        }
        let least = 1.1 * (plan.least() + hours * 3600.0 - plan.seconds) / 3600.0;
        let expected = format!(
            "about {least:.4} hours or more, for the measuring and four steps of {} with two grids",
            brief(pace.step)
        );
        let parts = (expected, format!("`--hours {hours}`"));
        let remedy = "give more hours, or train smaller networks or batches: `--set net.gf=N`, `--set optim.batch=N`";
        let what = "no run fits in so short a time";
        Err(Problem::usage(what, "option: --hours", parts, remedy).into())
    }

    fn left(&self) -> f64 {
        (self.hours * 3600.0 - self.began.elapsed().as_secs_f64()).max(0.0)
    }

    /// Sets the length of a run over so many training pictures, and what follows from it. A checkpoint is timed in `folder`; in a
    /// dry run, which has none, among the system's temporary files, if it can be.
    ///
    /// # Errors
    /// When the storage refuses.
    pub(super) fn fit(
        self,
        config: &mut TrainConfig,
        (layers, pictures): (&Layers, Option<usize>),
        folder: Option<&Path>,
    ) -> Result<Planned> {
        let mut beside = tempfile::Builder::new();
        let beside = beside.prefix(".tmp-timing-");
        let pace = match folder {
            Some(folder) => {
                let beside = beside.tempdir_in(folder);
                let beside = beside.map_err(|e| Problem::storage(folder, &e))?;
                self.speed.with_saves(beside.path())?
            }
            None => {
                let saved =
                    beside.tempdir().ok().and_then(|at| self.speed.with_saves(at.path()).ok());
                saved.unwrap_or_else(|| self.speed.without_saves())
            }
        };
        let plan = Plan { seconds: self.left(), pace };
        let steps_per_epoch = pictures.map(|pictures| (pictures / config.optim.batch) as u64);
        let kept = FITTED.into_iter().filter(|key| layers.typed(key).is_some()).collect();
        plan.fit(config, CADENCE, &Given { kept, steps_per_epoch });
        config.check()?;
        Ok(Planned::of(self.hours, &plan, config, steps_per_epoch))
    }
}

/// What is said of a plan when the run begins.
pub(super) fn lines(planned: &Planned, wanted: &Record) -> Vec<String> {
    let seconds = Duration::try_from_secs_f64(planned.seconds).unwrap_or_default();
    let ends = SystemTime::now() + seconds;
    let mut lines = vec![format!("{}; it ends about {}", planned.line(), told(ends))];
    lines.extend(uncounted(wanted));
    lines
}

/// What a plan does not count, if the run has it.
pub(super) fn uncounted(wanted: &Record) -> Option<String> {
    let what = "           what `--eval-every` measures comes on top";
    wanted.evaluation.is_some().then(|| what.to_owned())
}
