//! The data collected from the pictures: moments, a bounded number of rows, class probabilities,
//! and matches with captions. Memory does not grow with the number of pictures.

use anyhow::{Context as _, Result};
use candle_core::{Device, Tensor};
use stackgan_core::image::Picture;
use stackgan_core::noise::Noise;
use stackgan_eval::inception_score::{InceptionScore, SPLITS, Scoring};
use stackgan_eval::moments::{Moments, Running};
use stackgan_eval::r_precision::{matched, owned};
use stackgan_eval::rows::Rows;
use stackgan_train::text::{ImageSide, SIDE, TrainedEncoder};

use super::KEPT;
use super::asked::Asked;
use super::colours::Colours;
use super::judge::Measurer;
use super::numbers::few_rivals;
use crate::exit::Problem;

/// The data from the pictures so far.
pub(super) struct Tally {
    total: usize,
    seen: usize,
    network: Option<Running>,
    kept: Rows,
    scoring: Option<Scoring>,
    matching: Option<Matching>,
    colours: Option<Colours>,
}

/// The collected data.
pub(super) struct Gathered {
    /// Number of pictures.
    pub count: usize,
    /// Features by the measuring network, if there is one.
    pub features: Option<Features>,
    pub matching: Option<Matching>,
    pub colours: Option<Colours>,
}

/// A network's features of the pictures.
pub(super) struct Features {
    /// Moments over all pictures.
    pub moments: Moments,
    /// The features of the first [`KEPT`] pictures.
    pub rows: Rows,
    pub score: Option<InceptionScore>,
}

/// Vectors of pictures and captions by a trained pair of encoders.
pub(super) struct Matching {
    encoder: TrainedEncoder,
    images: Vec<f32>,
    texts: Vec<f32>,
    captions: Vec<String>,
    classes: Vec<u32>,
}

impl Tally {
    /// For `total` pictures. Class probabilities are scored only if there are at least as many
    /// pictures as splits.
    pub(super) fn new(
        total: usize,
        measurer: Option<&Measurer>,
        encoder: Option<TrainedEncoder>,
        colours: Option<Colours>,
    ) -> Self {
        let width = measurer.map(|measurer| measurer.extractor.network().width());
        let matching = encoder.map(|encoder| Matching {
            encoder,
            images: Vec::new(),
            texts: Vec::new(),
            captions: Vec::new(),
            classes: Vec::new(),
        });
        let (network, kept) = (width.map(Running::new), Rows::new(width.unwrap_or_default()));
        Self { total, seen: 0, network, kept, scoring: None, matching, colours }
    }

    /// Total number of pictures to expect.
    pub(super) const fn total(&self) -> usize {
        self.total
    }

    /// Adds the next pictures, with their captions if they have any.
    pub(super) fn take(
        &mut self,
        pictures: &[Picture],
        asked: &[Asked],
        measurer: Option<&Measurer>,
    ) -> Result<()> {
        let made = measurer.map(|measurer| measurer.extractor.extract(pictures)).transpose()?;
        if let (Some(running), Some(made)) = (&mut self.network, &made) {
            if self.seen == 0 && self.total >= SPLITS {
                self.scoring = Some(Scoring::new(made.logits.width(), self.total, SPLITS)?);
            }
            for (features, logits) in made.features.iter().zip(made.logits.iter()) {
                running.push(features)?;
                if self.kept.len() < KEPT {
                    self.kept.push(features)?;
                }
                if let Some(scoring) = &mut self.scoring {
                    scoring.push(logits)?;
                }
            }
        }
        self.seen += pictures.len();
        if let Some(matching) = self.matching.as_mut().filter(|m| m.classes.len() < KEPT) {
            matching.take(pictures, asked, made.as_ref().map(|made| &made.features))?;
        }
        self.colours.as_mut().map_or(Ok(()), |colours| colours.take(pictures, asked))
    }

    /// The collected data, after all pictures.
    pub(super) fn finish(self) -> Result<Gathered> {
        let Self { seen: count, network, kept: rows, scoring, matching, colours, .. } = self;
        let score = scoring.map(Scoring::finish).transpose()?;
        let moments = network.map(Running::finish).transpose()?;
        let features = moments.map(|moments| Features { moments, rows, score });
        Ok(Gathered { count, features, matching, colours })
    }
}

impl Matching {
    /// Adds pictures; the image side reads pixels, or the features of the measuring network.
    fn take(
        &mut self,
        pictures: &[Picture],
        asked: &[Asked],
        features: Option<&Rows>,
    ) -> Result<()> {
        let images = match &self.encoder.config.image {
            ImageSide::Convolutions { .. } => pixels(pictures)?,
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

/// Converts pictures to a tensor `(n, 3, 64, 64)` in [-1, 1].
fn pixels(pictures: &[Picture]) -> Result<Tensor> {
    let mut pixels = Vec::with_capacity(pictures.len() * 3 * SIDE * SIDE);
    for picture in pictures {
        let small = picture.reduced(picture.width / SIDE);
        pixels.extend(small.rgb.iter().map(|&v| f32::from(v) / 127.5 - 1.0));
    }
    let shape = (pictures.len(), SIDE, SIDE, 3);
    Ok(Tensor::from_vec(pixels, shape, &Device::Cpu)?.permute((0, 3, 1, 2))?.contiguous()?)
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
    let sha256 = format!("{} sha256:{}", measurer.judge.network, measurer.sha256);
    let measuring = named(&sha256, measurer.extractor.network().side());
    if reads == measuring {
        return Ok(());
    }
    let parts = (format!("`--features` with {reads}"), measuring);
    let remedy = "measure with the network that the judge was trained with, or name another judge";
    Err(Problem::usage(
        "the judge reads features of another network",
        "option: --judge",
        parts,
        remedy,
    )
    .into())
}
