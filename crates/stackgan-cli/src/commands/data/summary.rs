//! What is in a prepared file.

use std::collections::BTreeSet;

use serde::Serialize;
use stackgan_core::digest::short;
use stackgan_data::counted;
use stackgan_data::dataset::Split;
use stackgan_data::prepared::Prepared;

use crate::output::path_text;

/// What is in a prepared file.
#[derive(Serialize)]
pub(super) struct Summary {
    file: String,
    /// Side of its pictures.
    pixels: usize,
    train_pictures: usize,
    test_pictures: usize,
    captions: usize,
    /// `None` if every picture has a class of its own: then classes mean nothing.
    train_classes: Option<usize>,
    /// Likewise.
    test_classes: Option<usize>,
    /// What the file was made of: names, captions, classes, splits.
    fingerprint: String,
}

impl Summary {
    /// Counts what is in a file.
    pub(super) fn of(prepared: &Prepared) -> Self {
        let classes = |split| -> BTreeSet<u32> {
            let indices = prepared.indices(split).into_iter();
            indices.filter_map(|i| prepared.class(i)).collect()
        };
        let (train, test) = (classes(Split::Train), classes(Split::Test));
        let shared = train.union(&test).count() < prepared.len();
        let count = |classes: BTreeSet<u32>| shared.then_some(classes.len());
        Self {
            file: path_text(prepared.path()),
            pixels: prepared.size().prepared(),
            train_pictures: prepared.indices(Split::Train).len(),
            test_pictures: prepared.indices(Split::Test).len(),
            captions: prepared.caption_count(),
            train_classes: count(train),
            test_classes: count(test),
            fingerprint: prepared.fingerprint().to_owned(),
        }
    }

    /// The file.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Everything in one line.
    pub(super) fn line(&self) -> String {
        let classes = match (self.train_classes, self.test_classes) {
            (Some(train), Some(test)) => format!("{train} and {}", counted(test, "class")),
            _ => "no classes".to_owned(),
        };
        format!(
            "{}: {} px, {} train, {} test, {}, {classes}, fingerprint {}",
            self.file,
            self.pixels,
            self.train_pictures,
            self.test_pictures,
            counted(self.captions, "caption"),
            short(&self.fingerprint)
        )
    }
}
