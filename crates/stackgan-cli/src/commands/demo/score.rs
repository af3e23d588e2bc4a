//! How well painted birds follow their captions.
//!
//! The scores are the colour agreement according to a judge that reads pixels, and R-precision by
//! the encoder. They use captions of species that no network has seen. Real pictures are measured
//! in the same way as a check.

use std::time::Instant;

use anyhow::Result;
use stackgan_core::noise::Noise;
use stackgan_core::{Model, Request, Sampling, Stage};
use stackgan_data::counted;
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::{Agreement, Judge, named_in};
use stackgan_eval::bootstrap::{Interval, of_share};
use stackgan_eval::r_precision::{RPrecision, owned, r_precision};
use stackgan_train::text::{ImageInputs, TrainedEncoder};

use super::folder::Folder;
use super::notes::{Part, Scores};
use crate::encoders::{describe_scores, scores};
use crate::measuring::{captioned, colour_judge, pixels, real_picture, reduced_to_64};
use crate::progress::{Manner, Phase};

/// Number of candidates of R-precision.
const CANDIDATES: usize = 10;
/// Number of pictures painted at a time.
const CHUNK: usize = 8;

/// The scores of one kind of pictures.
struct Scored {
    /// A description of the pictures.
    what: String,
    /// Colour agreement.
    agreement: Agreement,
    /// R-precision, if there are enough species.
    r: Option<RPrecision>,
}

/// Captions of unseen species, one per picture, and the pictures' classes.
struct Unseen<'a> {
    indices: Vec<usize>,
    captions: Vec<&'a str>,
    classes: Vec<u32>,
}

/// The scores of pictures and encoder, which are measured unless they were.
pub(super) fn scored(
    demo: &mut Folder<'_>,
    model: &Model,
    (data, encoder): (&Prepared, &TrainedEncoder),
) -> Result<Scores> {
    if let Some(scores) = &demo.notes.scores {
        return Ok(scores.clone());
    }
    let (began, wanted) = (Instant::now(), demo.notes.wanted);
    let most = wanted.scale().scored;
    let all = all(model, encoder, data, most, (wanted.seed, demo.context.manner))?;
    let own = scores(encoder, (data, ImageInputs::Pixels), wanted.seed)?;
    let scores = Scores { table: table(&all), encoder: own.map(|own| describe_scores(Some(&own))) };
    demo.notes.scores = Some(scores.clone());
    demo.done(Part::Scores, "scoring".to_owned(), began.elapsed().as_secs_f64())?;
    Ok(scores)
}

/// Scores real pictures and those of both stages, for at most `most` captions.
fn all(
    model: &Model,
    encoder: &TrainedEncoder,
    data: &Prepared,
    most: usize,
    (seed, manner): (u64, Manner),
) -> Result<Vec<Scored>> {
    let unseen = Unseen::of(data, most);
    let judge = colour_judge()?;
    let mut phase = Phase::new(manner, "scoring", 2 * unseen.captions.len() as u64, "pictures");
    let mut painted = [Vec::new(), Vec::new()];
    for (stage, pictures) in Stage::ALL.into_iter().zip(&mut painted) {
        let captions = unseen.captions.iter().zip(1000 + seed..);
        let requests: Vec<_> = captions.map(|(caption, seed)| Request { caption, seed }).collect();
        for chunk in requests.chunks(CHUNK) {
            let sampling = Sampling { stage: Some(stage), chunk: CHUNK, ..Sampling::default() };
            for painting in model.paint(chunk, sampling)? {
                pictures.push(reduced_to_64(&painting.picture));
            }
            let before = if stage == Stage::Two { requests.len() } else { 0 };
            phase.at((before + pictures.len()) as u64);
        }
    }
    let [low, high] = painted;
    let real =
        unseen.indices.iter().map(|&i| Ok(real_picture(data, i)?.rgb)).collect::<Result<_>>()?;
    let kinds =
        [("real pictures, as a check", real), ("painted, 64x64", low), ("painted, 256x256", high)];
    let scored = kinds
        .into_iter()
        .map(|(what, pictures)| score(what, pictures, &unseen, (&judge, encoder, seed)));
    let scored = scored.collect::<Result<Vec<_>>>()?;
    phase.finish(&format!("{} of unseen species", counted(unseen.captions.len(), "caption")));
    Ok(scored)
}

impl<'a> Unseen<'a> {
    /// Pictures spread evenly over the test split, each with one of its captions.
    fn of(data: &'a Prepared, most: usize) -> Self {
        let chosen = captioned(data, &data.indices(Split::Test), most);
        let (indices, captions): (Vec<usize>, _) = chosen.into_iter().unzip();
        let classes = indices.iter().map(|&i| data.class(i).unwrap_or_default()).collect();
        Self { indices, captions, classes }
    }
}

fn score(
    what: &str,
    pictures: Vec<Vec<u8>>,
    unseen: &Unseen<'_>,
    (judge, encoder, seed): (&Judge, &TrainedEncoder, u64),
) -> Result<Scored> {
    let images = encoder.image_features(&pixels(&pictures)?)?;
    let texts = encoder.text_features(&unseen.captions, 1)?;
    let owners = owned(&unseen.classes, &unseen.captions);
    let r = r_precision(&images, &texts, &owners, CANDIDATES, Noise::new(seed)).ok();
    let named = unseen.captions.iter().map(|caption| named_in(caption));
    let agreement = judge.agreement(pictures.into_iter().zip(named))?;
    Ok(Scored { what: what.to_owned(), agreement, r })
}

/// The table of scores; the first row is the header.
fn table(scores: &[Scored]) -> Vec<Vec<String>> {
    let head =
        ["captions of unseen species", "body", "belly", "wings", "crown", "R-precision of 10"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for Scored { what, agreement: a, r } in scores {
        let part = |rate: Option<f64>, n: usize| {
            rate.map_or_else(|| "–".to_owned(), |p| with_interval(p, n))
        };
        let ([body, wing, belly, crown], n) = (a.rates(), a.counts());
        let precision = r.map_or_else(|| "–".to_owned(), |r| with_interval(r.mean, r.count));
        let cells =
            [part(body, n[0]), part(belly, n[2]), part(wing, n[1]), part(crown, n[3]), precision];
        rows.push(std::iter::once(what.clone()).chain(cells).collect());
    }
    rows.push(["chance", "0.125", "0.125", "0.125", "0.125", "0.10"].map(str::to_owned).to_vec());
    rows
}

/// A rate with its 95 % interval and the number of cases.
fn with_interval(p: f64, n: usize) -> String {
    match of_share((p * n as f64).round() as usize, n) {
        Some(Interval { low, high }) => format!("{p:.2} ({low:.2}–{high:.2}, n {n})"),
        None => format!("{p:.2} (n {n})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_never_named_has_no_rate() {
        let mut agreement = Agreement::default();
        agreement.verdicts[0] = (0..100).map(|i| i % 10 > 0).collect();
        let rows = table(&[Scored { what: "x".into(), agreement, r: None }]);
        assert_eq!(rows[1], ["x", "0.90 (0.83–0.94, n 100)", "–", "–", "–", "–"]);
    }

    #[test]
    fn a_rate_of_none_is_uncertain() {
        assert_eq!(with_interval(0.0, 26), "0.00 (0.00–0.13, n 26)");
        assert_eq!(with_interval(1.0, 26), "1.00 (0.87–1.00, n 26)");
    }
}
