//! The pictures to measure: a model's, painted on demand, or a folder's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};
use stackgan_core::image::Picture;
use stackgan_data::crop::PictureSize;
use stackgan_data::prepared::Prepared;

use super::asked::{Asked, Questions};
use super::painted::{self, DatasetPainter, PainterOptions};
use super::real::part_indices;
use crate::args::Eval;
use crate::context::Context;
use crate::datasets::open_any;
use crate::output::path_text;

/// The pictures to measure.
pub(super) enum Shown {
    Painted { painter: Box<DatasetPainter>, questions: Questions },
    Folder { dir: PathBuf, files: Vec<PathBuf>, data: Option<Arc<Prepared>> },
}

impl Shown {
    pub(super) fn open(args: &Eval, context: &Context) -> Result<Self> {
        if let Some(dir) = &args.pictures {
            let files = painted::folder(dir)?;
            let first = files.first().map(|file| painted::read(file)).transpose()?;
            let small = first.is_some_and(|picture| picture.width.max(picture.height) <= 64);
            let size = if small { PictureSize::Stage1 } else { PictureSize::Stage2 };
            let data = args.data.as_deref();
            let data = data.map(|data| open_any(data, &[size], context.manner)).transpose()?;
            return Ok(Self::Folder { dir: dir.clone(), files, data });
        }
        let options = PainterOptions {
            encoder: args.encoder.as_deref(),
            embeddings: args.embeddings.as_deref(),
            stage: args.stage,
            z_scale: args.z_scale,
            seed: args.seed,
        };
        let [model, data] = [&args.model, &args.data];
        let [model, data] = [model, data].map(|path| path.as_deref().unwrap_or(Path::new("")));
        let painter = Box::new(DatasetPainter::open(model, data, &options, context)?);
        let part = part_indices(&painter.data, args.split)?;
        let questions = Questions::of(&painter.data, part, args.seed)?;
        Ok(Self::Painted { painter, questions })
    }

    /// The real pictures. Only a folder may do without.
    pub(super) fn data(&self) -> Option<&Prepared> {
        match self {
            Self::Painted { painter, .. } => Some(&painter.data),
            Self::Folder { data, .. } => data.as_deref(),
        }
    }

    /// Number of pictures, when `wanted` are requested.
    pub(super) fn count(&self, wanted: usize) -> usize {
        match self {
            Self::Painted { .. } => wanted,
            Self::Folder { files, .. } => files.len(),
        }
    }

    /// Pictures `from..to`, with their captions if they have any.
    pub(super) fn pictures(&self, from: usize, to: usize) -> Result<(Vec<Picture>, Vec<Asked>)> {
        match self {
            Self::Painted { painter, questions } => {
                let asked = questions.asked(&painter.data, from, to);
                let seeds: Vec<u64> = (from..to).map(|i| painter.seed(i)).collect();
                Ok((painter.paint(&asked, &seeds)?, asked))
            }
            Self::Folder { files, .. } => {
                let files = files.iter().take(to).skip(from);
                let read = files.map(|file| painted::read(file)).collect::<Result<_>>()?;
                Ok((read, Vec::new()))
            }
        }
    }

    /// Whether the pictures are those of a model that was trained with this text encoder.
    pub(super) fn reads_with(&self, fingerprint: &str) -> bool {
        match self {
            Self::Painted { painter, .. } => painter.encoder_fingerprint() == fingerprint,
            Self::Folder { .. } => false,
        }
    }

    pub(super) fn facts(&self) -> Value {
        match self {
            Self::Painted { painter, .. } => painter.facts(),
            Self::Folder { dir, .. } => json!({ "folder": path_text(dir) }),
        }
    }

    pub(super) fn line(&self) -> String {
        match self {
            Self::Painted { painter, .. } => painter.line(),
            Self::Folder { dir, .. } => format!("folder {}", dir.display()),
        }
    }
}
