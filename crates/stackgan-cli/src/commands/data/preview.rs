//! `stackgan data preview`: a sheet of pictures with captions.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Result;
use stackgan_core::image::Picture;
use stackgan_data::contact_sheet::{self, Exhibit, contact_sheet};
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::prepared::Prepared;

use crate::args::Layout;
use crate::datasets::{self, FolderOptions};
use crate::exit::Problem;
use crate::output::{Written, outside, write_file};

/// Writes a sheet of pictures with captions, and all their captions in a text file.
pub(super) fn run(path: &Path, layout: Layout, output: &Path, count: usize) -> Result<Written> {
    let text = sheet_of(path, output)?;
    let (exhibits, legend) = if path.is_file() {
        (Exhibit::of_prepared(&Prepared::open(path)?, count)?, contact_sheet::LEGEND_PREPARED)
    } else {
        let options = FolderOptions { layout, ..Default::default() }.or_kept(path);
        let how = options.preparation(PictureSize::Stage2, Resizing::Residual);
        let dataset = datasets::read(path, options.layout)?;
        (Exhibit::of_dataset(&dataset, count, (how, options.damaged()))?, contact_sheet::LEGEND)
    };
    let sheet = contact_sheet(&exhibits, legend)?;
    let (width, height) = (sheet.width() as usize, sheet.height() as usize);
    let picture = Picture { width, height, rgb: sheet.into_raw() };
    let mut captions = format!("{LISTING}\n");
    for exhibit in &exhibits {
        captions.push_str(&format!("{}\n", exhibit.name));
        captions.extend(exhibit.captions.iter().map(|caption| format!("  {caption}\n")));
    }
    write_file(&text, captions.as_bytes())?;
    write_file(output, &picture.encode_png()?)?;
    Ok(Written::of([output, &text]))
}

/// The first line of the listing beside a sheet, which identifies both as a preview.
const LISTING: &str = "# captions of the sheet beside, by `stackgan data preview`";

/// The path of the listing beside the sheet `output`. Fails if either would become part of the
/// dataset or overwrite a file that is not a preview.
fn sheet_of(path: &Path, output: &Path) -> Result<PathBuf> {
    let place = format!("option: --output {}", output.display());
    if !output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) {
        let parts = ("a name that ends in .png", "another");
        let remedy = "choose another name: the sheet is a PNG";
        return Err(Problem::usage("the sheet has another format", place, parts, remedy).into());
    }
    outside(path, ("--output", output))?;
    let text = output.with_extension("txt");
    let listing =
        || File::open(&text).map(BufReader::new)?.take(1 << 10).lines().next().transpose();
    let ours = listing().is_ok_and(|line| line.as_deref() == Some(LISTING));
    if let Some(other) = [output, &text].into_iter().find(|file| file.exists() && !ours) {
        let parts = ("no file, or an earlier sheet with its listing", other.display().to_string());
        let remedy = "choose another name, or remove the file";
        let what = "a file is in the way of the sheet";
        return Err(Problem::usage(what, place, parts, remedy).into());
    }
    Ok(text)
}
