//! A training run from its first step to its model: the loop as a table of contents.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use candle_core::{Device, Tensor};
use stackgan_core::noise::Noise;
use stackgan_core::text::CharCnnRnnEncoder;
use stackgan_core::{Model, Params};
use stackgan_data::dataset::Split;
use stackgan_data::embeddings::Embeddings;
use stackgan_data::loader::{Batch, Loader, LoaderConfig};
use stackgan_data::plan::Plan;
use stackgan_data::prepared::Prepared;

use crate::config::{Stage, TrainConfig};
use crate::ema::Ema;
use crate::event::{StopReason, TrainEvent};
use crate::players::{Players, players};
use crate::run_dir::RunDir;
use crate::samples::Samples;
use crate::standardise::Affine;
use crate::state;
use crate::step::{Pictures, StepConfig, StepNoise, StepStats};
use crate::store::Store;
use crate::{Error, Result};

/// What a run is made of.
pub struct Setup {
    /// The configuration, checked.
    pub config: TrainConfig,
    /// The prepared dataset, of the stage's picture size.
    pub dataset: Arc<Prepared>,
    /// The embeddings of its captions.
    pub embeddings: Arc<Embeddings>,
    /// The encoder that made them, to be part of the model; without it the model paints from embeddings only.
    pub encoder: Option<CharCnnRnnEncoder>,
    /// Where an encoder that is not part of the model can be had, to be noted in it: `hub:OWNER/NAME` or a folder.
    pub encoder_source: Option<String>,
    /// The Stage-I model, for Stage-II.
    pub stage1: Option<Model>,
    /// Where to compute.
    pub device: Device,
}

/// What to do with checkpoints that the run folder already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Go on from the newest valid one, if there is one.
    Auto,
    /// Refuse to train over them.
    Never,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Steps taken.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Why it ended.
    pub reason: StopReason,
    /// The model.
    pub model: PathBuf,
}

/// A run between two steps: everything that a checkpoint holds, and what the next step needs.
pub(crate) struct Run {
    pub(crate) setup: Setup,
    pub(crate) players: Players,
    pub(crate) stage1: Option<Params>,
    pub(crate) ema: Option<Ema>,
    pub(crate) affine: Option<Affine>,
    pub(crate) steps: u64,
}

/// Trains until the last step, or until `stop` gives a reason; asked after every step. However it ends, a checkpoint and a
/// model are there.
///
/// # Errors
/// [`Error::NonFinite`] leaves the last checkpoint as it is; data, storage and configuration errors.
pub fn train(
    setup: Setup,
    dir: &RunDir,
    resume: Resume,
    stop: &dyn Fn() -> Option<StopReason>,
    on_event: &mut dyn FnMut(TrainEvent),
) -> Result<Outcome> {
    let cfg = setup.config.clone();
    let noise = Noise::new(cfg.seed);
    let store = Store::open(&dir.checkpoints(), cfg.run.keep)?;
    let plan = Plan::over(&setup.dataset, setup.dataset.indices(Split::Train), cfg.plan(), noise)?;
    let steps_per_epoch = plan.steps_per_epoch();
    let mut run = Run::new(setup, cfg.total_steps(steps_per_epoch))?;
    let first = run.resume(&store, resume, on_event)?;

    dir.write(&dir.config(), cfg.to_toml()?.as_bytes())?;
    dir.cut_stats(first)?;
    let samples = Samples::choose(&run)?;
    dir.write(&dir.reals(), &samples.reals(&run)?)?;
    dir.write(&dir.captions(), samples.captions(&run).as_bytes())?;
    let loading =
        LoaderConfig { first_step: first, prefetch: cfg.run.prefetch, ..LoaderConfig::default() };
    let (data, embeddings) = (Arc::clone(&run.setup.dataset), Arc::clone(&run.setup.embeddings));
    let mut loader = Loader::start(data, Some(embeddings), plan, loading)?;
    let parameters = (run.players.g().params.count(), run.players.d().params.count());
    let (batch, steps) = (cfg.optim.batch, run.steps);
    on_event(TrainEvent::Started { step: first, steps, steps_per_epoch, batch, parameters });

    let started = Instant::now();
    let (mut step, mut reason) = (first, StopReason::Done);
    while step < run.steps {
        let batch = loader.next()?;
        let (stats, lr) = run.step(&batch, noise)?;
        step += 1;
        on_event(TrainEvent::Step { step });
        let last = step == run.steps;
        if step.is_multiple_of(cfg.run.report_every) || last {
            let (terms, seconds) = (stats.read()?, started.elapsed().as_secs_f64());
            dir.append_stats(
                step,
                batch.epoch,
                seconds,
                &[&terms[..], &[("lr_g", lr.0), ("lr_d", lr.1)]].concat(),
            )?;
            on_event(TrainEvent::Report { step, epoch: batch.epoch, lr, terms, seconds });
        }
        if step.is_multiple_of(cfg.run.sample_every) || last {
            let path = dir.sample(step);
            dir.write(&path, &samples.grid(&run.model(step)?)?)?;
            on_event(TrainEvent::Samples { step, path });
        }
        let stopped = if last {
            None
        } else {
            stop().or_else(|| dir.stop_requested().then_some(StopReason::StopFile))
        };
        if step.is_multiple_of(cfg.run.checkpoint_every) || last || stopped.is_some() {
            let path = state::save(&run, &store, step)?;
            dir.write(&dir.model(), &run.model(step)?.to_bytes()?)?;
            on_event(TrainEvent::Checkpoint { step, path });
        }
        if let Some(stopped) = stopped {
            reason = stopped;
            break;
        }
    }
    if !dir.model().exists() {
        dir.write(&dir.model(), &run.model(step)?.to_bytes()?)?;
    }
    on_event(TrainEvent::Finished { step, reason });
    Ok(Outcome { step, steps: run.steps, reason, model: dir.model() })
}

impl Run {
    fn new(mut setup: Setup, steps: u64) -> Result<Self> {
        let cfg = &setup.config;
        check_fit(&setup)?;
        let affine = cfg.data.embedding_standardise.then(|| Affine::fit(&setup)).transpose()?;
        if let (Some(affine), Some(encoder)) = (&affine, setup.encoder.take()) {
            setup.encoder = Some(encoder.with_standardise(Some(affine.standardise()?))?);
        }
        let cfg = &setup.config;
        let stage1 = match (cfg.stage, &setup.stage1) {
            (Stage::Two, Some(model)) => {
                Some(Params::given(model.stage1().snapshot()?, &setup.device)?)
            }
            _ => None,
        };
        let low = stage1.as_ref().zip(setup.stage1.as_ref().map(|model| &model.info().stage1.net));
        let players = players(cfg, low, &setup.device)?;
        let ema = (cfg.optim.ema > 0.0)
            .then(|| Ema::new(&players.g().params, cfg.optim.ema))
            .transpose()?;
        Ok(Self { setup, players, stage1, ema, affine, steps })
    }

    /// Takes up the newest checkpoint and returns the steps that it has behind it.
    fn resume(
        &mut self,
        store: &Store,
        resume: Resume,
        on_event: &mut dyn FnMut(TrainEvent),
    ) -> Result<u64> {
        let newest = store.newest(&self.setup.device)?;
        for text in newest.passed_over {
            on_event(TrainEvent::Warning { step: 0, text });
        }
        match (newest.found, resume) {
            (None, _) => Ok(0),
            (Some(saved), Resume::Auto) => state::restore(self, saved),
            (Some(_), Resume::Never) => Err(Error::Config {
                key: "--resume never".to_owned(),
                expected: "a run folder without checkpoints".to_owned(),
                found: "checkpoints of an earlier run".to_owned(),
                remedy: "give --resume auto to go on, or another --run folder".to_owned(),
            }),
        }
    }

    fn step(&mut self, batch: &Batch, noise: Noise) -> Result<(StepStats, (f64, f64))> {
        let cfg = &self.setup.config;
        let pictures = self.pictures(batch)?;
        let net = (&cfg.net, cfg.noise.epsilon.into(), &self.setup.device);
        let scales = (cfg.noise.train_z, cfg.noise.train_eps);
        let noise = StepNoise::draw(noise, batch.step, cfg.optim.batch, scales, net)?;
        let factor = cfg.optim.decay.factor(batch.step, self.steps, batch.epoch);
        let lr = (cfg.optim.lr_g * factor, cfg.optim.lr_d * factor);
        let step = StepConfig {
            step: batch.step,
            lr_g: lr.0,
            lr_d: lr.1,
            kl: cfg.loss.kl,
            r1: cfg.loss.r1,
            colour_consistency: cfg.loss.colour_consistency,
        };
        let stats = self.players.step(&pictures, &noise, &step)?;
        if let Some(ema) = &self.ema {
            ema.follow(batch.step)?;
        }
        Ok((stats, lr))
    }

    fn pictures(&self, batch: &Batch) -> Result<Pictures> {
        let device = &self.setup.device;
        let shape = (batch.indices.len(), 3, batch.size, batch.size);
        let tensor = |values: &Vec<f32>| Tensor::from_slice(values, shape, device);
        let text = batch.embeddings.as_deref().unwrap_or_default();
        let text = Tensor::from_slice(text, (batch.indices.len(), batch.dim), device)?;
        Ok(Pictures {
            real: tensor(&batch.images)?,
            wrong: batch.wrong.as_ref().map(tensor).transpose()?,
            text: self.standardised(text)?,
        })
    }

    /// Embeddings as the networks see them.
    pub(crate) fn standardised(&self, text: Tensor) -> candle_core::Result<Tensor> {
        match &self.affine {
            None => Ok(text),
            Some(affine) => affine.apply(&text),
        }
    }

    /// The model as it is after `step` steps: the average of G if there is one.
    pub(crate) fn model(&self, step: u64) -> Result<Model> {
        state::model(self, step)
    }
}

/// Checks that configuration, data, encoder and Stage-I belong together.
fn check_fit(setup: &Setup) -> Result<()> {
    let cfg = &setup.config;
    let mismatch = |key: &str, expected: String, found: String, remedy: &str| {
        Err(Error::Config { key: key.to_owned(), expected, found, remedy: remedy.to_owned() })
    };
    cfg.check()?;
    setup.embeddings.check(&setup.dataset)?;
    let dim = setup.embeddings.dim();
    if cfg.net.text_dim != dim {
        let remedy = format!("give --set net.text_dim={dim}, or use another encoder");
        return mismatch(
            "net.text_dim",
            format!("{dim}, the width of the embeddings"),
            cfg.net.text_dim.to_string(),
            &remedy,
        );
    }
    if let Some(encoder) = &setup.encoder {
        use stackgan_core::text::TextEncoder as _;
        if encoder.fingerprint() != setup.embeddings.encoder() {
            let expected = format!("encoder {}", setup.embeddings.encoder());
            return mismatch(
                "encoder",
                expected,
                encoder.fingerprint(),
                "encode the captions with this encoder",
            );
        }
    }
    match (cfg.stage, &setup.stage1) {
        (Stage::Two, None) => mismatch(
            "stage",
            "a Stage-I model".to_owned(),
            "none".to_owned(),
            "train --stage 1 first",
        ),
        (Stage::Two, Some(model)) => {
            let low = &model.info().stage1.net;
            let of = |net: &stackgan_core::NetConfig| {
                (net.recipe, net.text_dim, net.cond_dim, net.z_dim)
            };
            if of(low) == of(&cfg.net) {
                return Ok(());
            }
            let (expected, found) = (format!("{:?}", of(low)), format!("{:?}", of(&cfg.net)));
            mismatch(
                "net",
                format!("Stage-I's recipe, text_dim, cond_dim, z_dim {expected}"),
                found,
                "use the same values",
            )
        }
        (Stage::One, _) => Ok(()),
    }
}
