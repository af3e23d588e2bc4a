//! The state of a run, its conversion to a checkpoint and back, and to a model.

use std::collections::BTreeSet;
use std::path::PathBuf;

use stackgan_core::archive::Archive;
use stackgan_core::generator_noise::Epsilon;
use stackgan_core::text::{CharCnnRnnEncoder, Standardise};
use stackgan_core::{Model, Params, Parts, Stage, StageInfo, StagePart, TextPart};
use stackgan_kernels::memory;

use crate::compatible::check_parts;
use crate::ema::Ema;
use crate::feed::Fed;
use crate::guard::Guard;
use crate::identity::Identity;
use crate::players::Players;
use crate::setup::Setup;
use crate::step::Checks;
use crate::store::{Header, Store};
use crate::{Result, standardise};

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
    /// The value of R1 in the last step that had it. Reports repeat it, because the reported steps
    /// may never have one.
    pub(crate) r1: Option<f64>,
    pub(crate) guard: Guard,
}

impl Run {
    /// A run before its first step.
    ///
    /// # Errors
    /// [`crate::Error::Config`] when the parts of `setup` do not match; tensor errors.
    pub(crate) fn new(mut setup: Setup, steps: u64, checks: Option<Checks>) -> Result<Self> {
        check_parts(&setup)?;
        setup.config.check_moves(steps)?;
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
                Some(Params::given(model.stage1().values(), &setup.device)?)
            }
            _ => None,
        };
        let low = stage1.as_ref().zip(setup.stage1.as_ref().map(|model| &model.info().stage1.net));
        let identity = Identity::of(&setup)?;
        let mut pretrained = std::mem::take(&mut setup.pretrained);
        let matcher = pretrained.matcher.take();
        pretrained.matcher = matcher.map(|matcher| matcher.reading(standardise.clone()));
        let players = Players::new(cfg, low, &setup.start, pretrained, &setup.device)?;
        let ema = (cfg.optim.ema > 0.0)
            .then(|| Ema::new(&players.g().params, cfg.optim.ema))
            .transpose()?;
        let guard = Guard::over(&players, stage1.as_ref())?;
        let guard = guard.checking(checks.unwrap_or_else(|| Checks::on(&setup.device)));
        let (skipped, r1) = Default::default();
        Ok(Self { setup, players, stage1, ema, standardise, steps, identity, skipped, r1, guard })
    }

    /// The factor on the learning rates in the step of these inputs.
    pub(crate) fn decay(&self, fed: &Fed) -> f64 {
        self.setup.config.optim.decay.factor(fed.step, self.steps, fed.epoch)
    }

    /// Saves a checkpoint with everything that the next step, or its report, depends on.
    pub(crate) fn checkpoint(&self, store: &Store, step: u64) -> Result<PathBuf> {
        let steps = (self.players.g().adam.steps(), self.players.d().adam.steps());
        let mut header = Header::new(step, steps, self.identity.digest.clone());
        header.config.clone_from(&self.identity.config);
        header.origins.clone_from(&self.identity.origins);
        header.skipped = self.skipped.iter().copied().collect();
        header.r1 = self.r1.map(|value| value as f32);
        store.save(self.archive(), &header)
    }

    /// Everything that the next step depends on. The tensors are not copied, so the next step
    /// changes them.
    pub(crate) fn archive(&self) -> Archive {
        let mut archive = self.players.state();
        archive.extend("ema.", self.ema.as_ref().map(Ema::state).unwrap_or_default());
        archive.extend("stage1.", self.stage1.as_ref().map(Params::values).unwrap_or_default());
        archive
    }

    /// Restores a checkpoint of this run and returns its step count.
    pub(crate) fn restore(&mut self, (header, archive): (Header, Archive)) -> Result<u64> {
        self.players.restore(&archive, header.optimiser_steps)?;
        let averages = archive.part("ema.");
        match &mut self.ema {
            // They were off until here: they begin at the weights that they follow.
            Some(ema) if averages.is_empty() => {
                *ema = Ema::new(&self.players.g().params, self.setup.config.optim.ema)?;
            }
            Some(ema) => ema.restore(&averages)?,
            None => {}
        }
        if let Some(stage1) = &self.stage1 {
            stage1.set(&archive.part("stage1."))?;
        }
        self.skipped = header.skipped.into_iter().collect();
        let is_on = self.setup.config.loss.r1.gamma > 0.0; // or a change of it was allowed
        self.r1 = header.r1.map(f64::from).filter(|_| is_on);
        Ok(header.step)
    }

    /// The model after `step` steps: with the running average of G if there is one, else with G.
    pub(crate) fn model(&self, step: u64) -> Result<Model> {
        memory::release(); // memory left by a step does not have the sizes needed next
        let setup = &self.setup;
        let device = &setup.device;
        let text = match &setup.encoder {
            Some(encoder) => TextPart::Inside(CharCnnRnnEncoder::from_tensors(
                *encoder.config(),
                &encoder.tensors()?,
                device,
            )?),
            None => TextPart::Beside {
                fingerprint: setup.embeddings.encoder().to_owned(),
                source: setup.encoder_source.clone(),
                standardise: self.standardise.clone(),
            },
        };
        let weights = match &self.ema {
            Some(ema) => ema.state(),
            None => self.players.g().params.values(), // copied below
        };
        let trained =
            StagePart { info: self.stage_info(step), params: Params::given(weights, device)? };
        let (stage1, stage2) = match (&setup.stage1, &self.stage1) {
            (Some(model), Some(low)) => {
                let info = model.info().stage1.clone();
                (StagePart { info, params: Params::given(low.values(), device)? }, Some(trained))
            }
            _ => (trained, None),
        };
        Ok(Model::new(Parts { text, stage1, stage2 })?)
    }

    fn stage_info(&self, step: u64) -> StageInfo {
        let (setup, cfg) = (&self.setup, &self.setup.config);
        let scales = cfg.sample_scales();
        StageInfo {
            net: cfg.net,
            truncated_epsilon: cfg.noise.epsilon == Epsilon::Truncated,
            sample_z: scales.z,
            sample_eps: scales.eps,
            dataset: setup.dataset.name().to_owned(),
            dataset_fingerprint: setup.dataset.fingerprint().to_owned(),
            steps: step,
            batch: cfg.optim.batch,
            seed: cfg.seed,
            ema: cfg.optim.ema,
        }
    }
}

/// The model that a run had at a checkpoint. `run` is its model of any step: encoder, description and
/// Stage-I are taken from it.
///
/// # Errors
/// When the tensors of the checkpoint do not fit the model.
pub fn model_at(run: Model, (header, archive): (&Header, &Archive)) -> Result<Model> {
    let device = run.device().clone();
    let mut parts = run.into_parts();
    let average = archive.part("ema.");
    let averaged = !average.is_empty();
    let weights = if averaged { average } else { archive.part("g.") };
    let low = archive.part("stage1.");
    let trained = match &mut parts.stage2 {
        Some(stage2) => {
            if !low.is_empty() {
                parts.stage1.params = Params::given(low, &device)?;
            }
            stage2
        }
        None => &mut parts.stage1,
    };
    trained.params = Params::given(weights, &device)?;
    trained.info.steps = header.step;
    trained.info.ema = match averaged {
        true => decay_of(&header.config).unwrap_or(trained.info.ema),
        false => 0.0,
    };
    Ok(Model::new(parts)?)
}

/// The decay of the running average in the configuration of a checkpoint.
fn decay_of(config: &str) -> Option<f64> {
    config.parse::<toml::Table>().ok()?.get("optim")?.get("ema")?.as_float()
}
