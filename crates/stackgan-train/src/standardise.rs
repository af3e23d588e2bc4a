//! Standardised embeddings (an option): the mean of the training captions is subtracted, and the
//! result divided by their overall standard deviation.

use candle_core::Tensor;
use stackgan_core::text::{Standardise, TextEncoder as _};
use stackgan_data::dataset::Split;

use crate::setup::Setup;
use crate::{Error, Result};

/// The standardisation of a run's embeddings, or `None` if it is off.
///
/// Stage-II uses the values of its Stage-I, which reads the same embeddings.
///
/// # Errors
/// As [`fits`], and when all embeddings are equal.
pub(crate) fn of_run(setup: &Setup) -> Result<Option<Standardise>> {
    fits(setup)?;
    match (setup.config.data.embedding_standardise, of_stage1(setup)) {
        (false, _) => Ok(None),
        (true, Some(standardise)) => Ok(Some(standardise.clone())),
        (true, None) => fit(setup).map(Some),
    }
}

/// Standardises embeddings `(captions, dim)` if the run does so.
///
/// # Errors
/// When the widths differ.
pub(crate) fn standardised(standardise: Option<&Standardise>, text: Tensor) -> Result<Tensor> {
    Ok(match standardise {
        None => text,
        Some(standardise) => standardise.apply(&text)?,
    })
}

/// Checks that both stages standardise, or neither.
///
/// # Errors
/// [`Error::Config`] when only one of them does.
pub(crate) fn fits(setup: &Setup) -> Result<()> {
    let wanted = setup.config.data.embedding_standardise;
    if setup.stage1.is_none() || wanted == of_stage1(setup).is_some() {
        return Ok(());
    }
    Err(Error::Config {
        key: "data.embedding_standardise".to_owned(),
        expected: format!("{}, as the Stage-I model was trained with", !wanted),
        found: wanted.to_string(),
        remedy: format!("give `--set data.embedding_standardise={}`", !wanted),
    })
}

/// The standardisation that Stage-I's training applied to these embeddings; `None` if its encoder
/// already standardises them.
fn of_stage1(setup: &Setup) -> Option<&Standardise> {
    let stage1 = setup.stage1.as_ref()?;
    let made = stage1.encoder().is_some_and(|e| e.fingerprint() == setup.embeddings.encoder());
    stage1.standardise().filter(|_| !made)
}

/// Computes the mean and standard deviation of the training captions' embeddings.
fn fit(setup: &Setup) -> Result<Standardise> {
    let data = &setup.dataset;
    let rows: Vec<usize> =
        data.indices(Split::Train).into_iter().flat_map(|i| data.caption_range(i)).collect();
    let (mean, std) = setup.embeddings.mean_and_std(&rows)?;
    let dim = mean.len();
    Ok(Standardise::new(Tensor::from_vec(mean, dim, &setup.device)?, std)?)
}
