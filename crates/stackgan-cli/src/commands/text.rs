//! `stackgan text`: trains the text encoder, imports published weights, and encodes captions.
//! `train` and `demo` use the same functions.

mod import;
mod unfinished;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use stackgan_core::noise::Noise;
use stackgan_core::text::TextEncoder;
use stackgan_core::text::alphabet::AlphabetOptions;
use stackgan_data::counted;
use stackgan_data::crop::PictureSize;
use stackgan_data::dataset::Split;
use stackgan_data::embeddings::{Embeddings, EmbeddingsWriter};
use stackgan_data::prepared::Prepared;
use stackgan_eval::r_precision::RPrecision;
use stackgan_train::text::{
    ImageInputs, Scores, TextEvent, TextRun, TextTrainConfig, TextTraining, TrainedEncoder,
    evaluate,
};

use super::encoders::Encoder;
use super::unread::unread_of;
use super::{
    Context, apart, captions, check_writable, encoders, features, print, sources, write_file,
};
use crate::args::{self, EncoderSize};
use crate::exit::Problem;
use crate::progress::{Manner, Phase};
use crate::signals::Stopper;

pub(crate) use unfinished::{Stopped, Unfinished};

/// Default number of steps of a small encoder's training.
pub(crate) const SMALL_STEPS: u64 = 2500;
/// Number of steps of the published encoder's training: 200 epochs of 150 classes.
const PUBLISHED_STEPS: u64 = 30_000;
/// Number of steps whose mean loss is printed at the end, because a single step's loss depends
/// mostly on its batch.
const LAST: usize = 50;
/// Number of captions encoded at a time.
const CHUNK: usize = 1024;

/// Runs the subcommand.
pub(super) fn run(args: args::Text, context: &Context) -> Result<()> {
    match args {
        args::Text::Train(args) => train_command(&args, context),
        args::Text::Encode(args) => encode_command(&args, context),
        args::Text::Import(args) => import::run(&args, context),
    }
}

fn train_command(args: &args::TextTrain, context: &Context) -> Result<()> {
    let (mut config, steps) = match args.size {
        EncoderSize::Toy => (TextTrainConfig::small(), SMALL_STEPS),
        EncoderSize::Paper => (TextTrainConfig::published(), PUBLISHED_STEPS),
    };
    config.lr = args.lr.unwrap_or(config.lr);
    apart(&[Some(&args.data), args.features.as_deref()], &[("--out", Some(&args.out))])?;
    check_writable(&args.out)?;
    args.features.as_deref().map_or(Ok(()), features::check)?; // before an import of hours
    // The pretrained network reads larger pictures than our own.
    let size = if args.features.is_some() { PictureSize::Stage2 } else { PictureSize::Stage1 };
    let data = sources::open_any(&args.data, &[size], context)?;
    let features = match &args.features {
        Some(weights) => Some(features::of((weights, args.features_side.into()), &data, context)?),
        None => None,
    };
    if let Some(features) = &features {
        config.image = features.side()?;
    }
    let images = features.as_ref().map_or(ImageInputs::Pixels, ImageInputs::Features);
    // Each row of a batch is of another class, so a small dataset has smaller batches.
    config.batch = args.batch.unwrap_or_else(|| config.batch.min(classes(&data)).max(2));
    let length = Length::Steps(args.steps.unwrap_or(steps));
    let stopper = Stopper::listen()?.within_hours(args.max_hours);
    let of = identity((&config, &data), images, args.seed, length)?;
    let unfinished = Unfinished::beside(&args.out, &of, stopper);
    warn_unread(data.all_captions(), config.encoder.alphabet, context.manner);
    let lesson = Lesson { config: &config, data: &data, images, seed: args.seed, length };
    let (encoder, _) = train(&lesson, Some(unfinished), context.manner)?;
    write_file(&args.out, &encoder.to_bytes()?)?;
    print(args.out.display())?;
    context.manner.say(match scores(&encoder, (&data, images), args.seed)? {
        Some(scores) => describe(&scores),
        None => "no score: the test split has captions of fewer than two classes".to_owned(),
    });
    Ok(())
}

/// Number of classes of the training split.
pub(crate) fn classes(data: &Prepared) -> usize {
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

/// Everything that determines the result of a training.
pub(crate) fn identity(
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
    Ok(format!("{} {config} {looks_at} {seed} {length:?}", data.fingerprint()))
}

/// Trains an encoder. Also returns the loss by step. With `unfinished`, the training can be stopped
/// and goes on where it was.
///
/// # Errors
/// Errors of the training; [`Stopped`].
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

/// Warns about captions that an encoder with this alphabet does not read completely.
pub(crate) fn warn_unread(captions: &[String], alphabet: AlphabetOptions, manner: Manner) {
    if let Some(text) = unread_of(captions, alphabet) {
        manner.say(format!("warning: {text}"));
    }
}

/// Scores an encoder on the classes that it has not seen; `None` if there are too few.
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
    let classes: BTreeSet<u32> = unseen.iter().filter_map(|&i| data.class(i)).collect();
    if classes.len() < 2 {
        return Ok(None);
    }
    Ok(Some(evaluate(encoder, (data, images), &unseen, Noise::new(seed))?))
}

/// The scores in one sentence.
pub(crate) fn describe(scores: &Scores) -> String {
    let precision = |r: Option<RPrecision>| {
        let among = |r: RPrecision| format!("{:.2} ± {:.2}", r.mean, r.standard_error);
        r.map_or_else(|| "not measured, too few different captions".to_owned(), among)
    };
    format!(
        "on real pictures of unseen classes: top-1 {:.2} of {}, AP@50 {:.2}, R-precision among ten {} (one caption), {} (mean of four)",
        scores.top1,
        scores.classes,
        scores.ap50,
        precision(scores.r10_one),
        precision(scores.r10_four)
    )
}

fn encode_command(args: &args::TextEncode, context: &Context) -> Result<()> {
    let read = [Some(args.encoder.as_path()), args.data.as_deref(), args.captions.as_deref()];
    apart(&read, &[("--output", Some(&args.output))])?;
    let output = regular(&args.output)?;
    let encoder = encoders::open(&args.encoder, context)?;
    match &args.data {
        Some(data) => {
            let data = sources::open_any(data, sources::ANY_SIZE, context)?;
            if let Encoder::CharCnnRnn(encoder) = &encoder {
                warn_unread(data.all_captions(), encoder.config().alphabet, context.manner);
            }
            encode(encoder.text(), &data, &output, context.manner)?;
        }
        None => {
            let captions = captions::of(&args.prompt, args.captions.as_deref(), CHUNK)?;
            let captions = captions.collect::<Result<Vec<_>>>()?.concat();
            let create =
                |dim, print: &str| Embeddings::create_with_captions(&output, dim, print, &captions);
            write(encoder.text(), &captions, (&output, &create), context.manner)?;
        }
    }
    print(args.output.display())
}

/// The file that a link leads to, or the path itself if nothing is there. A file of embeddings gets
/// its name when it is complete, so it cannot be a pipe or a device.
///
/// # Errors
/// Code 2 for something that is not a file.
fn regular(path: &Path) -> Result<PathBuf> {
    match path.metadata() {
        Ok(facts) if !facts.is_file() => {
            let place = format!("option: --output {}", path.display());
            let parts = ("a file", "a folder, a pipe or a device");
            let what = "embeddings cannot be written there";
            Err(Problem::usage(what, place, parts, "name a file").into())
        }
        Ok(_) => Ok(path.canonicalize().map_err(|e| Problem::storage(path, &e))?),
        Err(_) => Ok(path.to_path_buf()),
    }
}

/// Encodes every caption of `data` and writes the embeddings to `output`.
///
/// # Errors
/// Errors of the encoder or the storage.
pub(crate) fn encode(
    encoder: &dyn TextEncoder,
    data: &Prepared,
    output: &Path,
    manner: Manner,
) -> Result<Embeddings> {
    let captions = data.all_captions();
    let create = |dim, print: &str| {
        Embeddings::create(output, dim, captions.len(), print, data.fingerprint())
    };
    write(encoder, captions, (output, &create), manner)?;
    Ok(Embeddings::open(output)?)
}

/// Creates a file of embeddings of a width, by an encoder with a fingerprint.
type Create<'a> = &'a dyn Fn(usize, &str) -> stackgan_data::Result<EmbeddingsWriter>;

/// Writes the embeddings of captions.
fn write(
    encoder: &dyn TextEncoder,
    captions: &[String],
    (output, create): (&Path, Create<'_>),
    manner: Manner,
) -> Result<()> {
    if let Some(parent) = output.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|e| Problem::storage(parent, &e))?;
    }
    let mut phase = Phase::new(manner, "encoding captions", captions.len() as u64, "captions");
    let (dim, print) = (encoder.dim(), encoder.fingerprint());
    let mut writer = create(dim, &print)?;
    let mut done = 0;
    for chunk in captions.chunks(CHUNK) {
        let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
        writer.append(&encoder.encode(&chunk)?.flatten_all()?.to_vec1::<f32>()?)?;
        done += chunk.len() as u64;
        phase.at(done);
    }
    writer.finish()?;
    phase.finish(&format!("{}, {} each", counted(done, "caption"), counted(dim, "number")));
    Ok(())
}
