//! The report about a folder: its parts and how they are displayed.

use crate::Error;
use crate::dataset::{Dataset, Split};
use crate::error::{counted, first_few, printable};
use crate::layouts::{Kind, Labels, inside, pictures, slashed};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

/// How a sentence of a summary begins that says why training would fail or learn little.
const WARNING: &str = "WARNING: ";

/// What was found at one path.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// As expected; `detail` gives counts.
    Found {
        /// The number of records or files.
        detail: String,
    },
    /// Required, but not found.
    Missing {
        /// The command that creates it.
        remedy: String,
    },
    /// Optional, and not found.
    Absent {
        /// What it would be used for.
        detail: String,
    },
    /// Found, but not as expected.
    Wrong {
        /// What is wrong.
        detail: String,
        /// What the user can do.
        remedy: String,
    },
}

/// One part of a layout.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// Its path relative to the folder.
    pub path: String,
    /// What it is.
    pub what: &'static str,
    /// What was found.
    #[serde(flatten)]
    pub status: Status,
}

impl Part {
    /// A part that is wrong, at the file and place that the error names.
    pub(super) fn fault(dir: &Path, what: &'static str, error: &Error, remedy: String) -> Self {
        // Some errors name the path with the links in the folder's own path resolved, others do
        // not.
        let whole = dir.canonicalize().unwrap_or_default();
        let file = error.file().unwrap_or(dir);
        let below = file.strip_prefix(dir).or_else(|_| file.strip_prefix(whole)).unwrap_or(file);
        let mut path = slashed(below);
        if path.is_empty() {
            ".".clone_into(&mut path);
        }
        let detail = match error {
            Error::Malformed { what, place, expected, found, .. } => {
                format!("{what} ({place}): expected {expected}, found {found}")
            }
            error => error.reason(),
        };
        Self { path: printable(&path), what, status: Status::Wrong { detail, remedy } }
    }

    /// Whether the part does not prevent the folder from being imported.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        matches!(self.status, Status::Found { .. } | Status::Absent { .. })
    }
}

/// The parts of a folder. `Display` prints the expected tree.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CheckReport {
    /// The folder. Not serialised: its name may be no UTF-8.
    #[serde(skip)]
    pub dir: PathBuf,
    /// Its kind.
    pub kind: Kind,
    /// The parts, in the order of the tree.
    pub parts: Vec<Part>,
    /// What the folder would be imported as, if nothing is missing or wrong: counts and decisions.
    /// Otherwise what is known all the same: which files are not used.
    pub summary: Vec<String>,
}

impl CheckReport {
    /// Takes the counts from `data`: the dataset of the folder without the pictures that are left out.
    pub fn recount(&mut self, data: &Dataset) {
        self.summary = summary(data);
    }

    /// Whether the folder can be imported: no required part is missing or wrong.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.parts.iter().all(Part::is_sound)
    }

    /// The sentences of the summary that say why training would fail or learn little.
    pub fn warnings(&self) -> impl Iterator<Item = &str> {
        self.summary.iter().map(String::as_str).filter(|line| line.starts_with(WARNING))
    }
}

fn summary(data: &Dataset) -> Vec<String> {
    let (train, test) = (data.classes(Split::Train), data.classes(Split::Test));
    let pictures = data.count(Split::Train);
    let mut line = format!(
        "{} to train on and {} to test with, {}",
        counted(pictures, "picture"),
        data.count(Split::Test),
        counted(data.caption_count(), "caption"),
    );
    // If every picture has a class of its own, classes mean nothing.
    if train.union(&test).count() < data.items.len() {
        let shared = train.intersection(&test).count();
        let (train, test) = (train.len(), counted(test.len(), "class"));
        // Writing to a String cannot fail.
        let _ = write!(line, "; {train} and {test}, {shared} in both");
    }
    let mut said = vec![line];
    said.extend(data.notes.iter().cloned());
    // As in `plan`: a batch needs at least two pictures, and a wrong picture is one of another
    // class.
    if pictures < 2 {
        said.push(format!("{WARNING}this cannot be trained on: two pictures are needed at least"));
    } else if train.len() < 2 {
        said.push(format!(
            "{WARNING}the residual recipe cannot be trained on this: all pictures to train on are of one class, and a wrong picture is one of \
             another; give the pictures classes, or train with `--set net.recipe=plain --set data.wrong=next-text`"
        ));
    }
    said.extend(illegible(data));
    said
}

/// What is to be said of captions without any letter or digit that the char-CNN-RNN encoder reads.
/// Those that are empty stand for embeddings.
fn illegible(data: &Dataset) -> Option<String> {
    let is_illegible = |caption: &str| {
        !caption.trim().is_empty() && !caption.chars().any(|c| c.is_ascii_alphanumeric())
    };
    let mut found = data.items.iter().flat_map(|item| {
        let captions = item.captions.iter().filter(|caption| is_illegible(caption));
        captions.map(move |caption| (item, caption))
    });
    let (item, caption) = found.next()?;
    let n = 1 + found.count();
    Some(format!(
        "{WARNING}{n} of {} {} no letter or digit that the char-CNN-RNN encoder reads (a to z, 0 to 9): first {}, \"{}\"; write them in such letters, or train with a sentence encoder that knows theirs",
        counted(data.caption_count(), "caption"),
        if n == 1 { "has" } else { "have" },
        printable(&item.key),
        printable(caption)
    ))
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}/  ({})", self.dir.display(), self.kind.name())?;
        for Part { path, what, status } in &self.parts {
            let (mark, said, remedy) = match status {
                Status::Found { detail } => ("found  ", detail, None),
                Status::Missing { remedy } => ("MISSING", remedy, None),
                Status::Absent { detail } => ("absent ", detail, None),
                Status::Wrong { detail, remedy } => ("WRONG  ", detail, Some(remedy)),
            };
            writeln!(f, "  {mark}  {path:<36}  {what}: {said}")?;
            if let Some(remedy) = remedy {
                writeln!(f, "           {:<36}  do: {remedy}", "")?;
            }
        }
        for line in &self.summary {
            writeln!(f, "  {line}")?;
        }
        if self.is_complete() {
            write!(f, "everything that is needed is there")
        } else {
            write!(f, "the folder cannot be imported yet")
        }
    }
}

/// The parts that have been examined.
pub(super) struct Report<'d> {
    dir: &'d Path,
    /// What to do about what is missing: the command that creates it, or to move it.
    remedy: &'d str,
    parts: Vec<Part>,
}

impl<'d> Report<'d> {
    pub(super) const fn new(dir: &'d Path, remedy: &'d str) -> Self {
        Self { dir, remedy, parts: Vec::new() }
    }

    /// Says what to do about what is missing from here on.
    pub(super) const fn on_missing(&mut self, remedy: &'d str) {
        self.remedy = remedy;
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }

    /// Adds a part that is not a single path.
    pub(super) fn said(&mut self, path: &str, what: &'static str, status: Status) {
        self.parts.push(Part { path: path.to_owned(), what, status });
    }

    /// Examines a required folder of pictures.
    pub(super) fn pictures(&mut self, folder: &Path) {
        let status = match pictures(folder) {
            Ok(n @ 1..) => Status::Found { detail: counted(n, "picture") },
            Err(error) if folder.is_dir() => return self.wrong("pictures", &error),
            Ok(0) | Err(_) => Status::Missing { remedy: self.remedy.to_owned() },
        };
        self.push(folder, "pictures", status);
    }

    pub(super) fn push(&mut self, path: &Path, what: &'static str, status: Status) {
        let path = slashed(path.strip_prefix(self.dir).unwrap_or(path));
        self.parts.push(Part { path, what, status });
    }

    /// Adds a part of a published dataset that cannot be read.
    pub(super) fn wrong(&mut self, what: &'static str, error: &Error) {
        let remedy = "correct the file, or take it from the original archive".to_owned();
        self.parts.push(Part::fault(self.dir, what, error, remedy));
    }

    /// Adds a part of a user's own folder that cannot be read.
    pub(super) fn fault(&mut self, what: &'static str, error: &Error) {
        self.parts.push(Part::fault(self.dir, what, error, error.remedy()));
    }

    /// Examines a required file.
    pub(super) fn read<T>(
        &mut self,
        path: &Path,
        what: &'static str,
        read: impl FnOnce() -> crate::Result<(String, T)>,
    ) -> Option<T> {
        if !path.is_file() {
            self.push(path, what, Status::Missing { remedy: self.remedy.to_owned() });
            return None;
        }
        match read() {
            Ok((detail, value)) => {
                self.push(path, what, Status::Found { detail });
                Some(value)
            }
            Err(error) => {
                self.wrong(what, &error);
                None
            }
        }
    }

    /// Examines an optional file; `detail` says why it is optional.
    pub(super) fn optional<T>(
        &mut self,
        path: &Path,
        (what, detail): (&'static str, &str),
        read: impl FnOnce() -> crate::Result<(String, T)>,
    ) -> Option<T> {
        if path.exists() {
            return self.read(path, what, read);
        }
        self.push(path, what, Status::Absent { detail: format!("not needed: {detail}") });
        None
    }

    /// Examines the classes beside the list `names`, which has `count` names if it can be read.
    pub(super) fn classes(
        &mut self,
        labels: &Path,
        why: &str,
        (names, count): (&Path, Option<usize>),
    ) {
        self.optional(labels, ("classes, in the order of the names", why), || {
            let Some(count) = count else {
                return Ok(("not compared: there are no names to go with them".to_owned(), ()));
            };
            Ok((counted(Labels::read(labels, names, count)?.classes(), "class"), ()))
        });
    }

    /// Examines the release's embeddings of one split; only the file size is reported.
    pub(super) fn embeddings(&mut self, file: &Path) {
        let what = "embeddings of the release";
        let why = "`stackgan text train` and `text encode` make our own";
        self.optional(file, (what, why), || {
            let meta = file.metadata().map_err(|e| Error::read(file, e))?;
            let megabytes = meta.len() / 1_000_000;
            let how = "`stackgan data import DIR --embeddings DIR` makes training use them";
            Ok((format!("{megabytes} MB; {how}"), ()))
        });
    }

    /// Examines a folder that should contain these files.
    pub(super) fn files(&mut self, folder: &Path, what: &'static str, names: &[String]) {
        let Ok(root) = folder.canonicalize() else {
            return self.push(folder, what, Status::Missing { remedy: self.remedy.to_owned() });
        };
        let absent: Vec<&String> =
            names.iter().filter(|name| !matches!(inside(&root, name), Ok(Some(_)))).collect();
        let found = names.len() - absent.len();
        let status = if absent.is_empty() {
            Status::Found { detail: format!("{found} of {}", counted(names.len(), "file")) }
        } else {
            let (all, absent) = (counted(names.len(), "file"), first_few(&absent));
            let remedy = "add the files, or take their names out of the lists".to_owned();
            Status::Wrong { detail: format!("{found} of {all}; without {absent}"), remedy }
        };
        self.push(folder, what, status);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_without_a_known_letter_are_counted_with_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = crate::testing::dataset(dir.path(), 10, 3);
        assert!(summary(&data).iter().all(|line| !line.starts_with(WARNING)));
        let captions = ["красная птица, очень!", "", "  ", "…", "rouge é", "3"];
        data.items[1].captions = captions.map(str::to_owned).to_vec();
        let all = data.caption_count();
        let (dir, kind, summary) = (dir.path().to_path_buf(), Kind::Folder, summary(&data));
        let report = CheckReport { dir, kind, parts: Vec::new(), summary };
        let said: Vec<&str> = report.warnings().collect();
        let [said] = said[..] else { panic!("{said:?}") };
        let begins = format!("WARNING: 2 of {all} captions have no letter");
        assert!(said.starts_with(&begins) && said.contains(&data.items[1].key), "{said}");
        assert!(said.contains("красная"), "{said}");
    }
}
