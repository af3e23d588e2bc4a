//! Tests without published weights: truncated captions, vectors that do not depend on the batch,
//! files that do not match.

use candle_core::Device;
use stackgan_core::Result;
use stackgan_core::text::{SentenceEncoder, SentenceFiles, TextEncoder as _};

use crate::tiny_bert::{CONFIG, MODULES, POOLING, TOKENIZER, weights};

fn files(weights: &[u8]) -> SentenceFiles<'_> {
    SentenceFiles {
        config: CONFIG.as_bytes(),
        tokenizer: TOKENIZER.as_bytes(),
        weights,
        modules: Some(MODULES.as_bytes()),
        pooling: Some(POOLING.as_bytes()),
        limits: None,
    }
}

#[test]
fn a_vector_does_not_depend_on_its_neighbours() -> Result<()> {
    let weights = weights(1);
    let encoder = SentenceEncoder::new(&files(&weights), &Device::Cpu)?;
    let words = ["a", "red", "blue", "bird", "with", "short", "beak", "wings", "and", "belly"];
    let captions: Vec<String> = (0..37)
        .map(|i| {
            words.iter().cycle().skip(i).take(1 + i % 23).copied().collect::<Vec<_>>().join(" ")
        })
        .collect();
    let captions: Vec<&str> = captions.iter().map(String::as_str).collect();
    let together = encoder.encode(&captions)?.to_vec2::<f32>()?;
    for (i, caption) in captions.iter().enumerate() {
        assert_eq!(encoder.encode(&[caption])?.to_vec2::<f32>()?[0], together[i], "{caption}");
        let length = together[i].iter().map(|v| v * v).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    assert_ne!(together[1], together[2]);
    assert_eq!(encoder.encode(&[])?.dims(), [0, 8]);
    Ok(())
}

/// The encoder has forty positions; longer captions are truncated, not refused. The encoder's own
/// limit truncates earlier.
#[test]
fn long_captions_are_cut() -> Result<()> {
    let weights = weights(1);
    let long = "red bird ".repeat(100);
    let vectors = |limits: Option<&[u8]>, count: usize| -> Result<Vec<f32>> {
        let encoder =
            SentenceEncoder::new(&SentenceFiles { limits, ..files(&weights) }, &Device::Cpu)?;
        let cut = "red bird ".repeat(count);
        let both = encoder.encode(&[&long, &cut])?.to_vec2::<f32>()?;
        assert_eq!(both[0], both[1]);
        Ok(both[0].clone())
    };
    let forty = vectors(None, 20)?;
    let four = vectors(Some(br#"{"max_seq_length": 4, "do_lower_case": false}"#), 2)?;
    assert_ne!(forty, four);
    Ok(())
}

/// A tokeniser may add more than the beginning and the end.
#[test]
fn a_limit_below_the_added_tokens_is_refused() {
    let weights = weights(1);
    let pad = r#"{"SpecialToken": {"id": "[PAD]", "type_id": 0}}"#;
    let post = format!(
        r#"{{"type": "TemplateProcessing", "single": [{pad}, {pad}, {{"Sequence": {{"id": "A", "type_id": 0}}}}, {pad}, {pad}],
        "pair": [{{"Sequence": {{"id": "A", "type_id": 0}}}}, {{"Sequence": {{"id": "B", "type_id": 1}}}}],
        "special_tokens": {{"[PAD]": {{"id": "[PAD]", "ids": [0], "tokens": ["[PAD]"]}}}}}}"#
    );
    let tokenizer =
        TOKENIZER.replace("\"post_processor\": null", &format!("\"post_processor\": {post}"));
    let of = |limits: &str| {
        let files = SentenceFiles {
            limits: Some(limits.as_bytes()),
            tokenizer: tokenizer.as_bytes(),
            ..files(&weights)
        };
        SentenceEncoder::new(&files, &Device::Cpu)
    };
    let error = of(r#"{"max_seq_length": 3}"#).unwrap_err().to_string();
    assert!(
        error.contains("sentence_bert_config.json") && error.contains("5 tokens or more"),
        "{error}"
    );
    assert!(of(r#"{"max_seq_length": 5}"#).is_ok());
}

/// What is cut off is told, in characters.
#[test]
fn what_is_cut_off_is_told() -> Result<()> {
    let weights = weights(1);
    let limits = Some(&br#"{"max_seq_length": 4}"#[..]);
    let encoder = SentenceEncoder::new(&SentenceFiles { limits, ..files(&weights) }, &Device::Cpu)?;
    assert_eq!(encoder.unread("red bird red bird"), None);
    let said = "the encoder reads 4 tokens: the last 8 characters are cut off";
    assert_eq!(encoder.unread("red bird red bird red beak").as_deref(), Some(said));
    Ok(())
}

/// Words that are not in the vocabulary are all alike to the encoder.
#[test]
fn unknown_words_are_told() -> Result<()> {
    let weights = weights(1);
    let encoder = SentenceEncoder::new(&files(&weights), &Device::Cpu)?;
    assert_eq!(encoder.unread("a red bird"), None);
    let said = "the encoder does not know `синий`, `🌸`";
    assert_eq!(encoder.unread("a синий bird 🌸 синий").as_deref(), Some(said));
    let many = encoder.unread("q w e r t y").unwrap_or_default();
    assert!(many.ends_with("`q`, `w`, `e`, `r`, `t` …"), "{many}");
    Ok(())
}

#[test]
fn fingerprints_tell_encoders_of_one_width_apart() -> Result<()> {
    let (one, two) = (weights(1), weights(2));
    let print = |files: SentenceFiles<'_>| {
        SentenceEncoder::new(&files, &Device::Cpu).map(|encoder| encoder.fingerprint())
    };
    assert_eq!(print(files(&one))?, print(files(&one))?);
    assert_ne!(print(files(&one))?, print(files(&two))?);
    let other = r#"{"pooling_mode_cls_token": true}"#;
    assert_ne!(
        print(SentenceFiles { pooling: Some(other.as_bytes()), ..files(&one) })?,
        print(files(&one))?
    );
    Ok(())
}

#[test]
fn files_that_do_not_fit_are_named() -> Result<()> {
    let whole = weights(1);
    let files = files(&whole);
    let heads = CONFIG.replace("\"num_attention_heads\": 2", "\"num_attention_heads\": 0");
    let odd = CONFIG.replace("\"num_attention_heads\": 2", "\"num_attention_heads\": 3");
    let wide = CONFIG.replace("\"hidden_size\": 8", "\"hidden_size\": 10");
    let other = CONFIG.replace("\"bert\"", "\"mpnet\"");
    let cases = [
        (SentenceFiles { config: heads.as_bytes(), ..files }, "config.json"),
        (SentenceFiles { config: odd.as_bytes(), ..files }, "config.json"),
        (SentenceFiles { config: other.as_bytes(), ..files }, "`mpnet`"),
        (SentenceFiles { config: b"{}", ..files }, "config.json"),
        (SentenceFiles { config: wide.as_bytes(), ..files }, "model.safetensors"),
        (SentenceFiles { tokenizer: b"[]", ..files }, "tokenizer.json"),
        (SentenceFiles { weights: &whole[..whole.len() / 2], ..files }, "safetensors"),
        (SentenceFiles { modules: Some(b"{"), ..files }, "modules.json"),
        (SentenceFiles { pooling: None, ..files }, "1_Pooling/config.json"),
        (SentenceFiles { limits: Some(b"7"), ..files }, "sentence_bert_config.json"),
    ];
    for (files, part) in cases {
        let error = SentenceEncoder::new(&files, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("do: "), "{part}: {error}");
    }
    Ok(())
}
