//! `stackgan data captions`: lists the captions of a dataset, or the names of its pictures.

use std::path::Path;

use anyhow::Result;
use stackgan_data::embeddings;

use super::outside::outside;
use crate::datasets::{ANY_SIZE, open_any};
use crate::output::{apart, print, write_file};
use crate::progress::Manner;

/// Writes the captions of a dataset, or the names of its pictures, one per line.
pub(super) fn run(path: &Path, names: bool, output: Option<&Path>, manner: Manner) -> Result<()> {
    output.map_or(Ok(()), |file| outside(path, file))?;
    apart(&[Some(path)], &[("--output", output)])?;
    let data = open_any(path, ANY_SIZE, manner)?;
    let list = if names {
        (0..data.len()).map(|i| format!("{}\n", data.key(i))).collect()
    } else {
        embeddings::captions_list(&data)
    };
    match output {
        Some(file) => {
            write_file(file, list.as_bytes())?;
            print(file.display())
        }
        None => print(list.strip_suffix('\n').unwrap_or(&list)),
    }
}
