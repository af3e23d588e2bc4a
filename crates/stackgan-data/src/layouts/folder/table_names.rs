//! Which files of a folder are tables, by their names and headers.

use super::super::scan::{names_picture, own_name, stem};
use super::table;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file names of tables.
pub(super) const TABLES: [&str; 3] = ["metadata.csv", "metadata.tsv", "metadata.jsonl"];

/// The names of files that are tables if their header is one of pictures and captions, and if there
/// is no table of the other names beside or above them.
pub(super) const CAPTIONS: [&str; 2] = ["captions.csv", "captions.txt"];

/// The files of a folder, by name.
type Files = BTreeMap<String, PathBuf>;

/// Those that are tables.
pub(super) fn tables(files: &Files) -> BTreeSet<String> {
    let is_table = |name: &str, path: &Path| {
        let own = own_name(name);
        TABLES.contains(&own)
            || CAPTIONS.contains(&own)
                && !is_below_a_table(name, files)
                && !is_beside_a_picture(name, files)
                && table::is_table_of_captions(path)
    };
    let found = files.iter().filter(|(name, path)| is_table(name, path));
    found.map(|(name, _)| name.clone()).collect()
}

/// Those that may be meant as tables, but are none of the `tables`: of another name, or without the header.
pub(super) fn others(files: &Files, tables: &BTreeSet<String>) -> Vec<String> {
    let is_like = |name: &String| {
        let Some((_, extension)) = stem(name) else { return false };
        matches!(&*extension, "csv" | "tsv" | "json" | "jsonl" | "xlsx" | "ods")
            && !tables.contains(name)
            && !is_beside_a_picture(name, files)
    };
    files.keys().filter(|name| is_like(name)).cloned().collect()
}

/// Whether there is a table of the other names in the folder of a file, or in one above it.
fn is_below_a_table(name: &str, files: &Files) -> bool {
    let mut ends = name.match_indices('/').map(|(at, slash)| at + slash.len()).chain([0]);
    ends.any(|end| {
        let folder = name.get(..end).unwrap_or_default();
        TABLES.iter().any(|table| files.contains_key(&format!("{folder}{table}")))
    })
}

/// Whether there is a picture of the same name, whose captions a file would hold.
fn is_beside_a_picture(name: &str, files: &Files) -> bool {
    let Some((key, _)) = stem(name) else { return false };
    let begins = format!("{key}.");
    let mut alike = files.range(begins.clone()..).take_while(|(name, _)| name.starts_with(&begins));
    alike.any(|(name, _)| names_picture(name))
}
