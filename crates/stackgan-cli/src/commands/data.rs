//! `stackgan data`: draw, import, check, look at datasets. Fetching them is in [`super::fetch`].

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use rayon::prelude::*;
use stackgan_core::image::{Picture, grid};
use stackgan_data::Error;
use stackgan_data::check;
use stackgan_data::crop::{MAX_FILE, PictureSize, Resizing, decode_as};
use stackgan_data::dataset::Split;
use stackgan_data::formats::read_bounded;
use stackgan_data::prepared::Prepared;
use stackgan_data::toy::ToyConfig;

use super::{Context, fetch, print, sources, write_file};
use crate::args::{self, Layout, Sizes};
use crate::exit::Problem;

/// Does one of them.
pub(super) fn run(args: args::Data, context: &Context) -> Result<()> {
    match args {
        args::Data::Toy { out, count, seed } => {
            let drawn = sources::draw_toy(&out, ToyConfig { count, seed }, context)?;
            print(format!(
                "{}: {} pictures of {} species to train on, {} of {} unseen species",
                out.display(),
                drawn.train_pictures,
                drawn.train_species,
                drawn.test_pictures,
                drawn.test_species
            ))
        }
        args::Data::Fetch(args) => fetch::run(&args, context),
        args::Data::Import(args) => {
            import(&args.dir, args.layout, (args.size, args.out.as_deref()), context)
        }
        args::Data::Check { path, layout } => check_path(&path, layout, context),
        args::Data::Preview { file, output, count } => preview(&file, &output, usize::from(count)),
    }
}

/// Makes the prepared files of a dataset folder, and prints their names.
pub(super) fn import(
    dir: &Path,
    layout: Layout,
    (sizes, out): (Sizes, Option<&Path>),
    context: &Context,
) -> Result<()> {
    let sizes: &[PictureSize] = match sizes {
        Sizes::Low => &[PictureSize::Stage1],
        Sizes::High => &[PictureSize::Stage2],
        Sizes::Both => &[PictureSize::Stage1, PictureSize::Stage2],
    };
    for size in sizes {
        let how = sources::preparation(*size, Resizing::Residual);
        let file = sources::prepare((dir, layout), out, how, context)?;
        print(file.display())?;
    }
    Ok(())
}

fn check_path(path: &Path, layout: Layout, context: &Context) -> Result<()> {
    if path.is_file() {
        let prepared = Prepared::open(path)?;
        for i in 0..prepared.len() {
            prepared.image(i)?;
        }
        return print(summary(path, &prepared));
    }
    let kind = sources::kind(path, layout)?;
    let report = check::check(path, kind);
    print(&report)?;
    if !report.is_complete() {
        let parts = ("everything that the folder needs", "the tree above".to_owned());
        let remedy = "do what stands beside each MISSING and WRONG part";
        return Err(Problem::data("the dataset is not complete", path, parts, remedy).into());
    }
    let dataset = sources::read(path, layout)?;
    // Every picture is decoded, so that all faults are seen at once.
    let faults = context.counted(("checking", "pictures"), |progress| {
        let (done, total) = (AtomicUsize::new(0), dataset.items.len());
        let faults = dataset.items.par_iter().filter_map(|item| {
            let bytes = read_bounded(&item.image, MAX_FILE);
            let fault = bytes.and_then(|b| decode_as(&b, dataset.orientation, &item.image)).err();
            progress(1 + done.fetch_add(1, Ordering::Relaxed), total);
            fault
        });
        Ok::<Vec<Error>, Error>(faults.collect())
    })?;
    if let Some(first) = faults.first() {
        let count = faults.len();
        let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let parts = ("pictures that can be read", format!("{count} that cannot; first: {first}"));
        context.manner.say(all.join("\n"));
        let remedy = "replace these files, or take them out of the folder's lists";
        return Err(Problem::data("the dataset has damaged pictures", path, parts, remedy).into());
    }
    print("every picture can be read")
}

fn summary(path: &Path, prepared: &Prepared) -> String {
    let classes = |split| {
        prepared
            .indices(split)
            .into_iter()
            .filter_map(|i| prepared.class(i))
            .collect::<BTreeSet<_>>()
            .len()
    };
    format!(
        "{}: {} px, {} train, {} test, {} captions, {} and {} classes, fingerprint {}",
        path.display(),
        prepared.size().prepared(),
        prepared.indices(Split::Train).len(),
        prepared.indices(Split::Test).len(),
        prepared.caption_count(),
        classes(Split::Train),
        classes(Split::Test),
        prepared.fingerprint().get(..12).unwrap_or_default()
    )
}

/// The first pictures of the training split, evenly spread, with the first caption of each in a text file.
fn preview(file: &Path, output: &Path, count: usize) -> Result<()> {
    let prepared = Prepared::open(file)?;
    let train = prepared.indices(Split::Train);
    let count = count.min(train.len());
    let side = prepared.size().prepared();
    let columns = count.isqrt().max(1);
    let (mut pictures, mut captions) = (Vec::with_capacity(count), String::new());
    for n in 0..count {
        let Some(&i) = train.get(n * train.len() / count) else { continue };
        pictures.push(Picture { width: side, height: side, rgb: prepared.image(i)? });
        let caption = prepared.captions(i).first().map_or("", String::as_str);
        captions.push_str(&format!(
            "row {} column {}: {caption}\n",
            n / columns + 1,
            n % columns + 1
        ));
    }
    write_file(output, &grid(&pictures, columns, 2).encode_png()?)?;
    let text = output.with_extension("txt");
    write_file(&text, captions.as_bytes())?;
    print(output.display())?;
    print(text.display())
}
