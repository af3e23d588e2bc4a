//! Standardised embeddings (an option): the training captions' mean taken away, divided by their overall deviation.

use candle_core::Tensor;
use stackgan_core::text::{Standardise, TextEncoder as _};
use stackgan_data::dataset::Split;

use crate::run::Setup;
use crate::{Error, Result};

/// What a run does to its embeddings; `None` where it takes them as they are. Stage-II takes the numbers of its Stage-I, which
/// reads the same embeddings.
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

/// Checks that both stages standardise, or neither.
///
/// # Errors
/// [`Error::Config`] when only one does.
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

/// What Stage-I's training did to these embeddings; nothing where its encoder made them so by itself.
fn of_stage1(setup: &Setup) -> Option<&Standardise> {
    let stage1 = setup.stage1.as_ref()?;
    let made = stage1.encoder().is_some_and(|e| e.fingerprint() == setup.embeddings.encoder());
    stage1.standardise().filter(|_| !made)
}

/// The mean and deviation of the training captions' embeddings.
fn fit(setup: &Setup) -> Result<Standardise> {
    let data = &setup.dataset;
    let rows: Vec<usize> =
        data.indices(Split::Train).into_iter().flat_map(|i| data.caption_range(i)).collect();
    let (mean, std) = setup.embeddings.mean_and_std(&rows)?;
    let dim = mean.len();
    Ok(Standardise::new(Tensor::from_vec(mean, dim, &setup.device)?, std)?)
}
