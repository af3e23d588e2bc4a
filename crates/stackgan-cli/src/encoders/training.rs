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

/// Trains an encoder. Also returns the loss by step. With `unfinished`, the training can be stopped
/// and goes on where it was.
///
/// # Errors
/// Errors of the training; [`Stopped`](crate::exit::Stopped).
pub(crate) fn train(
    lesson: &Lesson<'_>,
    mut unfinished: Option<Unfinished>,
    manner: Manner,
) -> Result<(TrainedEncoder, Vec<(f64, f64)>)> {
    let started = Instant::now();
    let done = |step: u64| match lesson.length {
        Length::Steps(steps) => step as f64 / steps.max(1) as f64,
        Length::Seconds(seconds) => started.elapsed().as_secs_f64() / seconds.max(1e-3),
    };
    let (total, unit) = match lesson.length {
        Length::Steps(steps) => (steps, "steps"),
        Length::Seconds(seconds) => (seconds as u64, "seconds"),
    };
    let mut phase = Phase::new(manner, "text encoder", total, unit);
    let mut losses = Vec::new();
    let run = TextRun {
        config: lesson.config,
        source: lesson.data,
        images: lesson.images,
        pictures: &lesson.data.indices(Split::Train),
        noise: Noise::new(lesson.seed),
        done: &done,
    };
    let state = unfinished.as_ref().map(Unfinished::read).transpose()?.flatten();
    let mut training = match state {
        None => TextTraining::begin(&run)?,
        Some(state) => {
            let training = TextTraining::resume(&run, &state)?;
            manner.say(format!("text encoder: goes on at step {}", training.steps()));
            training
        }
    };
    while let Some(event) = training.step()? {
        if let TextEvent::Step { step, loss, .. } = event {
            losses.push((step as f64, loss));
            phase.note(format!("step {step}  loss {loss:.3}"));
            phase.at(match lesson.length {
                Length::Steps(_) => step,
                Length::Seconds(_) => started.elapsed().as_secs(),
            });
        }
        if let Some(unfinished) = &mut unfinished {
            unfinished.look(&training)?;
        }
    }
    let encoder = training.finish()?;
    if let Some(unfinished) = unfinished {
        unfinished.remove();
    }
    let last = losses.iter().rev().take(LAST).map(|(_, loss)| loss);
    let mean = last.sum::<f64>() / losses.len().clamp(1, LAST) as f64;
    phase.finish(&format!("{}, loss {mean:.3} in the last of them", counted(losses.len(), "step")));
    Ok((encoder, losses))
}
