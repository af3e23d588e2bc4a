//! COCO 2014 in either of two forms. There are no classes, so each picture is its own:
//!
//! ```text
//! DIR/train2014/COCO_train2014_000000000009.jpg …   val2014/…            as downloaded
//! DIR/annotations/captions_train2014.json  captions_val2014.json
//!
//! DIR/images/NAME.jpg                              as the PyTorch release has it
//! DIR/train/filenames.pickle  char-CNN-RNN-embeddings.pickle  [class_info.pickle]
//! DIR/test/…                                       likewise, if any
//! DIR/annotations/captions_*.json                  (optional)
//! ```
//!
//! As downloaded, `train2014` is used for training and `val2014` for testing; the latter may be there
//! alone. In the form of the PyTorch release (`code/miscc/datasets.py`) the lists decide. A picture then
//! has no more captions than its embeddings have rows, and without annotations as many empty ones.

mod annotations;

pub(crate) use annotations::Annotations;

use super::keys::inside;
use super::lists::{Absent, Lists, left_out};
use super::reading::{LEAVE_OUT, Reading, Uncaptioned};
use super::scan::stem;
use super::split::untested;
use crate::crop::Orientation;
use crate::dataset::{Dataset, Item, Split};
use crate::error::{counted, printable};
use crate::formats::{MAX_FILE, pickle, read_bounded};
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The paths of the parts of the layout.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// `train2014` and `val2014`.
    pub(crate) years: [PathBuf; 2],
    /// `images`: all pictures in one folder.
    pub(crate) images: PathBuf,
    /// `annotations/captions_train2014.json` and `captions_val2014.json`.
    pub(crate) annotations: [PathBuf; 2],
    /// The release's lists (optional).
    pub(crate) lists: Lists,
}

/// The two forms of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Pictures and annotations as downloaded.
    Downloaded,
    /// The lists of the release.
    Listed,
}

impl Parts {
    /// The paths under `dir`; nothing is opened.
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            years: ["train2014", "val2014"].map(|year| dir.join(year)),
            images: dir.join("images"),
            annotations: ["train2014", "val2014"]
                .map(|year| dir.join("annotations").join(format!("captions_{year}.json"))),
            lists: Lists::of(dir),
        }
    }

    /// The splits of a folder as downloaded, with their pictures and captions; only that for testing, if
    /// nothing of the other is here.
    pub(crate) fn downloaded(&self) -> impl Iterator<Item = (Split, &PathBuf, &PathBuf)> {
        let ([train, test], [captions, tested]) = (&self.years, &self.annotations);
        let of_training = [train, captions, &self.images].iter().any(|part| part.exists());
        let alone = !of_training && test.is_dir() && tested.is_file();
        let all = Split::ALL.into_iter().zip(self.years.iter().zip(&self.annotations));
        let all = all.map(|(split, (year, captions))| (split, year, captions));
        all.filter(move |(split, ..)| !(alone && *split == Split::Train))
    }

    /// What is to be said of `val2014`, where the lists name no pictures for testing.
    fn unlisted(&self) -> Option<&'static str> {
        let ([_, test], [_, captions]) = (&self.years, &self.annotations);
        let [_, list] = &self.lists.filenames;
        let is_there = self.form() == Form::Listed && test.is_dir() && captions.is_file();
        (is_there && !list.is_file()).then_some(
            "; val2014 is here, but no test/filenames.pickle: to measure against it, keep val2014 and \
             annotations/captions_val2014.json in a folder of their own, and name that as `--data` of `eval`",
        )
    }

    /// The form of the folder: that of the lists, if there are any.
    pub(crate) fn form(&self) -> Form {
        if self.lists.are_there() { Form::Listed } else { Form::Downloaded }
    }

    /// The picture `file`, in the folder of its split's year or in `images`; of the lists, which may
    /// divide the pictures otherwise, also in that of the other year.
    fn picture(&self, file: &str, (split, form): (Split, Form)) -> Result<Option<PathBuf>> {
        let [train, test] = &self.years;
        let (own, other) = match split {
            Split::Train => (train, test),
            Split::Test => (test, train),
        };
        let other = (form == Form::Listed).then_some(other);
        for folder in [own, &self.images].into_iter().chain(other) {
            if let Ok(root) = folder.canonicalize()
                && let Some(path) = inside(&root, file)?
            {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }
}

/// Reads the folder `dir`. No picture is opened.
///
/// # Errors
/// Lists everything that is missing; names the file and entry of whatever does not match.
pub fn read(dir: &Path, how: Reading) -> Result<Dataset> {
    let parts = Parts::of(dir);
    let form = parts.form();
    let mut reader = Reader {
        parts: &parts,
        form,
        how,
        items: Vec::new(),
        absent: Absent::default(),
        notes: Vec::new(),
        bare: Vec::new(),
        labelled: false,
    };
    match form {
        Form::Downloaded => reader.downloaded()?,
        Form::Listed => reader.listed()?,
    }
    let Reader { items, absent, mut notes, bare, labelled, .. } = reader;
    absent.check(
        dir,
        format!("fetch the set with `stackgan data fetch coco`, or leave pictures without captions out with {LEAVE_OUT}"),
    )?;
    notes.extend(left_out(&bare));
    notes.extend(untested(&items).map(|said| said + parts.unlisted().unwrap_or_default()));
    if !labelled {
        notes.push("no classes: a wrong picture is any other picture".to_owned());
    }
    let name = "coco".to_owned();
    Ok(Dataset { name, items, orientation: Orientation::AsStored, notes })
}

struct Reader<'a> {
    parts: &'a Parts,
    form: Form,
    how: Reading,
    items: Vec<Item>,
    absent: Absent,
    notes: Vec<String>,
    /// Pictures without captions, which are left out.
    bare: Vec<String>,
    /// Whether a list says classes.
    labelled: bool,
}

impl Reader<'_> {
    /// Adds each split's pictures in the order of their numbers.
    fn downloaded(&mut self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for (split, _, file) in self.parts.downloaded() {
            if !file.is_file() {
                self.absent.note("lists of captions", file.display().to_string());
                continue;
            }
            let annotations = Annotations::read(file)?;
            for (id, name) in annotations.pictures() {
                let captions = annotations.captions(id);
                if !seen.insert(key_of(name).to_owned()) {
                    return Err(Error::malformed(
                        file,
                        "two pictures have one name",
                        "file_name",
                        ("names of their own in both lists, as in COCO 2014", printable(name)),
                        "rename the pictures, and the names in the lists",
                    ));
                }
                self.push(name, captions, split, None)?;
            }
        }
        Ok(())
    }

    /// Adds the pictures of the lists, in their order.
    fn listed(&mut self) -> Result<()> {
        let known = self.parts.annotations.iter().filter(|file| file.is_file());
        let known: Vec<Annotations> =
            known.map(|file| Annotations::read(file)).collect::<Result<_>>()?;
        if known.is_empty() {
            self.notes.push(
                "there are no annotations: captions are empty, as many as each picture has embeddings".to_owned(),
            );
        }
        let [train, _] = &self.parts.lists.filenames;
        if !train.is_file() {
            self.absent.note("lists of pictures", train.display().to_string());
        }
        let mut cut = 0;
        for list in self.parts.lists.read()? {
            let beside = list.file.with_file_name("char-CNN-RNN-embeddings.pickle");
            // With annotations they need not be there.
            let rows = if known.is_empty() || beside.is_file() {
                embedding_rows(&beside, list.file, list.keys.len())?
            } else {
                Vec::new()
            };
            for (entry, key) in list.keys.iter().enumerate() {
                let name = format!("{key}.jpg");
                let rows = rows.get(entry).copied().unwrap_or(0);
                let mut captions = match known.iter().find_map(|a| Some((a, a.id_of(&name)?))) {
                    Some((annotations, id)) => annotations.captions(id),
                    None if known.is_empty() => vec![String::new(); rows],
                    None => Vec::new(),
                };
                if (1..captions.len()).contains(&rows) {
                    captions.truncate(rows);
                    cut += 1;
                }
                self.push(&name, captions, list.split, list.class(entry))?;
            }
        }
        self.notes.extend(cut_short(cut));
        Ok(())
    }

    fn push(
        &mut self,
        name: &str,
        captions: Vec<String>,
        split: Split,
        class: Option<u32>,
    ) -> Result<()> {
        let picture = self.parts.picture(name, (split, self.form))?;
        self.labelled |= class.is_some();
        if captions.is_empty() {
            match self.how.uncaptioned {
                Uncaptioned::Refuse | Uncaptioned::ClassName => {
                    self.absent.note("captions of pictures", name);
                }
                Uncaptioned::LeaveOut => self.bare.push(name.to_owned()),
            }
        }
        let Some(image) = picture else {
            self.absent.note("pictures", name);
            return Ok(());
        };
        if captions.is_empty() {
            return Ok(());
        }
        let class = class.unwrap_or(self.items.len() as u32);
        let key = key_of(name).to_owned();
        self.items.push(Item { key, image, bounding_box: None, class, captions, split });
        Ok(())
    }
}

/// The key of a picture: its name without the extension.
fn key_of(name: &str) -> &str {
    stem(name).map_or(name, |(key, _)| key)
}

/// The note about pictures that lose captions, because there are no embeddings of these.
fn cut_short(pictures: usize) -> Option<String> {
    let (have, their) = if pictures == 1 { ("has", "its") } else { ("have", "their") };
    let n = counted(pictures, "picture");
    let said = format!("{n} {have} more captions than embeddings: {their} first ones are kept");
    (pictures > 0).then_some(said)
}

/// The number of rows of each array of the release's embeddings.
fn embedding_rows(file: &Path, names: &Path, n: usize) -> Result<Vec<usize>> {
    if !file.is_file() {
        return Err(Error::missing(
            file,
            "there are neither captions nor embeddings",
            "annotations/captions_train2014.json and captions_val2014.json, or the release's embeddings in this place",
            "fetch the annotations with `stackgan data fetch coco`",
        ));
    }
    let bytes = read_bounded(file, MAX_FILE)?;
    let document = pickle::decode(&bytes, file)?;
    let arrays = document.arrays(file)?;
    if arrays.len() != n {
        return Err(Error::malformed(
            file,
            "embeddings do not fit the list of pictures",
            "whole list",
            (format!("{n} arrays as in {}", names.display()), format!("{} arrays", arrays.len())),
            "take both files from the same set",
        ));
    }
    if let Some((entry, array)) = arrays.iter().enumerate().find(|(_, a)| a.shape.contains(&0)) {
        return Err(Error::malformed(
            file,
            "embeddings are empty",
            format!("array {entry}"),
            ("a row or more, of a number or more", format!("shape {:?}", array.shape)),
            "take the file from the release's archive",
        ));
    }
    let rows = arrays.iter().map(|array| match array.shape.as_slice() {
        [rows, _] | [1, rows, _] => *rows,
        _ => 1,
    });
    Ok(rows.collect())
}

#[cfg(test)]
pub(crate) mod tests;
