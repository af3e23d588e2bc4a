//! The training of a char-CNN-RNN with its image side.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;
use stackgan_core::noise::Noise;
use stackgan_data::counted;
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;
use stackgan_train::text::{
    ImageInputs, TextEvent, TextRun, TextTrainConfig, TextTraining, TrainedEncoder,
};

use super::unfinished::Unfinished;
use crate::progress::{Manner, Phase};

/// Default number of steps of a small encoder's training.
pub(crate) const SMALL_STEPS: u64 = 2500;
/// Number of steps whose mean loss is printed at the end, because a single step's loss depends
/// mostly on its batch.
const LAST: usize = 50;

/// Number of classes of the training split.
pub(crate) fn training_classes(data: &Prepared) -> usize {
    let train = data.indices(Split::Train);
    train.into_iter().filter_map(|i| data.class(i)).collect::<BTreeSet<_>>().len()
}

/// The length of an encoder's training.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// A number of steps; equal seeds give equal bits.
    Steps(u64),
    /// A number of seconds.
    Seconds(f64),
}

/// An encoder's training.
pub(crate) struct Lesson<'a> {
    /// The settings.
    pub config: &'a TextTrainConfig,
    /// Pictures and captions; the training split is used.
    pub data: &'a Prepared,
    /// The input of the image side.
    pub images: ImageInputs<'a>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The length of the training.
    pub length: Length,
}

/// A trained encoder, and its training in all sittings.
pub(crate) struct Taught {
    /// The encoder.
    pub encoder: TrainedEncoder,
    /// The loss by step.
    pub losses: Vec<f32>,
    /// Seconds.
    pub seconds: f64,
}

/// Trains an encoder, which goes on where an `unfinished` training was. The caller writes the encoder
/// and then forgets that.
///
/// # Errors
/// Errors of the training; [`Stopped`](crate::exit::Stopped).
pub(crate) fn train(
    lesson: &Lesson<'_>,
    unfinished: &mut Unfinished,
    manner: Manner,
) -> Result<Taught> {
    let (started, left) = (Instant::now(), unfinished.read()?);
    let before = left.as_ref().map_or(0.0, |left| left.seconds);
    let spent = || before + started.elapsed().as_secs_f64();
    let done = |step: u64| match lesson.length {
        Length::Steps(steps) => step as f64 / steps.max(1) as f64,
        Length::Seconds(seconds) => spent() / seconds.max(1e-3),
    };
    let (total, unit) = match lesson.length {
        Length::Steps(steps) => (steps, "steps"),
        Length::Seconds(seconds) => (seconds as u64, "seconds"),
    };
    let mut phase = Phase::new(manner, "text encoder", total, unit);
    let run = TextRun {
        config: lesson.config,
        source: lesson.data,
        images: lesson.images,
        pictures: &lesson.data.indices(Split::Train),
        noise: Noise::new(lesson.seed),
        done: &done,
    };
    let (mut training, mut losses) = match left {
        None => (TextTraining::begin(&run)?, Vec::new()),
        Some(left) => {
            let training = TextTraining::resume(&run, &left.state)?;
            phase.say(&format!("text encoder: goes on at step {}", training.steps()));
            (training, left.losses)
        }
    };
    while let Some(TextEvent { step, loss, .. }) = training.step()? {
        losses.push(loss as f32); // which it is
        phase.note(format!("step {step}  loss {loss:.3}"));
        phase.at(match lesson.length {
            Length::Steps(_) => step,
            Length::Seconds(_) => spent() as u64,
        });
        unfinished.look(&training, (&losses, spent()))?;
    }
    let last = losses.iter().rev().take(LAST).map(|loss| f64::from(*loss));
    let mean = last.sum::<f64>() / losses.len().clamp(1, LAST) as f64;
    let steps = counted(training.steps(), "step");
    let encoder = training.finish()?;
    phase.finish(&format!("{steps}, loss {mean:.3} in the last of them"));
    Ok(Taught { encoder, losses, seconds: spent() })
}
