//! Pictures that a model paints for captions of a dataset, a few at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use candle_core::Tensor;
use serde_json::{Value, json};
use stackgan_core::digest::short;
use stackgan_core::image::Picture;
use stackgan_core::kernels::arithmetic;
use stackgan_core::{Model, Request, Resolved, Sampling, StageInfo};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::prepared::Prepared;
use stackgan_train::config::picture_size;

use super::asked::Asked;
use crate::args::{NoiseScales, PainterOptions};
use crate::context::Context;
use crate::datasets;
use crate::encoders::attach;
use crate::models::{Loaded, load, stage_of};
use crate::output::path_text;
use crate::painting;

/// A model that paints captions of a dataset.
pub(crate) struct DatasetPainter {
    model: Model,
    sha256: String,
    file: PathBuf,
    pub data: Arc<Prepared>,
    embeddings: Option<Embeddings>,
    sampling: Sampling,
    /// `sampling` with the model's defaults.
    how: Resolved,
    /// The stage that paints.
    info: StageInfo,
    seed: u64,
}

impl DatasetPainter {
    /// Opens the model and the data.
    pub(crate) fn open(
        model: &Path,
        data: &Path,
        options: &PainterOptions,
        context: &Context,
    ) -> Result<Self> {
        let Loaded { model: mut loaded, sha256, .. } = load(model, context)?;
        let stage = stage_of(&loaded, options.stage, model)?;
        let size = picture_size(stage);
        let recipe = loaded.stage_info(stage)?.net.recipe;
        let prepared = datasets::open(data, (size, datasets::resizing(recipe)), context.manner)?;
        // An encoder that is not in the model's file reads the captions if it is known.
        let PainterOptions { encoder, embeddings, .. } = options;
        if embeddings.is_none() {
            attach(&mut loaded, encoder.as_deref(), context)?;
        }
        let embeddings = match (embeddings.as_deref(), loaded.reads_sentences()) {
            (None, true) => None,
            (file, _) => Some(painting::embeddings(&loaded, file, (data, &prepared))?),
        };
        let NoiseScales { z_scale, eps_scale } = options.scales;
        let sampling = Sampling { stage: Some(stage), z_scale, eps_scale, ..Sampling::default() };
        Ok(Self {
            how: loaded.resolve(sampling)?,
            info: loaded.stage_info(stage)?.clone(),
            model: loaded,
            sha256,
            file: model.to_path_buf(),
            data: prepared,
            embeddings,
            sampling,
            seed: options.seed,
        })
    }

    /// Paints captions, each with the noise of its own seed.
    pub(crate) fn paint(&self, asked: &[Asked], seeds: &[u64]) -> Result<Vec<Picture>> {
        let paintings = match &self.embeddings {
            None => {
                let pairs = asked.iter().zip(seeds);
                let requests: Vec<_> =
                    pairs.map(|(a, &seed)| Request { caption: &a.text, seed }).collect();
                self.model.paint(&requests, self.sampling)?
            }
            Some(embeddings) => {
                let mut numbers = Vec::with_capacity(asked.len() * embeddings.dim());
                for a in asked {
                    numbers.extend(embeddings.rows(a.row..a.row + 1)?);
                }
                let shape = (asked.len(), embeddings.dim());
                let text = Tensor::from_vec(numbers, shape, self.model.device())?;
                self.model.paint_embeddings(
                    &self.model.standardised(&text)?,
                    seeds,
                    self.sampling,
                )?
            }
        };
        Ok(paintings.into_iter().map(|painting| painting.picture).collect())
    }

    /// The seed of picture `i`: no two pictures of a measurement share their noise.
    pub(crate) const fn seed(&self, i: usize) -> u64 {
        self.seed.wrapping_add(i as u64)
    }

    /// The fingerprint of the text encoder of the model's training; empty if it is not known.
    pub(super) fn encoder_fingerprint(&self) -> &str {
        self.model.encoder_fingerprint()
    }

    /// The facts about the pictures for reports.
    pub(crate) fn facts(&self) -> Value {
        let (Resolved { stage, z_scale, eps_scale }, info) = (self.how, &self.info);
        json!({
            "model": path_text(&self.file), "model_sha256": self.sha256, "stage": stage,
            "dataset": info.dataset, "recipe": info.net.recipe, "steps": info.steps,
            "size": self.data.size().crop(), "seed": self.seed,
            "z_scale": z_scale, "eps_scale": eps_scale,
            "encoder": self.encoder_fingerprint(), "arithmetic": arithmetic(self.model.device()),
        })
    }

    /// The same facts in one line.
    pub(super) fn line(&self) -> String {
        let Resolved { stage, z_scale, eps_scale } = self.how;
        let hash = short(&self.sha256);
        let size = self.data.size().crop();
        format!(
            "{} ({hash}), trained on {}, stage {stage}, {size}x{size}, seed {}, z scale {z_scale}, eps scale {eps_scale}",
            self.file.display(),
            self.info.dataset,
            self.seed
        )
    }
}
