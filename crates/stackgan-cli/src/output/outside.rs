//! Keeps results out of datasets.

use std::path::{Component, Path};

use anyhow::Result;
use stackgan_data::layouts;

use crate::exit::Problem;

/// Rejects the output that `option` names among the files of the dataset `path` (a folder, or the
/// prepared file in one), where it would become part of the dataset or replace a part of it. The
/// folder `prepared` is not part of the dataset.
///
/// # Errors
/// Code 2.
pub(crate) fn outside(path: &Path, (option, output): (&str, &Path)) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let Some(mut folder) = real(path) else { return Ok(()) };
    if folder.is_file() {
        let above = folder.parent().filter(|own| own.ends_with("prepared")).and_then(Path::parent);
        let Some(above) = above.filter(|dir| layouts::detect(dir).is_ok()) else { return Ok(()) };
        folder = above.to_path_buf();
    }
    // Missing folders will be created: the innermost existing one decides.
    let above = output.ancestors().skip(1);
    let there = above.map(|p| (p, if p.as_os_str().is_empty() { Path::new(".") } else { p }));
    let there = there.filter_map(|(above, path)| Some((above, real(path)?))).next();
    let Some((above, mut into)) = there else { return Ok(()) };
    for name in output.strip_prefix(above).unwrap_or(output).components() {
        if name == Component::ParentDir {
            into.pop();
        } else {
            into.push(name);
        }
    }
    if !into.starts_with(&folder) || into.starts_with(folder.join("prepared")) {
        return Ok(());
    }
    let place = format!("option: {option} {}", output.display());
    let parts = (format!("a place outside of {}", folder.display()), "one among its files");
    let remedy = format!("choose another folder, or {}", folder.join("prepared").display());
    Err(Problem::usage("the output would become a part of the dataset", place, parts, remedy)
        .into())
}
