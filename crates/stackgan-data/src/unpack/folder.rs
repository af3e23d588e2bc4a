//! Writes captioned pictures into a new folder of the known layout: the pictures as they are, numbered, and one table
//! with their captions, classes and splits.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::columns::Column;
use super::sample::{self, Content, Entry, Picture, Sample};
use crate::digest::sha256;
use crate::error::{counted, first_few, printable};
use crate::fetch::room;
use crate::layouts::MAX_TABLE;
use crate::prepared::Damaged;
use crate::whole_file::folder_of;
use crate::whole_folder::{Growing, Made};
use crate::{Error, Result};

/// What is made, while it is unfinished.
pub(super) const MADE: Made =
    Made { over: "pictures are not unpacked over what is there", prefix: ".unpack-partial-" };
/// The table, and the list of where each picture came from.
const TABLE: &str = "metadata.jsonl";
const ORIGINS: &str = "origins.csv";
/// The folder of pictures without a split.
const PICTURES: &str = "images";
/// Number of entries that cannot be used that are named.
const NAMED: usize = 20;

/// A folder that is being written.
pub(super) struct Folder<'a> {
    growing: Growing<'a>,
    damaged: Damaged,
    table: BufWriter<File>,
    table_bytes: u64,
    origins: csv::Writer<File>,
    /// Number of entries so far, by folder of pictures.
    numbers: HashMap<String, u64>,
    /// The pictures so far, by hash, folder and class.
    seen: HashMap<[u8; 32], String>,
    /// Whether pictures have classes, as the first one says.
    classes: Option<Classes>,
    names: BTreeSet<String>,
    faults: Vec<Error>,
    counts: Counts,
}

/// Whether pictures have classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Classes {
    Given,
    None,
}

/// What is in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    entries: u64,
    pub(super) pictures: u64,
    pub(super) captions: u64,
    /// Entries with a picture that an earlier one has.
    joined: u64,
    /// Entries without a picture.
    bare: u64,
    unusable: u64,
}

/// A line of the table.
#[derive(Serialize)]
struct Line<'a> {
    file_name: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    text: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<&'a str>,
}

/// Where entries come from: the file, and the word for its split if splits are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) file: &'a Path,
    pub(super) split: Option<&'a str>,
}

impl<'a> Folder<'a> {
    /// Begins the folder `out`, which must be new or empty.
    pub(super) fn begin(out: &'a Path, damaged: Damaged) -> Result<Self> {
        let growing = Growing::begin(out, MADE)?;
        let create = |name: &str| {
            let path = growing.root().join(name);
            File::create_new(&path).map_err(|e| Error::write(&path, e))
        };
        let (table, list) = (BufWriter::new(create(TABLE)?), create(ORIGINS)?);
        let mut origins = csv::Writer::from_writer(list);
        let header = origins.write_record(["file_name", "source", "entry"]);
        header.map_err(|e| Error::write(out, e.into()))?;
        Ok(Self {
            growing,
            damaged,
            table,
            table_bytes: 0,
            origins,
            numbers: HashMap::new(),
            seen: HashMap::new(),
            classes: None,
            names: BTreeSet::new(),
            faults: Vec::new(),
            counts: Counts::default(),
        })
    }

    pub(super) const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A folder for what is unpacked on the way.
    pub(super) fn aside(&self) -> PathBuf {
        self.growing.aside().to_path_buf()
    }

    pub(super) fn add(&mut self, entry: Entry<'_>, origin: Origin<'_>) -> Result<()> {
        let folder = origin.split.unwrap_or(PICTURES);
        let number = self.numbers.entry(folder.to_owned()).or_default();
        let name = format!("{folder}/{number:06}");
        *number += 1;
        self.counts.entries += 1;
        let sample = match entry.content {
            Content::Sample(sample) => sample,
            Content::NoPicture => {
                self.counts.bare += 1;
                return Ok(());
            }
            Content::Unusable(flaw) => {
                self.fault(entry.name, origin, flaw);
                return Ok(());
            }
        };
        let (extension, hash) = match look(&sample.picture)? {
            Ok(facts) => facts,
            Err(flaw) => {
                self.fault(entry.name, origin, flaw);
                return Ok(());
            }
        };
        self.agree(&sample, entry.name, origin)?;
        let (split, class) = (origin.split, sample.class.as_deref());
        let key = Sha256::new().chain_update(hash).chain_update(split.unwrap_or_default());
        let key = key.chain_update([0]).chain_update(class.unwrap_or_default()).finalize().into();
        let name = match self.seen.get(&key) {
            Some(before) => {
                self.counts.joined += 1;
                before.clone()
            }
            None => {
                let name = format!("{name}.{extension}");
                self.write(&name, &sample.picture)?;
                self.seen.insert(key, name.clone());
                self.counts.pictures += 1;
                name
            }
        };
        self.names.extend(class.map(str::to_owned));
        self.counts.captions += sample.captions.len() as u64;
        self.line(&Line { file_name: &name, text: &sample.captions, class, split })?;
        let file = origin.file.to_string_lossy();
        let origin = self.origins.write_record([&*name, &*file, entry.name]);
        origin.map_err(|e| Error::write(self.growing.aside(), e.into()))
    }
}

impl Folder<'_> {
    /// Completes the folder and gives it its name.
    ///
    /// # Errors
    /// When entries cannot be used and are not to be left out, with their number and the first ones;
    /// when there are no pictures or no captions; storage errors.
    pub(super) fn finish(
        self,
        out: &Path,
        texts: &Column<Vec<String>>,
    ) -> Result<(Counts, usize, Vec<String>)> {
        let Counts { entries, pictures, captions, unusable, .. } = self.counts;
        if unusable > 0 && (self.damaged == Damaged::Refuse || pictures == 0) {
            return Err(self.unusable());
        }
        let nothing = |what: &str, expected: &str, remedy: &str| {
            let found = format!("none in {entries} rows or samples");
            Err(Error::config(what, (expected, found), remedy))
        };
        if pictures == 0 {
            let remedy = "name other files, or the column of pictures: `--image COLUMN`";
            return nothing("there are no pictures", "JPEG, PNG or WebP pictures", remedy);
        }
        if captions == 0 && (*texts != Column::None || self.names.is_empty()) {
            let remedy = "the model learns pictures from their captions: name where these are, `--text COLUMN`; \
                          for the names of classes as captions, `--text none` and `--class COLUMN`";
            return nothing("the pictures have no captions", "captions of the pictures", remedy);
        }
        let notes = self.notes();
        let Self { growing, mut table, mut origins, counts, names, .. } = self;
        let failed = |e| Error::write(out, e);
        table.flush().and_then(|()| origins.flush()).map_err(failed)?;
        drop((table, origins));
        room::sync_all_below(&growing.root())?;
        growing.place(&[ORIGINS, TABLE]).map_err(failed)?;
        room::sync_names(folder_of(out))?;
        Ok((counts, names.len(), notes))
    }

    fn unusable(&self) -> Error {
        let Counts { entries, unusable, pictures, .. } = self.counts;
        let (what, remedy) = if pictures == 0 {
            let what = format!("no picture of {entries} can be used");
            (what, "take other files, or convert the pictures")
        } else {
            (
                format!("{unusable} of {} cannot be used", counted(entries, "picture")),
                "correct them at their source, or leave them out: `--damaged leave-out`",
            )
        };
        let expected = "JPEG, PNG or WebP pictures, with captions of at most 4096 bytes in UTF-8";
        Error::together(what, expected, (&self.faults, unusable as usize), remedy)
    }

    fn notes(&self) -> Vec<String> {
        let Counts { joined, bare, unusable, .. } = self.counts;
        let mut notes = Vec::new();
        if unusable > 0 {
            let named: Vec<String> = self.faults.iter().map(Error::reason).collect();
            let n = counted(unusable, "picture");
            notes.push(format!("{n} that cannot be used left out ({})", first_few(&named)));
        }
        if bare > 0 {
            notes.push(format!("rows or samples without a picture, left out: {bare}"));
        }
        if joined > 0 {
            notes.push(format!("rows or samples with the picture of an earlier one, whose captions join its own: {joined}"));
        }
        notes
    }

    fn fault(&mut self, name: &str, origin: Origin<'_>, flaw: String) {
        self.counts.unusable += 1;
        if self.faults.len() < NAMED {
            let (what, parts) = (printable(name), ("a picture with captions", flaw));
            self.faults.push(Error::malformed(origin.file, what, "its entry", parts, "correct it"));
        }
    }

    /// Checks that all pictures have a class or none has.
    fn agree(&mut self, sample: &Sample<'_>, name: &str, origin: Origin<'_>) -> Result<()> {
        let now = if sample.class.is_some() { Classes::Given } else { Classes::None };
        let said = *self.classes.get_or_insert(now);
        if said == now {
            return Ok(());
        }
        let found = match now {
            Classes::Given => "a class, where earlier pictures have none",
            Classes::None => "no class, where earlier pictures have one",
        };
        Err(Error::malformed(
            origin.file,
            "only some pictures have a class",
            printable(name),
            ("classes of all pictures or of none", found),
            "leave the classes out: `--class none`",
        ))
    }

    fn write(&mut self, name: &str, picture: &Picture<'_>) -> Result<()> {
        let path = self.growing.root().join(name);
        let failed = |e| Error::write(&path, e);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        match picture {
            Picture::Bytes(bytes) => {
                File::create_new(&path).and_then(|mut file| file.write_all(bytes)).map_err(failed)
            }
            Picture::File(from, _) => fs::rename(from, &path).map_err(failed),
        }
    }

    fn line(&mut self, line: &Line<'_>) -> Result<()> {
        let path = self.growing.root().join(TABLE);
        let mut text = serde_json::to_vec(line).map_err(|e| Error::write(&path, e.into()))?;
        text.push(b'\n');
        self.table_bytes += text.len() as u64;
        if self.table_bytes > MAX_TABLE {
            return Err(Error::config(
                "the captions are too many for one folder",
                (format!("at most {MAX_TABLE} bytes of them"), "more"),
                "unpack fewer files into each folder",
            ));
        }
        self.table.write_all(&text).map_err(|e| Error::write(&path, e))
    }
}

/// The extension and the SHA-256 of a picture; or why it cannot be used.
fn look(picture: &Picture<'_>) -> Result<Result<(&'static str, String), String>> {
    let most = crate::crop::MAX_FILE;
    match picture {
        Picture::Bytes(bytes) if bytes.len() as u64 > most => {
            Ok(Err(format!("a picture of {} bytes, {most} are the most", bytes.len())))
        }
        Picture::Bytes(bytes) => {
            Ok(sample::extension(bytes).map(|extension| (extension, sha256(bytes))))
        }
        Picture::File(path, hash) => {
            let mut start = Vec::new();
            let file = File::open(path).map_err(|e| Error::read(path, e))?;
            file.take(64).read_to_end(&mut start).map_err(|e| Error::read(path, e))?;
            Ok(sample::extension(&start).map(|extension| (extension, (*hash).to_owned())))
        }
    }
}
