//! How well a trained encoder tells the classes that it has not seen.

use std::collections::BTreeSet;

use anyhow::Result;
use stackgan_core::noise::Noise;
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;
use stackgan_eval::r_precision::RPrecision;
use stackgan_train::text::{ImageInputs, Scores, TrainedEncoder, evaluate};

/// Scores an encoder on the classes that it has not seen; `None` if there are too few.
///
/// # Errors
/// When pictures cannot be read.
pub(crate) fn scores(
    encoder: &TrainedEncoder,
    (data, images): (&Prepared, ImageInputs<'_>),
    seed: u64,
) -> Result<Option<Scores>> {
    let mut unseen = data.indices(Split::Test);
    unseen.retain(|&i| !data.captions(i).is_empty());
    let classes: BTreeSet<u32> = unseen.iter().filter_map(|&i| data.class(i)).collect();
    if classes.len() < 2 {
        return Ok(None);
    }
    Ok(Some(evaluate(encoder, (data, images), &unseen, Noise::new(seed))?))
}

/// The scores in one sentence.
pub(crate) fn describe_scores(scores: &Scores) -> String {
    let precision = |r: Option<RPrecision>| {
        let among = |r: RPrecision| format!("{:.2} ± {:.2}", r.mean, r.standard_error);
        r.map_or_else(|| "not measured, too few different captions".to_owned(), among)
    };
    format!(
        "on real pictures of unseen classes: top-1 {:.2} of {}, AP@50 {:.2}, R-precision among ten {} (one caption), {} (mean of four)",
        scores.top1,
        scores.classes,
        scores.ap50,
        precision(scores.r10_one),
        precision(scores.r10_four)
    )
}
