//! Sentence encoders: a BERT, pooling over its tokens, and normalisation, as published for
//! sentence-transformers (`all-MiniLM-L6-v2` and similar models).
//!
//! The network comes from candle-transformers and the tokeniser from `tokenizers`. This module
//! reads the files that define how tokens become one vector, and ensures that a vector does not
//! depend on other captions.
//!
//! Source: sentence-transformers, `models/{Transformer,Pooling,Normalize}.py`.

mod files;
mod pooling;

use std::collections::{BTreeMap, HashMap};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use serde::Deserialize;
use tokenizers::{PostProcessor as _, Tokenizer, TruncationParams};

use super::TextEncoder;
use crate::archive::Archive;
use crate::{Error, Result};
pub use files::SentenceFiles;
use files::{json, wrong};
use pooling::{Modules, pool};

/// A caption is padded to a multiple of this many tokens, regardless of the other captions.
///
/// The result of a matrix product for one row may depend on the shape of the whole matrix, and a
/// vector must not depend on its neighbours.
const TOKENS: usize = 16;
/// A pass is padded to a multiple of this many captions for the same reason: small products take
/// another code path.
const ROWS: usize = 8;
/// The names of the token of unknown words.
const UNKNOWN: [&str; 2] = ["[UNK]", "<unk>"];
/// Number of unknown words that are named.
const NAMED: usize = 5;
/// Number of tokens in one pass, which limits the memory.
const BATCH: usize = 4096;

/// The part of `sentence_bert_config.json` that is read.
#[derive(Deserialize)]
struct Limits {
    max_seq_length: Option<usize>,
}

/// A BERT with pooling.
pub struct SentenceEncoder {
    tokenizer: Tokenizer,
    bert: BertModel,
    modules: Modules,
    dim: usize,
    /// Number of tokens for which the BERT has position embeddings.
    places: usize,
    /// The padding token.
    pad: u32,
    /// The token of words that are not in the vocabulary, if there is one.
    unknown: Option<u32>,
    device: Device,
    fingerprint: String,
}

impl std::fmt::Debug for SentenceEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentenceEncoder").field("dim", &self.dim).finish_non_exhaustive()
    }
}

impl SentenceEncoder {
    /// Creates an encoder from these files.
    ///
    /// # Errors
    /// [`Error::Model`](crate::Error::Model) names the file that cannot be used: not a BERT, an
    /// unknown module, or tensors that do not match.
    pub fn new(files: &SentenceFiles<'_>, device: &Device) -> Result<Self> {
        let config = config(files.config)?;
        let modules = Modules::read(files.modules, files.pooling)?;
        let mut longest = (config.max_position_embeddings, "config.json");
        if let Some(limits) = files.limits {
            let file = "sentence_bert_config.json";
            let limits: Limits = json(file, limits)?;
            let shorter = limits.max_seq_length.filter(|limit| *limit < longest.0);
            longest = shorter.map_or(longest, |limit| (limit, file));
        }
        let tokenizer = tokenizer(files.tokenizer, longest)?;
        let archive = Archive::from_bytes(files.weights, device).map_err(|error| match error {
            Error::Model { expected, found, .. } => wrong("model.safetensors", &expected, &found),
            other => other,
        })?;
        let tensors: HashMap<String, Tensor> = archive.tensors.into_iter().collect();
        let weights = VarBuilder::from_tensors(tensors, DType::F32, device);
        let bert = BertModel::load(weights, &config).map_err(|e| {
            wrong("model.safetensors", "the tensors of its config.json", &e.to_string())
        })?;
        let pad = u32::try_from(config.pad_token_id).unwrap_or(0);
        let (dim, device) = (config.hidden_size, device.clone());
        let unknown = UNKNOWN.iter().find_map(|token| tokenizer.token_to_id(token));
        let (places, fingerprint) = (config.max_position_embeddings, files.fingerprint());
        Ok(Self { tokenizer, bert, modules, dim, places, pad, unknown, device, fingerprint })
    }

    /// Returns the vectors of captions, which are padded to `length` tokens.
    fn pass(&self, captions: &[&[u32]], length: usize) -> Result<Tensor> {
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        let filled = captions.len().next_multiple_of(ROWS);
        for caption in captions.iter().cycle().take(filled) {
            let rest = length.saturating_sub(caption.len());
            ids.extend_from_slice(caption);
            ids.extend(std::iter::repeat_n(self.pad, rest));
            mask.extend(std::iter::repeat_n(1f32, caption.len()));
            mask.extend(std::iter::repeat_n(0f32, rest));
        }
        let shape = (filled, length);
        let ids = Tensor::from_vec(ids, shape, &self.device)?;
        let mask = Tensor::from_vec(mask, shape, &self.device)?;
        let tokens = self.bert.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        Ok(pool(&tokens, &mask, &self.modules)?.narrow(0, 0, captions.len())?)
    }
}

impl TextEncoder for SentenceEncoder {
    fn dim(&self) -> usize {
        self.dim
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn encode(&self, captions: &[&str]) -> Result<Tensor> {
        let encoded = self.tokenizer.encode_batch(captions.to_vec(), true);
        let encoded =
            encoded.map_err(|e| wrong("tokenizer.json", "tokens of captions", &e.to_string()))?;
        let mut lengths: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, caption) in encoded.iter().enumerate() {
            let length = caption.get_ids().len().next_multiple_of(TOKENS).max(TOKENS);
            let length = length.min(self.places);
            lengths.entry(length).or_default().push(i);
        }
        let mut rows = vec![Vec::new(); captions.len()];
        for (length, places) in lengths {
            for places in places.chunks((BATCH / length).max(1)) {
                let ids = places
                    .iter()
                    .filter_map(|&i| encoded.get(i))
                    .map(tokenizers::Encoding::get_ids);
                let vectors = self.pass(&ids.collect::<Vec<_>>(), length)?.to_vec2::<f32>()?;
                for (&place, vector) in places.iter().zip(vectors) {
                    if let Some(row) = rows.get_mut(place) {
                        *row = vector;
                    }
                }
            }
        }
        Ok(Tensor::from_vec(rows.concat(), (captions.len(), self.dim), &self.device)?)
    }

    fn unread(&self, caption: &str) -> Option<String> {
        let tokens = self.tokenizer.encode(caption, true).ok()?;
        let strange = self.strange(caption, &tokens);
        let parts: Vec<String> = strange.into_iter().chain(self.cut(caption, &tokens)).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

impl SentenceEncoder {
    /// The message about words that are not in the vocabulary: all have the same vector.
    fn strange(&self, caption: &str, tokens: &tokenizers::Encoding) -> Option<String> {
        let unknown = self.unknown?;
        let words = tokens.get_ids().iter().zip(tokens.get_offsets());
        let words = words.filter(|(id, _)| **id == unknown);
        let mut named: Vec<&str> = Vec::new();
        for word in words.filter_map(|(_, &(from, to))| caption.get(from..to)) {
            if !named.contains(&word) {
                named.push(word);
            }
        }
        let more = if named.len() > NAMED { " …" } else { "" };
        named.truncate(NAMED);
        let told = || format!("the encoder does not know `{}`{more}", named.join("`, `"));
        (!named.is_empty()).then(told)
    }

    /// The message about the end of a caption, if it is cut off.
    fn cut(&self, caption: &str, tokens: &tokenizers::Encoding) -> Option<String> {
        let longest = self.tokenizer.get_truncation()?.max_length;
        if tokens.len() < longest {
            return None;
        }
        let end = tokens.get_offsets().iter().map(|(_, end)| *end).max()?;
        let cut = caption.get(end..)?.trim();
        let told = || {
            let cut = cut.chars().count();
            format!("the encoder reads {longest} tokens: the last {cut} characters are cut off")
        };
        (!cut.is_empty()).then(told)
    }
}

/// Reads the sizes and checks them.
fn config(bytes: &[u8]) -> Result<Config> {
    let config: Config = json("config.json", bytes)?;
    let kind = config.model_type.as_deref().unwrap_or("bert");
    if kind != "bert" {
        return Err(wrong(
            "config.json",
            "`model_type` bert",
            &format!("`{}`", kind.escape_debug()),
        ));
    }
    let range = |key: &str, value: usize, most: usize| match value {
        n if (1..=most).contains(&n) => Ok(()),
        n => Err(wrong("config.json", &format!("`{key}` of 1 to {most}"), &n.to_string())),
    };
    range("hidden_size", config.hidden_size, 16_384)?;
    range("num_attention_heads", config.num_attention_heads, 1024)?;
    range("num_hidden_layers", config.num_hidden_layers, 1024)?;
    range("intermediate_size", config.intermediate_size, 65_536)?;
    range("max_position_embeddings", config.max_position_embeddings, 65_536)?;
    range("vocab_size", config.vocab_size, 4 << 20)?;
    range("type_vocab_size", config.type_vocab_size, 1024)?;
    if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
        let expected = format!("`hidden_size` a multiple of {} heads", config.num_attention_heads);
        return Err(wrong("config.json", &expected, &config.hidden_size.to_string()));
    }
    Ok(config)
}

/// Reads the tokeniser and sets it to truncate captions at `longest` tokens, which `file` says. The padding
/// settings in the tokeniser's own file are ignored.
fn tokenizer(bytes: &[u8], (longest, file): (usize, &str)) -> Result<Tokenizer> {
    let unusable = |e: tokenizers::Error| wrong("tokenizer.json", "a tokenizer", &e.to_string());
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(unusable)?;
    // The beginning and the end, as a rule.
    let added = tokenizer.get_post_processor().map_or(0, |post| post.added_tokens(false));
    if longest < 3 || longest <= added {
        let expected = format!("a largest length of {} tokens or more", 3.max(added + 1));
        return Err(wrong(file, &expected, &longest.to_string()));
    }
    tokenizer.with_padding(None);
    let truncation = TruncationParams { max_length: longest, ..TruncationParams::default() };
    tokenizer.with_truncation(Some(truncation)).map_err(unusable)?;
    Ok(tokenizer)
}
