//! `stackgan data check`: whether a dataset is complete and undamaged.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use stackgan_data::check::{self, CheckReport, Examined};
use stackgan_data::crop::Fit;
use stackgan_data::dataset::{Dataset, Split};
use stackgan_data::embeddings::Embeddings;
use stackgan_data::layouts::Kind;
use stackgan_data::prepared::Prepared;
use stackgan_data::{counted, first_few, printable};
use stackgan_train::config::{self, TrainConfig};

use super::summary::Summary;
use crate::args::Layout;
use crate::datasets::{self, ANY_SIZE, FolderOptions};
use crate::exit::Problem;
use crate::output::{Answer, Form, path_text};
use crate::progress::{Manner, Phase};

/// What is said of embeddings of an earlier import with the same captions.
const DOUBT: &str = "the prepared files are out of date: import again, then check, to see whether the embeddings still belong to the pictures";

/// What is to be done about embeddings that cannot be used.
const IMPORT_AGAIN: &str =
    "import them again: `stackgan data import`, with `--embeddings` and the files";

/// Number of embeddings checked at a time.
const ROWS: usize = 4096;

/// Checks a prepared file; or a dataset folder, what is prepared of it, and its embeddings. Shows
/// also what was found before a fault.
pub(super) fn run(path: &Path, layout: Layout, form: Form, manner: Manner) -> Result<()> {
    let mut found = Found { path: path_text(path), ..Found::default() };
    let checked = match path.is_file() {
        true => found.file(path),
        false => found.folder(path, layout, manner),
    };
    found.whole = checked.is_ok();
    if found.layout.is_some() || !found.prepared.is_empty() {
        form.show(&found)?;
    }
    checked
}

/// What was found of a dataset.
#[derive(Default, Serialize)]
struct Found {
    path: String,
    /// Whether nothing is missing, wrong or damaged.
    whole: bool,
    /// The kind and the parts of a folder, and what it would be imported as.
    layout: Option<CheckReport>,
    /// Whether the pictures can be read.
    pictures: Option<Pictures>,
    /// The prepared files that are up to date.
    prepared: Vec<Summary>,
    /// The prepared files that the next import makes anew.
    outdated: Vec<String>,
    /// What to do if the preset's batches are larger than the dataset.
    few: Option<String>,
    /// What may do harm to results, though not to an import.
    warnings: Vec<String>,
    /// The embeddings that were imported for it.
    embeddings: Option<Counted>,
}

/// Whether the pictures of a folder can be read.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Pictures {
    /// Every one.
    AllReadable,
    /// Every one but those that are left out.
    OthersReadable,
}

/// Embeddings.
#[derive(Serialize)]
struct Counted {
    file: String,
    rows: usize,
    /// Number of values of each.
    dim: usize,
}

impl Found {
    /// Checks a prepared file.
    fn file(&mut self, path: &Path) -> Result<()> {
        self.prepared.push(Summary::of(&check::prepared(path)?));
        Ok(())
    }

    /// Checks a folder, and keeps what was found if there is a fault.
    fn folder(&mut self, path: &Path, layout: Layout, manner: Manner) -> Result<()> {
        let options = FolderOptions { layout, ..Default::default() }.or_kept(path);
        let layout = options.layout;
        let kind = datasets::kind(path, layout)?;
        let report = check::check(path, kind, datasets::reading(layout));
        if !self.layout.insert(report).is_complete() {
            let parts = ("everything that the folder needs", "the tree above".to_owned());
            let remedy = "do what stands beside each MISSING and WRONG part";
            return Err(Problem::data("the dataset is not complete", path, parts, remedy).into());
        }
        let mut dataset = datasets::read(path, layout)?;
        // Decode every picture, so that all faults are reported together.
        let examined = Phase::counted(manner, ("checking", "pictures"), |progress| {
            check::pictures(&dataset, options.damaged(), progress)
        })?;
        self.warnings.extend(squeezed(&examined, (kind, options.fit())));
        self.warnings.extend(enlarged(&examined, kind));
        self.warnings.extend(cut(&examined, &dataset));
        self.warnings.extend(examined.copies.as_ref().map(|copies| format!("WARNING: {copies}")));
        self.pictures = Some(match examined.left_out {
            Some(error) => {
                manner.say(format!("left out, as at the import: {error:#}"));
                Pictures::OthersReadable
            }
            None => Pictures::AllReadable,
        });
        let mut outdated = datasets::files(path);
        for prepared in datasets::whole(&dataset, (path, options)) {
            let prepared = prepared?;
            self.prepared.push(Summary::of(&prepared));
            outdated.retain(|file| file != prepared.path());
        }
        self.outdated = outdated.iter().map(|file| path_text(file)).collect();
        // What is prepared was made of the whole dataset; what is counted is what is used of it.
        if !examined.unusable.is_empty() {
            let items = std::mem::take(&mut dataset.items).into_iter().enumerate();
            let (gone, used): (Vec<_>, Vec<_>) =
                items.partition(|(i, _)| examined.unusable.binary_search(i).is_ok());
            dataset.items = used.into_iter().map(|(_, item)| item).collect();
            let keys: Vec<&str> = gone.iter().map(|(_, item)| &*item.key).collect();
            let (pictures, few) = (counted(keys.len(), "picture"), first_few(&keys));
            dataset.notes.push(format!("{pictures} that cannot be used left out ({few})"));
            if let Some(report) = &mut self.layout {
                report.recount(&dataset);
            }
        }
        self.few = few(&dataset);
        self.embeddings(path, &dataset)
    }

    /// Checks that the embeddings imported for the folder belong to its captions, and that all values
    /// are finite.
    fn embeddings(&mut self, folder: &Path, dataset: &Dataset) -> Result<()> {
        let Some(file) = datasets::embeddings_of(folder) else { return Ok(()) };
        let data = match datasets::there(folder, ANY_SIZE)? {
            Some(data) => data,
            None => {
                self.warnings.push(DOUBT.to_owned());
                before(folder, dataset, &file)?
            }
        };
        let embeddings = Embeddings::open(&file)?;
        embeddings.check(&data)?;
        let (rows, dim) = (embeddings.len(), embeddings.dim());
        for first in (0..rows).step_by(ROWS) {
            let numbers = embeddings.rows(first..(first + ROWS).min(rows))?;
            if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
                let row = first + at / dim;
                let parts = ("finite numbers".to_owned(), format!("one that is none in row {row}"));
                let what = "the embeddings are damaged";
                return Err(Problem::data(what, &file, parts, IMPORT_AGAIN).into());
            }
        }
        self.embeddings = Some(Counted { file: path_text(&file), rows, dim });
        Ok(())
    }
}

/// What is to be said if a person's own pictures are far from square. The published sets are squeezed
/// in the releases too.
fn squeezed(examined: &Examined, (kind, fit): (Kind, Fit)) -> Option<String> {
    let n = examined.oblong;
    (n > 0 && kind == Kind::Folder && fit == Fit::Squeeze).then(|| {
        let (pictures, are) = (counted(n, "picture"), if n == 1 { "is" } else { "are" });
        format!(
            "{pictures} without a box {are} wider or higher than 4:3, and squeezed to a square: \
             `stackgan data import DIR --fit centre` takes the largest square around the centre"
        )
    })
}

/// What is to be said of a person's own pictures that are smaller than those of Stage-II.
fn enlarged(examined: &Examined, kind: Kind) -> Option<String> {
    let n = examined.small;
    let (pictures, are) = (counted(n, "picture"), if n == 1 { "is" } else { "are" });
    (n > 0 && kind == Kind::Folder).then(|| {
        format!(
            "{pictures}, or the squares around their boxes, {are} less than 256 pixels wide or high, and enlarged: \
             Stage-II learns no finer detail than they have"
        )
    })
}

/// What is to be said of boxes that reach beyond their pictures.
fn cut(examined: &Examined, dataset: &Dataset) -> Option<String> {
    let first = dataset.items.get(*examined.beyond.first()?)?;
    let n = examined.beyond.len();
    let have = if n == 1 {
        "has a box that reaches beyond it"
    } else {
        "have boxes that reach beyond them"
    };
    Some(format!(
        "{} {have} (first: {}): their crops end at the edge",
        counted(n, "picture"),
        printable(&first.key)
    ))
}

/// What is to be said if the preset's batches are larger than the dataset.
fn few(dataset: &Dataset) -> Option<String> {
    let known = config::preset(&format!("{}-stage1", dataset.name)).is_some();
    let name = if known { &dataset.name } else { "photo" };
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

/// The prepared data of an earlier import, of the captions that the folder holds now.
fn before(folder: &Path, dataset: &Dataset, embeddings: &Path) -> Result<Prepared> {
    let captions = || dataset.items.iter().flat_map(|item| &item.captions);
    let earlier = datasets::files(folder).into_iter().filter_map(|file| Prepared::open(&file).ok());
    let same = |data: &Prepared| captions().eq(data.all_captions());
    earlier.into_iter().find(same).ok_or_else(|| {
        let parts = ("embeddings of what the folder holds now", "those of an earlier import");
        Problem::data("the embeddings are stale", embeddings, parts, IMPORT_AGAIN).into()
    })
}

impl Answer for Found {
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.layout.iter().map(ToString::to_string).collect();
        lines.extend(self.pictures.map(|pictures| match pictures {
            Pictures::AllReadable => "every picture can be read".to_owned(),
            Pictures::OthersReadable => "every other picture can be read".to_owned(),
        }));
        lines.extend(self.prepared.iter().map(Summary::line));
        let outdated = self.outdated.iter();
        lines.extend(
            outdated.map(|file| format!("{file}: out of date, and made anew by the next import")),
        );
        lines.extend(self.few.clone());
        lines.extend(self.warnings.iter().cloned());
        lines.extend(self.embeddings.iter().map(|Counted { rows, dim, .. }| {
            let numbers = counted(*dim, "number");
            format!("{} of {numbers}, one for each caption", counted(*rows, "embedding"))
        }));
        lines
    }
}
