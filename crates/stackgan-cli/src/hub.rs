//! Names on the Hugging Face Hub, `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`, and what lies there.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_data::fetch::hub::{Hub, Layout, Repository};

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
