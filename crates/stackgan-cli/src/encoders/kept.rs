//! The file of an encoder, which stays as it is once something was trained with it.

use std::path::Path;

use anyhow::Result;

use crate::exit::Problem;

/// Refuses to replace a file by an encoder: models that were trained with an encoder need it.
pub(crate) fn check_new(out: &Path) -> Result<()> {
    if !out.is_file() {
        return Ok(());
    }
    let place = format!("option: --out {}", out.display());
    let parts = ("no file, or an unfinished training beside it", "a file of this name");
    let remedy = "name another file; or remove this one, if nothing that was trained with it is still needed";
    Err(Problem::usage("the encoder would replace a file", place, parts, remedy).into())
}
