//! The inputs of a run: prepared data; embeddings, either imported or with the text encoder that
//! makes them; and for Stage-II a Stage-I model. What is missing is made if that takes minutes and
//! needs nothing from outside. Otherwise an error names the command that makes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use stackgan_core::text::{CharCnnRnnEncoder, TextEncoder, short_fingerprint};
use stackgan_core::{Model, Stage};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::prepared::{Damaged, Prepared};
use stackgan_train::config::{TrainConfig, picture_size};
use stackgan_train::origins::Origins;
use stackgan_train::run::plan_over;
use stackgan_train::{Pretrained, Shown};

use super::estimate;
use super::evaluation::Evaluation;
use super::kept::Kept;
use super::pretrained::{matcher, projection};
use super::reading::{Text, imported, small_encoder};
use super::sentences::Sentences;
use super::stage1;
use crate::config::Layers;
use crate::context::Context;
use crate::datasets::{Cache, FolderOptions, home, of_preset, open, read, resizing};
use crate::encoders::{Encoder, encoded_once, warn_unread_by};
use crate::exit::Problem;
use crate::models::load;
use crate::progress::Manner;
use crate::run::{Record, lasting};
use crate::signals::Stopper;

/// The inputs of a run.
pub(super) struct Inputs {
    pub data: Arc<Prepared>,
    pub embeddings: Arc<Embeddings>,
    /// `None` if the embeddings were imported, or if their encoder does not become part of the
    /// model.
    pub encoder: Option<CharCnnRnnEncoder>,
    /// Where to get such an encoder.
    pub encoder_source: Option<String>,
    /// Whether the encoder came with the model that Stage-I starts from.
    pub brought: bool,
    /// The networks through which losses look.
    pub pretrained: Pretrained,
    pub stage1: Option<Model>,
    /// Sentences of one's own for the grids, with their vectors.
    pub shown: Option<Shown>,
}

/// What is known before the inputs are.
pub(super) struct Before<'a> {
    /// What a run that goes on was given.
    pub origins: Option<&'a Origins>,
    /// What is said once nothing is missing, before anything is made.
    pub note: Option<&'a str>,
    /// Sentences of one's own for the grids.
    pub sentences: &'a Sentences,
    /// What a run that goes on has in its folder.
    pub kept: &'a Kept,
}

impl Inputs {
    /// Finds or makes all inputs, and records which were found. Sets the settings' text width to
    /// the encoder's, unless it was given. A run that goes on is refused others than it began with as
    /// soon as they are known; an encoder is trained unless `stopper` ends it.
    pub(super) fn gather(
        wanted: &mut Record,
        (config, layers): (&mut TrainConfig, &Layers),
        (before, stopper): (Before<'_>, &Stopper),
        context: &Context,
    ) -> Result<Self> {
        let kept = before.origins;
        let manner = context.manner;
        // What can be missing comes first, so that nobody waits for an import before being told.
        let stage1 = match config.stage {
            Stage::One => None,
            Stage::Two => Some(stage1::find(wanted, before.kept.stage1.as_deref(), context)?),
        };
        let init = begun_on(wanted, kept.is_none(), context)?;
        let base = (stage1.as_ref().or(init.as_ref()), before.kept.encoder.as_deref());
        let text = Text::choose(wanted, &folder(wanted), base, context)?;
        before.sentences.check(&text)?;
        let projection = projection(wanted, (config, layers), context)?;
        if let Some(note) = before.note.filter(|_| wanted.data.as_ref().is_none_or(|d| d.exists()))
        {
            manner.say(note);
        }
        if let (Some(kept), Some(model)) = (kept, &stage1) {
            kept.check_stage1(&model.sha256()?)?;
        }
        if let (Some(kept), Text::Encoder(encoder)) = (kept, &text) {
            kept.check_encoder(&encoder.text().fingerprint())?;
        }
        if wanted.data.as_ref().is_none_or(|data| data.exists()) {
            // Before data are drawn and an encoder is trained.
            Evaluation::check(wanted)?;
            let low = stage1.as_ref().map(|model| model.info().stage1.net);
            if config.loss.projected == 0.0 && config.loss.matching == 0.0 {
                let none = Pretrained::default(); // what they need is not known yet
                estimate::check(config, (low.as_ref(), &none), &context.device)?;
            }
        }
        let path = match &wanted.data {
            Some(path) => path.clone(),
            None => of_preset(&wanted.preset, manner)?,
        };
        let how = (picture_size(config.stage), resizing(config.net.recipe));
        if let Some(kept) = kept {
            check_sizes(kept, &path)?;
        }
        let data = open(&path, how, manner)?;
        kept.map_or(Ok(()), |kept| kept.check_data(&data))?;
        drop(plan_over(config, &data)?); // before minutes of an encoder's training
        wanted.data = Some(lasting(&path));
        if let (Some(model), Some(from)) = (&stage1, &wanted.stage1) {
            manner.say(format!("Stage-I {}", from.display()));
            let trained = &model.info().stage1.dataset_fingerprint;
            if !trained.is_empty() && trained != data.fingerprint() {
                manner.say("warning: that Stage-I was trained on other data than these");
            }
        }
        let cache = Cache::of(&path, data.path());
        if let Text::Encoder(encoder) = &text {
            warn_unread_by(encoder, data.all_captions(), manner);
        }
        let mut brought = false;
        if let (Some(_), None, Text::Encoder(encoder)) = (&init, &wanted.encoder, &text) {
            manner.say("text encoder: that of the model that the run starts from");
            match encoder {
                Encoder::Sentence(_, source) => wanted.encoder = Some(source.into()),
                Encoder::CharCnnRnn(_) => brought = true,
            }
        }
        let read = |encoder: &dyn TextEncoder| -> Result<_> {
            let shown = before.sentences.shown(encoder, manner)?;
            Ok((encoded_once(encoder, &data, &cache, manner)?, shown))
        };
        let mut small = None;
        let ((embeddings, shown), encoder, encoder_source) = match text {
            Text::Imported(file) => {
                let file = lasting(&file);
                let embeddings = imported(&file, &data, manner)?;
                wanted.embeddings = Some(file); // a resumed run must not take others
                stay_as_given((config, layers), stage1.as_ref(), manner)?;
                ((embeddings, None), None, None)
            }
            Text::Encoder(Encoder::Sentence(encoder, source)) => {
                (read(encoder.as_ref())?, None, Some(source))
            }
            Text::Encoder(Encoder::CharCnnRnn(encoder)) => {
                (read(encoder.as_ref())?, Some(*encoder), None)
            }
            Text::Small => {
                let places = (path.as_path(), &cache);
                let trained = small_encoder(places, &data, (config, layers), (stopper, manner))?;
                let encoder = trained.text.unstandardised(&context.device)?;
                small = Some(trained);
                (read(&encoder)?, Some(encoder), None)
            }
        };
        let matcher = matcher(small, wanted, (config, layers), context)?;
        fit_width(config, layers, embeddings.dim())?;
        if let Some(model) = &stage1 {
            stage1::belongs(model, embeddings.encoder())?;
        }
        if let Some(model) = &init {
            say_other_encoder(model, embeddings.encoder(), manner);
        }
        Ok(Self {
            data,
            embeddings: Arc::new(embeddings),
            encoder,
            encoder_source,
            brought,
            pretrained: Pretrained { matcher, projection },
            stage1,
            shown,
        })
    }
}

/// The model that a fresh Stage-I starts from, if one is named. A run that goes on has all of it.
pub(super) fn begun_on(
    wanted: &Record,
    is_fresh: bool,
    context: &Context,
) -> Result<Option<Model>> {
    match &wanted.init_from {
        Some(model) if wanted.stage == Stage::One && is_fresh => {
            Ok(Some(load(model, context)?.model))
        }
        _ => Ok(None),
    }
}

/// Says if a run that starts from a model reads its sentences with another encoder.
pub(super) fn say_other_encoder(model: &Model, encoder: &str, manner: Manner) {
    let learnt = model.encoder_fingerprint();
    if !learnt.is_empty() && learnt != encoder {
        manner.say(format!(
            "warning: the model of `--init-from` learnt the vectors of another text encoder ({}, not {}): what its words \
             meant is lost; leave `--encoder` out to go on with its own",
            short_fingerprint(learnt), short_fingerprint(encoder)
        ));
    }
}

/// Checks that a folder has as much in it as when the run began, before it is imported again. What
/// was left out of an import is not known before it.
pub(super) fn check_sizes(kept: &Origins, path: &Path) -> Result<()> {
    let options = FolderOptions::kept(path);
    if !path.is_dir() || options.damaged() == Damaged::LeaveOut {
        return Ok(());
    }
    let items = read(path, options.layout)?.items;
    let captions = items.iter().map(|item| item.captions.len()).sum();
    Ok(kept.check_sizes(items.len(), captions)?)
}

/// Turns standardisation off for imported embeddings: without an encoder, a new sentence could not
/// be standardised as in the run. One that Stage-I has in its model stays.
pub(super) fn stay_as_given(
    (config, layers): (&mut TrainConfig, &Layers),
    stage1: Option<&Model>,
    manner: Manner,
) -> Result<()> {
    let key = "data.embedding_standardise";
    let kept = stage1.is_some_and(|model| model.standardise().is_some());
    if !config.data.embedding_standardise || kept {
        return Ok(());
    }
    match layers.chosen(key) {
        None => {
            config.data.embedding_standardise = false;
            manner.say(format!("{key} = false: imported embeddings are used as they are"));
            Ok(())
        }
        Some(origin) => {
            let parts = (format!("`{key} = false`"), "true".to_owned());
            let what = "imported embeddings cannot be standardised";
            let remedy = "standardise them before the import, or train with an encoder";
            Err(Problem::usage(what, format!("from: {origin}"), parts, remedy).into())
        }
    }
}

/// Sets the settings' text width to the encoder's. If another width was given, that is an error.
pub(super) fn fit_width(config: &mut TrainConfig, layers: &Layers, width: usize) -> Result<()> {
    if config.net.text_dim == width {
        return Ok(());
    }
    match layers.chosen("net.text_dim") {
        None => {
            config.net.text_dim = width;
            Ok(())
        }
        Some(origin) => {
            let parts = (
                format!("`net.text_dim = {width}`, the encoder's"),
                config.net.text_dim.to_string(),
            );
            let remedy =
                "leave `net.text_dim` out: it follows the encoder; or give another `--encoder`";
            let what = "embeddings do not fit the model";
            Err(Problem::usage(what, format!("from: {origin}"), parts, remedy).into())
        }
    }
}

/// Returns the data's folder, which may not exist yet.
pub(super) fn folder(wanted: &Record) -> PathBuf {
    wanted.data.clone().unwrap_or_else(|| home().join(&wanted.preset))
}
