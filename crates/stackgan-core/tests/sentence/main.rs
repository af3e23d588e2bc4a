//! Sentence encoders: all-MiniLM-L6-v2 compared with the vectors of sentence-transformers (fixture:
//! `tests/golden/README.md`), and a tiny one for tests without published weights.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking, in helper functions too")]

mod own;
mod tiny_bert;

use std::path::PathBuf;

use candle_core::{Device, Tensor};
use stackgan_core::text::{SentenceEncoder, SentenceFiles, TextEncoder as _};

const FIXTURE: &[u8] = include_bytes!("../../../../tests/golden/sentences.safetensors");

/// Both sides compute in f32 with different orders of summation. The largest difference found is
/// 3.3e-7; 1e-4 is guaranteed.
#[test]
fn vectors_equal_those_of_the_reference_library() {
    let Some(folder) = std::env::var_os("STACKGAN_MINILM").map(PathBuf::from) else {
        println!("skipped: STACKGAN_MINILM does not name a folder with all-MiniLM-L6-v2");
        return;
    };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let (config, tokenizer, weights) =
        (read("config.json"), read("tokenizer.json"), read("model.safetensors"));
    let (modules, pooling) = (read("modules.json"), read("1_Pooling/config.json"));
    let limits = read("sentence_bert_config.json");
    let files = SentenceFiles {
        config: &config,
        tokenizer: &tokenizer,
        weights: &weights,
        modules: Some(&modules),
        pooling: Some(&pooling),
        limits: Some(&limits),
    };
    let encoder = SentenceEncoder::new(&files, &Device::Cpu).unwrap();
    assert_eq!(encoder.dim(), 384);

    let expected: Tensor =
        candle_core::safetensors::load_buffer(FIXTURE, &Device::Cpu).unwrap()["vectors"].clone();
    let (_, header) = safetensors::SafeTensors::read_metadata(FIXTURE).unwrap();
    let captions: Vec<String> =
        serde_json::from_str(&header.metadata().as_ref().unwrap()["captions"]).unwrap();
    assert_eq!(captions.len(), 10);
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    let vectors = encoder.encode(&captions).unwrap();
    for (i, caption) in captions.iter().enumerate() {
        let alone = encoder.encode(&[caption]).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(alone[0], vectors.get(i).unwrap().to_vec1::<f32>().unwrap(), "{caption}");
    }
    let worst = (vectors - expected).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
    let worst = worst.to_scalar::<f32>().unwrap();
    println!("largest difference {worst:e}");
    assert!(worst < 1e-4, "{worst}");
}
