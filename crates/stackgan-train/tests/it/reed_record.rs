//! Our alphabet compared with a record of Reed's flowers, if it is available: the ten captions of
//! `image_07764`, encoded by us, equal the character matrix that Reed's own program wrote.
//!
//! Source: reedscot/icml2016, `donkey_folder_*.lua` (the record); reedscot/cvpr2016 (the alphabet).

use stackgan_core::text::alphabet::{AlphabetOptions, CAPTION_LENGTH, indices};
use stackgan_data::formats::torch7;
use std::path::Path;

#[test]
fn captions_are_encoded_as_reed_encoded_them() {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    let record = data.join("formats/t7/reed_flower_image_record.t7");
    let captions = data.join("oxford102/text_c10/class_00098/image_07764.txt");
    if !record.exists() || !captions.exists() {
        eprintln!("skipped: {} is not at hand", record.display());
        return;
    }
    let bytes = std::fs::read(&record).unwrap();
    let document = torch7::decode(&bytes, &record).unwrap();
    let characters = document.table().unwrap().tensor("char").unwrap();
    let captions = std::fs::read_to_string(captions).unwrap();
    let captions: Vec<&str> = captions.lines().collect();
    assert_eq!(characters.shape(), [CAPTION_LENGTH, captions.len()]);
    assert_eq!(captions.len(), 10);
    let numbers = characters.to_ints().unwrap();
    for (column, caption) in captions.iter().enumerate() {
        let theirs: Vec<i64> = (0..CAPTION_LENGTH).map(|row| numbers[row * 10 + column]).collect();
        let ours = indices(caption, AlphabetOptions::default()).map(i64::from);
        assert_eq!(theirs, ours, "{caption}");
    }
}
