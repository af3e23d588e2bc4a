//! Prepares a dataset folder, once.

use std::path::Path;

use anyhow::Result;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::prepared::{LeftOut, Prepared};
use stackgan_data::sources::Sources;

use super::folder::read;
use super::locations::{places, prepared_name};
use super::options::FolderOptions;
use crate::exit::Problem;
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
    let place = out.unwrap_or(&usual[0]);
    if options != FolderOptions::kept(folder) && usual.iter().any(|usual| usual == place) {
        options.keep(place)?;
    }
    let file = place.join(prepared_name(size));
    let sources = Sources::of(&dataset, options.import((size, resizing)));
    if let Some(found) = sources.found(&file) {
        return Ok(found);
    }
    std::fs::create_dir_all(place).map_err(|e| Problem::storage(place, &e))?;
    dataset.notes.iter().for_each(|note| manner.say(note));
    let name = format!("preparing {} px", size.prepared());
    let (prepared, made) =
        Phase::counted(manner, (&name, "pictures"), |progress| sources.import(&file, progress))?;
    for LeftOut { key, reason, .. } in made.left_out.iter().take(NAMED) {
        manner.say(format!("left out: {key}: {}", reason.lines().next().unwrap_or_default()));
    }
    if made.left_out.len() > NAMED {
        manner.say(format!("left out: {} more", made.left_out.len() - NAMED));
    }
    if let Some(copies) = &made.copies {
        manner.say(format!("WARNING: {copies}"));
    }
    Ok(prepared)
}
