//! `stackgan data captions`: lists the captions of a dataset, or the names of its pictures.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use stackgan_data::dataset::Split;
use stackgan_data::embeddings;
use stackgan_data::prepared::Prepared;

use crate::datasets::{self, ANY_SIZE, open_any};
use crate::output::{apart, outside, print, print_to_reader, spare, write_file};
use crate::progress::Manner;

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// The captions, one per line.
    Captions,
    /// The names of the pictures, one per line.
    Names,
    /// The pictures, one JSON object per line.
    Pictures,
}

/// Lists what a dataset has, in a file or on stdout.
pub(super) fn run(path: &Path, list: List, output: Option<&Path>, manner: Manner) -> Result<()> {
    output.map_or(Ok(()), |file| outside(path, ("--output", file)))?;
    let prepared = datasets::files(path);
    let read = prepared.iter().map(PathBuf::as_path).chain([path]).map(Some);
    apart(&read.collect::<Vec<_>>(), &[("--output", output)])?;
    output.map_or(Ok(()), |file| spare(("--output", file), &[]))?;
    let data = open_any(path, ANY_SIZE, manner)?;
    let text = match list {
        List::Captions => embeddings::captions_list(&data),
        List::Names => (0..data.len()).map(|i| format!("{}\n", data.key(i))).collect(),
        List::Pictures => {
            let mut pictures = (0..data.len()).map(|i| Picture::of(&data, i));
            return pictures.try_for_each(|one| print_to_reader(serde_json::to_string(&one)?));
        }
    };
    match output {
        Some(file) => {
            write_file(file, text.as_bytes())?;
            print(file.display())
        }
        None => print(text.strip_suffix('\n').unwrap_or(&text)),
    }
}

/// A picture of a dataset.
#[derive(Serialize)]
struct Picture<'a> {
    name: &'a str,
    /// `train` or `test`.
    split: Option<&'static str>,
    /// The number of its class.
    class: Option<u32>,
    captions: &'a [String],
}

impl<'a> Picture<'a> {
    fn of(data: &'a Prepared, i: usize) -> Self {
        let (name, captions) = (data.key(i), data.captions(i));
        Self { name, split: data.split(i).map(Split::name), class: data.class(i), captions }
    }
}
