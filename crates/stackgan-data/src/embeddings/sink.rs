//! The way into a file of embeddings: whatever is imported is written by [`Compared`]. What other
//! programs made for a dataset comes through a [`Sink`], picture by picture in the order of the prepared
//! file. It checks counts, widths and values.

use super::file::{About, Embeddings, EmbeddingsWriter, MAX_DIM};
use super::maker::{Agreement, Comparison, Maker, encoder_of};
use super::source::{Numbers, Source, no_fit};
use crate::Result;
use crate::error::printable;
use crate::prepared::Prepared;
use std::path::Path;

/// What was imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Number of embeddings: one for each caption.
    pub rows: usize,
    /// Number of values of each embedding.
    pub dim: usize,
    /// A description of the source.
    pub form: &'static str,
    /// Number of entries of the source that belong to no picture of the dataset.
    pub unused: usize,
    /// How many vectors of the encoder that is said to have made them agree, if one is.
    pub agreement: Option<Agreement>,
}

/// The source and the destination of a dataset's embeddings.
pub(super) struct Task<'a> {
    pub(super) data: &'a Prepared,
    pub(super) out: &'a Path,
    pub(super) maker: Option<&'a Maker>,
    pub(super) progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// Writes a file of embeddings, and compares them with the vectors of the encoder that is said to have
/// made them, if one is.
pub(super) struct Compared<'a> {
    writer: EmbeddingsWriter,
    comparison: Option<Comparison<'a>>,
}

impl<'a> Compared<'a> {
    /// Begins the file `out`. The embeddings come from the file `from`, for messages.
    pub(super) fn create(
        out: &Path,
        about: About<'_>,
        maker: Option<&'a Maker>,
        from: &Path,
    ) -> Result<Self> {
        let comparison = maker.map(|maker| Comparison::new(maker, about.dim, from)).transpose()?;
        Ok(Self { writer: Embeddings::create_about(out, about)?, comparison })
    }

    /// Writes whole rows.
    pub(super) fn append(&mut self, numbers: &[f32]) -> Result<()> {
        self.writer.append(numbers)?;
        self.comparison.iter_mut().for_each(|comparison| comparison.see(numbers));
        Ok(())
    }

    /// Gives the file its name, unless another encoder made the embeddings.
    pub(super) fn finish(self, form: &'static str, unused: usize) -> Result<Imported> {
        let Self { writer, comparison } = self;
        let agreement = comparison.map(Comparison::end).transpose()?;
        let (rows, dim) = (writer.rows, writer.dim);
        writer.finish()?;
        Ok(Imported { rows, dim, form, unused, agreement })
    }
}

/// Receives the embeddings of one picture after the other.
pub(super) struct Sink<'a> {
    task: &'a Task<'a>,
    sources: Vec<Source>,
    next: usize,
    /// The file, from the first embeddings on.
    open: Option<Compared<'a>>,
}

impl<'a> Sink<'a> {
    /// For sources given by name and number of files.
    pub(super) fn new(task: &'a Task<'a>, sources: Vec<(String, usize)>) -> Self {
        let blank = |(name, files)| Source { name, files, sha256: "0".repeat(64) };
        Self { task, sources: sources.into_iter().map(blank).collect(), next: 0, open: None }
    }

    pub(super) fn data(&self) -> &'a Prepared {
        self.task.data
    }

    /// Writes the embeddings of the next picture.
    pub(super) fn push(&mut self, numbers: &Numbers) -> Result<()> {
        let dim = self.checked(numbers)?;
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(self.begin(dim, &numbers.file)?),
        };
        open.append(&numbers.values)?;
        self.next += 1;
        (self.task.progress)(self.next, self.task.data.len());
        Ok(())
    }

    fn begin(&self, dim: usize, from: &Path) -> Result<Compared<'a>> {
        let Task { data, out, maker, .. } = *self.task;
        let about = About {
            rows: data.caption_count(),
            dim,
            encoder: &encoder_of(maker, &self.sources),
            dataset: data.fingerprint(),
            sources: &self.sources,
            captions: None,
        };
        Compared::create(out, about, maker, from)
    }

    /// Checks the embeddings of the next picture. Returns their width.
    fn checked(&self, numbers: &Numbers) -> Result<usize> {
        let (data, i) = (self.task.data, self.next);
        let place = || format!("{}, {}", numbers.place, printable(data.key(i)));
        let captions = data.caption_range(i).len();
        let wanted = self.open.as_ref().map(|open| open.writer.dim);
        let fits = numbers.rows_and_dim().filter(|&(rows, dim)| {
            let width = wanted.map_or((1..=MAX_DIM).contains(&dim), |wanted| wanted == dim);
            rows == captions && width && numbers.values.len() == rows * dim
        });
        let Some((_, dim)) = fits else {
            let width = wanted.map_or_else(|| "width".to_owned(), |dim| dim.to_string());
            let expected = format!("shape ({captions}, {width}), a row for each caption");
            let found = format!("shape {:?}", numbers.shape);
            return Err(no_fit(&numbers.file, &place(), (expected, found)));
        };
        match numbers.values.iter().enumerate().find(|(_, n)| !n.is_finite()) {
            None => Ok(dim),
            Some((at, number)) => {
                let found = format!("{number} in row {}", at / dim);
                Err(no_fit(&numbers.file, &place(), ("finite numbers", found)))
            }
        }
    }

    /// Finishes the file after all pictures, with the hashes of the sources.
    pub(super) fn finish(
        mut self,
        hashes: Vec<String>,
        form: &'static str,
        unused: usize,
    ) -> Result<Imported> {
        for (source, sha256) in self.sources.iter_mut().zip(hashes) {
            source.sha256 = sha256;
        }
        let Some(mut open) = self.open else {
            let pair = ("embeddings", "none");
            return Err(no_fit(self.task.data.path(), "whole file", pair));
        };
        open.writer.describe(encoder_of(self.task.maker, &self.sources), self.sources)?;
        open.finish(form, unused)
    }
}
