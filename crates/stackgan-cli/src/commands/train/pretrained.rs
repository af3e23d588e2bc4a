//! The networks through which the losses of a run look, from the encoder and from `--features`.

use anyhow::Result;
use stackgan_eval::features::efficientnet_lite;
use stackgan_train::config::TrainConfig;
use stackgan_train::matching::Matcher;
use stackgan_train::projected::Projection;
use stackgan_train::text::{ImageSide, TrainedEncoder};

use crate::config::Layers;
use crate::context::Context;
use crate::encoders::{self, picture_network};
use crate::exit::Problem;
use crate::run::Record;

/// Returns what makes maps of pictures for the second discriminator: the network of `--features`.
pub(super) fn projection(
    wanted: &Record,
    (config, layers): (&TrainConfig, &Layers),
    context: &Context,
) -> Result<Option<Projection>> {
    if config.loss.projected == 0.0 {
        return Ok(None);
    }
    if let Some(file) = &wanted.features {
        let network = picture_network(file, efficientnet_lite::SIDE, &context.device)?;
        return Ok(Some(Projection::of(&network, &context.device)?));
    }
    let key = "loss.projected";
    let origin = layers.origin(key).map(ToString::to_string).unwrap_or_default();
    let parts = ("weights of a network that knows pictures", "no `--features`");
    let remedy = "name weights of EfficientNet-Lite0, `--features FILE`; or do without, `--set loss.projected=0`";
    let what = "a second discriminator has nothing to see pictures through";
    Err(Problem::usage(what, format!("{key}, from: {origin}"), parts, remedy).into())
}

/// Returns the image side of `small`, an encoder that was trained for this run, or of the given one,
/// together with the network given by `--features`. If there is none that can look at pictures, a matching weight from a preset is set
/// to 0 with a message; any other one is an error.
pub(super) fn matcher(
    small: Option<TrainedEncoder>,
    wanted: &Record,
    (config, layers): (&mut TrainConfig, &Layers),
    context: &Context,
) -> Result<Option<Matcher>> {
    let key = "loss.matching";
    let projected = config.loss.projected > 0.0; // by the same features
    let unused = |why: &str| {
        if wanted.features.is_some() && !projected {
            context.manner.say(format!("warning: `--features` is not used: {why}"));
        }
    };
    if config.loss.matching == 0.0 {
        unused("loss.matching = 0");
        return Ok(None);
    }
    let trained = match (small, &wanted.encoder) {
        (None, Some(name)) => encoders::with_image_side(name)?,
        (small, _) => small,
    };
    let missing = match trained {
        None => {
            unused("the text encoder has no image side");
            "the text encoder has no image side"
        }
        Some(trained) => match (&trained.config.image, &wanted.features) {
            (ImageSide::Features { .. }, None) => {
                "the text encoder's image side reads features, and `--features` names no network that makes them"
            }
            (ImageSide::Features { side, .. }, Some(file)) => {
                let network = picture_network(file, *side, &context.device)?;
                return Ok(Some(Matcher::of(&trained, Some(network), &context.device)?));
            }
            (ImageSide::Convolutions { .. }, _) => {
                unused("the text encoder looks at pixels");
                return Ok(Some(Matcher::of(&trained, None, &context.device)?));
            }
        },
    };
    let Some(origin) = layers.chosen(key) else {
        config.loss.matching = 0.0;
        context.manner.say(format!("{key} = 0: {missing}"));
        return Ok(None);
    };
    let parts = ("one that pictures can be matched with".to_owned(), missing.to_owned());
    let remedy = "name the file of `stackgan text train`, `--encoder FILE`, and the `--features FILE` that it was trained with, if any; or set `loss.matching=0`";
    let what = "pictures cannot be matched with their captions";
    Err(Problem::usage(what, format!("{key}, from: {origin}"), parts, remedy).into())
}
