//! The training phases: the text encoder, Stage-I and Stage-II, each within its share of the time.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use stackgan_core::text::CharCnnRnnEncoder;
use stackgan_core::{Model, Stage};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::prepared::Prepared;
use stackgan_train::config::{TrainConfig, preset};
use stackgan_train::event::StopReason;
use stackgan_train::matching::Matcher;
use stackgan_train::policy::Resume;
use stackgan_train::run::Setup;
use stackgan_train::run_dir::RunDir;
use stackgan_train::start::Start;
use stackgan_train::text::{ImageInputs, TextTrainConfig, TrainedEncoder};

use super::pace;
use super::scale::Scale;
use crate::context::Context;
use crate::encoders::{Length, Lesson, train};
use crate::exit::Exit;
use crate::models::load;
use crate::output::quoted;
use crate::progress::Manner;
use crate::run::{self, Record, train_stage};
use crate::signals::Stopper;

/// Trains the text encoder for about `seconds` seconds. Also returns its loss by step.
pub(super) fn train_encoder(
    data: &Prepared,
    seconds: f64,
    species: usize,
    (seed, manner): (u64, Manner),
) -> Result<(TrainedEncoder, Vec<(f64, f64)>)> {
    let mut config = TextTrainConfig::small();
    config.batch = config.batch.min(species); // each row is of another species
    let length = Length::Seconds(seconds.max(1.0));
    let images = ImageInputs::Pixels;
    train(&Lesson { config: &config, data, images, seed, length }, None, manner)
}

/// The common parts of both GAN stages.
pub(super) struct GanPhase<'a> {
    pub scale: &'a Scale,
    pub seed: u64,
    pub embeddings: &'a Arc<Embeddings>,
    pub encoder: &'a TrainedEncoder,
    pub stopper: &'a Stopper,
    pub context: &'a Context,
}

impl GanPhase<'_> {
    /// Trains a stage for about `seconds` seconds. A few steps are timed first, because schedules
    /// are in steps.
    pub(super) fn train(
        &self,
        stage: Stage,
        data: &Arc<Prepared>,
        seconds: f64,
        dir: &Path,
    ) -> Result<(Exit, String)> {
        let began = Instant::now();
        let name = format!("toy-stage{}", stage.number());
        let text = preset(&name).context("the toy presets are in this program")?;
        let mut config = TrainConfig::from_toml(text)?;
        (config.seed, config.net.text_dim) = (self.seed, self.embeddings.dim());
        let grids = self.scale.grids[usize::from(stage == Stage::Two)];

        let timed = self.scale.timed.min((seconds / 10.0) as u64).max(3);
        let pace = pace::measure(self.setup(config.clone(), data, dir, None)?, timed)?;
        let left = (seconds - began.elapsed().as_secs_f64()).max(1.0);
        pace.fit(&mut config, left, grids);
        let planned = config.optim.steps;

        let encoder = self.encoder.text.unstandardised(&self.context.device)?;
        let setup = self.setup(config, data, dir, Some(encoder))?;
        let mut record = self.record(stage, dir, planned)?;
        let dir = RunDir::open(dir)?;
        record.begin(&dir, 0, &self.context.device)?;
        let stopper = self.stopper.for_seconds(1.3 * left + 5.0);
        let outcome = train_stage(
            setup,
            &dir,
            Resume::Never,
            &stopper,
            (self.context.manner, &name),
            &mut |_| None,
        );
        if let Err(error) = &outcome {
            // a full disk must not hide what happened
            drop(record.end(&dir, "failed", (None, &format!("{error:#}"))));
        }
        let outcome = outcome?;
        let ended = (Some(outcome.step), run::why(outcome.reason));
        let exit = match outcome.reason {
            StopReason::Signal(_) => {
                record.end(&dir, "stopped", ended)?;
                self.context.manner.say(format!(
                    "saved at step {}; this stage can go on with:\n  stackgan train --stage {stage} --run {}",
                    outcome.step,
                    quoted(dir.path())
                ));
                outcome.reason.into()
            }
            _ => {
                record.end(&dir, "done", ended)?;
                Exit::Done // a slower machine: fewer steps, which the report mentions
            }
        };
        Ok((
            exit,
            format!(
                "{} of {planned} steps planned, timed at {:.0} ms each",
                outcome.step,
                1000.0 * pace.step
            ),
        ))
    }

    /// What `train --run` needs to go on with a stage.
    fn record(&self, stage: Stage, dir: &Path, steps: u64) -> Result<Record> {
        let out = dir.parent().unwrap_or_else(|| Path::new("."));
        let absolute = |name: &str| std::path::absolute(out.join(name)).map(Some);
        Ok(Record {
            dataset: "toy".to_owned(),
            stage,
            data: absolute("data")?,
            encoder: absolute("encoder.safetensors")?,
            stage1: if stage == Stage::Two { absolute("stage1")? } else { None },
            embeddings: None,
            features: None,
            init_from: None,
            on_nonfinite: None,
            evaluation: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: String::new(),
            steps: Some(steps),
            sittings: Vec::new(),
        })
    }

    fn setup(
        &self,
        config: TrainConfig,
        data: &Arc<Prepared>,
        dir: &Path,
        encoder: Option<CharCnnRnnEncoder>,
    ) -> Result<Setup> {
        let stage1 = match config.stage {
            Stage::One => None,
            Stage::Two => Some(self.stage1(dir)?),
        };
        let (dataset, embeddings) = (Arc::clone(data), Arc::clone(self.embeddings));
        Ok(Setup {
            config,
            dataset,
            embeddings,
            encoder,
            encoder_source: None,
            matcher: Some(Matcher::of(self.encoder, None, &self.context.device)?),
            stage1,
            device: self.context.device.clone(),
            start: Start::default(),
        })
    }

    /// The Stage-I model beside the folder of Stage-II.
    fn stage1(&self, stage2: &Path) -> Result<Model> {
        Ok(load(&stage2.with_file_name("stage1"), self.context)?.model)
    }
}
