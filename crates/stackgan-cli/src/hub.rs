//! Names on the Hugging Face Hub, `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION` (of datasets also with
//! a folder behind it), and what lies there.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_data::fetch::hub::{DatasetFiles, Hub, Layout, Repository};
use stackgan_data::unpack::is_shard;

use crate::progress::{FetchProgress, Manner};

/// Prefix of a name on the Hub.
pub(crate) const HUB: &str = "hub:";

/// What follows the prefix; `None` for a path.
pub(crate) fn repository(name: &Path) -> Option<&str> {
    name.to_str()?.strip_prefix(HUB)
}

/// Fetches what `layout` says of a repository, unless it is there, and returns its folder.
///
/// # Errors
/// Code 2 for a name that is none; code 4 when it cannot be fetched.
pub(crate) fn fetch(
    repository: &str,
    layout: &Layout<'_>,
    manner: Manner,
) -> Result<(Repository, PathBuf)> {
    let repository = Repository::parse(repository)?;
    let mut shown = FetchProgress::new(manner);
    let folder = Hub::from_env()?.folder(&repository, layout, &mut |event| shown.on(event))?;
    Ok((repository, folder))
}

/// Fetches the Parquet files and tars of a dataset, those of them that are not there, and returns the
/// folder in which they lie.
///
/// # Errors
/// Code 2 for a name that is none, and for a dataset of several parts; code 3 for names that lead out
/// of the folder; code 4 when it cannot be fetched or has no such files.
pub(crate) fn shards(name: &str, manner: Manner) -> Result<PathBuf> {
    let dataset = DatasetFiles::parse(name)?;
    let mut shown = FetchProgress::new(manner);
    Ok(Hub::from_env()?.dataset(&dataset, &is_shard, &mut |event| shown.on(event))?)
}
