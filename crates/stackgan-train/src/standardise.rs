//! Standardised embeddings (an option): the training captions' mean taken away, divided by their overall deviation.

use std::collections::BTreeMap;

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

    /// Takes back [`Self::apply`].
    pub(crate) fn undo(&self, text: &Tensor) -> Result<Tensor> {
        (text * f64::from(self.std))?.broadcast_add(&self.mean)
    }

    /// Its numbers, by name.
    pub(crate) fn tensors(&self) -> Result<[(String, Tensor); 2]> {
        let std = Tensor::new(&[self.std], self.mean.device())?;
        Ok([("mean".to_owned(), self.mean.clone()), ("std".to_owned(), std)])
    }

    /// Takes its numbers out of `tensors`, if they are there.
    pub(crate) fn take(tensors: &mut BTreeMap<String, Tensor>) -> Result<Option<Self>> {
        match (tensors.remove("mean"), tensors.remove("std")) {
            (Some(mean), Some(std)) => Ok(Some(Self { mean, std: std.squeeze(0)?.to_scalar()? })),
            _ => Ok(None),
        }
    }

    /// The same, as a part of the encoder in the model.
    pub(crate) fn standardise(&self) -> stackgan_core::Result<Standardise> {
        Standardise::new(self.mean.clone(), self.std)
    }
}
