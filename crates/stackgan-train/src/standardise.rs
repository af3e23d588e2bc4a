//! Standardised embeddings (an option): the training captions' mean taken away, divided by their overall deviation.

use candle_core::{Result, Tensor};
use stackgan_core::text::Standardise;
use stackgan_data::dataset::Split;

use crate::run::Setup;

/// The mean and deviation of the training captions' embeddings.
#[derive(Clone, Debug)]
pub(crate) struct Affine {
    mean: Tensor, // (dim)
    std: f32,
}

impl Affine {
    pub(crate) fn fit(setup: &Setup) -> crate::Result<Self> {
        let data = &setup.dataset;
        let rows: Vec<usize> =
            data.indices(Split::Train).into_iter().flat_map(|i| data.caption_range(i)).collect();
        let (mean, std) = setup.embeddings.mean_and_std(&rows)?;
        let dim = mean.len();
        Ok(Self { mean: Tensor::from_vec(mean, dim, &setup.device)?, std })
    }

    /// `(batch, dim)`, same shape out.
    pub(crate) fn apply(&self, text: &Tensor) -> Result<Tensor> {
        text.broadcast_sub(&self.mean)? / f64::from(self.std)
    }

    /// The same, as a part of the encoder in the model.
    pub(crate) fn standardise(&self) -> stackgan_core::Result<Standardise> {
        Standardise::new(self.mean.clone(), self.std)
    }
}
