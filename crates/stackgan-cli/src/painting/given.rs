//! Embeddings from a file for a model to paint from, with or without a dataset.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use candle_core::Tensor;
use stackgan_core::Model;
use stackgan_core::provenance::embedding_sha256;
use stackgan_core::text::short_fingerprint;
use stackgan_data::embeddings::{Embeddings, UNKNOWN};
use stackgan_data::prepared::Prepared;

use super::painter::Read;
use crate::datasets::{ANY_SIZE, embeddings_of, imported_embeddings, open_any};
use crate::exit::Problem;
use crate::output::quoted;
use crate::progress::Manner;

/// The warning of embeddings for a model whose encoder is not known.
const UNTOLD: &str = "whether the encoder of the model's training made these embeddings is not known: the pictures \
                      follow the captions only if it did. `--made-by ENCODER` at both imports shows it";

/// Rows of embeddings, with their captions if the file holds them or the dataset is available.
pub(crate) struct Given {
    embeddings: Embeddings,
    data: Option<Arc<Prepared>>,
    hashed: RefCell<Hashed>,
}

/// The first rows of the embeddings, by their SHA-256. No row is read twice for it.
#[derive(Default)]
struct Hashed {
    rows: BTreeMap<String, u64>,
    /// Number of rows that were read.
    read: usize,
}

/// Where embeddings are, one at least.
pub(crate) struct EmbeddingsAt<'a> {
    /// A file of them.
    pub(crate) file: Option<&'a Path>,
    /// The dataset whose captions they are of, with the embeddings imported for it unless there is
    /// a file.
    pub(crate) data: Option<&'a Path>,
}

impl Given {
    /// Opens embeddings. If the model was trained on those of an unknown encoder, others of the
    /// same width are taken with a warning.
    ///
    /// # Errors
    /// Code 4 when they do not exist, 3 when they are damaged or not those of the model's encoder.
    pub(crate) fn open(
        model: &Model,
        EmbeddingsAt { file, data }: EmbeddingsAt<'_>,
        manner: Manner,
    ) -> Result<Self> {
        let prepared = data.map(|path| open_any(path, ANY_SIZE, manner)).transpose()?;
        let embeddings = opened(file, data.zip(prepared.as_deref()))?;
        let trained = model.encoder_fingerprint();
        let wide = model.info().stage1.net.text_dim == embeddings.dim();
        if wide && trained.starts_with(UNKNOWN) && trained != embeddings.encoder() {
            // Nobody can tell. The releases' pickles and captions come without their encoder.
            manner.say(format!("{}: {UNTOLD}", embeddings.path().display()));
        } else {
            belong(model, &embeddings)?;
        }
        Ok(Self { embeddings, data: prepared, hashed: RefCell::default() })
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.embeddings.len()
    }

    /// Reads rows in the form that the networks take, each with its caption.
    ///
    /// # Errors
    /// Code 2 for a row that does not exist.
    pub(crate) fn read(&self, rows: &[u64], model: &Model) -> Result<Read> {
        let (mut captions, mut numbers, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for &row in rows {
            let at = usize::try_from(row).ok().filter(|at| *at < self.len());
            let Some(at) = at else {
                let last = self.len().saturating_sub(1);
                let parts = (format!("0 to {last}"), row.to_string());
                let remedy = format!("name rows that are there: `--rows 0-{last}`");
                let what = "there is no such row";
                return Err(Problem::usage(what, "option: --rows", parts, remedy).into());
            };
            let own = self.embeddings.rows(at..at + 1)?;
            hashes.push(embedding_sha256(&own));
            numbers.extend(own);
            captions.push(self.caption(at)?.unwrap_or_else(|| format!("row {row}")));
        }
        let shape = (rows.len(), self.embeddings.dim());
        let vectors = Tensor::from_vec(numbers, shape, model.device())?;
        Ok(Read { captions, vectors: model.standardised(&vectors)?, rows: hashes })
    }

    /// The caption of a row, if it has one.
    fn caption(&self, at: usize) -> Result<Option<String>> {
        let caption = match &self.data {
            Some(data) => data.all_captions().get(at).cloned(),
            None => self.embeddings.caption(at)?,
        };
        Ok(caption.filter(|caption| !caption.is_empty()))
    }

    /// The positions of the rows whose SHA-256 are `wanted`; missing ones are left out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn find(&self, wanted: &BTreeSet<&str>) -> Result<BTreeMap<String, u64>> {
        let mut hashed = self.hashed.borrow_mut();
        let Hashed { rows, read } = &mut *hashed;
        let mut missing = wanted.iter().filter(|hash| !rows.contains_key(**hash)).count();
        while missing > 0 && *read < self.len() {
            let hash = embedding_sha256(&self.embeddings.rows(*read..*read + 1)?);
            let new = wanted.contains(hash.as_str()) && !rows.contains_key(&hash);
            missing -= usize::from(new);
            rows.entry(hash).or_insert(*read as u64);
            *read += 1;
        }
        let found = wanted.iter().filter_map(|hash| rows.get_key_value(*hash));
        Ok(found.map(|(hash, at)| (hash.clone(), *at)).collect())
    }
}

/// Opens the embeddings of `file`, or those that were imported for `data`, a path and what is prepared
/// of it. They must come from the encoder that the model was trained with, if the model names it.
///
/// # Errors
/// Code 4 when they do not exist, 3 when they come from another encoder.
pub(crate) fn embeddings(
    model: &Model,
    file: Option<&Path>,
    data: (&Path, &Prepared),
) -> Result<Embeddings> {
    let data = Some(data);
    let embeddings = opened(file, data)?;
    belong(model, &embeddings)?;
    Ok(embeddings)
}

/// Opens the embeddings of `file`, or those that were imported for `data`.
fn opened(file: Option<&Path>, data: Option<(&Path, &Prepared)>) -> Result<Embeddings> {
    let imported = || {
        let (path, prepared) = data?;
        Some(embeddings_of(path).unwrap_or_else(|| imported_embeddings(prepared.path())))
    };
    let file: PathBuf = file.map(Path::to_path_buf).or_else(imported).unwrap_or_default();
    if !file.is_file() {
        let place = format!("file: {}", file.display());
        let folder = data.map(|(path, _)| path).filter(|path| path.is_dir());
        let folder = folder.map_or("DIR".to_owned(), quoted);
        let remedy = format!(
            "import those that it was trained with: `stackgan data import {folder} --embeddings PATH`; \
             a model that reads sentences takes captions, `--captions FILE`, as `stackgan data captions` writes them"
        );
        let what = "there are no embeddings to paint from";
        return Err(Problem::missing(what, place, "embeddings of the captions", remedy).into());
    }
    let embeddings = Embeddings::open(&file)?;
    if let Some((_, prepared)) = data {
        embeddings.check(prepared)?;
    }
    Ok(embeddings)
}

/// Checks that embeddings come from the encoder that the model was trained with.
fn belong(model: &Model, embeddings: &Embeddings) -> Result<()> {
    let (expected, found) = (model.encoder_fingerprint(), embeddings.encoder());
    let wide = model.info().stage1.net.text_dim;
    let fits = expected.is_empty() || expected == found;
    if fits && embeddings.dim() == wide {
        return Ok(());
    }
    let named =
        |print: &str, dim: usize| format!("{dim} numbers of encoder {}", short_fingerprint(print));
    let parts = (named(expected, wide), named(found, embeddings.dim()));
    let remedy = match found.starts_with(UNKNOWN) && embeddings.dim() == wide {
        true => {
            "import them with `--made-by ENCODER`, the model's, which shows whether it made them"
        }
        false => "give embeddings of the encoder that it was trained with",
    };
    let what = "the embeddings are others than the model's";
    Err(Problem::data(what, embeddings.path(), parts, remedy).into())
}
