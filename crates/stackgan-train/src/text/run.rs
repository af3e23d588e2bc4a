//! The training loop of the text encoder.

use candle_core::{Device, Tensor};
use stackgan_core::gan::Mode;
use stackgan_core::noise::{Noise, Stream};
use stackgan_core::text::alphabet::indices;
use stackgan_core::text::losses::{contrastive, symmetric_joint_embedding};
use stackgan_core::text::{CharCnnRnn, CharCnnRnnEncoder, Standardise};
use stackgan_core::{Params, text::TextEncoder as _};

use super::batches::{Batches, Row};
use super::optimiser::State;
use super::{ImageEncoder, Loss, SIDE, TextSource, TextTrainConfig, TrainedEncoder};
use crate::{Error, Result};

/// Captions from which the standardisation is taken: one of each of this many pictures at most.
const STANDARDISE_ON: usize = 4096;

/// What a training is made of.
pub struct TextRun<'a> {
    /// The settings.
    pub config: &'a TextTrainConfig,
    /// Pictures and captions.
    pub source: &'a dyn TextSource,
    /// The pictures to train on.
    pub pictures: &'a [usize],
    /// All randomness.
    pub noise: Noise,
    /// The fraction of the run that is over before a step, from 0; the run ends where it is 1 or more. For a run of
    /// `n` steps this is `step / n`, and equal seeds give equal bits; a caller with a clock can end a run by time.
    pub done: &'a dyn Fn(u64) -> f64,
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TextEvent {
    /// A step was taken.
    Step {
        /// Steps taken so far.
        step: u64,
        /// The fraction of the run that was over before it.
        done: f64,
        /// The loss.
        loss: f64,
        /// The learning rate.
        lr: f64,
    },
}

/// Trains a text encoder and its image encoder.
///
/// # Errors
/// [`Error::Config`] when a setting is out of range or there are fewer classes than rows; [`Error::NonFinite`] when the
/// loss is no number; whatever `source` reports.
pub fn train_encoder(run: &TextRun, on_event: &mut dyn FnMut(TextEvent)) -> Result<TrainedEncoder> {
    let TextRun { config, source, noise, .. } = *run;
    config.check()?;
    let text_params = Params::fresh(noise, "text", &Device::Cpu);
    let image_params = Params::fresh(noise, "image", &Device::Cpu);
    let text = CharCnnRnn::new(&config.encoder, &text_params.trained())?;
    let image =
        ImageEncoder::new(&config.image_channels, config.encoder.dim, &image_params.trained())?;
    let mut optimiser = State::new(config.optimiser, &[&image_params, &text_params])?;
    let mut batches = Batches::new(source, run.pictures, config.batch, config.hard_batches)?;

    let mut step = 0;
    loop {
        let done = (run.done)(step);
        if done >= 1.0 {
            break;
        }
        let rows = batches.rows(source, noise, step);
        let texts = text.forward(&read_captions(run, &rows))?;
        let images = image.forward(&read_pictures(source, &rows)?, Mode::Train)?;
        let loss = match config.loss {
            Loss::JointEmbedding => symmetric_joint_embedding(&images, &texts)?,
            Loss::Contrastive => contrastive(&images, &texts, &image.scale()?)?,
        };
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(non_finite(step, value));
        }
        let lr = config.lr * config.decay.factor(step, batches.classes(), done);
        optimiser.step(&loss.backward()?, lr)?;
        if config.hard_batches.is_some() {
            batches.follow(&rows, &texts.to_vec2()?);
        }
        step += 1;
        on_event(TextEvent::Step { step, done, loss: value, lr });
    }

    let mut text = CharCnnRnnEncoder::new(config.encoder, text_params, None)?;
    if config.embedding_standardise {
        let standardise = fit_standardise(run, &text)?;
        text = text.with_standardise(Some(standardise))?;
    }
    TrainedEncoder::new(config.clone(), text, image_params, step)
}

fn read_captions(
    run: &TextRun,
    rows: &[Row],
) -> Vec<stackgan_core::text::alphabet::CaptionIndices> {
    let caption =
        |row: &Row| run.source.captions(row.picture).get(row.caption).map_or("", String::as_str);
    rows.iter().map(|row| indices(caption(row), run.config.encoder.alphabet)).collect()
}

fn read_pictures(source: &dyn TextSource, rows: &[Row]) -> Result<Tensor> {
    let mut pixels = Vec::with_capacity(rows.len() * 3 * SIDE * SIDE);
    for row in rows {
        row.push_pixels(source, &mut pixels)?;
    }
    Ok(Tensor::from_vec(pixels, (rows.len(), 3, SIDE, SIDE), &Device::Cpu)?)
}

/// Mean and deviation over one random caption of each training picture, of at most [`STANDARDISE_ON`] pictures.
fn fit_standardise(run: &TextRun, text: &CharCnnRnnEncoder) -> Result<Standardise> {
    let mut draws = run.noise.draws(Stream::TextBatch, u64::MAX, 0);
    let mut pictures = run.pictures.to_vec();
    draws.shuffle(&mut pictures);
    let chosen: Vec<&str> = pictures
        .iter()
        .filter_map(|&picture| draws.choose(run.source.captions(picture)).map(String::as_str))
        .take(STANDARDISE_ON)
        .collect();
    Ok(Standardise::fit(&text.encode(&chosen)?)?)
}

fn non_finite(step: u64, value: f64) -> Error {
    Error::NonFinite {
        step,
        term: "loss of the text encoder".to_owned(),
        value,
        remedy: "lower `text.lr`, or train with another seed".to_owned(),
    }
}
