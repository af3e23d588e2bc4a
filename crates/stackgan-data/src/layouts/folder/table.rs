//! The tables of a user's own folder: `metadata.csv` and `metadata.jsonl` (Hugging Face's
//! `ImageFolder`), and tables of captions with the headers of others.

use super::header::{self, Unclear, bare, named, separator};
use super::quotes::{self, Fault};
use crate::captions::{MAX_CAPTION, one};
use crate::counted;
use crate::dataset::{BoundingBox, Split};
use crate::error::{first_few, joined, printable, untrue};
use crate::layouts::checked_key;
use crate::{Error, Result};
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Maximum length of a table in bytes.
pub(crate) const MAX_TABLE: u64 = 1 << 30;

/// Maximum length of a line of JSON Lines in bytes.
pub(crate) const MAX_LINE: u64 = 1 << 20;

/// What the tables contain about one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) captions: Vec<String>,
    pub(crate) class: Option<String>,
    pub(crate) split: Option<Split>,
    pub(crate) bounds: Option<BoundingBox>,
}

/// A parsed table.
#[derive(Default)]
pub(super) struct Table {
    /// By the name of the picture's file.
    pub(super) rows: BTreeMap<String, Row>,
    pub(super) columns: Columns,
    /// Pictures with a caption that is too long, with the error of the first such row.
    pub(super) unread: BTreeMap<String, Error>,
}

/// The names of the tables' columns.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    /// The known columns.
    pub(crate) used: BTreeSet<String>,
    /// The other columns: the first ones if there are very many.
    pub(crate) unused: BTreeSet<String>,
}

/// Maximum number of unused columns whose names are kept.
const UNUSED: usize = 100;

impl Columns {
    /// Notes a column. One without a name, as pandas gives the numbers of rows, is not worth telling.
    fn note(&mut self, name: &str, known: Known) {
        let is_told = !name.is_empty() && self.unused.len() < UNUSED;
        let name = printable(name);
        match known {
            Known::Yes => self.used.insert(name),
            Known::No => is_told && self.unused.insert(name),
        };
    }

    /// Adds those of another table.
    pub(super) fn join(&mut self, other: Self) {
        self.used.extend(other.used);
        self.unused.extend(other.unused.into_iter().take(UNUSED));
    }

    /// The first few unused columns.
    pub(crate) fn unused(&self) -> String {
        first_few(&self.unused.iter().collect::<Vec<_>>())
    }
}

/// Whether a column is known.
enum Known {
    Yes,
    No,
}

/// The known keys of an object in JSON Lines.
const KEYS: [&str; 8] =
    ["file_name", "text", "caption", "captions", "class", "label", "split", "bbox"];

/// The place of an error: the table and the row.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a Path,
    row: usize,
}

impl Place<'_> {
    fn refuse(self, what: &str, expected: &str, found: &str) -> Error {
        let place = format!("row {}", self.row);
        Error::malformed(self.file, what, place, (expected, printable(found)), CORRECT)
    }

    /// Of a row with more or fewer values than there are columns.
    fn unequal(self, separator: u8, (columns, values): (usize, usize)) -> Error {
        let (separator, place) = (named(separator), format!("row {}", self.row));
        let expected = format!("{columns} values with {separator}s between them");
        let pair = (expected, counted(values, "value"));
        let remedy =
            format!("put a text that has a {separator} in it between quotation marks: `\"…\"`");
        Error::malformed(self.file, "row is malformed", place, pair, remedy)
    }

    /// Of a row that is of no picture.
    fn nameless(self) -> Error {
        let place = format!("row {}", self.row);
        let remedy = "give each row the file name of its picture, or take it out";
        let pair = ("the name of a picture", "none");
        Error::malformed(self.file, "row has no file name", place, pair, remedy)
    }
}

/// The remedy for a row whose error says what it should be.
const CORRECT: &str = "correct the row";

/// Rows that cannot be read: all are counted, the first ones are listed.
#[derive(Default)]
struct Faults {
    first: Vec<Error>,
    count: usize,
}

/// Number of rows that are listed.
const TOLD: usize = 10;

impl Faults {
    fn note(&mut self, joined: Result<()>) {
        let Err(fault) = joined else { return };
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(fault);
        }
    }

    /// Reports the collected errors.
    ///
    /// # Errors
    /// The only error, or all of them together.
    fn check(mut self, file: &Path) -> Result<()> {
        if self.count <= 1 {
            return self.first.pop().map_or(Ok(()), Err);
        }
        let line = |fault: &Error| match fault {
            Error::Malformed { place, .. } => format!("{place}: {}", fault.reason()),
            _ => format!(": {}", fault.reason()),
        };
        let found = untrue(self.count, self.first.iter().map(line));
        let what = format!("{} of the table cannot be read", counted(self.count, "row"));
        let expected = "rows as docs/datasets.md describes them";
        let remedies: BTreeSet<String> = self.first.iter().map(Error::remedy).collect();
        let remedy = match remedies.into_iter().collect::<Vec<_>>().as_slice() {
            [one] if one != CORRECT => one.clone(),
            _ => "correct the rows".to_owned(),
        };
        Err(Error::malformed(file, what, "these rows", (expected, found), remedy))
    }
}

fn refuse(file: &Path, what: &str, (expected, found): (&str, &str), remedy: &str) -> Error {
    Error::malformed(file, what, "whole table", (expected, printable(found)), remedy)
}

/// The error about columns of which several may be meant.
fn unclear(file: &Path, Unclear { what, name, columns }: &Unclear<'_>) -> Error {
    let columns: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    let found = joined(&columns, "and");
    let remedy = format!("name the one that holds them `{name}`");
    let said = format!("it is not clear which column holds the {what}");
    refuse(file, &said, (&format!("one column of {what}"), &found), &remedy)
}

/// Whether a file is a table of pictures and captions by its header, whatever it is called: `false` for
/// one that cannot be read.
pub fn is_table_of_captions(file: &Path) -> bool {
    open(file).is_ok_and(|mut table| table.fill_buf().is_ok_and(header::is_of_captions))
}

/// Reads `metadata.csv`, `metadata.tsv`, or a table of captions.
///
/// It has a header with `file_name` and any of `text` (or `caption`), `class` (or `label`),
/// `split`, and `x` with `y`, `width` and `height`, in capitals or not, or with others' names for
/// the first two ([`header::find`]). Between columns are commas, semicolons, tabs or bars.
/// Without `x` and `y`, `width` and `height` are the size of the picture and not used.
pub(super) fn read_csv(file: &Path) -> Result<Table> {
    let mut open = open(file)?;
    let separator = separator(open.fill_buf().map_err(|e| Error::read(file, e))?);
    check_quotes(file, separator)?;
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.flexible(true).delimiter(separator).from_reader(open);
    let malformed = |e: &csv::Error| {
        if matches!(e.kind(), csv::ErrorKind::Utf8 { .. }) {
            let parts = ("UTF-8", "another encoding, such as Windows-1252");
            return refuse(file, "table cannot be read", parts, "save the table as UTF-8");
        }
        let row = e.position().map_or(0, |p| p.record() as usize);
        let expected = "comma-separated values, quoted where needed";
        Place { file, row }.refuse("table is malformed", expected, &e.to_string())
    };
    let header = reader.headers().map_err(|e| malformed(&e))?.clone();
    let columns: Vec<&str> = header.iter().map(bare).collect();
    let column = |names: &[&str]| {
        columns.iter().position(|column| names.iter().any(|name| column.eq_ignore_ascii_case(name)))
    };
    let header::Found { files: name, texts: text } =
        header::find(&columns).map_err(|several| unclear(file, &several))?;
    let Some(name) = name else {
        let found = columns.join(", ");
        let expected = "a column `file_name` (or filename, file, image, image_name, image_path, path), with commas, \
                        semicolons, tabs or bars between columns";
        let remedy = "name the column of pictures `file_name`, that of captions `text`";
        return Err(refuse(file, "table has no file names", (expected, &found), remedy));
    };
    let (class, split) = (column(&["class", "label"]), column(&["split"]));
    let bounds = ["x", "y", "width", "height"].map(|name| column(&[name]));
    let bounds = if bounds.contains(&None) { [None; 4] } else { bounds };
    let (mut table, mut faults) = (Table::default(), Faults::default());
    let used = [Some(name), text, class, split].into_iter().chain(bounds).flatten();
    let used: BTreeSet<usize> = used.collect();
    for (i, name) in columns.iter().enumerate() {
        table.columns.note(name, if used.contains(&i) { Known::Yes } else { Known::No });
    }
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|e| malformed(&e))?;
        let place = Place { file, row: i + 1 };
        if record.iter().all(|value| value.trim().is_empty()) {
            continue; // spreadsheets write such rows behind the last one
        }
        if record.len() != columns.len() {
            faults.note(Err(place.unequal(separator, (columns.len(), record.len()))));
            continue;
        }
        let get = |column: Option<usize>| column.and_then(|c| record.get(c)).map(str::trim);
        let filled = |column| get(column).filter(|value| !value.is_empty());
        let bounds = bounds.iter().filter_map(|&column| filled(column)).map(str::to_owned);
        let facts = Facts {
            captions: text.map(|_| get(text).unwrap_or_default().to_owned()).into_iter().collect(),
            class: filled(class).map(str::to_owned),
            split: filled(split),
            bounds: Some(bounds.collect::<Vec<_>>()).filter(|numbers| !numbers.is_empty()),
        };
        faults.note(facts.join(get(Some(name)).unwrap_or_default(), &mut table, place));
    }
    faults.check(file)?;
    Ok(table)
}

/// Refuses a table in which quotation marks join what should be several values or rows.
fn check_quotes(file: &Path, separator: u8) -> Result<()> {
    let fault = quotes::fault(open(file)?, separator).map_err(|e| Error::read(file, e))?;
    let Some((fault, row)) = fault else { return Ok(()) };
    let (what, found) = match fault {
        Fault::Open => ("quotation mark is never closed", "the end of the table"),
        Fault::Closed => ("quotation mark closes within a value", "text behind it"),
    };
    let (place, expected) = (
        if row == 0 { "header".to_owned() } else { format!("row {row}") },
        "`\"` behind the value, and `\"\"` for one in it",
    );
    Err(Error::malformed(file, what, place, (expected, found), CORRECT))
}

#[derive(serde::Deserialize)]
struct Line {
    file_name: String,
    text: Option<Texts>,
    caption: Option<Texts>,
    captions: Option<Texts>,
    class: Option<Label>,
    label: Option<Label>,
    split: Option<String>,
    bbox: Option<Vec<f64>>,
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "a caption that is neither a text nor a list of texts")]
enum Texts {
    One(String),
    Many(Vec<String>),
}

#[derive(serde::Deserialize)]
#[serde(untagged, expecting = "a class that is neither a name nor a whole number")]
enum Label {
    Number(i64),
    Name(String),
}

/// The first value that is there. The names of further ones go to `unread`.
fn first<T, const N: usize>(
    values: [(&'static str, Option<T>); N],
    unread: &mut Vec<&'static str>,
) -> Option<T> {
    let mut first = None;
    for (name, value) in values {
        match value {
            Some(value) if first.is_none() => first = Some(value),
            Some(_) => unread.push(name),
            None => {}
        }
    }
    first
}

/// Reads `metadata.jsonl`: one object per line. Of `text`, `caption` and `captions`, and of `class`
/// and `label`, the first is taken.
pub(super) fn read_jsonl(file: &Path) -> Result<Table> {
    let mut reader = open(file)?;
    let (mut table, mut faults) = (Table::default(), Faults::default());
    let mut bytes = Vec::new();
    for row in 1.. {
        bytes.clear();
        let place = Place { file, row };
        let mut line = reader.by_ref().take(MAX_LINE + 1);
        line.read_until(b'\n', &mut bytes).map_err(|e| Error::read(file, e))?;
        if bytes.is_empty() {
            break;
        }
        if bytes.len() as u64 > MAX_LINE {
            let expected = format!("at most {MAX_LINE} bytes");
            return Err(place.refuse("line is too long", &expected, "more"));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let malformed = |e: serde_json::Error| {
            let found = e.to_string().replace(" at line 1 column", " at column");
            place.refuse("table is malformed", "an object with `file_name` and `text`", &found)
        };
        let bytes = bytes.trim_ascii();
        let line: Line = match serde_json::from_slice(bytes) {
            Ok(line) => line,
            Err(e) => {
                faults.note(Err(malformed(e)));
                continue;
            }
        };
        let mut unread = Vec::new();
        let texts = [("text", line.text), ("caption", line.caption), ("captions", line.captions)];
        let text = first(texts, &mut unread);
        let class = first([("class", line.class), ("label", line.label)], &mut unread);
        // Parsed a second time for the names alone: with `serde(flatten)` the values would be kept
        // in memory.
        let names: BTreeMap<String, IgnoredAny> =
            serde_json::from_slice(bytes).map_err(malformed)?;
        for name in names.keys() {
            let used = KEYS.contains(&&**name) && !unread.contains(&&**name);
            table.columns.note(name, if used { Known::Yes } else { Known::No });
        }
        let facts = Facts {
            captions: match text {
                None => Vec::new(),
                Some(Texts::One(text)) => vec![text],
                Some(Texts::Many(texts)) => texts,
            },
            class: class.map(|label| match label {
                Label::Number(number) => number.to_string(),
                Label::Name(name) => name,
            }),
            split: line.split.as_deref(),
            bounds: line.bbox.map(|numbers| numbers.iter().map(f64::to_string).collect()),
        };
        faults.note(facts.join(&line.file_name, &mut table, place));
    }
    faults.check(file)?;
    Ok(table)
}

fn open(file: &Path) -> Result<BufReader<std::io::Take<File>>> {
    let open = File::open(file).map_err(|e| Error::read(file, e))?;
    let meta = open.metadata().map_err(|e| Error::read(file, e))?;
    if !meta.is_file() || meta.len() > MAX_TABLE {
        let expected = format!("a file of at most {MAX_TABLE} bytes");
        let found = format!("{} bytes", meta.len());
        let remedy = "cut it into tables of the folders in which the pictures are";
        return Err(refuse(file, "table cannot be read", (&expected, &found), remedy));
    }
    let mut reader = BufReader::new(std::io::Read::take(open, meta.len()));
    match reader.fill_buf().map_err(|e| Error::read(file, e))? {
        [0xef, 0xbb, 0xbf, ..] => reader.consume(3), // a byte order mark (U+FEFF)
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            let remedy = "save the table as UTF-8";
            return Err(refuse(file, "table cannot be read", ("UTF-8", "UTF-16"), remedy));
        }
        _ => {}
    }
    Ok(reader)
}

/// The raw values of one row.
struct Facts<'a> {
    captions: Vec<String>,
    class: Option<String>,
    split: Option<&'a str>,
    bounds: Option<Vec<String>>,
}

impl Facts<'_> {
    /// Checks the row and merges it with earlier rows of the same picture, which it must not
    /// contradict.
    fn join(self, name: &str, table: &mut Table, place: Place<'_>) -> Result<()> {
        let Table { rows, unread, .. } = table;
        let name = name.trim_start_matches("./");
        if name.is_empty() {
            return Err(place.nameless());
        }
        checked_key(name, place.file, place.row)?;
        let row = rows.entry(name.to_owned()).or_default();
        for caption in self.captions {
            match one(&caption) {
                Ok(caption) => row.captions.push(caption),
                Err(n) => {
                    let what = format!("caption of row {} is too long", place.row);
                    let expected = format!("at most {MAX_CAPTION} bytes");
                    let error = place.refuse(&what, &expected, &format!("{n} bytes"));
                    unread.entry(name.to_owned()).or_insert(error);
                }
            }
        }
        let split = self.split.map(|name| {
            side(name).ok_or_else(|| {
                place.refuse("split is not known", "train, test or validation", name)
            })
        });
        let parsed = |written: &[String]| -> Option<Vec<f64>> {
            written.iter().map(|number| number.parse().ok()).collect()
        };
        let bounds = self.bounds.map(|written| match parsed(&written).as_deref() {
            Some(numbers @ &[x, y, width, height])
                if numbers.iter().all(|n| n.abs() < 1e6) && width > 0.0 && height > 0.0 =>
            {
                Ok(BoundingBox { x, y, width, height })
            }
            _ => Err(place.refuse(
                "box is malformed",
                "x, y, width and height in pixels, the last two above zero",
                &written.join(", "),
            )),
        });
        settle(&mut row.split, split.transpose()?, place)?;
        settle(&mut row.bounds, bounds.transpose()?, place)?;
        settle(&mut row.class, self.class, place)
    }
}

fn settle<T: PartialEq + std::fmt::Display>(
    known: &mut Option<T>,
    said: Option<T>,
    place: Place<'_>,
) -> Result<()> {
    match (known.as_ref(), said) {
        (Some(before), Some(now)) if *before != now => {
            let before = format!("{before} as in an earlier row");
            let what = "rows of one picture contradict each other";
            Err(place.refuse(what, &printable(&before), &now.to_string()))
        }
        (None, said @ Some(_)) => {
            *known = said;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The split with this folder name or table value.
pub(crate) fn side(name: &str) -> Option<Split> {
    match name.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "test" | "testing" | "validation" | "valid" | "val" | "dev" => Some(Split::Test),
        _ => None,
    }
}
