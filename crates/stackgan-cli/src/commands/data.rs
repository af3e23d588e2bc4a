//! `stackgan data`: draws, imports, checks and shows datasets. Fetching them is in
//! [`super::fetch`].

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use stackgan_core::image::Picture;
use stackgan_data::check;
use stackgan_data::contact_sheet::{self, Exhibit, contact_sheet};
use stackgan_data::counted;
use stackgan_data::crop::{PictureSize, Resizing};
use stackgan_data::dataset::Split;
use stackgan_data::embeddings::{self, Embeddings};
use stackgan_data::layouts;
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::ToyConfig;

use super::{Context, apart, fetch, made_by, print, sources, write_file};
use crate::args::{self, Layout, Sizes};
use crate::exit::Problem;

/// Number of embeddings checked at a time.
const ROWS: usize = 4096;

/// Runs the subcommand.
pub(super) fn run(args: args::Data, context: &Context) -> Result<()> {
    match args {
        args::Data::Toy { out, count, seed } => {
            let drawn = sources::draw_toy(&out, ToyConfig { count, seed }, context)?;
            print(format!(
                "{}: {} of {} species to train on, {} of {} unseen species",
                out.display(),
                counted(drawn.train_pictures, "picture"),
                drawn.train_species,
                drawn.test_pictures,
                drawn.test_species
            ))
        }
        args::Data::Fetch(args) => fetch::run(&args, context),
        args::Data::Import(args) => import(&args, context),
        args::Data::Check { path, layout } => check_path(&path, layout, context),
        args::Data::Preview { path, output, count, layout } => {
            preview(&path, layout, &output, usize::from(count))
        }
        args::Data::Captions { path, names, output } => {
            captions(&path, names, output.as_deref(), context)
        }
    }
}

/// Creates the prepared files of a dataset folder, and prints their names.
pub(super) fn import(args: &args::Import, context: &Context) -> Result<()> {
    let claimed = args.made_by.as_deref(); // opened before an import of hours
    let claimed = claimed.map(|name| made_by::Claimed::open(name, context)).transpose()?;
    let sizes: &[PictureSize] = match args.size {
        Sizes::Low => &[PictureSize::Stage1],
        Sizes::High => &[PictureSize::Stage2],
        Sizes::Both => &[PictureSize::Stage1, PictureSize::Stage2],
    };
    let stated =
        sources::Manner { layout: args.layout, contrast: args.contrast, damaged: args.damaged };
    let manner = stated.or_kept(&args.dir);
    let recipe = match args.recipe {
        Some(args::Recipe::Residual) => Resizing::Residual,
        Some(args::Recipe::Plain) => Resizing::Plain,
        None => sources::usual_resizing(sources::kind(&args.dir, manner.layout)?),
    };
    let mut made = None;
    for size in sizes {
        let how = manner.preparation(*size, recipe);
        let file = sources::prepare((&args.dir, manner), args.out.as_deref(), how, context)?;
        print(file.display())?;
        made = Some(file);
    }
    let (Some(file), Some(source)) = (made, &args.embeddings) else { return Ok(()) };
    let data = Prepared::open(&file)?;
    let out = sources::imported_embeddings(&file);
    let maker = claimed.map(|claimed| claimed.maker(data.all_captions(), context)).transpose()?;
    let done = context.counted(("importing embeddings", "pictures"), |progress| {
        embeddings::import(source, &data, &out, maker.as_ref(), progress)
    })?;
    made_by::say(&done, maker.as_ref(), context.manner);
    if done.unused > 0 {
        context.manner.say(format!("entries of other pictures, not used: {}", done.unused));
    }
    print(out.display())
}

fn check_path(path: &Path, layout: Layout, context: &Context) -> Result<()> {
    if path.is_file() {
        let prepared = Prepared::open(path)?;
        read_all(&prepared)?;
        return print(summary(path, &prepared));
    }
    let manner = sources::Manner { layout, ..Default::default() }.or_kept(path);
    let layout = manner.layout;
    let kind = sources::kind(path, layout)?;
    let report = check::check(path, kind, sources::reading(layout));
    print(&report)?;
    if !report.is_complete() {
        let parts = ("everything that the folder needs", "the tree above".to_owned());
        let remedy = "do what stands beside each MISSING and WRONG part";
        return Err(Problem::data("the dataset is not complete", path, parts, remedy).into());
    }
    let dataset = sources::read(path, layout)?;
    // Decode every picture, so that all faults are reported together.
    let left_out = context.counted(("checking", "pictures"), |progress| {
        check::pictures(&dataset, manner.damaged(), progress)
    })?;
    match left_out {
        Some(error) => {
            context.manner.say(format!("left out, as at the import: {error:#}"));
            print("every other picture can be read")?;
        }
        None => print("every picture can be read")?,
    }
    for size in sources::ANY_SIZE {
        if let Some(prepared) = sources::there_of(&dataset, (path, manner), *size) {
            read_all(&prepared)?;
            print(summary(prepared.path(), &prepared))?;
        }
    }
    check_embeddings(path)
}

/// Reads every picture of a prepared file, which compares its rows with their sums.
fn read_all(prepared: &Prepared) -> Result<()> {
    for i in 0..prepared.len() {
        prepared.image(i)?;
    }
    Ok(())
}

/// Checks that the embeddings imported for the folder belong to its captions, and that all values
/// are finite.
fn check_embeddings(folder: &Path) -> Result<()> {
    let Some(file) = sources::embeddings_of(folder) else { return Ok(()) };
    let Some(data) = sources::there(folder, sources::ANY_SIZE)? else {
        let parts = ("embeddings of what the folder holds now", "those of an earlier import");
        let remedy = "import them again: `stackgan data import`, with `--embeddings` and the files";
        return Err(Problem::data("the embeddings are stale", &file, parts, remedy).into());
    };
    let embeddings = Embeddings::open(&file)?;
    embeddings.check(&data)?;
    let rows = embeddings.len();
    for first in (0..rows).step_by(ROWS) {
        let numbers = embeddings.rows(first..(first + ROWS).min(rows))?;
        if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
            let row = first + at / embeddings.dim();
            let parts = ("finite numbers".to_owned(), format!("one that is none in row {row}"));
            let remedy =
                "import them again: `stackgan data import`, with `--embeddings` and the files";
            return Err(Problem::data("the embeddings are damaged", &file, parts, remedy).into());
        }
    }
    let numbers = counted(embeddings.dim(), "number");
    print(format!("{} of {numbers}, one for each caption", counted(rows, "embedding")))
}

fn summary(path: &Path, prepared: &Prepared) -> String {
    let classes = |split| -> BTreeSet<u32> {
        let indices = prepared.indices(split).into_iter();
        indices.filter_map(|i| prepared.class(i)).collect()
    };
    let (train, test) = (classes(Split::Train), classes(Split::Test));
    // If every picture has a class of its own, classes mean nothing.
    let classes = if train.union(&test).count() < prepared.len() {
        format!("{} and {}", train.len(), counted(test.len(), "class"))
    } else {
        "no classes".to_owned()
    };
    format!(
        "{}: {} px, {} train, {} test, {}, {classes}, fingerprint {}",
        path.display(),
        prepared.size().prepared(),
        prepared.indices(Split::Train).len(),
        prepared.indices(Split::Test).len(),
        counted(prepared.caption_count(), "caption"),
        prepared.fingerprint().get(..12).unwrap_or_default()
    )
}

/// Writes a sheet of pictures with captions, and all their captions in a text file.
fn preview(path: &Path, layout: Layout, output: &Path, count: usize) -> Result<()> {
    let text = sheet_of(path, output)?;
    let (exhibits, legend) = if path.is_file() {
        (Exhibit::of_prepared(&Prepared::open(path)?, count)?, contact_sheet::LEGEND_PREPARED)
    } else {
        let manner = sources::Manner { layout, ..Default::default() }.or_kept(path);
        let how = manner.preparation(PictureSize::Stage2, Resizing::Residual);
        let dataset = sources::read(path, manner.layout)?;
        (Exhibit::of_dataset(&dataset, count, how)?, contact_sheet::LEGEND)
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
    print(output.display())?;
    print(text.display())
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
    outside(path, output)?;
    let text = output.with_extension("txt");
    let listing =
        || File::open(&text).map(BufReader::new)?.take(1 << 10).lines().next().transpose();
    let ours = listing().is_ok_and(|line| line.as_deref() == Some(LISTING));
    if let Some(other) = [output, &text].into_iter().find(|file| file.exists() && !ours) {
        let parts = ("no file, or an earlier sheet with its listing", other.display().to_string());
        let remedy = "choose another name, or remove the file";
        return Err(
            Problem::usage("a file is in the way of the sheet", place, parts, remedy).into()
        );
    }
    Ok(text)
}

/// Rejects an output among the files of the dataset `path` (a folder, or the prepared file in one),
/// where it would become part of the dataset or replace a part of it. The folder `prepared` is not
/// part of the dataset.
fn outside(path: &Path, output: &Path) -> Result<()> {
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
    let place = format!("option: --output {}", output.display());
    let parts = (format!("a place outside of {}", folder.display()), "one among its files");
    let remedy = format!("choose another folder, or {}", folder.join("prepared").display());
    Err(Problem::usage("the output would become a part of the dataset", place, parts, remedy)
        .into())
}

/// Writes the captions of a dataset, or the names of its pictures, one per line.
fn captions(path: &Path, names: bool, output: Option<&Path>, context: &Context) -> Result<()> {
    output.map_or(Ok(()), |file| outside(path, file))?;
    apart(&[Some(path)], &[("--output", output)])?;
    let data = sources::open_any(path, sources::ANY_SIZE, context)?;
    let list = if names {
        (0..data.len()).map(|i| format!("{}\n", data.key(i))).collect()
    } else {
        embeddings::captions_list(&data)
    };
    match output {
        Some(file) => {
            write_file(file, list.as_bytes())?;
            print(file.display())
        }
        None => print(list.strip_suffix('\n').unwrap_or(&list)),
    }
}
