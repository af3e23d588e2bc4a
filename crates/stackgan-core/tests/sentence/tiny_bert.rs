//! A BERT with two layers of width eight and a vocabulary of twelve tokens: the files in a sentence
//! encoder's folder.

use candle_core::{Device, Tensor};
use stackgan_core::archive::Archive;
use stackgan_core::noise::{Noise, Stream};

pub(crate) const CONFIG: &str = r#"{"model_type": "bert", "vocab_size": 12, "hidden_size": 8, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 16, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "max_position_embeddings": 40, "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12,
    "pad_token_id": 0}"#;
pub(crate) const TOKENIZER: &str = r#"{"version": "1.0", "truncation": null,
    "padding": {"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
    "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 2, "red": 3, "blue": 4, "bird": 5,
    "with": 6, "short": 7, "beak": 8, "wings": 9, "and": 10, "belly": 11}}}"#;
pub(crate) const MODULES: &str = r#"[{"path": "", "type": "x.Transformer"}, {"path": "1_Pooling", "type": "x.Pooling"}, {"path": "2", "type": "x.Normalize"}]"#;
pub(crate) const POOLING: &str = r#"{"pooling_mode_mean_tokens": true}"#;

/// Returns its weights as a file.
pub(crate) fn weights(seed: u64) -> Vec<u8> {
    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![12, 8]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![40, 8]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, 8]),
        ("embeddings.LayerNorm.weight".to_owned(), vec![8]),
        ("embeddings.LayerNorm.bias".to_owned(), vec![8]),
    ];
    for layer in 0..2 {
        for (name, out, inputs) in [
            ("attention.self.query", 8, 8),
            ("attention.self.key", 8, 8),
            ("attention.self.value", 8, 8),
            ("attention.output.dense", 8, 8),
            ("intermediate.dense", 16, 8),
            ("output.dense", 8, 16),
        ] {
            shapes.push((format!("encoder.layer.{layer}.{name}.weight"), vec![out, inputs]));
            shapes.push((format!("encoder.layer.{layer}.{name}.bias"), vec![out]));
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            shapes.push((format!("encoder.layer.{layer}.{name}.weight"), vec![8]));
            shapes.push((format!("encoder.layer.{layer}.{name}.bias"), vec![8]));
        }
    }
    let mut archive = Archive::default();
    for (i, (name, shape)) in shapes.into_iter().enumerate() {
        let values = Noise::new(seed).normal(Stream::Test, 0, i as u64, shape.iter().product());
        archive.tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    }
    archive.to_bytes().unwrap()
}
