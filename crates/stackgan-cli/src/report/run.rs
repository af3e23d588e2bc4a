//! The report of a run folder: curves, grids over time, settings.

use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_train::run_dir::RunDir;

use super::{Page, charts};

/// Grids that a page takes at most: they are inside it.
const MOST_GRIDS: usize = 24;

/// Largest PNG that a page takes.
const LARGEST: u64 = 16 << 20;

/// The grids of a run, oldest first, with a label each; evenly thinned to what a page takes.
pub(crate) fn grids(run: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(folder) = std::fs::read_dir(run.join("samples")) else { return Vec::new() };
    let mut files: Vec<(u64, PathBuf)> = folder
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "png"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path)))
        .collect();
    files.sort();
    let last = files.len().saturating_sub(1);
    let kept = files.len().min(MOST_GRIDS);
    let chosen = (0..kept).map(|i| if kept > 1 { i * last / (kept - 1) } else { 0 });
    chosen
        .filter_map(|i| files.get(i))
        .filter(|(_, path)| path.metadata().is_ok_and(|m| m.len() <= LARGEST))
        .filter_map(|(step, path)| Some((format!("step {step}"), std::fs::read(path).ok()?)))
        .collect()
}

/// Writes `report.html` into the run folder.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_run_report(dir: &RunDir) -> Result<PathBuf> {
    let path = dir.path();
    let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let mut page = Page::new(
        &format!("StackGAN training run {name}"),
        "Everything on this page is inside this file.",
    );
    let grids = grids(path);
    if !grids.is_empty() {
        page.section("The same captions and the same noise over time");
        page.slider("Painted in evaluation mode, with running batch-norm statistics.", &grids);
    }
    if let Ok(reals) = std::fs::read(dir.reals()) {
        page.picture("Real pictures of the same captions, in the order of the rows.", &reals);
    }
    if let Ok(captions) = std::fs::read_to_string(dir.captions()) {
        page.folded("The captions, a row each", &captions);
    }
    page.section("Curves");
    page.charts(&charts(&dir.stats()));
    page.section("Settings");
    page.folded("config.toml", &std::fs::read_to_string(dir.config()).unwrap_or_default());
    let report = path.join("report.html");
    dir.write(&report, page.finish().as_bytes())?;
    Ok(report)
}
