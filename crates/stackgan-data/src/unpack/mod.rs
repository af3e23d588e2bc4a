//! Datasets in shards to a folder of captioned pictures that [`crate::layouts::folder`] reads.
//!
//! Shards are Parquet files, as Hugging Face's `datasets` writes them, and tars, as the `webdataset`
//! package writes them. Each row or sample becomes a picture, byte for byte as it was, and a line of
//! `metadata.jsonl` with its captions, class and split. Pictures are numbered; `origins.csv` says
//! where each came from. Names in shards are never used as paths.
//!
//! A picture that occurs more than once (as in tables with a row for each caption) is written once,
//! with all its captions.

mod columns;
mod folder;
#[cfg(feature = "parquet")]
pub mod parquet;
mod sample;
mod sources;
mod webdataset;

use std::path::{Path, PathBuf};

pub use columns::{Column, Columns};
pub use sample::{Content, Entry, Picture, Sample};

#[cfg(not(feature = "parquet"))]
use crate::Error;
use crate::Result;
use crate::dataset::Split;
use crate::error::{counted, printable};
use crate::fetch::{Doing, Event, Listener, bytes, room};
use crate::layouts::side;
use crate::prepared::Damaged;
use crate::whole_folder::refuse_occupied;
use columns::Found;
use folder::{Counts, Folder, Origin};
use sources::{Format, Shard};

/// What to unpack, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Parquet files, tars, and folders with such files.
    pub sources: &'a [PathBuf],
    /// The folder to write, which must be new or empty.
    pub out: &'a Path,
    /// The columns that hold pictures, captions and classes.
    pub columns: &'a Columns,
    /// How to treat pictures of other formats, and entries whose captions cannot be used.
    pub damaged: Damaged,
}

/// What was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Number of pictures.
    pub pictures: u64,
    /// Number of captions of all pictures.
    pub captions: u64,
    /// Number of classes; 0 if pictures have none.
    pub classes: usize,
    /// The splits that were written, by their words.
    pub splits: Vec<String>,
    /// Sentences about what was decided and left out.
    pub notes: Vec<String>,
}

/// Whether a file with this name is taken for a shard that this build can read.
pub fn is_shard(name: &str) -> bool {
    match sources::by_name(Path::new(name)) {
        Some(Format::Parquet) => cfg!(feature = "parquet"),
        Some(Format::Tar) => true,
        None => false,
    }
}

/// Checks that the folder `out` is free and that `sources` are there: what [`unpack`] does first, for
/// those who fetch further sources in between.
///
/// # Errors
/// [`crate::Error::Config`] if `out` exists and is not an empty folder; those of [`unpack`] about
/// sources that are missing or no shards.
pub fn check(sources: &[PathBuf], out: &Path) -> Result<()> {
    refuse_occupied(out, folder::MADE)?;
    sources::find(sources).map(|_| ())
}

/// Unpacks shards into a new folder, which appears when it is whole.
///
/// # Errors
/// When a source is missing, damaged, not safe or of another format; when it is not clear where
/// pictures and captions are; when pictures cannot be used and are not to be left out: all are
/// counted and the first named. Nothing is left behind then, and nothing is ever written outside of
/// `out` and of the folder in which it lies.
pub fn unpack(request: &Request<'_>, hear: &mut Listener<'_>) -> Result<Report> {
    let shards = sources::find(request.sources)?;
    let both = sources::have_both_sides(&shards)?;
    let mut folder = Folder::begin(request.out, request.damaged)?;
    let aside = folder.aside();
    let size = shards.iter().map(|shard| size(shard, request.columns)).sum::<Result<u64>>()?;
    room::require(&aside, size, "unpack the pictures")?;
    let mut told = Vec::new();
    let mut tars = Found::default();
    for shard in &shards {
        let split = shard.split.as_deref().filter(|_| both);
        let name = printable(&shard.path.file_name().unwrap_or_default().to_string_lossy());
        hear(&Event::Begin {
            doing: Doing::Unpacking,
            file: name.clone(),
            total: Some(shard.bytes),
        });
        let origin = Origin { file: &shard.path, split };
        let before = folder.counts().pictures;
        match shard.format {
            Format::Tar => {
                let how = (aside.as_path(), request.columns);
                let mut at = |done| hear(&Event::At(done));
                webdataset::read(&shard.path, how, &mut tars, &mut at, &mut |entry| {
                    folder.add(entry, origin)
                })?;
            }
            Format::Parquet => {
                let said = read_parquet((shard, request.columns), &mut |entry, done| {
                    hear(&Event::At(done));
                    folder.add(entry, origin)
                })?;
                if !told.contains(&said) {
                    told.push(said);
                }
            }
        }
        let pictures = counted(folder.counts().pictures - before, "picture");
        hear(&Event::End(format!("{pictures}, {}", bytes(shard.bytes))));
    }
    if !tars.image.is_empty() {
        told.push(tars.sentence());
    }
    let (counts, classes, left_out) = folder.finish(request.out, &request.columns.text)?;
    told.extend(left_out);
    let mut splits: Vec<String> = shards.iter().filter_map(|shard| shard.split.clone()).collect();
    splits.sort_by_key(|word| (side(word) != Some(Split::Train), word.clone()));
    splits.dedup();
    if !both {
        if !splits.is_empty() {
            let words: Vec<_> = splits.iter().map(|word| format!("`{word}`")).collect();
            let words = words.join(" and ");
            told.push(format!(
                "all of the split {words}: none is written, and the import keeps a part for testing"
            ));
        }
        splits.clear();
    }
    let Counts { pictures, captions, .. } = counts;
    Ok(Report { pictures, captions, classes, splits, notes: told })
}

/// Number of bytes on the disk that a shard needs, about.
fn size(shard: &Shard, columns: &Columns) -> Result<u64> {
    match shard.format {
        Format::Tar => Ok(shard.bytes),
        Format::Parquet => parquet_size(shard, columns),
    }
}

#[cfg(feature = "parquet")]
fn parquet_size(shard: &Shard, columns: &Columns) -> Result<u64> {
    Ok(parquet::Shard::open(&shard.path, columns)?.size())
}

#[cfg(feature = "parquet")]
fn read_parquet(
    (shard, columns): (&Shard, &Columns),
    take: &mut dyn FnMut(Entry<'_>, u64) -> Result<()>,
) -> Result<String> {
    let shard = parquet::Shard::open(&shard.path, columns)?;
    shard.read(take)?;
    Ok(shard.found().sentence())
}

#[cfg(not(feature = "parquet"))]
fn parquet_size(shard: &Shard, _: &Columns) -> Result<u64> {
    Err(without(shard))
}

#[cfg(not(feature = "parquet"))]
fn read_parquet(
    (shard, _): (&Shard, &Columns),
    _: &mut dyn FnMut(Entry<'_>, u64) -> Result<()>,
) -> Result<String> {
    Err(without(shard))
}

#[cfg(not(feature = "parquet"))]
fn without(shard: &Shard) -> Error {
    Error::malformed(
        &shard.path,
        "this program was built without Parquet",
        "its name",
        ("a tar", "a Parquet file"),
        "build it with the feature `parquet`, which is on by default in `stackgan-cli`",
    )
}
