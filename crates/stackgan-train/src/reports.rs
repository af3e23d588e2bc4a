//! What a run reports while it trains: warnings, lines of `stats.jsonl`, sample grids.

use std::path::Path;
use std::time::{Duration, Instant};

use stackgan_core::{Model, Sampling};
use stackgan_kernels::memory;

use crate::event::TrainEvent;
use crate::run_dir::RunDir;
use crate::samples::Samples;
use crate::step::StepStats;
use crate::watch::{Seen, Watch};
use crate::{Error, Result, r1};

/// The reports of a process that trains.
pub(crate) struct Reports<'a> {
    dir: &'a RunDir,
    watch: Watch,
    samples: Samples,
    /// The step count at which this process started.
    first: u64,
    started: Instant,
    reported: Instant,
    /// Whether the user knows that a GPU's steps cannot be recorded.
    warned: bool,
}

/// A step that is reported.
pub(crate) struct Reported {
    pub(crate) step: u64,
    pub(crate) epoch: u64,
    /// Learning rate of G.
    pub(crate) lr_g: f64,
    /// Learning rate of D.
    pub(crate) lr_d: f64,
    /// The value of R1 in the last step that had it, in place of this step's.
    pub(crate) r1: Option<f64>,
    /// The time spent waiting for data since the last report.
    pub(crate) loading: Duration,
}

impl<'a> Reports<'a> {
    /// The reports of a run from its step `first` on.
    ///
    /// # Errors
    /// When the pictures of the dataset cannot be read.
    pub(crate) fn new(samples: Samples, dir: &'a RunDir, first: u64) -> Result<Self> {
        let watch = Watch::new(samples.real_difference()?);
        let started = Instant::now();
        Ok(Self { dir, watch, samples, first, started, reported: started, warned: false })
    }

    /// Checks the values of a step, and warns. `not_recorded` is the error that prevented the
    /// recording of a GPU's steps.
    pub(crate) fn check(
        &mut self,
        not_recorded: Option<String>,
        (step, stats): (u64, &StepStats),
        on_event: &mut dyn FnMut(TrainEvent),
    ) {
        let mut warn = |text| on_event(TrainEvent::Warning { step, text });
        if let Some(text) = not_recorded.filter(|_| !self.warned) {
            self.warned = true;
            warn(format!("steps are slower than they could be: they cannot be recorded: {text}"));
        }
        self.watch.step(step, Seen::of(stats)).into_iter().for_each(warn);
    }

    /// Reports a step, and writes its line of `stats.jsonl`.
    ///
    /// # Errors
    /// When the values cannot be read from the device.
    pub(crate) fn line(
        &mut self,
        Reported { step, epoch, lr_g, lr_d, r1, loading }: Reported,
        stats: &StepStats,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<()> {
        let (mut terms, seconds) = (stats.read()?, self.started.elapsed().as_secs_f64());
        let loading = loading.div_duration_f64(self.reported.elapsed());
        self.reported = Instant::now();
        let loading = (loading * 1e3).round() / 1e3;
        let more = [("lr_g", lr_g), ("lr_d", lr_d), ("loading", loading)];
        if let Some(r1) = r1.filter(|_| terms.iter().all(|(name, _)| *name != r1::NAME)) {
            terms.push((r1::NAME, r1));
        }
        let values = [&terms[..], &more].concat();
        let written = self.dir.append_stats(step, epoch, (seconds, self.first), &values);
        warn_only(written, step, on_event)?;
        on_event(TrainEvent::Report { step, epoch, lr_g, lr_d, terms, seconds });
        Ok(())
    }

    /// Writes the grid of samples that `model` paints after `step` steps, and warns if they are
    /// alike.
    ///
    /// # Errors
    /// When painting fails.
    pub(crate) fn paint(
        &mut self,
        model: Model,
        step: u64,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<()> {
        let path = self.dir.files().sample(step);
        let grid = match self.samples.paint(&model) {
            // The steps have checks of their own; a grid is only for viewing.
            Err(Error::Core(error @ stackgan_core::Error::NotFinite { .. })) => {
                on_event(TrainEvent::Warning { step, text: format!("no grid: {error}") });
                return Ok(());
            }
            painted => painted?,
        };
        let how = model.resolve(Sampling::default())?;
        drop(model); // before memory is given back below
        let mut between = self.samples.differences(&grid);
        between.noise = between.noise.filter(|_| how.z_scale > 0.0 || how.eps_scale > 0.0);
        if let Some(text) = self.watch.grid(step, between) {
            on_event(TrainEvent::Warning { step, text });
        }
        if warn_only(self.dir.write(&path, &Samples::png(&grid)?), step, on_event)? {
            on_event(TrainEvent::Samples { step, path });
        }
        memory::release();
        Ok(())
    }
}

/// Truncates the statistics and the measurements to `step`, and warns about lines that could not be
/// read.
///
/// # Errors
/// When the statistics cannot be read or written. Without the measurements, training goes on.
pub(crate) fn cut(dir: &RunDir, step: u64, on_event: &mut dyn FnMut(TrainEvent)) -> Result<()> {
    let (stats, measured) = (dir.files().stats(), dir.files().measured());
    let of_stats = left_out(&stats, dir.cut_lines(&stats, step)?);
    let of_measured = match dir.cut_lines(&measured, step) {
        Ok(damaged) => left_out(&measured, damaged),
        Err(error) => Some(error.to_string()),
    };
    let warn = |text| on_event(TrainEvent::Warning { step, text });
    of_stats.into_iter().chain(of_measured).for_each(warn);
    Ok(())
}

/// Says how many lines of a file could not be read, if there are any.
fn left_out(file: &Path, damaged: usize) -> Option<String> {
    let file = file.display();
    (damaged > 0).then(|| format!("{file}: lines that cannot be read are left out: {damaged}"))
}

/// Turns a failure to write a file that is only for viewing into a warning. Returns whether it was
/// written.
fn warn_only(written: Result<()>, step: u64, on_event: &mut dyn FnMut(TrainEvent)) -> Result<bool> {
    match written {
        Err(error @ Error::Storage { .. }) => {
            on_event(TrainEvent::Warning { step, text: error.to_string() });
            Ok(false)
        }
        written => written.map(|()| true),
    }
}
