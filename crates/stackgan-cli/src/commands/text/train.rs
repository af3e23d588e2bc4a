//! `stackgan text train`: trains the text encoder on a dataset's captions and pictures.

use anyhow::Result;
use serde::Serialize;
use stackgan_data::crop::PictureSize;
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;
use stackgan_train::text::{ImageInputs, Scores, TextTrainConfig, check};

use crate::args::{self, EncoderSize};
use crate::datasets::open_any;
use crate::encoders::{
    Length, Lesson, SMALL_STEPS, Unfinished, check_new, describe_scores, free_name,
    picture_features, scores, train, training_classes, warn_unread, warning, weights_of,
};
use crate::output::{Answer, Form, apart, check_writable, path_text, write_kept};
use crate::progress::Manner;
use crate::signals::{Stopper, in_hours};

/// Number of epochs of the published encoders' training, each of as many steps as there are training
/// classes: 30,000 steps for birds, 16,400 for flowers.
const PUBLISHED_EPOCHS: u64 = 200;

/// Number of steps of the longest published training. Pictures without classes are classes of their
/// own, of which there may be very many.
const MOST_STEPS: u64 = 30_000;

/// Trains, writes the encoder, and says how well it does.
pub(super) fn run(args: &args::TextTrain, manner: Manner) -> Result<()> {
    let mut config = match args.size {
        EncoderSize::Toy => TextTrainConfig::small(),
        EncoderSize::Paper => TextTrainConfig::published(),
    };
    config.encoder.recurrence = args.recurrence.into();
    config.lr = args.lr.unwrap_or(config.lr);
    config.batch = args.batch.unwrap_or(config.batch);
    config.check()?; // before an import of hours, as the next ones
    let weights = args.features.as_deref().map(weights_of).transpose()?;
    apart(&[Some(&args.data), weights.as_deref()], &[("--out", Some(&args.out))])?;
    check_writable(&args.out)?;
    check_new(&args.out)?;
    // The pretrained network reads larger pictures than our own.
    let size = if weights.is_some() { PictureSize::Stage2 } else { PictureSize::Stage1 };
    let data = open_any(&args.data, &[size], manner)?;
    let classes = training_classes(&data);
    if args.batch.is_none() {
        // Each row of a batch is of another class, so a small dataset has smaller batches.
        config.batch = config.batch.min(classes).max(2);
    }
    let steps = match args.size {
        EncoderSize::Toy => SMALL_STEPS,
        EncoderSize::Paper => (PUBLISHED_EPOCHS * classes as u64).min(MOST_STEPS),
    };
    check(&config, &*data, &data.indices(Split::Train))?;
    let features = match &weights {
        Some(weights) => {
            Some(picture_features((weights, args.features_side.into()), &data, manner)?)
        }
        None => None,
    };
    if let Some(features) = &features {
        config.image = features.side()?;
    }
    let images = features.as_ref().map_or(ImageInputs::Pixels, ImageInputs::Features);
    let length = Length::Steps(args.steps.unwrap_or(steps));
    let of = identity((&config, &data), images, args.seed, length)?;
    warn_unread(data.all_captions(), config.encoder.alphabet, manner);
    let lesson = Lesson { config: &config, data: &data, images, seed: args.seed, length };
    let stopper = Stopper::listen()?.until(args.max_hours.map(in_hours));
    let mut unfinished = Unfinished::beside(&args.out, &of, stopper.clone());
    let encoder = train(&lesson, &mut unfinished, manner)?.encoder;
    let out = free_name(&args.out);
    if out != args.out {
        let (taken, out) = (args.out.display(), out.display());
        manner.say(format!("another file took the name {taken} meanwhile: the encoder is {out}"));
    }
    write_kept(&out, &encoder.to_bytes()?)?;
    Unfinished::forget(&args.out);
    let unscored = "stopped before the encoder is scored; it is written";
    let stopper = stopper.or_end(manner, unscored.to_owned());
    stopper.check_signal(unscored)?;
    let (file, scores) = (path_text(&out), scores(&encoder, (&data, images), args.seed)?);
    let (fingerprint, steps) = (encoder.text.bare_fingerprint().to_owned(), encoder.steps);
    Form::from(args.json).show(&Trained { file, fingerprint, steps, scores })?;
    manner.say(describe_scores(scores.as_ref()));
    if let Some(warning) = warning(scores.as_ref(), &args.data).filter(|_| weights.is_none()) {
        manner.say(warning);
    }
    Ok(())
}

/// An encoder that was trained.
#[derive(Serialize)]
struct Trained {
    file: String,
    fingerprint: String,
    /// Number of steps of the training.
    steps: u64,
    /// How well it tells unseen classes; `None` if there are too few.
    scores: Option<Scores>,
}

impl Answer for Trained {
    fn lines(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}

/// Everything that determines the result of a training.
fn identity(
    (config, data): (&TextTrainConfig, &Prepared),
    images: ImageInputs<'_>,
    seed: u64,
    length: Length,
) -> Result<String> {
    let looks_at = match images {
        ImageInputs::Pixels => "pixels".to_owned(),
        ImageInputs::Features(features) => format!("{:?}", features.side()?),
    };
    let config = serde_json::to_string(config)?;
    let (of, pixels) = (data.fingerprint(), data.pixels());
    Ok(format!("{of} {pixels} {config} {looks_at} {seed} {length:?}"))
}
