//! Prepared datasets, written by the format's description (`docs/file-formats.md`).

use serde_json::{Value, json};

/// Returns a dataset of grey pictures of 76 pixels with two captions each.
pub(crate) fn file(pictures: usize) -> Vec<u8> {
    let captions: Vec<String> = (0..2 * pictures).map(|i| format!("a small bird {i}")).collect();
    with_captions(pictures, &captions)
}

/// The same with other captions; remaining captions belong to the last picture.
pub(crate) fn with_captions(pictures: usize, captions: &[String]) -> Vec<u8> {
    let ends = captions.iter().scan(0, |end, caption| {
        *end += caption.len() as u64;
        Some(*end)
    });
    let offsets: Vec<u64> = std::iter::once(0).chain(ends).collect();
    let mut ranges: Vec<u64> = (0..=pictures as u64).map(|i| 2 * i).collect();
    if let Some(last) = ranges.last_mut() {
        *last = captions.len() as u64;
    }
    let longs = |values: &[u64]| values.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let tensors: [(&str, &str, Vec<usize>, Vec<u8>); 6] = [
        ("caption_offsets", "U64", vec![captions.len() + 1], longs(&offsets)),
        ("caption_ranges", "U64", vec![pictures + 1], longs(&ranges)),
        (
            "class_id",
            "U32",
            vec![pictures],
            (0..pictures as u32).flat_map(u32::to_le_bytes).collect(),
        ),
        ("captions", "U8", vec![captions.concat().len()], captions.concat().into_bytes()),
        ("split", "U8", vec![pictures], (0..pictures).map(|i| i as u8 % 2).collect()),
        ("images", "U8", vec![pictures, 76, 76, 3], vec![0x80; 76 * 76 * 3 * pictures]),
    ];
    let keys: Vec<String> = (0..pictures).map(|i| format!("bird{i}")).collect();
    let facts = json!({
        "kind": "prepared", "version": 2, "name": "x", "resizing": "residual", "stretch": "none",
        "orientation": "upright", "notes": ["a"], "fingerprint": "0".repeat(64),
        "keys": keys, "sha256": vec!["0".repeat(64); pictures],
    });
    let mut header = json!({ "__metadata__": { "stackgan": facts.to_string() } });
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let end = data.len() + bytes.len();
        header[name] = json!({ "dtype": dtype, "shape": shape, "data_offsets": [data.len(), end] });
        data.extend(bytes);
    }
    let text = Value::to_string(&header).into_bytes();
    [&(text.len() as u64).to_le_bytes()[..], &text, &data].concat()
}
