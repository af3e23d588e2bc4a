//! The words: a text encoder that is trained on the captions, and what it makes of them.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use stackgan_data::counted;
use stackgan_data::embeddings::Embeddings;
use stackgan_data::prepared::Prepared;
use stackgan_train::store::write_atomically;
use stackgan_train::text::{ImageInputs, TextTrainConfig, TrainedEncoder};

use super::folder::Folder;
use super::notes::Part;
use crate::encoders::{
    Length, Lesson, Taught, Unfinished, encoded, load_trained, train, training_classes,
};

/// The file of the encoder, and that of its loss by step.
pub(super) const ENCODER: &str = "encoder.safetensors";
pub(super) const LOSSES: &str = "encoder-losses.jsonl";
/// Longest time between two states of the encoder's training in seconds.
const KEEP_EVERY: f64 = 30.0;

/// The encoder, and the captions as it reads them.
pub(super) struct Words {
    /// With its image side.
    pub encoder: TrainedEncoder,
    /// One vector for each caption, not standardised.
    pub embeddings: Arc<Embeddings>,
}

/// Trains the encoder, or goes on, and encodes the captions, unless that is done.
pub(super) fn learnt(demo: &mut Folder<'_>, data: &Prepared) -> Result<Words> {
    let (file, share) = (demo.at(ENCODER), demo.notes.share(Part::Words));
    let (encoder, seconds) = if file.is_file() {
        (load_trained(&file)?, share)
    } else {
        taught(demo, data, (&file, share))?
    };
    Unfinished::forget(&file);
    let encoding = Instant::now();
    let raw = encoder.text.unstandardised(&demo.context.device)?;
    let file = demo.at("embeddings.safetensors");
    let embeddings = Arc::new(encoded(&raw, data, &file, demo.context.manner)?);
    let what = format!("text encoder, {}", counted(encoder.steps, "step"));
    demo.done(Part::Words, what, seconds + encoding.elapsed().as_secs_f64())?;
    Ok(Words { encoder, embeddings })
}

/// Trains the encoder for about so many seconds, and writes it to the file. Also returns the seconds
/// that it took in all sittings.
fn taught(
    demo: &Folder<'_>,
    data: &Prepared,
    (file, share): (&Path, f64),
) -> Result<(TrainedEncoder, f64)> {
    let mut config = TextTrainConfig::small();
    config.batch = config.batch.min(training_classes(data)); // each row is of another species
    let seed = demo.notes.wanted.seed;
    let of = format!("{} {} {seed}", data.fingerprint(), serde_json::to_string(&config)?);
    let (length, images) = (Length::Seconds(share), ImageInputs::Pixels);
    let lesson = Lesson { config: &config, data, images, seed, length };
    demo.stopper.carefully(|stopper| {
        let every = Duration::from_secs_f64((share / 8.0).clamp(0.1, KEEP_EVERY));
        let mut unfinished = Unfinished::beside(file, &of, stopper.clone()).every(every);
        let Taught { encoder, losses, seconds } =
            train(&lesson, &mut unfinished, demo.context.manner)?;
        let mut lines = String::new();
        for (loss, step) in losses.iter().zip(1..) {
            let _ = writeln!(lines, "{}", json!({ "step": step, "loss": loss })); // cannot fail on a String
        }
        write_atomically(&demo.at(LOSSES), lines.as_bytes())?;
        write_atomically(file, &encoder.to_bytes()?)?;
        Ok((encoder, seconds))
    })
}
