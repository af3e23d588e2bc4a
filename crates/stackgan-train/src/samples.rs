//! The sample grid that is generated at regular intervals.
//!
//! Captions (of unseen classes), noise, evaluation mode and pixel scaling are fixed, so that grids
//! of one run or of two runs can be compared.

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

/// Number of captions in a grid, one per row.
pub(crate) const ROWS: usize = 8;

/// Number of pictures for each caption, one per column.
pub(crate) const COLUMNS: u64 = 6;

/// The pictures whose first captions are used, and the embeddings of these captions as the networks
/// see them.
pub(crate) struct Samples {
    dataset: Arc<Prepared>,
    indices: Vec<usize>,
    text: Tensor, // (ROWS, dim)
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
        let text = Tensor::from_vec(text, (indices.len(), embeddings.dim()), &setup.device)?;
        let text = standardised(standardise, text)?;
        Ok(Self { dataset: Arc::clone(data), indices, text })
    }

    /// Generates the grid: a row for each caption, a column for each of six seeds.
    pub(crate) fn paint(&self, model: &Model) -> Result<Vec<Picture>> {
        let mut pictures = Vec::new();
        for row in 0..self.indices.len() {
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

    /// How much the pictures of a grid differ.
    pub(crate) fn differences(pictures: &[Picture]) -> Differences {
        Differences::of(pictures, COLUMNS as usize)
    }

    /// How much the real pictures of the captions differ, in grey levels.
    pub(crate) fn real_difference(&self) -> Result<f64> {
        Ok(Differences::of(&self.real_pictures()?, self.indices.len()).noise.unwrap_or_default())
    }

    /// The captions, one per line.
    pub(crate) fn captions(&self) -> String {
        let first = |&i: &usize| self.dataset.captions(i).first().map_or("", String::as_str);
        self.indices.iter().map(|i| format!("{}\n", first(i))).collect()
    }

    /// The real pictures of the captions as a PNG.
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
