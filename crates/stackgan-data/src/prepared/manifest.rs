//! The metadata of a prepared file, and what identifies a dataset and a file.

use crate::crop::{Fit, Orientation};
use crate::dataset::Item;
use crate::digest::hex;
use sha2::{Digest as _, Sha256};

/// The version of the format that this crate writes. It also reads version 1, which has neither
/// `orientation` nor `notes`. A program that only knows version 1 rejects version 2, naming both.
pub(super) const VERSION: u32 = 2;

/// The metadata of a prepared file.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Always `prepared`.
    pub kind: String,
    /// The version of the format.
    pub version: u32,
    /// The dataset's name.
    pub name: String,
    /// How pictures were resized: `residual` or `plain`.
    pub resizing: String,
    /// Whether contrast was stretched: `none` or `as-released`.
    pub stretch: String,
    /// How pictures without a box were made square: `squeeze` or `centre`. Absent if squeezed, so
    /// that files of earlier versions have the same metadata.
    #[serde(default = "squeezed", skip_serializing_if = "is_squeezed")]
    pub fit: String,
    /// Whether pictures were rotated according to their EXIF tag: `as-stored` or `upright`.
    #[serde(default = "as_stored")]
    pub orientation: String,
    /// SHA-256 of the boxes by which pictures were cropped, in hexadecimal; empty without boxes.
    /// The fingerprint does not cover them.
    #[serde(default)]
    pub boxes: String,
    /// Decisions about what the folder does not specify, such as the split, and what was left out.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Identifies keys, classes, splits, captions and source pictures in their order, independent
    /// of size and resizing: files of 76 and 304 pixels made from one folder have the same
    /// fingerprint.
    pub fingerprint: String,
    /// CRC-32C of captions, classes and splits as they are in the file, in hexadecimal. Absent in
    /// early files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables_crc32c: Option<String>,
    /// The pictures' names.
    pub keys: Vec<String>,
    /// SHA-256 of each source file, in hexadecimal.
    pub sha256: Vec<String>,
}

fn as_stored() -> String {
    orientation(Orientation::AsStored).to_owned()
}

fn squeezed() -> String {
    fit(Fit::Squeeze).to_owned()
}

fn is_squeezed(text: &str) -> bool {
    text == fit(Fit::Squeeze)
}

pub(super) const fn fit(fit: Fit) -> &'static str {
    match fit {
        Fit::Squeeze => "squeeze",
        Fit::Centre => "centre",
    }
}

pub(crate) const fn orientation(orientation: Orientation) -> &'static str {
    match orientation {
        Orientation::AsStored => "as-stored",
        Orientation::Upright => "upright",
    }
}

/// The fingerprint of a dataset whose pictures have these hashes.
pub(super) fn fingerprint(items: &[&Item], sha256: &[String]) -> String {
    let mut hash = Sha256::new();
    hash.update(b"stackgan dataset 1");
    // Each text is preceded by its length, so different datasets never give the same bytes.
    let mut text = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    for (item, sha256) in items.iter().zip(sha256) {
        text(&item.key);
        text(sha256);
        text(item.split.name());
        text(&item.class.to_string());
        text(&item.captions.len().to_string());
        for caption in &item.captions {
            text(caption);
        }
    }
    hex(&hash.finalize())
}

/// Identifies the boxes of a dataset's pictures; empty if there are none.
pub(super) fn boxes(items: &[&Item]) -> String {
    if items.iter().all(|item| item.bounding_box.is_none()) {
        return String::new();
    }
    let mut hash = Sha256::new();
    for item in items {
        let numbers = item.bounding_box.map(|b| [b.x, b.y, b.width, b.height]);
        hash.update([u8::from(numbers.is_some())]);
        numbers.iter().flatten().for_each(|number| hash.update(number.to_le_bytes()));
    }
    hex(&hash.finalize())
}
