//! Dataset folders: read, or drawn if they are of toy birds.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_data::dataset::Dataset;
use stackgan_data::layouts::{self, Kind, Reading, Uncaptioned};
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::{self, ToyConfig};

use super::locations::home;
use crate::args::{self, Layout};
use crate::exit::Problem;
use crate::progress::{Manner, Phase};

/// Number of toy birds that `train` draws by itself.
const TOY_COUNT: usize = 2880;

/// The dataset of toy birds, by which models name it too.
const TOY: &str = "toy";

/// The dataset of a preset if none was named: toy birds are drawn, others must exist.
///
/// # Errors
/// Code 4 with the command that fetches the dataset.
pub(crate) fn of_preset(dataset: &str, manner: Manner) -> Result<PathBuf> {
    let folder = home().join(dataset);
    if folder.is_dir() {
        return Ok(folder);
    }
    if dataset != TOY {
        let place = format!("folder: {}", folder.display());
        let remedy = match dataset {
            "photo" | "photo-projected" => {
                "name the folder of your pictures: `--data DIR`".to_owned()
            }
            _ => format!("`stackgan data fetch {dataset}` gets it; or name a folder: `--data DIR`"),
        };
        let (what, expected) = ("there is no dataset", "a dataset folder");
        return Err(Problem::missing(what, place, expected, remedy).into());
    }
    // Another process may draw them at the same time: whichever ends first gives the folder.
    match draw_toy(&folder, ToyConfig { count: TOY_COUNT, seed: 0 }, manner) {
        Err(_) if toy::is_toy(&folder) => Ok(folder),
        drawn => drawn.map(|_| folder),
    }
}

/// Draws the toy birds into `folder`.
///
/// # Errors
/// When the folder is not empty or cannot be written.
pub(crate) fn draw_toy(folder: &Path, config: ToyConfig, manner: Manner) -> Result<toy::ToyReport> {
    Ok(Phase::counted(manner, ("drawing birds", "pictures"), |progress| {
        toy::write(folder, &config, progress)
    })?)
}

/// Whether a dataset folder, or a prepared file of one, holds birds that this program drew.
pub(crate) fn is_toy(data: &Path) -> bool {
    if data.is_file() {
        return Prepared::open(data).is_ok_and(|data| data.name() == TOY);
    }
    toy::is_toy(data)
}

/// The kind of a dataset folder: as given, or detected from its contents.
///
/// # Errors
/// When the folder matches no kind or several.
pub(crate) fn kind(folder: &Path, layout: Layout) -> Result<Kind> {
    if !folder.exists() {
        let place = format!("folder: {}", folder.display());
        let (what, expected) = ("there is no such folder", "a dataset folder");
        return Err(Problem::missing(what, place, expected, "check the path").into());
    }
    if !folder.is_dir() {
        let place = format!("path: {}", folder.display());
        let remedy = "name the folder that holds the pictures; unpack an archive first \
                      (`stackgan data unpack` takes Parquet files and tars)";
        let parts = ("a dataset folder", "a file");
        return Err(Problem::usage("this is not a folder", place, parts, remedy).into());
    }
    match layout.kind {
        Some(args::Kind::Cub) => Ok(Kind::Cub),
        Some(args::Kind::Oxford) => Ok(Kind::Oxford),
        Some(args::Kind::Coco) => Ok(Kind::Coco),
        Some(args::Kind::Folder) => Ok(Kind::Folder),
        None => match layouts::detect(folder) {
            // Without a caption, one's own folder has no mark by which it is known.
            Err(stackgan_data::Error::Missing { .. })
                if layout.uncaptioned == Some(args::Uncaptioned::ClassName) =>
            {
                Ok(Kind::Folder)
            }
            found => Ok(found?),
        },
    }
}

/// How to decide what a folder does not specify.
pub(crate) const fn reading(layout: Layout) -> Reading {
    let uncaptioned = match layout.uncaptioned {
        None | Some(args::Uncaptioned::Refuse) => Uncaptioned::Refuse,
        Some(args::Uncaptioned::LeaveOut) => Uncaptioned::LeaveOut,
        Some(args::Uncaptioned::ClassName) => Uncaptioned::ClassName,
    };
    let split_seed = match layout.split_seed {
        Some(seed) => seed,
        None => 0,
    };
    Reading { split_seed, uncaptioned }
}

/// Reads the description of a dataset folder.
///
/// # Errors
/// Anything that is missing in it or does not match.
pub(crate) fn read(folder: &Path, layout: Layout) -> Result<Dataset> {
    let mut dataset = layouts::read(folder, kind(folder, layout)?, reading(layout))?;
    if toy::is_toy(folder) {
        // Toy birds are stored in the layout of CUB, but a model must name them.
        TOY.clone_into(&mut dataset.name);
    }
    Ok(dataset)
}
