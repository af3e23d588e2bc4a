//! `stackgan data check`: whether a dataset is complete and undamaged.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use stackgan_data::check;
use stackgan_data::counted;
use stackgan_data::dataset::{Dataset, Split};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::prepared::Prepared;
use stackgan_train::config::{self, TrainConfig};

use crate::args::Layout;
use crate::datasets::{self, ANY_SIZE, FolderOptions};
use crate::exit::Problem;
use crate::output::{print, short};
use crate::progress::{Manner, Phase};

/// Number of embeddings checked at a time.
const ROWS: usize = 4096;

/// Checks a prepared file; or a dataset folder, what is prepared of it, and its embeddings.
pub(super) fn run(path: &Path, layout: Layout, manner: Manner) -> Result<()> {
    if path.is_file() {
        return print(summary(&check::prepared(path)?));
    }
    let options = FolderOptions { layout, ..Default::default() }.or_kept(path);
    let layout = options.layout;
    let kind = datasets::kind(path, layout)?;
    let report = check::check(path, kind, datasets::reading(layout));
    print(&report)?;
    if !report.is_complete() {
        let parts = ("everything that the folder needs", "the tree above".to_owned());
        let remedy = "do what stands beside each MISSING and WRONG part";
        return Err(Problem::data("the dataset is not complete", path, parts, remedy).into());
    }
    let dataset = datasets::read(path, layout)?;
    // Decode every picture, so that all faults are reported together.
    let left_out = Phase::counted(manner, ("checking", "pictures"), |progress| {
        check::pictures(&dataset, options.damaged(), progress)
    })?;
    match left_out {
        Some(error) => {
            manner.say(format!("left out, as at the import: {error:#}"));
            print("every other picture can be read")?;
        }
        None => print("every picture can be read")?,
    }
    let mut outdated = datasets::files(path);
    for prepared in datasets::whole(&dataset, (path, options)) {
        let prepared = prepared?;
        print(summary(&prepared))?;
        outdated.retain(|file| file != prepared.path());
    }
    for file in outdated {
        print(format!("{}: out of date, and made anew by the next import", file.display()))?;
    }
    if let Some(few) = few(&dataset) {
        print(few)?;
    }
    check_embeddings(path)
}

/// What is to be said if the preset's batches are larger than the dataset.
fn few(dataset: &Dataset) -> Option<String> {
    let known = config::preset(&format!("{}-stage1", dataset.name)).is_some();
    let name = if known { &dataset.name } else { "toy" };
    let settings = config::preset(&format!("{name}-stage1"))?;
    let batch = TrainConfig::from_toml(settings).ok()?.optim.batch;
    let pictures = dataset.count(Split::Train);
    (pictures < batch).then(|| {
        format!(
            "{} to train on, fewer than the {batch} of a batch (preset {name}): give `--set optim.batch=N`",
            counted(pictures, "picture")
        )
    })
}

/// Checks that the embeddings imported for the folder belong to its captions, and that all values
/// are finite.
fn check_embeddings(folder: &Path) -> Result<()> {
    let Some(file) = datasets::embeddings_of(folder) else { return Ok(()) };
    let Some(data) = datasets::there(folder, ANY_SIZE)? else {
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

fn summary(prepared: &Prepared) -> String {
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
        prepared.path().display(),
        prepared.size().prepared(),
        prepared.indices(Split::Train).len(),
        prepared.indices(Split::Test).len(),
        counted(prepared.caption_count(), "caption"),
        short(prepared.fingerprint())
    )
}
