//! The sample grid that is generated at regular intervals.
//!
//! Captions (of unseen classes), noise, evaluation mode and pixel scaling are fixed, so that grids
//! of one run or of two runs can be compared. Sentences of one's own come below these captions.

use std::sync::Arc;

use candle_core::Tensor;
use stackgan_core::image::{Picture, grid};
use stackgan_core::text::Standardise;
use stackgan_core::{Model, Sampling};
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;

use crate::Result;
use crate::setup::Setup;
use crate::standardise::standardised;
use crate::watch::Differences;

/// Number of the dataset's captions in a grid, one per row.
pub(crate) const ROWS: usize = 8;

/// Number of pictures for each caption, one per column.
pub(crate) const COLUMNS: u64 = 6;

/// What follows a sentence of one's own in the list of captions.
const NO_PICTURE: &str = "(no real picture)";

/// The pictures whose first captions are used, the sentences below them, and the embeddings of both
/// as the networks see them.
pub(crate) struct Samples {
    dataset: Arc<Prepared>,
    indices: Vec<usize>,
    sentences: Vec<String>,
    text: Tensor, // (rows, dim)
}

impl Samples {
    /// Chooses pictures with captions evenly from the test split, or from the training split if the
    /// test split has none.
    pub(crate) fn choose(setup: &Setup, standardise: Option<&Standardise>) -> Result<Self> {
        let (data, embeddings) = (&setup.dataset, &setup.embeddings);
        let captioned = |split| -> Vec<usize> {
            data.indices(split).into_iter().filter(|&i| !data.captions(i).is_empty()).collect()
        };
        let mut pool = captioned(Split::Test);
        if pool.is_empty() {
            pool = captioned(Split::Train);
        }
        let rows = ROWS.min(pool.len());
        let indices: Vec<usize> =
            (0..rows).filter_map(|i| pool.get(i * pool.len() / rows).copied()).collect();
        let mut text = Vec::new();
        for &index in &indices {
            let first = data.caption_range(index).start;
            text.extend(embeddings.rows(first..first + 1)?);
        }
        let mut text = Tensor::from_vec(text, (indices.len(), embeddings.dim()), &setup.device)?;
        let mut sentences = Vec::new();
        if let Some(shown) = &setup.shown {
            text = Tensor::cat(&[text, shown.vectors.to_device(&setup.device)?], 0)?;
            sentences.clone_from(&shown.sentences);
        }
        let text = standardised(standardise, text)?;
        Ok(Self { dataset: Arc::clone(data), indices, sentences, text })
    }

    /// Generates the grid: a row for each caption or sentence, a column for each of six seeds.
    pub(crate) fn paint(&self, model: &Model) -> Result<Vec<Picture>> {
        let mut pictures = Vec::new();
        for row in 0..self.indices.len() + self.sentences.len() {
            let text = self.text.narrow(0, row, 1)?.repeat((COLUMNS as usize, 1))?;
            let seeds: Vec<u64> = (0..COLUMNS).collect();
            let painted = model.paint_embeddings(&text, &seeds, Sampling::default())?;
            pictures.extend(painted.into_iter().map(|p| p.picture));
        }
        Ok(pictures)
    }

    /// Encodes a grid as PNG.
    pub(crate) fn png(pictures: &[Picture]) -> Result<Vec<u8>> {
        Ok(grid(pictures, COLUMNS as usize, 2).encode_png()?)
    }

    /// How much the pictures of a grid differ in the rows of the dataset's captions. Sentences of
    /// one's own may be alike.
    pub(crate) fn differences(&self, pictures: &[Picture]) -> Differences {
        let columns = COLUMNS as usize;
        Differences::of(pictures.get(..self.indices.len() * columns).unwrap_or(pictures), columns)
    }

    /// How much the real pictures of the captions differ, in grey levels.
    pub(crate) fn real_difference(&self) -> Result<f64> {
        Ok(Differences::of(&self.real_pictures()?, self.indices.len()).noise.unwrap_or_default())
    }

    /// The captions, one per line; those without a real picture say so.
    pub(crate) fn captions(&self) -> String {
        let first = |&i: &usize| self.dataset.captions(i).first().map_or("", String::as_str);
        let of_dataset = self.indices.iter().map(|i| format!("{}\n", first(i)));
        let own = self.sentences.iter().map(|own| format!("{own} {NO_PICTURE}\n"));
        of_dataset.chain(own).collect()
    }

    /// The sentences of one's own, one per line, if there are any.
    pub(crate) fn sentences(&self) -> Option<String> {
        (!self.sentences.is_empty()).then(|| self.sentences.join("\n") + "\n")
    }

    /// The real pictures of the dataset's captions as a PNG.
    pub(crate) fn reals(&self) -> Result<Vec<u8>> {
        let pictures = self.real_pictures()?;
        Ok(grid(&pictures, pictures.len(), 2).encode_png()?)
    }

    fn real_pictures(&self) -> Result<Vec<Picture>> {
        let data = &self.dataset;
        let side = data.size().prepared();
        let picture = |&i: &usize| Ok(Picture { width: side, height: side, rgb: data.image(i)? });
        self.indices.iter().map(picture).collect()
    }
}
