//! The tables of a user's own folder: `metadata.csv` and `metadata.jsonl` (Hugging Face's `ImageFolder`).

use crate::captions::MAX_CAPTION;
use crate::dataset::{BoundingBox, Split};
use crate::error::printable;
use crate::layouts::checked_key;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// The longest table, in bytes.
const MAX_TABLE: u64 = 1 << 30;

/// The longest line of a table of JSON lines, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// What tables say about one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) captions: Vec<String>,
    pub(crate) class: Option<String>,
    pub(crate) split: Option<Split>,
    pub(crate) bounds: Option<BoundingBox>,
}

/// A table, read: the rows by file name, in their order.
pub(super) type Rows = BTreeMap<String, Row>;

/// Where an error is: the table and the row.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: &'a Path,
    row: usize,
}

impl Place<'_> {
    fn refuse(self, what: &str, expected: &str, found: &str) -> Error {
        let place = format!("row {}", self.row);
        Error::malformed(self.file, what, place, (expected, printable(found)), "correct the row")
    }
}

/// Reads `metadata.csv`: a header with `file_name` and any of `text` (or `caption`), `class` (or `label`), `split`,
/// `x`, `y`, `width`, `height`.
pub(super) fn read_csv(file: &Path) -> Result<Rows> {
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(open(file)?);
    let malformed = |e: &csv::Error| {
        let row = e.position().map_or(0, |p| p.record() as usize);
        let place = Place { file, row };
        place.refuse(
            "table is malformed",
            "comma-separated values, quoted where needed",
            &e.to_string(),
        )
    };
    let header = reader.headers().map_err(|e| malformed(&e))?.clone();
    let column = |names: &[&str]| {
        header.iter().position(|h| names.contains(&h.trim().trim_start_matches('\u{feff}')))
    };
    let Some(name) = column(&["file_name"]) else {
        let place = Place { file, row: 0 };
        let found = header.iter().collect::<Vec<_>>().join(", ");
        return Err(place.refuse("table has no file names", "a column `file_name`", &found));
    };
    let text = column(&["text", "caption"]);
    let (class, split) = (column(&["class", "label"]), column(&["split"]));
    let bounds = ["x", "y", "width", "height"].map(|name| column(&[name]));
    let mut rows = Rows::new();
    for (i, record) in reader.records().enumerate() {
        let record = record.map_err(|e| malformed(&e))?;
        let place = Place { file, row: i + 1 };
        let get = |column: Option<usize>| column.and_then(|c| record.get(c)).map(str::trim);
        let filled = |column| get(column).filter(|value| !value.is_empty());
        let numbers: Vec<&str> = bounds.iter().filter_map(|&column| filled(column)).collect();
        let facts = Facts {
            captions: text.map(|_| get(text).unwrap_or_default().to_owned()).into_iter().collect(),
            class: filled(class).map(str::to_owned),
            split: filled(split),
            bounds: (!numbers.is_empty())
                .then(|| numbers.iter().filter_map(|n| n.parse().ok()).collect()),
        };
        facts.join(get(Some(name)).unwrap_or_default(), &mut rows, place)?;
    }
    Ok(rows)
}

#[derive(serde::Deserialize)]
struct Line {
    file_name: String,
    #[serde(default, alias = "caption", alias = "captions")]
    text: Texts,
    #[serde(default, alias = "label")]
    class: Option<Label>,
    #[serde(default)]
    split: Option<String>,
    #[serde(default)]
    bbox: Option<Vec<f64>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(untagged)]
enum Texts {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Label {
    Number(i64),
    Name(String),
}

/// Reads `metadata.jsonl`: an object a line.
pub(super) fn read_jsonl(file: &Path) -> Result<Rows> {
    let mut reader = open(file)?;
    let mut rows = Rows::new();
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
        let line: Line = serde_json::from_slice(&bytes).map_err(|e| {
            place.refuse(
                "table is malformed",
                "an object with `file_name` and `text`",
                &e.to_string(),
            )
        })?;
        let facts = Facts {
            captions: match line.text {
                Texts::None => Vec::new(),
                Texts::One(text) => vec![text],
                Texts::Many(texts) => texts,
            },
            class: line.class.map(|label| match label {
                Label::Number(number) => number.to_string(),
                Label::Name(name) => name,
            }),
            split: line.split.as_deref(),
            bounds: line.bbox,
        };
        facts.join(&line.file_name, &mut rows, place)?;
    }
    Ok(rows)
}

fn open(file: &Path) -> Result<BufReader<std::io::Take<File>>> {
    let open = File::open(file).map_err(|e| Error::read(file, e))?;
    let meta = open.metadata().map_err(|e| Error::read(file, e))?;
    if !meta.is_file() || meta.len() > MAX_TABLE {
        let place = Place { file, row: 0 };
        let expected = format!("a file of at most {MAX_TABLE} bytes");
        return Err(place.refuse(
            "table cannot be read",
            &expected,
            &format!("{} bytes", meta.len()),
        ));
    }
    Ok(BufReader::new(std::io::Read::take(open, meta.len())))
}

/// One row as it is written.
struct Facts<'a> {
    captions: Vec<String>,
    class: Option<String>,
    split: Option<&'a str>,
    bounds: Option<Vec<f64>>,
}

impl Facts<'_> {
    /// Checks the row and joins it with earlier rows of the same picture, which it must not contradict.
    fn join(self, name: &str, rows: &mut Rows, place: Place<'_>) -> Result<()> {
        checked_key(name, place.file, place.row)?;
        let row = rows.entry(name.to_owned()).or_default();
        for caption in self.captions {
            let caption = crate::captions::clean(&caption.trim().replace(['\r', '\n'], " "));
            if caption.len() > MAX_CAPTION {
                let expected = format!("at most {MAX_CAPTION} bytes");
                return Err(place.refuse(
                    "caption is too long",
                    &expected,
                    &format!("{} bytes", caption.len()),
                ));
            }
            row.captions.push(caption);
        }
        let split = self.split.map(|name| {
            side(name).ok_or_else(|| {
                place.refuse("split is not known", "train, test or validation", name)
            })
        });
        let bounds = self.bounds.map(|numbers| match *numbers.as_slice() {
            [x, y, width, height]
                if numbers.iter().all(|n| n.abs() < 1e6) && width > 0.0 && height > 0.0 =>
            {
                Ok(BoundingBox { x, y, width, height })
            }
            _ => Err(place.refuse(
                "box is malformed",
                "x, y, width and height in pixels, the last two above zero",
                &format!("{numbers:?}"),
            )),
        });
        settle(&mut row.split, split.transpose()?, place)?;
        settle(&mut row.bounds, bounds.transpose()?, place)?;
        settle(&mut row.class, self.class, place)
    }
}

fn settle<T: PartialEq + std::fmt::Debug>(
    known: &mut Option<T>,
    said: Option<T>,
    place: Place<'_>,
) -> Result<()> {
    match (known.as_ref(), said) {
        (Some(before), Some(now)) if *before != now => {
            let (before, now) = (format!("{before:?} as in an earlier row"), format!("{now:?}"));
            Err(place.refuse("rows of one picture contradict each other", &before, &now))
        }
        (None, said @ Some(_)) => {
            *known = said;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The split of a folder's or a table's name for it.
pub(super) fn side(name: &str) -> Option<Split> {
    match name.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "test" | "testing" | "validation" | "valid" | "val" | "dev" => Some(Split::Test),
        _ => None,
    }
}
