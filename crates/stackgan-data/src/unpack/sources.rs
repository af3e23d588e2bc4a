//! The files of a dataset that comes in shards, and the split that their names tell.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{first_few, printable};
use crate::layouts::side;
use crate::{Error, Result};

/// Maximum depth of folders in a source.
const DEPTH: usize = 8;
/// Maximum number of files in all sources together.
const MOST: usize = 100_000;

/// One file with samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    /// The word for its split, in lower case, such as `validation`.
    pub(super) split: Option<String>,
    /// Its length, in bytes.
    pub(super) bytes: u64,
}

/// The formats of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Tar,
}

/// The files of all `sources`, which are files or folders; those of a folder are sorted.
///
/// # Errors
/// When a source is not there, is of another format, or a folder holds no such files; when a file
/// is named twice.
pub(super) fn find(sources: &[PathBuf]) -> Result<Vec<Shard>> {
    let (mut shards, mut tops): (Vec<Shard>, Vec<&Path>) = (Vec::new(), Vec::new());
    for source in sources {
        let facts =
            fs::metadata(source).map_err(|_| missing(source, "there is no such file or folder"))?;
        if facts.is_dir() {
            let mut paths = Vec::new();
            walk(source, DEPTH, &mut paths)?;
            if paths.is_empty() {
                return Err(missing(source, "the folder holds no shards"));
            }
            paths.sort();
            for path in paths {
                shards.extend(shard(&path)?);
            }
            tops.resize(shards.len(), source);
        } else {
            shards.push(shard(source)?.ok_or_else(|| other(source))?);
            tops.push(source.parent().unwrap_or(source));
        }
    }
    let told: Vec<Told<'_>> =
        shards.iter().zip(tops).map(|(shard, top)| names(&shard.path, top)).collect();
    let splits = splits(&told);
    for (shard, split) in shards.iter_mut().zip(splits) {
        shard.split = split;
    }
    let mut real: Vec<(PathBuf, &Path)> = Vec::new();
    for shard in &shards {
        let path = shard.path.canonicalize().map_err(|e| Error::read(&shard.path, e))?;
        real.push((path, &shard.path));
    }
    real.sort();
    match real.windows(2).find(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
        Some([(_, first), (_, second)]) => Err(Error::config(
            "a file is named twice",
            ("each file once", format!("{} and {}", shown(first), shown(second))),
            "name it, or the folder in which it lies",
        )),
        _ => Ok(shards),
    }
}

/// Whether the shards are of both sides, training and test.
///
/// # Errors
/// When some shards name a split and others none.
pub(super) fn have_both_sides(shards: &[Shard]) -> Result<bool> {
    let named = shards.iter().filter_map(|shard| shard.split.as_deref());
    let named: Vec<&str> = named.collect();
    if !named.is_empty() && named.len() < shards.len() {
        let without = shards.iter().filter(|shard| shard.split.is_none());
        let without: Vec<String> = without.map(|shard| shown(&shard.path)).collect();
        return Err(Error::config(
            "the names of some files tell their split, those of others do not",
            (
                "train, test or validation in all names or in none",
                format!("none in {}", first_few(&without)),
            ),
            "name only files of which you know the split, or put them into folders `train` and `test`",
        ));
    }
    let mut sides: Vec<_> = named.iter().filter_map(|word| side(word)).collect();
    sides.dedup();
    Ok(sides.len() > 1)
}

/// Adds the files below a folder that may be shards. Links to folders are not followed.
fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| Error::read(folder, e))? {
        let entry = entry.map_err(|e| Error::read(folder, e))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(|e| Error::read(&path, e))?;
        if kind.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, paths)?;
            }
        } else if by_name(&path).is_some() && path.is_file() {
            if paths.len() == MOST {
                return Err(Error::config(
                    "the folder holds too many shards",
                    (format!("at most {MOST}"), "more"),
                    "name fewer files",
                ));
            }
            paths.push(path);
        }
    }
    Ok(())
}

/// The format that a file's name promises.
pub(super) fn by_name(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    if name.ends_with(".parquet") {
        return Some(Format::Parquet);
    }
    [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end)).then_some(Format::Tar)
}

/// A file, whose split is not known yet.
fn shard(path: &Path) -> Result<Option<Shard>> {
    let facts = fs::metadata(path).map_err(|e| Error::read(path, e))?;
    let Some(format) = by_name(path).filter(|_| facts.is_file()) else { return Ok(None) };
    Ok(Some(Shard { path: path.to_path_buf(), format, split: None, bytes: facts.len() }))
}

/// The paths with a word for a split in their name, and that word: a file, and the folders around
/// it up to a top, from the inside out.
type Told<'a> = Vec<(&'a Path, String)>;

fn names<'a>(path: &'a Path, top: &Path) -> Told<'a> {
    let around = path.ancestors().take_while(|path| path.starts_with(top));
    around.filter_map(|path| Some((path, word(path.file_name()?.to_str()?)?))).collect()
}

/// The split of each file: the word in its name, else in that of a folder around it. A folder in
/// which something names another split tells none: it may be called `test` for another reason.
fn splits(told: &[Told<'_>]) -> Vec<Option<String>> {
    let mut denied: BTreeSet<&Path> = BTreeSet::new();
    for names in told {
        if let Some(((_, nearest), around)) = names.split_first() {
            denied.extend(around.iter().filter(|(_, word)| word != nearest).map(|(path, _)| path));
        }
    }
    let split = |names: &Told<'_>| {
        names.iter().find(|(path, _)| !denied.contains(path)).map(|(_, word)| word.clone())
    };
    told.iter().map(split).collect()
}

/// The one word for a split among the words of a name: `train-00000-of-00004.parquet`.
fn word(name: &str) -> Option<String> {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| side(word).is_some());
    let mut words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    words.dedup();
    match words.as_slice() {
        [word] => Some(word.clone()),
        _ => None,
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

fn missing(source: &Path, what: &str) -> Error {
    let expected = "a .parquet, .tar, .tar.gz or .tgz file, or a folder with such files";
    Error::missing(source, what, expected, "check the path")
}

fn other(source: &Path) -> Error {
    Error::malformed(
        source,
        "this is no shard",
        "its name",
        ("a regular file whose name ends in .parquet, .tar, .tar.gz or .tgz", "another"),
        "name the files of the dataset; a folder with pictures is read as it is: `stackgan data check DIR`",
    )
}
