//! Pictures and their captions by a trained pair of encoders, for R-precision.

use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use stackgan_core::image::Picture;
use stackgan_core::noise::Noise;
use stackgan_eval::comparison::Measurer;
use stackgan_eval::r_precision::{matched, owned, rivals};
use stackgan_eval::rows::Rows;
use stackgan_train::text::{ImageSide, SIDE, TrainedEncoder};

use super::asked::Asked;
use crate::args::Eval;
use crate::exit::Problem;

/// Vectors of pictures and captions by a trained pair of encoders.
pub(super) struct Matching {
    encoder: TrainedEncoder,
    images: Vec<f32>,
    texts: Vec<f32>,
    captions: Vec<String>,
    classes: Vec<u32>,
}

impl Matching {
    /// By an encoder with its image side; nothing is collected yet.
    pub(super) const fn by(encoder: TrainedEncoder) -> Self {
        Self {
            encoder,
            images: Vec::new(),
            texts: Vec::new(),
            captions: Vec::new(),
            classes: Vec::new(),
        }
    }

    /// Number of pictures so far.
    pub(super) const fn len(&self) -> usize {
        self.classes.len()
    }

    /// Adds pictures; the image side reads pixels, or the features of the measuring network.
    pub(super) fn take(
        &mut self,
        pictures: &[Picture],
        asked: &[Asked],
        features: Option<&Rows>,
    ) -> Result<()> {
        let images = match &self.encoder.config.image {
            ImageSide::Convolutions { .. } => {
                let reduced = pictures.iter().map(|picture| picture.reduced(picture.width / SIDE));
                pixels(&reduced.map(|small| small.rgb).collect::<Vec<_>>())?
            }
            ImageSide::Features { width, .. } => {
                let features = features.context("a judge of features has a network")?;
                Tensor::from_slice(features.values(), (features.len(), *width), &Device::Cpu)?
            }
        };
        let captions: Vec<&str> = asked.iter().map(|a| a.text.as_str()).collect();
        let numbers = |t: Tensor| -> Result<Vec<f32>> { Ok(t.flatten_all()?.to_vec1()?) };
        self.images.extend(numbers(self.encoder.image_features(&images)?)?);
        self.texts.extend(numbers(self.encoder.text_features(&captions, 1)?)?);
        self.captions.extend(asked.iter().map(|a| a.text.clone()));
        self.classes.extend(asked.iter().map(|a| a.class));
        Ok(())
    }

    /// For each picture, whether its own caption was ranked first among `candidates`.
    pub(super) fn matched(&self, candidates: usize, noise: Noise) -> Result<Vec<bool>> {
        let n = self.classes.len();
        let matrix = |v: &[f32]| Tensor::from_slice(v, (n, v.len() / n.max(1)), &Device::Cpu);
        let (images, texts) = (matrix(&self.images)?, matrix(&self.texts)?);
        let owners = owned(&self.classes, &self.captions);
        matched(&images, &texts, &owners, candidates, noise).map_err(few_rivals)
    }
}

/// Converts pictures of 64x64 pixels, as bytes row by row, to a tensor `(n, 3, 64, 64)` in [-1, 1].
///
/// # Errors
/// When they have fewer or more bytes than that.
pub(crate) fn pixels(pictures: &[Vec<u8>]) -> Result<Tensor> {
    let pixels: Vec<f32> = pictures.iter().flatten().map(|&v| f32::from(v) / 127.5 - 1.0).collect();
    let tensor = Tensor::from_vec(pixels, (pictures.len(), SIDE, SIDE, 3), &Device::Cpu)?;
    Ok(tensor.permute((0, 3, 1, 2))?.contiguous()?)
}

/// Whether a judge's image side reads the features of a network.
pub(super) fn reads_features(encoder: &TrainedEncoder) -> bool {
    matches!(encoder.config.image, ImageSide::Features { .. })
}

/// Rejects a judge whose image side reads the features of another network than the measuring one.
pub(super) fn check_judge(encoder: &TrainedEncoder, measurer: &Measurer) -> Result<()> {
    let ImageSide::Features { network, side, .. } = &encoder.config.image else { return Ok(()) };
    let named = |network: &str, side: usize| format!("{network} at {side} pixels");
    let reads = named(network, *side);
    let judge = &measurer.judge;
    let weights = format!("{} sha256:{}", judge.network, judge.weights_sha256);
    let measuring = named(&weights, measurer.extractor.network().side());
    if reads == measuring {
        return Ok(());
    }
    let parts = (format!("`--features` with {reads}"), measuring);
    let remedy = "name another judge: one that looks at pixels (`stackgan text train` without `--features`), or one \
                  that was trained with this network, without `--features-side`";
    let what = "the judge reads features of another network, or of pictures of another side";
    let place = "option: --judge, of `train` --eval-judge";
    Err(Problem::usage(what, place, parts, remedy).into())
}

/// Number of captions among which a picture must find its own.
pub(super) fn candidates(args: &Eval) -> usize {
    usize::from(args.candidates.unwrap_or(100))
}

/// Checks that each of these captions has as many rivals as R-precision requires, before anything
/// is painted.
///
/// # Errors
/// Code 2 with the maximum that is possible.
pub(super) fn check_rivals(asked: &[Asked], candidates: usize) -> Result<()> {
    let classes: Vec<u32> = asked.iter().map(|a| a.class).collect();
    let owners = owned(&classes, asked.iter().map(|a| &a.text));
    rivals(&owners, candidates, Noise::new(0)).map(drop).map_err(few_rivals)
}

/// Adds the remedy for captions that are too few or too similar.
fn few_rivals(error: stackgan_eval::Error) -> anyhow::Error {
    let stackgan_eval::Error::Input { expected, found, .. } = error else { return error.into() };
    let mut remedy = "paint more pictures of captions that differ and of other classes (`--num`, `--split all`; of \
                      `train`: `--eval-num`)"
        .to_owned();
    match found.parse::<usize>() {
        Ok(0) | Err(_) => remedy += ", or leave `rp` out",
        Ok(rivals) => {
            let most = rivals + 1;
            remedy += &format!(
                ", or let them choose among fewer: `--candidates {most}` or less (of `train`: `--eval-candidates`)"
            );
        }
    }
    let what = "R-precision cannot be measured";
    Problem::usage(what, "option: --candidates", (expected, found), remedy).into()
}
