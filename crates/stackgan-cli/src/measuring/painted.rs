//! The pictures to measure, a few at a time: painted by a model for captions of a dataset, or those
//! of a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use candle_core::Tensor;
use serde_json::{Value, json};
use stackgan_core::digest::short;
use stackgan_core::image::Picture;
use stackgan_core::kernels::arithmetic;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::{Model, Request, Resolved, Sampling, Stage, StageInfo};
use stackgan_data::crop::{MAX_FILE, decode};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::formats::read_bounded;
use stackgan_data::prepared::Prepared;
use stackgan_train::config::picture_size;

use super::asked::Asked;
use crate::context::Context;
use crate::datasets;
use crate::encoders::attach;
use crate::exit::Problem;
use crate::models::{Loaded, load, stage_of};
use crate::output::path_text;
use crate::painting::{self, SHEETS};

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

/// The options that determine how a model paints.
pub(crate) struct PainterOptions<'a> {
    pub encoder: Option<&'a Path>,
    pub embeddings: Option<&'a Path>,
    pub stage: Option<Stage>,
    pub z_scale: Option<f64>,
    pub seed: u64,
}

impl DatasetPainter {
    /// Opens the model and the data.
    pub(crate) fn open(
        model: &Path,
        data: &Path,
        options: &PainterOptions<'_>,
        context: &Context,
    ) -> Result<Self> {
        let Loaded { model: mut loaded, sha256, .. } = load(model, context)?;
        let stage = stage_of(&loaded, options.stage, model)?;
        let size = picture_size(stage);
        let recipe = loaded.stage_info(stage)?.net.recipe;
        let prepared = datasets::open(data, (size, datasets::resizing(recipe)), context.manner)?;
        // An encoder that is not in the model's file reads the captions if it is known.
        if options.embeddings.is_none() {
            attach(&mut loaded, options.encoder, context)?;
        }
        let embeddings = match (options.embeddings, loaded.reads_sentences()) {
            (None, true) => None,
            (file, _) => Some(painting::embeddings(&loaded, file, (data, &prepared))?),
        };
        let sampling =
            Sampling { stage: Some(stage), z_scale: options.z_scale, ..Sampling::default() };
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
        let Resolved { stage, z_scale, .. } = self.how;
        let hash = short(&self.sha256);
        let size = self.data.size().crop();
        format!(
            "{} ({hash}), trained on {}, stage {stage}, {size}x{size}, seed {}, z scale {}",
            self.file.display(),
            self.info.dataset,
            self.seed,
            z_scale
        )
    }
}

/// The step of [`Stream::Evaluation`] that orders a folder's pictures.
const FOLDER: u64 = 5;

/// The pictures of a folder and its subfolders, in random order. In the order of names they would
/// be sorted by class, and each part for the inception score would contain few classes. Sheets of
/// several pictures are left out.
pub(super) fn folder(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        let entries = folder.read_dir().map_err(|e| {
            let expected = "a folder of PNG, JPEG and WebP files";
            no_pictures(&folder, expected, format!("check the path ({e})"))
        })?;
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
            let (kind, path) = (entry.file_type()?, entry.path());
            let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
            if kind.is_dir() {
                waiting.push(path);
            } else if matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg" | "webp"))
                && !SHEETS.iter().any(|sheet| entry.file_name() == *sheet)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Noise::new(0).draws(Stream::Evaluation, FOLDER, 0).shuffle(&mut found);
    if found.len() < 2 {
        let remedy = "name a folder with the pictures to measure".to_owned();
        return Err(no_pictures(dir, "two PNG, JPEG or WebP files or more", remedy).into());
    }
    Ok(found)
}

fn no_pictures(folder: &Path, expected: &str, remedy: String) -> Problem {
    let place = format!("folder: {}", folder.display());
    Problem::missing("there are no pictures", place, expected, remedy)
}

/// Reads a picture of a folder at its original size.
pub(super) fn read(file: &Path) -> Result<Picture> {
    let image = decode(&read_bounded(file, MAX_FILE)?, file)?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    Ok(Picture { width, height, rgb: image.into_raw() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_in_no_order_of_names_and_without_its_sheets() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("below")).unwrap();
        for i in 0..40 {
            std::fs::write(dir.path().join(format!("below/{i:02}.png")), "").unwrap();
        }
        for sheet in SHEETS {
            std::fs::write(dir.path().join(sheet), "").unwrap();
        }
        let found = folder(dir.path()).unwrap();
        assert_eq!(found.len(), 40);
        assert!(!found.is_sorted());
        assert_eq!(found, folder(dir.path()).unwrap());
    }
}
