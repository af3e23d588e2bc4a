//! Evaluation of how well an encoder matches pictures and captions of unseen classes.

use std::collections::BTreeMap;

use candle_core::Tensor;
use stackgan_core::noise::{Noise, Stream};
use stackgan_eval::r_precision::{RPrecision, owned, r_precision};
use stackgan_eval::zero_shot::ZeroShot;

use super::{ImageInputs, TextSource, TrainedEncoder};
use crate::{Error, Result};

/// Number of captions of a picture that are averaged for [`Scores::r10_four`].
const FOUR: usize = 4;

/// Number of candidates of R-precision, including the true one.
const CANDIDATES: usize = 10;

/// Scores of an encoder on unseen classes.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Scores {
    /// Number of pictures that are scored.
    pub pictures: usize,
    /// Share of the pictures for which the nearest mean text vector is that of their own class
    /// (Reed's zero-shot accuracy).
    pub top1: f64,
    /// Number of classes to choose from; chance level is one over this.
    pub classes: usize,
    /// Reed's average precision at 50: see [`ZeroShot::average_precision`].
    pub ap50: f64,
    /// R-precision among ten, one caption per picture; `None` if there are not ten different
    /// captions to choose from.
    pub r10_one: Option<RPrecision>,
    /// R-precision among ten, the mean of four captions per picture; `None` if there are not ten
    /// different ones to choose from.
    pub r10_four: Option<RPrecision>,
}

/// Scores an encoder on `pictures`, which should be of classes that it has not seen. Pictures
/// without captions are skipped. Memory grows with the pictures times their classes.
///
/// # Errors
/// When there are fewer than two classes, a picture cannot be read, or the images are not what the
/// encoder's image side reads.
pub fn evaluate(
    encoder: &TrainedEncoder,
    (source, inputs): (&dyn TextSource, ImageInputs<'_>),
    pictures: &[usize],
    noise: Noise,
) -> Result<Scores> {
    inputs.check(&encoder.config.image, source.classes().len())?;
    let pictures: Vec<usize> =
        pictures.iter().copied().filter(|&i| !source.captions(i).is_empty()).collect();
    let classes: Vec<u32> =
        pictures.iter().filter_map(|&i| source.classes().get(i).copied()).collect();
    let images = encoder.image_features(&inputs.of(source, &pictures)?)?;

    let mut by_class = BTreeMap::<u32, Vec<&str>>::new();
    for (&picture, &class) in pictures.iter().zip(&classes) {
        by_class
            .entry(class)
            .or_default()
            .extend(source.captions(picture).iter().map(String::as_str));
    }
    let names: Vec<u32> = by_class.keys().copied().collect();
    let texts = by_class
        .values()
        .map(|captions| encoder.text_features(captions, captions.len()))
        .collect::<Result<Vec<_>>>()?;
    let zero_shot = ZeroShot::new(&images, &classes, &Tensor::cat(&texts, 0)?, &names)?;

    let rank = |per: usize| {
        let captions: Vec<&str> = pictures
            .iter()
            .enumerate()
            .flat_map(|(i, &picture)| chosen(source, picture, per, (noise, i as u64)))
            .collect();
        let texts = encoder.text_features(&captions, per)?;
        let said = captions.chunks(per).map(|of_one| {
            let mut of_one = of_one.to_vec();
            of_one.sort_unstable(); // the mean does not depend on the order
            of_one.join("\n")
        });
        match r_precision(&images, &texts, &owned(&classes, said), CANDIDATES, noise) {
            Ok(found) => Ok(Some(found)),
            Err(stackgan_eval::Error::Input { .. }) => Ok(None), // too few to choose from
            Err(error) => Err(Error::from(error)),
        }
    };
    Ok(Scores {
        pictures: pictures.len(),
        top1: zero_shot.accuracy(),
        classes: names.len(),
        ap50: zero_shot.average_precision(50),
        r10_one: rank(1)?,
        r10_four: rank(FOUR)?,
    })
}

/// Returns `per` captions of a picture in random order, repeated if it has fewer.
fn chosen(
    source: &dyn TextSource,
    picture: usize,
    per: usize,
    (noise, i): (Noise, u64),
) -> Vec<&str> {
    let mut captions: Vec<&str> = source.captions(picture).iter().map(String::as_str).collect();
    noise.draws(Stream::Caption, 0, i).shuffle(&mut captions);
    captions.into_iter().cycle().take(per).collect()
}
