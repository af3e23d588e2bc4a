//! The pictures to measure: a model's, painted on demand, or a folder's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};
use stackgan_core::image::Picture;
use stackgan_data::prepared::Prepared;

use super::asked::{Asked, Questions};
use super::folder::{self, Sizes};
use super::painted::DatasetPainter;
use super::real::{compares, part_indices, wants_one_size};
use crate::args::Eval;
use crate::context::Context;
use crate::datasets::{ANY_SIZE, open_any};
use crate::output::path_text;

/// The pictures to measure.
pub(super) enum Shown {
    Painted { painter: Box<DatasetPainter>, questions: Questions },
    Folder { dir: PathBuf, files: Vec<PathBuf>, against: Option<Against> },
}

/// The real pictures beside those of a folder.
pub(super) struct Against {
    data: Arc<Prepared>,
    /// What to know about the sizes of both.
    note: Option<String>,
}

impl Shown {
    pub(super) fn open(args: &Eval, context: &Context) -> Result<Self> {
        if let Some(dir) = &args.pictures {
            let files = folder::files(dir)?;
            let sizes = sizes(args, (dir, &files), context)?;
            let against = Against::of(args, sizes.as_ref(), context)?;
            return Ok(Self::Folder { dir: dir.clone(), files, against });
        }
        let [model, data] = [&args.model, &args.data];
        let [model, data] = [model, data].map(|path| path.as_deref().unwrap_or(Path::new("")));
        let painter = Box::new(DatasetPainter::open(model, data, &args.painting, context)?);
        let part = part_indices(&painter.data, args.split)?;
        let questions = Questions::of(&painter.data, part, args.painting.seed)?;
        Ok(Self::Painted { painter, questions })
    }

    /// The real pictures. Only a folder may do without.
    pub(super) fn data(&self) -> Option<&Prepared> {
        match self {
            Self::Painted { painter, .. } => Some(&painter.data),
            Self::Folder { against, .. } => against.as_ref().map(|against| &*against.data),
        }
    }

    /// What to know about the sizes of the pictures.
    pub(super) fn note(&self) -> Option<&str> {
        match self {
            Self::Painted { .. } => None,
            Self::Folder { against, .. } => against.as_ref()?.note.as_deref(),
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
                let read = files.map(|file| folder::read(file)).collect::<Result<_>>()?;
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

/// The sizes of a folder's pictures, if a measure wants them to be of one.
///
/// # Errors
/// Code 2 for pictures of both stages' sizes.
fn sizes(
    args: &Eval,
    (dir, files): (&Path, &[PathBuf]),
    context: &Context,
) -> Result<Option<Sizes>> {
    if !wants_one_size(args) {
        return Ok(None);
    }
    let sizes = Sizes::of(files, context.manner)?;
    sizes.check(dir)?;
    Ok(Some(sizes))
}

impl Against {
    /// The real pictures of `--data`, resized as they were prepared last or, if they were not, as is
    /// usual for such data: of the size that goes with the folder's pictures or, where nothing is
    /// compared with them, of any. `None` without `--data`.
    fn of(args: &Eval, sizes: Option<&Sizes>, context: &Context) -> Result<Option<Self>> {
        let Some(data) = &args.data else { return Ok(None) };
        let compared = sizes.filter(|_| compares(args));
        let wanted = compared.map_or_else(|| ANY_SIZE.to_vec(), |sizes| vec![sizes.real()]);
        let note = compared.and_then(Sizes::note);
        Ok(Some(Self { data: open_any(data, &wanted, context.manner)?, note }))
    }
}
