//! The source of a run's embeddings: an encoder, found or trained, or embeddings from elsewhere.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::Model;
use stackgan_core::digest::{sha256, short};
use stackgan_data::crop::PictureSize;
use stackgan_data::embeddings::{Embeddings, UNKNOWN};
use stackgan_data::prepared::Prepared;
use stackgan_train::config::TrainConfig;
use stackgan_train::text::{ImageInputs, TextTrainConfig, TrainedEncoder};

use super::writable::check_made;
use crate::config::Layers;
use crate::context::Context;
use crate::datasets::{Cache, embeddings_of, open, resizing};
use crate::encoders::{
    self, Encoder, Length, Lesson, SMALL_STEPS, Unfinished, better_encoder, describe_scores,
    scores, train, training_classes, warn_unread, warning,
};
use crate::exit::Problem;
use crate::output::{quoted, write_kept};
use crate::progress::Manner;
use crate::run::Record;
use crate::signals::Stopper;

/// The presets whose embeddings are as wide as those of a small encoder.
const SMALL: [&str; 3] = ["toy", "photo", "photo-projected"];

/// What is said when a signal ends the program before the first step.
pub(super) const STOPPED: &str = "stopped before the training; the same command goes on";

/// Where the embeddings come from.
pub(super) enum Text {
    /// The given encoder, or that of the model that the run builds on or starts from, because its
    /// networks have learnt the vectors of that one.
    Encoder(Encoder),
    /// A file of imported embeddings.
    Imported(PathBuf),
    /// A small encoder, trained on the data's captions.
    Small,
}

impl Text {
    /// Chooses what was given; else the encoder that a run `kept`; else that of `base`, the Stage-I
    /// model of Stage-II or the model that Stage-I starts from; else embeddings imported beside the data;
    /// else, with a preset of small networks, a small encoder.
    ///
    /// # Errors
    /// Code 4, with the commands that make what is missing.
    pub(super) fn choose(
        wanted: &Record,
        data: &Path,
        (base, kept): (Option<&Model>, Option<&Path>),
        context: &Context,
    ) -> Result<Self> {
        if let Some(encoder) = &wanted.encoder {
            return Ok(Self::Encoder(encoders::open(encoder, context)?));
        }
        if let Some(file) = &wanted.embeddings {
            return Ok(Self::Imported(file.clone()));
        }
        if let Some(file) = kept {
            return Ok(Self::Encoder(encoders::open(file, context)?));
        }
        if let Some(encoder) = base.map(|model| encoder_of(model, context)).transpose()?.flatten() {
            return Ok(Self::Encoder(encoder));
        }
        if let Some(beside) = embeddings_of(data) {
            return Ok(Self::Imported(beside));
        }
        if base.is_some_and(|model| !model.encoder_fingerprint().is_empty()) {
            let what = match &wanted.stage1 {
                Some(_) => {
                    "the Stage-I model was trained with embeddings, and holds no text encoder"
                }
                None => {
                    "the model of `--init-from` was trained with embeddings, and holds no text encoder"
                }
            };
            let remedy = "name them: `--embeddings FILE`; or the encoder that made them: `--encoder ENCODER`";
            let expected = "the embeddings of its training";
            return Err(Problem::missing(what, "option: --embeddings", expected, remedy).into());
        }
        if SMALL.contains(&&*wanted.preset) {
            return Ok(Self::Small);
        }
        let released = data.join("train").join("char-CNN-RNN-embeddings.pickle").is_file();
        let (data, better) = (quoted(data), better_encoder(data));
        let train = format!("train one on the dataset's captions: `{better}` (docs/encoders.md)");
        let remedy = if released {
            format!(
                "import the release's embeddings, which are there: `stackgan data import {data} --embeddings {data}`, with `--made-by ENCODER` if sentences are to be typed (docs/reproducing.md); or {train}"
            )
        } else {
            format!(
                "{train}; or import embeddings: `stackgan data import {data} --embeddings PATH`"
            )
        };
        let (what, expected) =
            ("there is no text encoder", "an encoder file, or imported embeddings");
        Err(Problem::missing(what, "option: --encoder", expected, remedy).into())
    }
}

/// Returns the encoder that a model names, or a copy of the one that it contains, without
/// standardisation.
fn encoder_of(model: &Model, context: &Context) -> Result<Option<Encoder>> {
    if let Some(source) = &model.info().encoder_source {
        return encoders::of_model(source, context).map(Some);
    }
    let Some(encoder) = model.encoder() else { return Ok(None) };
    Ok(Some(Encoder::CharCnnRnn(Box::new(encoder.unstandardised(model.device())?))))
}

/// Returns the settings of an encoder that is trained on the data's own captions. It is as wide as
/// the run's settings say, if they give a width.
pub(super) fn small_config(config: &TrainConfig, layers: &Layers) -> TextTrainConfig {
    let mut text_config = TextTrainConfig::small();
    if layers.chosen("net.text_dim").is_some() {
        text_config.encoder.dim = config.net.text_dim;
    }
    text_config
}

/// Trains an encoder on the data's own captions unless `stopper` ends it, or finds it if it was
/// trained before.
///
/// # Errors
/// Code 6 before the training if the encoder cannot be written.
pub(super) fn small_encoder(
    (path, cache): (&Path, &Cache),
    data: &Prepared,
    (config, layers): (&TrainConfig, &Layers),
    (stopper, manner): (&Stopper, Manner),
) -> Result<TrainedEncoder> {
    let mut text_config = small_config(config, layers);
    let recipe = serde_json::to_string(&text_config)?;
    let (of, pixels, seed) = (data.fingerprint(), data.pixels(), config.seed);
    let key = format!("{of} {pixels} {recipe} {SMALL_STEPS} {seed}");
    let name = format!("encoder-{}.safetensors", short(&sha256(key.as_bytes())));
    let found = cache.find(&name, |file| Some((encoders::load_trained(&file).ok()?, file)));
    if let Some((encoder, file)) = found {
        manner.say(format!("text encoder {}", file.display()));
        return Ok(encoder);
    }
    let file = cache.new_file(&name);
    check_made(&file)?; // before minutes of training
    // The encoder looks at small pictures, whatever the stage.
    let small;
    let data = if data.size() == PictureSize::Stage1 || path.is_file() {
        data
    } else {
        small = open(path, (PictureSize::Stage1, resizing(config.net.recipe)), manner)?;
        &small
    };
    text_config.batch = text_config.batch.min(training_classes(data)).max(2);
    let length = Length::Steps(SMALL_STEPS);
    let images = ImageInputs::Pixels;
    warn_unread(data.all_captions(), text_config.encoder.alphabet, manner);
    let lesson = Lesson { config: &text_config, data, images, seed: config.seed, length };
    let encoder = stopper.carefully(|stopper| -> Result<_> {
        let mut unfinished = Unfinished::beside(&file, &key, stopper.clone());
        let encoder = train(&lesson, &mut unfinished, manner)?.encoder;
        write_kept(&file, &encoder.to_bytes()?)?;
        Unfinished::forget(&file);
        Ok(encoder)
    })?;
    stopper.check_signal(STOPPED)?;
    let scores = scores(&encoder, (data, images), config.seed)?;
    manner.say(describe_scores(scores.as_ref()));
    if let Some(warning) = warning(scores.as_ref(), path) {
        manner.say(warning);
    }
    Ok(encoder)
}

/// What `generate` does with a model that was trained on embeddings of a known encoder.
const READS: &str = "reads sentences with it if `--encoder` names the one that made them";

/// Opens embeddings from elsewhere, and checks that they belong to this dataset.
pub(super) fn imported(file: &Path, data: &Prepared, manner: Manner) -> Result<Embeddings> {
    let embeddings = Embeddings::open(file)?;
    embeddings.check(data)?;
    let unknown = embeddings.encoder().starts_with(UNKNOWN);
    let (file, how) =
        (file.display(), if unknown { "cannot read sentences with it" } else { READS });
    manner.say(format!(
        "embeddings {file}: the model will have no text encoder of its own, and `generate` {how}"
    ));
    Ok(embeddings)
}
