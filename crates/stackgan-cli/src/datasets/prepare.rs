//! Prepares a dataset folder, once.

use std::path::Path;

use anyhow::Result;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::prepared::{ImportOptions, LeftOut, Prepared, import};

use super::folder::read;
use super::locations::places;
use super::options::FolderOptions;
use super::place::Place;
use crate::exit::{Exit, Problem};
use crate::output::write_file;
use crate::progress::{Manner, Phase};

/// Maximum number of omitted pictures that are named.
const NAMED: usize = 10;

/// Returns the prepared data of a dataset folder, made if they are missing or out of date.
///
/// Their file is placed in `out`; by default in the folder itself, or in the program's own folder if
/// that is not writable.
///
/// # Errors
/// Anything that is wrong with the dataset, or the storage.
pub(crate) fn prepare(
    (folder, options): (&Path, FolderOptions),
    out: Option<&Path>,
    (size, resizing): (PictureSize, Resizing),
    manner: Manner,
) -> Result<Prepared> {
    let dataset = read(folder, options.layout)?;
    let usual = places(folder);
    let into = out.unwrap_or(&usual[0]).to_path_buf();
    let [place] = Place::of(&dataset, options, [into], (size, resizing));
    if options != FolderOptions::kept(folder) && usual.contains(&place.folder) {
        options.keep(&place.folder)?;
    }
    if let Some(found) = place.found() {
        return Ok(found);
    }
    std::fs::create_dir_all(&place.folder).map_err(|e| Problem::storage(&place.folder, &e))?;
    dataset.notes.iter().for_each(|note| manner.say(note));
    let name = format!("preparing {} px", size.prepared());
    let preparation = options.preparation(size, resizing);
    let how = ImportOptions { preparation, damaged: options.damaged() };
    let made = Phase::counted(manner, (&name, "pictures"), |progress| {
        import(&dataset, &place.file, &how, progress)
    })?;
    for LeftOut { key, reason, .. } in made.left_out.iter().take(NAMED) {
        manner.say(format!("left out: {key}: {}", reason.lines().next().unwrap_or_default()));
    }
    if made.left_out.len() > NAMED {
        manner.say(format!("left out: {} more", made.left_out.len() - NAMED));
    }
    if let Some(copies) = &made.copies {
        manner.say(format!("WARNING: {copies}"));
    }
    write_file(&place.source, place.claim(&made.identity).as_bytes())?;
    let prepared = Prepared::open(&place.file)?;
    if prepared.identity() == made.identity {
        return Ok(prepared);
    }
    let at = format!("file: {}", place.file.display());
    let parts = ("the file that was just made", "one of another import");
    let remedy = "wait for the other command that imports this folder, and run this again";
    let replaced = Problem::usage("the prepared file was replaced", at, parts, remedy);
    Err(Problem { exit: Exit::Storage, ..replaced }.into())
}
