//! The training loop of a run, from its first step to its model.

use std::path::PathBuf;

use stackgan_kernels::{gpu, memory};

use crate::config::{RunConfig, TrainConfig};
use crate::event::{StopReason, TrainEvent};
use crate::feed::{Fed, Feed};
use crate::policy::Policy;
use crate::reports::{Reported, Reports, cut};
use crate::run_dir::{RunDir, remove};
use crate::run_files::steps_of_sound_model;
use crate::samples::Samples;
pub use crate::setup::{Setup, plan_over};
use crate::state::Run;
pub use crate::state::model_at;
use crate::step::{StepConfig, StepStats};
use crate::store::Store;
use crate::{Error, Result, r1};

/// How a run ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Steps taken.
    pub step: u64,
    /// Number of steps of the whole run.
    pub steps: u64,
    /// Why it ended.
    pub reason: StopReason,
    /// The model file.
    pub model: PathBuf,
}

/// Number of consecutive saves that may fail for lack of space before the run ends. Until then the
/// user may have freed some.
const MISSES: u32 = 3;

/// Trains until the last step, or until `stop` returns a reason. `stop` is called after every step.
///
/// Unless it fails, the run leaves a checkpoint and a model.
///
/// # Errors
/// [`Error::NonFinite`] keeps the last checkpoint and writes a bundle to the run folder that
/// [`crate::replay::replay`] can repeat; data, storage and configuration errors.
pub fn train(
    setup: Setup,
    dir: &RunDir,
    policy: impl Into<Policy>,
    stop: &dyn Fn() -> Option<StopReason>,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<Outcome> {
    let (policy, cfg) = (policy.into(), setup.config.clone());
    let store = store_of(dir, &cfg.run)?;
    let steps_per_epoch = setup.plan()?.steps_per_epoch();
    let mut run = Run::new(setup, cfg.total_steps(steps_per_epoch), policy.checks)?;
    let first = run.resume((&store, dir), &policy, on_event)?;

    dir.write(&dir.files().config(), cfg.to_toml()?.as_bytes())?;
    cut(dir, first, on_event)?;
    let samples = Samples::choose(&run.setup, run.standardise.as_ref())?;
    dir.write(&dir.files().reals(), &samples.reals()?)?;
    dir.write(&dir.files().captions(), samples.captions().as_bytes())?;
    let sentences = dir.files().sentences();
    match samples.sentences() {
        Some(said) => dir.write(&sentences, said.as_bytes())?,
        None => remove(&sentences)?,
    }
    let mut saves = Saves { store: &store, dir, misses: 0, saved: None };
    saves.begin(&run, first, on_event)?;
    let mut reports = Reports::new(samples, dir, first)?;
    let mut feed = run.feed(first)?;
    on_event(TrainEvent::Started {
        step: first,
        steps: run.steps,
        steps_per_epoch,
        batch: cfg.optim.batch,
        parameters_g: run.players.g().params.count(),
        parameters_d: run.players.d().params.count(),
    });

    let (mut step, mut reason) = (first, StopReason::Done);
    let mut again = false; // whether this step's batch is made once more
    while step < run.steps {
        let fed = match feed.next() {
            // A batch that was made ahead may also have failed before other work made room.
            Err(error) if !again && gpu::memory_is_full(&error) => {
                run.guard.gives_way(&error);
                (feed, again) = (run.feed(step)?, true);
                continue;
            }
            fed => fed?,
        };
        again = false;
        let taken = match run.step(&fed, || feed.prepare()) {
            Err(error @ Error::NonFinite { .. }) => {
                let error = run.bundle(error, &fed, dir, policy.on_nonfinite)?;
                let text;
                (step, text) = run.roll_back(error, &store, policy.on_nonfinite, on_event)?;
                cut(dir, step, on_event)?;
                on_event(TrainEvent::WentBack { step });
                on_event(TrainEvent::Warning { step, text });
                feed = run.feed(step)?;
                continue;
            }
            taken => taken?,
        };
        step += 1;
        on_event(TrainEvent::Step { step });
        let last = step == run.steps;
        if let Some((stats, StepConfig { lr_g, lr_d, .. })) = taken {
            reports.check(run.guard.not_recorded(), (step, &stats), on_event);
            if step.is_multiple_of(cfg.run.report_every) || last {
                let (epoch, r1, loading) = (fed.epoch, run.r1, feed.spent());
                let at = Reported { step, epoch, lr_g, lr_d, r1, loading };
                reports.line(at, &stats, on_event)?;
            }
        }
        if step.is_multiple_of(cfg.run.sample_every) || last {
            run.between_steps(|run| reports.paint(run.model(step)?, step, on_event))?;
        }
        let ends = if last {
            Some(StopReason::Done)
        } else {
            stop().or_else(|| dir.files().stop().exists().then_some(StopReason::StopFile))
        };
        if saves_at(&cfg.run, step) || ends.is_some() {
            run.between_steps(|run| saves.save(run, step, ends, on_event))?;
        }
        if let Some(ends) = ends {
            remove(&dir.files().stop())?; // or the run could not be resumed
            reason = ends;
            break;
        }
    }
    saves.end(&run, step)?;
    on_event(TrainEvent::Finished { step, reason });
    Ok(Outcome { step, steps: run.steps, reason, model: dir.files().model() })
}

/// Whether a run saves after `step` steps although nothing ends it there.
#[must_use]
pub fn saves_at(cfg: &RunConfig, step: u64) -> bool {
    let kept = cfg.keep_every > 0 && step.is_multiple_of(cfg.keep_every);
    kept || step.is_multiple_of(cfg.checkpoint_every)
}

/// Opens the checkpoints of a run. What was kept by the settings that it had before stays.
fn store_of(dir: &RunDir, cfg: &RunConfig) -> Result<Store> {
    let text = std::fs::read_to_string(dir.files().config()).unwrap_or_default();
    let before = TrainConfig::from_toml(&text).map(|before| before.run);
    let before = before.map_or((cfg.keep, 0), |before| (before.keep, before.keep_every));
    let store = Store::open(&dir.files().checkpoints(), cfg.keep)?;
    store.keeping_every(cfg.keep_every).after(before)
}

/// The checkpoints and models that a run writes.
struct Saves<'a> {
    store: &'a Store,
    dir: &'a RunDir,
    /// Number of consecutive saves that failed.
    misses: u32,
    /// The step of the model on disk; unknown for a model that existed before.
    saved: Option<u64>,
}

impl Saves<'_> {
    /// Saves the state before the first step, or the model of the step that the run goes on from,
    /// and warns if there is little room.
    fn begin(&mut self, run: &Run, step: u64, on_event: &mut dyn FnMut(TrainEvent)) -> Result<()> {
        if self.store.checkpoints()?.is_empty() {
            run.checkpoint(self.store, 0)?; // fail now, not after a day, if this cannot be written
        }
        if step > 0 && steps_of_sound_model(&self.dir.files().model()) != Some(step) {
            // The process was killed before it wrote this one, or the run has gone back.
            self.model(run, step, None, on_event)?;
        }
        let (every, kept) =
            (run.setup.config.run.checkpoint_every, run.setup.config.run.keep_every);
        let left = run.steps.saturating_sub(step).div_ceil(every.max(1));
        let until = |steps: u64| steps.checked_div(kept).unwrap_or(0);
        let milestones = until(run.steps).saturating_sub(until(step));
        if let Some(text) = self.store.short_of_room(left, milestones)? {
            on_event(TrainEvent::Warning { step, text });
        }
        Ok(())
    }

    /// Saves the checkpoint and the model after `step` steps. Unless the run `ends`, a few failures
    /// of the storage are only warnings.
    fn save(
        &mut self,
        run: &Run,
        step: u64,
        ends: Option<StopReason>,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<()> {
        self.dir.keep_hold()?;
        match self.dir.here(run.checkpoint(self.store, step)) {
            Ok(path) => {
                self.misses = 0;
                self.model(run, step, ends, on_event)?;
                memory::release();
                on_event(TrainEvent::Checkpoint { step, path, ends });
                Ok(())
            }
            Err(error @ Error::Storage { .. }) if self.misses + 1 < MISSES && ends.is_none() => {
                self.misses += 1;
                let text = format!("not saved, training goes on: {error}");
                on_event(TrainEvent::Warning { step, text });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the model after `step` steps, whose checkpoint is there. Unless the run `ends`, a failure
    /// of the storage is only a warning: a checkpoint can be gone on from without it.
    fn model(
        &mut self,
        run: &Run,
        step: u64,
        ends: Option<StopReason>,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<()> {
        let bytes = run.model(step)?.to_bytes()?;
        match self.dir.write(&self.dir.files().model(), &bytes) {
            Ok(()) => self.saved = Some(step),
            Err(mut error) => {
                if let Error::Storage { remedy, .. } = &mut error {
                    remedy.push_str(&format!("; the checkpoint of step {step} is saved"));
                }
                if ends.is_some() || !matches!(error, Error::Storage { .. }) {
                    return Err(error);
                }
                let text = format!("the model is not written, training goes on: {error}");
                on_event(TrainEvent::Warning { step, text });
            }
        }
        Ok(())
    }

    /// Writes the model after the last step, unless a save has.
    fn end(&self, run: &Run, step: u64) -> Result<()> {
        if self.saved == Some(step) {
            return Ok(());
        }
        self.dir.write(&self.dir.files().model(), &run.model(step)?.to_bytes()?)
    }
}

impl Run {
    /// The inputs of the steps from `step` on.
    fn feed(&self, step: u64) -> Result<Feed> {
        Feed::start(&self.setup, self.standardise.clone(), step..self.steps)
    }

    /// Takes one step and returns its values and settings, or `None` for a skipped step.
    ///
    /// `meanwhile` is called while a GPU computes.
    fn step(
        &mut self,
        fed: &Fed,
        meanwhile: impl FnOnce(),
    ) -> Result<Option<(StepStats, StepConfig)>> {
        if self.skipped.contains(&fed.step) {
            return Ok(None);
        }
        let step = StepConfig::of(&self.setup.config, fed.step, self.decay(fed));
        let stats = self.guard.step(&mut self.players, &fed.inputs, &step, meanwhile)?;
        self.r1 = stats.get(r1::NAME).ok().or(self.r1);
        if let Some(ema) = self.ema.as_ref().filter(|_| step.generator_moves()) {
            ema.follow(self.players.g().adam.steps())?;
        }
        Ok(Some((stats, step)))
    }

    /// Does work between steps, on a GPU once more if it found no memory beside a recorded step.
    pub(crate) fn between_steps<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<T> {
        match work(self) {
            Err(error) if self.guard.gives_way(&error) => work(self),
            done => done,
        }
    }
}
