//! The training loop of a run, from its first step to its model.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use stackgan_core::noise::Noise;
use stackgan_core::text::{CharCnnRnnEncoder, Standardise};
use stackgan_core::{Model, Params, Stage};
use stackgan_data::dataset::Split;
use stackgan_data::embeddings::Embeddings;
use stackgan_data::plan::Plan;
use stackgan_data::prepared::Prepared;
use stackgan_kernels::memory;

use crate::config::TrainConfig;
use crate::ema::Ema;
use crate::event::{StopReason, TrainEvent};
use crate::feed::{Fed, Feed};
use crate::fit::check_fit;
use crate::guard::Guard;
use crate::identity::Identity;
use crate::matching::Matcher;
use crate::players::{Players, players};
use crate::policy::{OnNonFinite, Policy, Resume};
use crate::replay;
use crate::reports::{Reported, Reports, Seldom, cut_stats};
use crate::run_dir::RunDir;
use crate::samples::Samples;
use crate::standardise;
use crate::start::Start;
use crate::state;
pub use crate::state::model_at;
use crate::step::{Looks, StepConfig, StepStats};
use crate::store::Store;
use crate::{Error, Result};

/// The parts of a run.
#[derive(Debug)]
pub struct Setup {
    /// The configuration, checked.
    pub config: TrainConfig,
    /// The prepared dataset, of the stage's picture size.
    pub dataset: Arc<Prepared>,
    /// The embeddings of the dataset's captions.
    pub embeddings: Arc<Embeddings>,
    /// The encoder that made the embeddings, to be stored in the model. Without it the model only
    /// generates from embeddings.
    pub encoder: Option<CharCnnRnnEncoder>,
    /// The source of an encoder that is not stored in the model: `hub:OWNER/NAME` or a folder. It
    /// is noted in the model.
    pub encoder_source: Option<String>,
    /// The matcher of G's pictures and their captions for `loss.matching`. It must belong to the
    /// encoder of the embeddings.
    pub matcher: Option<Matcher>,
    /// The Stage-I model, for Stage-II.
    pub stage1: Option<Model>,
    /// The device to compute on.
    pub device: Device,
    /// The starting weights of the networks, if they are not fresh.
    pub start: Start,
}

impl Setup {
    /// Checks that the parts are compatible and that a run can begin.
    ///
    /// # Errors
    /// [`Error::Config`] names the first setting that does not match.
    pub fn check(&self) -> Result<()> {
        check_fit(self)?;
        standardise::fits(self)?;
        self.start.generator(&self.config)?;
        plan(self).map(drop)
    }
}

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

/// A run between two steps: the content of a checkpoint, and what the next step needs.
pub(crate) struct Run {
    pub(crate) setup: Setup,
    pub(crate) players: Players,
    pub(crate) stage1: Option<Params>,
    pub(crate) ema: Option<Ema>,
    pub(crate) standardise: Option<Standardise>,
    pub(crate) steps: u64,
    pub(crate) identity: Identity,
    /// Steps that are skipped because they became non-finite.
    pub(crate) skipped: BTreeSet<u64>,
    pub(crate) seldom: Seldom,
    pub(crate) guard: Guard,
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
/// [`replay::replay`] can repeat; data, storage and configuration errors.
pub fn train(
    setup: Setup,
    dir: &RunDir,
    policy: impl Into<Policy>,
    stop: &dyn Fn() -> Option<StopReason>,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<Outcome> {
    let (policy, cfg) = (policy.into(), setup.config.clone());
    let store = Store::open(&dir.checkpoints(), cfg.run.keep)?.keeping_every(cfg.run.keep_every);
    let steps_per_epoch = plan(&setup)?.steps_per_epoch();
    let mut run = Run::new(setup, cfg.total_steps(steps_per_epoch), policy.looks)?;
    let first = run.resume((&store, dir), &policy, on_event)?;

    dir.write(&dir.config(), cfg.to_toml()?.as_bytes())?;
    cut_stats(dir, first, on_event)?;
    let samples = Samples::choose(&run)?;
    dir.write(&dir.reals(), &samples.reals(&run)?)?;
    dir.write(&dir.captions(), samples.captions(&run).as_bytes())?;
    let mut saves = Saves { store: &store, dir, misses: 0, saved: None };
    saves.begin(&run, first, on_event)?;
    let mut reports = Reports::new(&run, samples, dir, first)?;
    let mut feed = run.feed(first)?;
    let parameters = (run.players.g().params.count(), run.players.d().params.count());
    let (batch, steps) = (cfg.optim.batch, run.steps);
    on_event(TrainEvent::Started { step: first, steps, steps_per_epoch, batch, parameters });

    let (mut step, mut reason) = (first, StopReason::Done);
    while step < run.steps {
        let fed = feed.next()?;
        let taken = match run.step(&fed, || feed.prepare()) {
            Err(error @ Error::NonFinite { .. }) => {
                let error = run.bundle(error, &fed, dir)?;
                let text;
                (step, text) = run.roll_back(error, &store, policy.on_nonfinite, on_event)?;
                cut_stats(dir, step, on_event)?;
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
        if let Some((stats, lr)) = taken {
            reports.look(&mut run, (step, &stats), on_event);
            if step.is_multiple_of(cfg.run.report_every) || last {
                let at = Reported { step, epoch: fed.epoch, lr, loading: feed.spent() };
                reports.line(&run, at, &stats, on_event)?;
            }
        }
        if step.is_multiple_of(cfg.run.sample_every) || last {
            reports.paint(&run, step, on_event)?;
        }
        let stopped = if last {
            None
        } else {
            stop().or_else(|| dir.stop_requested().then_some(StopReason::StopFile))
        };
        let ends = last || stopped.is_some();
        if step.is_multiple_of(cfg.run.checkpoint_every) || ends {
            saves.save(&run, (step, ends), on_event)?;
        }
        if ends {
            dir.forget_stop()?; // or the run could not be resumed
        }
        if let Some(stopped) = stopped {
            reason = stopped;
            break;
        }
    }
    saves.end(&run, step)?;
    on_event(TrainEvent::Finished { step, reason });
    Ok(Outcome { step, steps: run.steps, reason, model: dir.model() })
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
    /// Saves the state before the first step, and warns if there is little room.
    fn begin(&self, run: &Run, step: u64, on_event: &mut dyn FnMut(TrainEvent)) -> Result<()> {
        if self.store.checkpoints()?.is_empty() {
            state::save(run, self.store, 0)?; // fail now, not after a day, if this cannot be written
        }
        if let Some(text) = self.store.short_of_room()? {
            on_event(TrainEvent::Warning { step, text });
        }
        Ok(())
    }

    /// Saves the checkpoint and the model after `step` steps. Unless the run ends, a few failures
    /// of the storage are only warnings.
    fn save(
        &mut self,
        run: &Run,
        (step, ends): (u64, bool),
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<()> {
        self.dir.keep_hold()?;
        match run.save(self.store, self.dir, step) {
            Ok(path) => {
                (self.misses, self.saved) = (0, Some(step));
                on_event(TrainEvent::Checkpoint { step, path });
                Ok(())
            }
            Err(error @ Error::Storage { .. }) if self.misses + 1 < MISSES && !ends => {
                self.misses += 1;
                let text = format!("not saved, training goes on: {error}");
                on_event(TrainEvent::Warning { step, text });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the model after the last step, unless a save has.
    fn end(&self, run: &Run, step: u64) -> Result<()> {
        if self.saved == Some(step) {
            return Ok(());
        }
        self.dir.write(&self.dir.model(), &run.model(step)?.to_bytes()?)
    }
}

/// Warns about damaged checkpoints.
fn passed_over(damaged: Vec<String>, on_event: &mut dyn FnMut(TrainEvent)) {
    damaged.into_iter().for_each(|text| on_event(TrainEvent::Warning { step: 0, text }));
}

fn plan(setup: &Setup) -> Result<Plan> {
    plan_over(&setup.config, &setup.dataset)
}

/// Plans the batches of a run over the training pictures of `data`.
///
/// # Errors
/// When the data do not make such batches: too few pictures, pictures of one class, or pictures
/// without captions.
pub fn plan_over(cfg: &TrainConfig, data: &Prepared) -> Result<Plan> {
    Ok(Plan::over(data, data.indices(Split::Train), cfg.plan(), Noise::new(cfg.seed))?)
}

impl Run {
    fn new(mut setup: Setup, steps: u64, looks: Option<Looks>) -> Result<Self> {
        check_fit(&setup)?;
        let standardise = standardise::of_run(&setup)?;
        if let Some(standardise) = &standardise {
            let own = setup.encoder.take();
            let own = own.map(|own| own.with_standardise(Some(standardise.clone())));
            setup.encoder = own.transpose()?;
        }
        let cfg = &setup.config;
        let stage1 = match (cfg.stage, &setup.stage1) {
            (Stage::Two, Some(model)) => {
                // Differs from the release: with Stage-I's running statistics, which the TensorFlow
                // release does not restore. They are needed to paint before Stage-II has moved them.
                Some(Params::given(model.stage1().snapshot()?, &setup.device)?)
            }
            _ => None,
        };
        let low = stage1.as_ref().zip(setup.stage1.as_ref().map(|model| &model.info().stage1.net));
        let players = players(cfg, low, &setup.device)?;
        let players = players.beginning(&setup.start, cfg, low)?;
        let identity = Identity::of(&setup)?;
        let matcher = setup.matcher.take().filter(|_| setup.config.loss.matching > 0.0);
        let players = players.matched(matcher.map(|matcher| matcher.reading(standardise.clone())));
        let cfg = &setup.config;
        let ema = (cfg.optim.ema > 0.0)
            .then(|| Ema::new(&players.g().params, cfg.optim.ema))
            .transpose()?;
        let guard = Guard::over(&players, stage1.as_ref())?;
        let guard = guard.looking(looks.unwrap_or_else(|| Looks::on(&setup.device)));
        let (skipped, seldom) = Default::default();
        Ok(Self {
            setup,
            players,
            stage1,
            ema,
            standardise,
            steps,
            identity,
            skipped,
            seldom,
            guard,
        })
    }

    /// Restores the newest checkpoint and returns its step count.
    fn resume(
        &mut self,
        (store, dir): (&Store, &RunDir),
        policy: &Policy,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<u64> {
        let newest = store.newest(&self.setup.device)?;
        match (&newest.found, policy.resume, &newest.passed_over[..]) {
            (Some((older, _)), Resume::Strict, damaged @ [_, ..]) => {
                return Err(Error::Checkpoint {
                    what: "the newest checkpoint is damaged".to_owned(),
                    file: store.folder().to_path_buf(),
                    expected: "a whole one".to_owned(),
                    found: damaged.join("; ").into(),
                    remedy: format!(
                        "step {} is whole: leave `--strict` out to go on from it, or restore the file from a copy",
                        older.step
                    ),
                });
            }
            _ => passed_over(newest.passed_over, on_event),
        }
        match (newest.found, policy.resume) {
            (None, Resume::Auto | Resume::Strict) if dir.is_begun() => Err(Error::Checkpoint {
                what: "the run has begun, and its checkpoints are gone".to_owned(),
                file: store.folder().to_path_buf(),
                expected: "a checkpoint to go on from".to_owned(),
                found: "none".to_owned().into(),
                remedy: "restore the folder from a copy, or train in another one".to_owned(),
            }),
            (None, _) => Ok(0),
            (Some(saved), Resume::Auto | Resume::Strict) => {
                let changes = self.identity.check(&saved.0, &policy.allow_change)?;
                let step = state::restore(self, saved)?;
                if !changes.is_empty() {
                    state::save(self, store, step)?; // from here on with this configuration
                }
                changes.into_iter().for_each(|text| on_event(TrainEvent::Warning { step, text }));
                Ok(step)
            }
            (Some(_), Resume::Never) => Err(Error::Config {
                key: "--resume never".to_owned(),
                expected: "a run folder without checkpoints".to_owned(),
                found: "checkpoints of an earlier run".to_owned(),
                remedy: "give --resume auto to go on, or another --run folder".to_owned(),
            }),
        }
    }

    /// The inputs of the steps from `step` on.
    fn feed(&self, step: u64) -> Result<Feed> {
        Feed::start(&self.setup, plan(&self.setup)?, self.standardise.clone(), step..self.steps)
    }

    /// Takes one step and returns its values and learning rates, or `None` for a skipped step.
    ///
    /// `meanwhile` is called while a GPU computes.
    fn step(
        &mut self,
        fed: &Fed,
        meanwhile: impl FnOnce(),
    ) -> Result<Option<(StepStats, (f64, f64))>> {
        if self.skipped.contains(&fed.step) {
            return Ok(None);
        }
        let step = StepConfig::of(&self.setup.config, fed.step, self.decay(fed));
        let stats = self.guard.step(&mut self.players, &fed.inputs, &step, meanwhile)?;
        if let Some(ema) = &self.ema {
            ema.follow(fed.step)?;
        }
        Ok(Some((stats, (step.lr_g, step.lr_d))))
    }

    fn decay(&self, fed: &Fed) -> f64 {
        self.setup.config.optim.decay.factor(fed.step, self.steps, fed.epoch)
    }

    /// Saves the checkpoint and the model after `step` steps.
    fn save(&self, store: &Store, dir: &RunDir, step: u64) -> Result<PathBuf> {
        let path = state::save(self, store, step)?;
        dir.write(&dir.model(), &self.model(step)?.to_bytes()?)?;
        memory::release();
        Ok(path)
    }

    /// Writes a bundle of the non-finite step, and adds its path to the error.
    fn bundle(&self, error: Error, fed: &Fed, dir: &RunDir) -> Result<Error> {
        let Error::NonFinite { step, term, value, .. } = &error else { return Ok(error) };
        let path = dir.bundle(*step);
        let (config, matcher) = (&self.setup.config, self.players.game.matcher.as_ref());
        let facts = replay::Facts {
            format: replay::FORMAT.to_owned(),
            step: *step,
            epoch: fed.epoch,
            term: term.clone(),
            value: value.to_string(),
            indices: fed.indices.clone(),
            decay: self.decay(fed),
            optimiser_steps: (self.players.g().adam.steps(), self.players.d().adam.steps()),
            stage1: match config.stage {
                Stage::Two => self.setup.stage1.as_ref().map(|model| model.info().stage1.net),
                Stage::One => None,
            },
            matching: matcher.map(|matcher| matcher.encoders().clone()),
            config: config.to_toml()?,
        };
        let bytes = || -> Result<Vec<u8>> {
            let mut archive = state::archive(self)?;
            if let Some(matcher) = matcher {
                archive.extend("matching.", matcher.tensors()?);
            }
            replay::to_bytes(archive, &facts, &fed.inputs)
        };
        let advice = "look at this step alone: `stackgan replay";
        let after = "; then train in another run folder with a smaller learning rate, mend the data, or give `--on-nonfinite rollback:3`";
        Ok(match bytes().and_then(|bytes| dir.write(&path, &bytes)) {
            Ok(()) => error.advising(format!("{advice} {}`{after}", path.display())),
            Err(_) => error, // a full disk or memory must not hide the original error
        })
    }

    /// Goes back to the newest checkpoint and marks the step of `error` as skipped. Returns the
    /// step count and a warning for the user.
    fn roll_back(
        &mut self,
        error: Error,
        store: &Store,
        policy: OnNonFinite,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<(u64, String)> {
        let (Error::NonFinite { step, .. }, OnNonFinite::Rollback(most)) = (&error, policy) else {
            return Err(error);
        };
        let step = *step;
        if self.skipped.len() as u64 >= most {
            return Err(error);
        }
        let mut skipped = self.skipped.clone();
        skipped.insert(step);
        let newest = store.newest(&self.setup.device)?;
        let Some(saved) = newest.found else { return Err(error) };
        passed_over(newest.passed_over, on_event);
        let back = state::restore(self, saved)?;
        self.skipped.extend(skipped);
        let count = self.skipped.len();
        let text = format!(
            "{error}\n  back to step {back}; step {step} is left out ({count} of at most {most})"
        );
        Ok((back, text))
    }

    /// Standardises embeddings if the run does so.
    pub(crate) fn standardised(&self, text: Tensor) -> Result<Tensor> {
        Ok(match &self.standardise {
            None => text,
            Some(standardise) => standardise.apply(&text)?,
        })
    }

    /// The model after `step` steps: with the running average of G if there is one.
    pub(crate) fn model(&self, step: u64) -> Result<Model> {
        memory::release(); // memory left by a step does not have the sizes needed next
        state::model(self, step)
    }
}
