//! Models: text encoder, Stage-I, Stage-II and their description, in one safetensors file.
//!
//! Tensors are stored under `text.`, `stage1.` and `stage2.`. The metadata contain `format: pt`, so
//! that Python tools accept the file, and one JSON document under `stackgan`. A char-CNN-RNN is
//! stored in the file. A sentence encoder is larger than the model, so only its name and
//! fingerprint are stored; [`Model::attach`] takes the encoder that matches them.

use std::collections::BTreeMap;
use std::fmt;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::archive::{Archive, KEY};
use crate::generator::{Generator, Stage1Statistics};
use crate::generator_noise::Epsilon;
use crate::generators::Low;
use crate::shapes::{shown, wrong_sizes};
use crate::text::{
    CharCnnRnnConfig, CharCnnRnnEncoder, Standardise, TextEncoder, short_fingerprint,
};
use crate::{Error, NetConfig, Params, Recipe, Result, Stage, generators};

/// The version of the file format.
const FORMAT: &str = "stackgan-model/1";

/// The description that a model file contains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// The version of the file format.
    pub format: String,
    /// The text encoder's sizes; `None` if the embeddings came from another source.
    pub encoder: Option<CharCnnRnnConfig>,
    /// The fingerprint of the encoder that made the training embeddings, without standardisation;
    /// empty if it is not known. Other encoders are rejected.
    ///
    /// A file that has the encoder says its fingerprint with standardisation here instead.
    pub encoder_fingerprint: String,
    /// The source of an encoder that is not in the file: `hub:OWNER/NAME` (of the Hugging Face
    /// Hub) or a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_source: Option<String>,
    /// Stage-I.
    pub stage1: StageInfo,
    /// Stage-II, if it has been trained.
    pub stage2: Option<StageInfo>,
}

/// The description of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageInfo {
    /// Sizes of its networks.
    pub net: NetConfig,
    /// Whether epsilon is truncated ([`Epsilon::Truncated`]) or normal.
    pub truncated_epsilon: bool,
    /// Default scale of `z` in sampling.
    pub sample_z: f64,
    /// Default scale of epsilon in sampling.
    pub sample_eps: f64,
    /// The dataset's name.
    pub dataset: String,
    /// The dataset's fingerprint.
    pub dataset_fingerprint: String,
    /// Number of training steps.
    pub steps: u64,
    /// Number of pictures in a training batch.
    pub batch: usize,
    /// The seed of the training.
    pub seed: u64,
    /// Decay of the exponential moving average that the weights are; 0 if they are those of the
    /// last step.
    pub ema: f64,
}

impl StageInfo {
    /// What is known of a generator whose weights were made elsewhere, on the data of that name:
    /// noise as its release draws it, of full scale, and nothing of its training.
    #[must_use]
    pub fn imported(net: NetConfig, dataset: &str) -> Self {
        Self {
            net,
            truncated_epsilon: net.recipe == Recipe::Residual,
            sample_z: 1.0,
            sample_eps: 1.0,
            dataset: dataset.to_owned(),
            dataset_fingerprint: String::new(),
            steps: 0,
            batch: 0,
            seed: 0,
            ema: 0.0,
        }
    }

    /// Checks the sizes and scales.
    fn check(&self) -> Result<()> {
        self.net.check()?;
        for (key, scale) in [("sample_z", self.sample_z), ("sample_eps", self.sample_eps)] {
            check_scale(key, scale)?;
        }
        Ok(())
    }

    /// Returns the distribution of epsilon.
    #[must_use]
    pub const fn epsilon(&self) -> Epsilon {
        if self.truncated_epsilon { Epsilon::Truncated } else { Epsilon::Normal }
    }
}

/// Returns an error unless a scale of noise is in 0 to 100.
pub(crate) fn check_scale(key: &'static str, scale: f64) -> Result<()> {
    if (0.0..=100.0).contains(&scale) {
        return Ok(());
    }
    let (expected, found) = ("0 to 100".to_owned(), scale.to_string());
    Err(Error::Config { key, expected, found })
}

/// The parts of a model.
#[derive(Debug)]
pub struct Parts {
    /// The text encoder.
    pub text: TextPart,
    /// Stage-I.
    pub stage1: StagePart,
    /// Stage-II, if it has been trained.
    pub stage2: Option<StagePart>,
}

/// A generator's description and variables.
#[derive(Debug)]
pub struct StagePart {
    /// The description.
    pub info: StageInfo,
    /// The variables of the generator.
    pub params: Params,
}

impl StagePart {
    /// A generator whose weights were made elsewhere; see [`StageInfo::imported`].
    pub(crate) fn imported(
        net: NetConfig,
        weights: BTreeMap<String, Tensor>,
        dataset: &str,
        device: &Device,
    ) -> Result<Self> {
        let params = Params::given(weights, device)?;
        Ok(Self { info: StageInfo::imported(net, dataset), params })
    }
}

/// The text encoder of a model.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has one, and it is moved twice; only with CUDA's tensors is it called large"
)]
pub enum TextPart {
    /// A char-CNN-RNN, which is stored in the model's file. It standardises by itself.
    Inside(CharCnnRnnEncoder),
    /// An encoder that is not in the file.
    Beside {
        /// Its fingerprint; empty if it is not known.
        fingerprint: String,
        /// Where it comes from, as in [`ModelInfo::encoder_source`].
        source: Option<String>,
        /// The standardisation of its vectors, if the training used one.
        standardise: Option<Standardise>,
    },
}

impl TextPart {
    /// Returns the text part of a model that is only known by its networks.
    #[must_use]
    pub const fn unknown() -> Self {
        Self::Beside { fingerprint: String::new(), source: None, standardise: None }
    }
}

/// A trained model that generates pictures.
pub struct Model {
    info: ModelInfo,
    text: TextPart,
    /// An encoder that is not in the file.
    attached: Option<Box<dyn TextEncoder>>,
    stage1: Params,
    stage2: Option<Params>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Model {
    /// Assembles a model from its parts.
    ///
    /// # Errors
    /// [`Error::Model`] for tensors that are missing, left over or of shapes other than the sizes
    /// say, for a Stage-II that does not fit its Stage-I ([`NetConfig::misfit_over`]), or for an
    /// encoder or a standardisation of another width, or for stages on two devices; [`Error::Config`]
    /// for a size or scale out of its range.
    pub fn new(parts: Parts) -> Result<Self> {
        let Parts { text, stage1, stage2 } = parts;
        for stage in std::iter::once(&stage1).chain(&stage2) {
            stage.info.check()?;
        }
        let over = stage2.as_ref().and_then(|part| part.info.net.misfit_over(&stage1.info.net));
        if let Some((key, low, own)) = over {
            let expected = format!("`{key}` {low}, as in its Stage-I");
            return Err(wrong("Stage-II does not fit its Stage-I", &expected, &own));
        }
        let device = stage1.params.device();
        if let Some(part) = stage2.as_ref().filter(|part| !part.params.device().same_device(device))
        {
            let (expected, found) = (format!("{device:?}, as its Stage-I"), part.params.device());
            return Err(wrong("Stage-II is on another device", &expected, &format!("{found:?}")));
        }
        let width = stage1.info.net.text_dim;
        let fits = |what: &str, dim: usize| match dim == width {
            true => Ok(()),
            false => Err(wrong(what, &format!("a width of {width}"), &dim.to_string())),
        };
        let (encoder, encoder_fingerprint, encoder_source) = match &text {
            TextPart::Inside(encoder) => {
                fits("the encoder does not fit the networks", encoder.dim())?;
                (Some(*encoder.config()), encoder.bare_fingerprint().to_owned(), None)
            }
            TextPart::Beside { fingerprint, source, standardise } => {
                if let Some(standardise) = standardise {
                    fits("the model cannot standardise embeddings", standardise.dim())?;
                }
                (None, fingerprint.clone(), source.clone())
            }
        };
        let (stage2_info, stage2) = stage2.map(|part| (part.info, part.params)).unzip();
        let info = ModelInfo {
            format: FORMAT.to_owned(),
            encoder,
            encoder_fingerprint,
            encoder_source,
            stage1: stage1.info,
            stage2: stage2_info,
        };
        let stage1 = stage1.params;
        let model = Self { info, text, attached: None, stage1, stage2 };
        model.check_tensors()?;
        Ok(model)
    }

    /// Checks that the networks consist of exactly the given tensors.
    fn check_tensors(&self) -> Result<()> {
        let fits = |e: Error| {
            wrong("the tensors do not fit the sizes", "those of its configuration", &e.to_string())
        };
        let params = || std::iter::once(&self.stage1).chain(&self.stage2);
        let count = || params().map(|params| params.all().len()).sum::<usize>();
        let given = count();
        drop(self.generator(self.last_stage()).map_err(fits)?);
        if count() > given {
            let found = format!("{} tensors that were missing and are fresh now", count() - given);
            return Err(wrong("the networks are not whole", "trained variables", &found));
        }
        params().try_for_each(|params| params.check_all_used().map_err(|e| fits(e.into())))
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// [`Error::Model`] says what is damaged, missing or does not match.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Self> {
        let archive = Archive::variables(bytes, device)?;
        let text = archive.metadata.get(KEY).map_or("", String::as_str);
        let info: ModelInfo = serde_json::from_str(text).map_err(|e| {
            wrong("not a StackGAN model", &format!("metadata `{KEY}`"), &e.to_string())
        })?;
        if info.format != FORMAT {
            let remedy = "read it with the version that wrote it".to_owned();
            let what = "this program reads another version".to_owned();
            let (expected, found) = (FORMAT.to_owned(), info.format);
            return Err(Error::Model { what, expected, found, remedy });
        }
        let known = |name: &str| match name.split_once('.') {
            Some(("stage1", _)) => true,
            Some(("stage2", _)) => info.stage2.is_some(),
            Some(("text", name)) => info.encoder.is_some() || Standardise::has(name),
            _ => false,
        };
        if let Some(name) = archive.tensors.keys().find(|name| !known(name)) {
            let found = format!("`{}`", shown(name));
            return Err(wrong("a tensor of no part of the model", "those of its parts", &found));
        }
        let part = |info: StageInfo, prefix: &str| {
            // Before its sizes are used. They are in a file, so changing a setting does not help.
            info.check()
                .map_err(|e| wrong("its sizes cannot be", "sizes in range", &wrong_sizes(&e)))?;
            Ok::<_, Error>(StagePart { info, params: Params::given(archive.part(prefix), device)? })
        };
        let stage1 = part(info.stage1, "stage1.")?;
        let stage2 = info.stage2.map(|info| part(info, "stage2.")).transpose()?;
        let text = match info.encoder {
            Some(config) => {
                let encoder = CharCnnRnnEncoder::from_tensors(config, &archive.tensors, device)?;
                let found = encoder.fingerprint();
                if found != info.encoder_fingerprint {
                    return Err(wrong("another text encoder", &info.encoder_fingerprint, &found));
                }
                TextPart::Inside(encoder)
            }
            None => TextPart::Beside {
                fingerprint: info.encoder_fingerprint,
                source: info.encoder_source,
                standardise: Standardise::from_tensors(&archive.part("text."), device)?,
            },
        };
        Self::new(Parts { text, stage1, stage2 })
    }

    /// Returns [`ModelInfo::encoder_fingerprint`].
    #[must_use]
    pub fn encoder_fingerprint(&self) -> &str {
        &self.info.encoder_fingerprint
    }

    /// Attaches an encoder that is not in the file.
    ///
    /// It must be the encoder that the model was trained with. If the model does not know which one
    /// that was, any encoder of the same width is accepted.
    /// A model whose encoder is in the file only checks the argument, and keeps using its own.
    ///
    /// # Errors
    /// [`Error::Model`] if the width or the fingerprint differs.
    pub fn attach(&mut self, encoder: Box<dyn TextEncoder>) -> Result<()> {
        let trained = self.encoder_fingerprint();
        let named = |dim: usize, print: &str| {
            format!("an encoder of width {dim}, fingerprint {}", short_fingerprint(print))
        };
        let (dim, print) = (encoder.dim(), encoder.fingerprint());
        let unknown = trained.is_empty();
        if dim != self.info.stage1.net.text_dim || !(unknown || print == trained) {
            let known = if unknown { "not known" } else { trained };
            return Err(Error::Model {
                what: "the model was trained with another text encoder".to_owned(),
                expected: named(self.info.stage1.net.text_dim, known),
                found: named(dim, &print),
                remedy: match &self.text {
                    TextPart::Inside(_) => "attach none: the model has its own".to_owned(),
                    TextPart::Beside { source: Some(source), .. } => {
                        format!("attach `{}`", source.escape_debug())
                    }
                    TextPart::Beside { source: None, .. } => {
                        "attach the encoder that made the embeddings of its training".to_owned()
                    }
                },
            });
        }
        if self.encoder().is_none() {
            self.attached = Some(encoder);
        }
        Ok(())
    }

    /// Returns whether the model has an encoder, in the file or attached. Without one it generates
    /// pictures only from embeddings.
    #[must_use]
    pub const fn reads_sentences(&self) -> bool {
        self.encoder().is_some() || self.attached.is_some()
    }

    /// Encodes captions to the input of the networks, `(captions, text_dim)`, on the model's
    /// device.
    ///
    /// The encoder is the one in the file or the attached one.
    ///
    /// # Errors
    /// [`Error::Model`] if there is neither.
    pub fn encode(&self, captions: &[&str]) -> Result<Tensor> {
        match (self.encoder(), &self.attached) {
            (Some(encoder), _) => Ok(encoder.encode(captions)?.to_device(self.device())?),
            (None, Some(encoder)) => {
                self.standardised(&encoder.encode(captions)?.to_device(self.device())?)
            }
            (None, None) => Err(Error::Model {
                what: "the model has no text encoder of its own".to_owned(),
                expected: "tensors under `text.`, or an encoder beside the model".to_owned(),
                found: "embeddings from elsewhere".to_owned(),
                remedy: "attach the encoder that made them, or paint from embeddings".to_owned(),
            }),
        }
    }

    /// Returns a message about the part of a caption that the encoder does not read. `None` if it reads
    /// everything, or if the model has no encoder.
    #[must_use]
    pub fn unread(&self, caption: &str) -> Option<String> {
        match (self.encoder(), &self.attached) {
            (Some(encoder), _) => encoder.unread(caption),
            (None, encoder) => encoder.as_ref()?.unread(caption),
        }
    }

    /// Converts embeddings `(captions, text_dim)` of the encoder of [`Self::encoder_fingerprint`]
    /// to the input of the networks: they are standardised if the training did so.
    ///
    /// # Errors
    /// Another width.
    pub fn standardised(&self, embeddings: &Tensor) -> Result<Tensor> {
        self.standardise().map_or_else(|| Ok(embeddings.clone()), |s| s.apply(embeddings))
    }

    /// Returns the standardisation of the training embeddings, if there was one. It is stored in
    /// the encoder if that is in the file, otherwise in the model.
    #[must_use]
    pub fn standardise(&self) -> Option<&Standardise> {
        match &self.text {
            TextPart::Inside(encoder) => encoder.standardise(),
            TextPart::Beside { standardise, .. } => standardise.as_ref(),
        }
    }

    /// Returns the model file. Equal models give equal bytes.
    ///
    /// # Errors
    /// Tensors that cannot be read back from the device.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.archive()?.to_bytes()
    }

    /// Returns the SHA-256 of the contents in hexadecimal. It is not that of the file.
    ///
    /// # Errors
    /// Tensors that cannot be read back from the device.
    pub fn sha256(&self) -> Result<String> {
        self.archive()?.sha256()
    }

    fn archive(&self) -> Result<Archive> {
        let mut archive = Archive::default();
        let mut info = self.info.clone();
        if let TextPart::Inside(encoder) = &self.text {
            info.encoder_fingerprint = encoder.fingerprint();
        }
        // Strings and numbers only, so this cannot fail.
        let info = serde_json::to_string(&info).unwrap_or_default();
        archive.metadata = [("format".to_owned(), "pt".to_owned()), (KEY.to_owned(), info)].into();
        match &self.text {
            TextPart::Inside(encoder) => archive.tensors.extend(encoder.tensors()?),
            TextPart::Beside { standardise: Some(standardise), .. } => {
                archive.extend("text.", standardise.tensors()?);
            }
            TextPart::Beside { standardise: None, .. } => {}
        }
        archive.extend("stage1.", self.stage1.values());
        if let Some(stage2) = &self.stage2 {
            archive.extend("stage2.", stage2.values());
        }
        Ok(archive)
    }

    /// Returns the parts of the model. An attached encoder is dropped.
    #[must_use]
    pub fn into_parts(self) -> Parts {
        let Self { info, text, stage1, stage2, .. } = self;
        let stage1 = StagePart { info: info.stage1, params: stage1 };
        let stage2 = info.stage2.zip(stage2).map(|(info, params)| StagePart { info, params });
        Parts { text, stage1, stage2 }
    }

    /// Returns the description of the model.
    #[must_use]
    pub const fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Returns the last stage that the model has.
    #[must_use]
    pub const fn last_stage(&self) -> Stage {
        if self.stage2.is_some() { Stage::Two } else { Stage::One }
    }

    /// Returns the stages that the model has, in order.
    pub fn stages(&self) -> impl Iterator<Item = Stage> + use<> {
        let last = self.last_stage();
        Stage::ALL.into_iter().filter(move |stage| *stage <= last)
    }

    /// Returns the text encoder, if it is in the file.
    #[must_use]
    pub const fn encoder(&self) -> Option<&CharCnnRnnEncoder> {
        match &self.text {
            TextPart::Inside(encoder) => Some(encoder),
            TextPart::Beside { .. } => None,
        }
    }

    /// Returns the variables of Stage-I.
    #[must_use]
    pub const fn stage1(&self) -> &Params {
        &self.stage1
    }

    /// Returns the variables of Stage-II, if it has been trained.
    #[must_use]
    pub const fn stage2(&self) -> Option<&Params> {
        self.stage2.as_ref()
    }

    /// Returns the device of the model.
    #[must_use]
    pub const fn device(&self) -> &Device {
        self.stage1.device()
    }

    /// Returns the description of a stage.
    ///
    /// # Errors
    /// [`Error::Model`] for a stage that the model does not have.
    pub fn stage_info(&self, stage: Stage) -> Result<&StageInfo> {
        match (stage, &self.info.stage2) {
            (Stage::One, _) => Ok(&self.info.stage1),
            (Stage::Two, Some(info)) => Ok(info),
            (Stage::Two, None) => Err(no_such_stage()),
        }
    }

    /// Builds a generator that records no gradients.
    ///
    /// # Errors
    /// A stage that the model does not have, or tensors that do not match.
    pub fn generator(&self, stage: Stage) -> Result<Box<dyn Generator>> {
        let (net, scope) = (&self.info.stage1.net, self.stage1.frozen());
        match (stage, &self.stage2, &self.info.stage2) {
            (Stage::One, ..) => Ok(generators::stage1(net, &scope)?),
            (Stage::Two, Some(params), Some(info)) => {
                let low = Low { net, scope: &scope, statistics: Stage1Statistics::Running };
                Ok(generators::stage2(&info.net, &low, &params.frozen())?)
            }
            (Stage::Two, ..) => Err(no_such_stage()),
        }
    }
}

/// The error for Stage-II of a model that has Stage-I alone.
pub(crate) fn no_such_stage() -> Error {
    Error::Model {
        what: "the model has no such stage".to_owned(),
        expected: "stage 1".to_owned(),
        found: "2".to_owned(),
        remedy: "take Stage-I, or a model that has both".to_owned(),
    }
}

/// The error for what is not one model.
fn wrong(what: &str, expected: &str, found: &str) -> Error {
    Error::Model {
        what: what.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        remedy: "use the file of a model as it was written, or parts that belong together"
            .to_owned(),
    }
}
