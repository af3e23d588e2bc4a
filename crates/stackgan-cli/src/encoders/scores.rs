//! How well a trained encoder tells the classes that it has not seen.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use stackgan_core::noise::Noise;
use stackgan_data::counted;
use stackgan_data::dataset::{Split, evenly};
use stackgan_data::prepared::Prepared;
use stackgan_eval::bootstrap::Interval;
use stackgan_eval::r_precision::RPrecision;
use stackgan_train::text::{ImageInputs, Scores, TrainedEncoder, evaluate};

use super::features::better_encoder;

/// Most pictures that are scored: where each is its own class, memory grows with their square.
const MOST: usize = 5000;

/// Scores an encoder on the classes that it has not seen, on at most 5000 pictures, evenly chosen;
/// `None` if there are too few classes.
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
    let unseen: Vec<usize> =
        evenly(unseen.len(), MOST).filter_map(|k| unseen.get(k).copied()).collect();
    let classes: BTreeSet<u32> = unseen.iter().filter_map(|&i| data.class(i)).collect();
    if classes.len() < 2 {
        return Ok(None);
    }
    Ok(Some(evaluate(encoder, (data, images), &unseen, Noise::new(seed))?))
}

/// The scores in one sentence, or why there are none.
pub(crate) fn describe_scores(scores: Option<&Scores>) -> String {
    let Some(scores) = scores else {
        return "no score: the test split has captions of fewer than two classes".to_owned();
    };
    let precision = |r: Option<RPrecision>| match r {
        Some(RPrecision { mean, interval: Some(Interval { low, high }), .. }) => {
            format!("{mean:.2} ({low:.2}–{high:.2})")
        }
        Some(RPrecision { mean, .. }) => format!("{mean:.2}"),
        None => "not measured, too few different captions".to_owned(),
    };
    format!(
        "on {} real test pictures: top-1 {:.2} of {} (chance {:.2}), AP@50 {:.2}, R-precision among ten (chance 0.10; in brackets \
         95 % intervals) {} with one caption, {} with the mean of four",
        scores.pictures,
        scores.top1,
        counted(scores.classes, "class"),
        1.0 / scores.classes.max(1) as f64,
        scores.ap50,
        precision(scores.r10_one),
        precision(scores.r10_four)
    )
}

/// The warning of an encoder that looks at pixels of these data, if the interval of its R-precision
/// with one caption is not above chance.
pub(crate) fn warning(scores: Option<&Scores>, data: &Path) -> Option<String> {
    let r = scores?.r10_one?;
    let chance = 1.0 / r.candidates.max(1) as f64;
    r.interval.is_none_or(|interval| interval.low <= chance).then(|| {
        format!(
            "warning: the text encoder tells these pictures no better than chance ({chance:.2}), so captions would decide little; train one on features, `{}`, and give `--encoder encoder.safetensors`",
            better_encoder(data)
        )
    })
}

#[cfg(test)]
mod tests {
    use stackgan_eval::bootstrap::of_share;

    use super::*;

    fn of(right: usize, count: usize) -> Option<Scores> {
        let (mean, interval) = (right as f64 / count as f64, of_share(right, count));
        let r = RPrecision { mean, interval, count, candidates: 10 };
        Some(Scores {
            pictures: count,
            top1: 0.07,
            classes: 17,
            ap50: 0.1,
            r10_one: Some(r),
            r10_four: None,
        })
    }

    #[test]
    fn many_pictures_are_thinned_evenly() {
        let coco: Vec<usize> = evenly(40_504, MOST).collect();
        assert_eq!((coco.len(), coco[MOST - 1]), (5000, 40_495));
        assert_eq!(evenly(10, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(evenly(3, 3).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(describe_scores(of(393, 983).as_ref()).starts_with("on 983 real test pictures"));
    }

    #[test]
    fn an_encoder_that_is_always_right_may_yet_be_wrong() {
        let said = describe_scores(of(30, 30).as_ref());
        assert!(said.contains("1.00 (0.89–1.00) with one caption"), "{said}");
    }

    /// The figures are those of docs/results.md, "The text encoder", and of toy birds.
    #[test]
    fn an_encoder_at_chance_is_warned_of_with_the_remedy() {
        let warned = |scores: Option<Scores>| warning(scores.as_ref(), Path::new("my birds"));
        let said = warned(of(108, 983)).unwrap();
        for part in
            ["chance (0.10)", "--data 'my birds'", "--features efficientnet-lite0", "--encoder"]
        {
            assert!(said.contains(part) && !said.contains('\n'), "{said}");
        }
        assert!(warned(of(0, 983)).is_some(), "below chance");
        assert_eq!(warned(of(423, 983)), None);
        assert_eq!(warned(of(128, 983)), None, "the interval is above chance");
        assert_eq!(warned(None), None);
        let unmeasured = of(0, 983).map(|scores| Scores { r10_one: None, ..scores });
        assert_eq!(warned(unmeasured), None);
    }
}
