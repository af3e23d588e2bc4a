//! Prepares a dataset folder, once.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_data::dataset::{Dataset, Split};
use stackgan_data::prepared::{ImportReport, LeftOut, Prepared};
use stackgan_data::sources::Sources;
use stackgan_data::whole_file::sweep;

use super::folder::read;
use super::locations::{places, prepared_name};
use super::options::{FolderOptions, How};
use crate::exit::Problem;
use crate::progress::{Manner, Phase};

/// Maximum number of omitted pictures that are named.
const NAMED: usize = 10;

/// The import of a dataset folder.
pub(crate) struct Importing {
    dataset: Dataset,
    options: FolderOptions,
    /// Where the prepared files are.
    place: PathBuf,
    manner: Manner,
    /// Whether the dataset's notes were said.
    noted: bool,
}

impl Importing {
    /// Reads the folder, and keeps its options. Prepared files are placed in `out`; by default in the
    /// folder itself, or in the program's own folder if that is not writable.
    ///
    /// # Errors
    /// Anything that is wrong with the dataset, or the storage.
    pub(crate) fn of(
        (folder, options): (&Path, FolderOptions),
        out: Option<&Path>,
        manner: Manner,
    ) -> Result<Self> {
        Self::of_dataset(read(folder, options.layout)?, (folder, options), out, manner)
    }

    /// As [`Self::of`], of a dataset that was read from the folder.
    ///
    /// # Errors
    /// Those of the storage.
    pub(super) fn of_dataset(
        dataset: Dataset,
        (folder, options): (&Path, FolderOptions),
        out: Option<&Path>,
        manner: Manner,
    ) -> Result<Self> {
        let usual = places(folder);
        let place = out.unwrap_or(&usual[0]).to_path_buf();
        if options != FolderOptions::kept(folder) && usual.contains(&place) {
            options.keep(&place)?;
        }
        Ok(Self { dataset, options, place, manner, noted: false })
    }

    /// Returns the prepared data, made if they are missing, out of date or damaged: every picture of
    /// a file that is there is read.
    ///
    /// # Errors
    /// Anything that is wrong with the pictures, or the storage.
    pub(crate) fn import(&mut self, how: How) -> Result<Prepared> {
        let file = self.file(how);
        sweep(&self.place); // also where nothing is left to do
        match self.sources(how).found_whole(&file) {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => {
                let text = error.to_string();
                let what = text.lines().next().unwrap_or_default();
                self.manner.say(format!("{}: {what}; it is made again", file.display()));
            }
        }
        self.make(how)
    }

    fn sources(&self, how: How) -> Sources<'_> {
        Sources::of(&self.dataset, self.options.import(how))
    }

    fn file(&self, (size, _): How) -> PathBuf {
        self.place.join(prepared_name(size))
    }

    /// Makes the prepared data.
    ///
    /// # Errors
    /// As [`Self::import`].
    pub(super) fn make(&mut self, how: How) -> Result<Prepared> {
        let manner = self.manner;
        std::fs::create_dir_all(&self.place).map_err(|e| Problem::storage(&self.place, &e))?;
        if !std::mem::replace(&mut self.noted, true) {
            self.dataset.notes.iter().for_each(|note| manner.say(note));
        }
        let name = format!("preparing {} px", how.0.prepared());
        let (sources, file) = (self.sources(how), self.file(how));
        let (prepared, made) = Phase::counted(manner, (&name, "pictures"), |progress| {
            sources.import(&file, progress)
        })?;
        tell(&made, manner);
        if self.dataset.count(Split::Test) > 0 && prepared.indices(Split::Test).is_empty() {
            manner.say("no picture is left for testing: `eval` has `--split train`");
        }
        Ok(prepared)
    }
}

/// Says what was left out, and what is suspicious.
fn tell(made: &ImportReport, manner: Manner) {
    for LeftOut { key, reason, .. } in made.left_out.iter().take(NAMED) {
        manner.say(format!("left out: {key}: {}", reason.lines().next().unwrap_or_default()));
    }
    if made.left_out.len() > NAMED {
        manner.say(format!("left out: {} more", made.left_out.len() - NAMED));
    }
    if let Some(copies) = &made.copies {
        manner.say(format!("WARNING: {copies}"));
    }
}
