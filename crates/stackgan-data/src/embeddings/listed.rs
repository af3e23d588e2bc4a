//! Import of an unnamed array.
//!
//! It is joined by a list beside it, `NAME.txt` for `NAME.npy`: line `r` is the caption of row `r`,
//! or the name of picture `r`. Without a list the array is rejected, because a position alone does
//! not identify a caption.

use super::pictures::{Joined, Pictures};
use super::sink::Sink;
use super::source::{Numbers, no_fit};
use crate::counted;
use crate::error::printable;
use crate::formats::{ArrayView, read_bounded};
use crate::prepared::Prepared;
use crate::{Error, Result, captions as caption_files};
use std::path::{Path, PathBuf};

/// Maximum length of a list, in bytes: 600,000 captions of COCO take about 36 MB.
const MAX_LIST: u64 = 512 << 20;

/// The list of all captions of `data`, one per line, in the order that an array must have.
#[must_use]
pub fn captions_list(data: &Prepared) -> String {
    data.all_captions().iter().map(|caption| format!("{caption}\n")).collect()
}

/// Writes the rows of `array` to the sink. Returns a description of the source, and the number of
/// entries of other pictures.
pub(super) fn import(
    file: &Path,
    array: &ArrayView<'_>,
    pictures: &Pictures<'_>,
    sink: &mut Sink<'_>,
) -> Result<(&'static str, usize)> {
    let data = sink.data();
    let missing = |list: &Path| {
        Error::missing(
            list,
            "an array without names needs a list of what its rows are",
            "the caption of each row, one a line, or the name of each picture",
            format!(
                "`stackgan data captions DIR --output {}` writes the captions in their order: encode its lines, in \
                 that order; or name the arrays (.npz, .safetensors)",
                list.display()
            ),
        )
    };
    let n = array.shape.first().copied().unwrap_or(0);
    let rows = match *array.shape.as_slice() {
        [n, _] => n,
        [n, captions, _] => n.saturating_mul(captions),
        _ => {
            let expected = "(captions, width) or (pictures, captions, width)";
            let found = format!("shape {:?}", array.shape);
            return Err(no_fit(file, "the array", (expected, found)));
        }
    };
    let unfit = |list: &Path, lines: usize| {
        let expected =
            format!("{rows} lines of captions, or {n} of pictures, as {} has", file.display());
        no_fit(list, "whole list", (expected, counted(lines, "line")))
    };
    let (list, lines) = list_beside(file, missing, &[n, rows], unfit)?;
    let named = lines.len() == n
        && lines.iter().all(|line| !line.is_empty() && pictures.find(line).is_some());
    if named && captions(data, &list, &lines).is_err() {
        let entries = lines.into_iter().zip(0..n);
        let Joined { of, unused } = pictures.join(&list, entries)?;
        for at in of {
            if let Some(part) = array.part(at) {
                sink.push(&Numbers::of(&part, file, format!("entry {at}")))?;
            }
        }
        return Ok(("an array with a list of pictures", unused));
    }
    if lines.len() != rows {
        return Err(unfit(&list, lines.len()));
    }
    captions(data, &list, &lines)?;
    let per = array.shape.get(1).copied().filter(|_| array.shape.len() == 3);
    let row = |r: usize| match per {
        Some(per) => array.part(r / per.max(1))?.part(r % per.max(1)),
        None => array.part(r),
    };
    let views: Vec<ArrayView<'_>> = (0..rows).map_while(row).collect();
    push_rows(sink, file, &views)?;
    Ok(("an array with a list of captions", 0))
}

/// Checks that these are the captions of `data`, in its order.
pub(super) fn captions(data: &Prepared, file: &Path, lines: &[String]) -> Result<()> {
    let (n, own) = (lines.len(), data.all_captions());
    if n != own.len() {
        let expected = format!("the {} captions of {}", own.len(), data.path().display());
        return Err(no_fit(file, "list of captions", (expected, counted(n, "caption"))));
    }
    let same = |line: &str, own: &str| line == own || caption_files::clean(line.trim()) == own;
    match lines.iter().zip(own).position(|(line, own)| !same(line, own)) {
        None => Ok(()),
        Some(at) => {
            let said = |text: Option<&String>| {
                format!("\"{}\"", printable(text.map_or("", String::as_str)))
            };
            let pair = (said(own.get(at)), said(lines.get(at)));
            Err(no_fit(file, &format!("caption {}", at + 1), pair))
        }
    }
}

/// Writes one row for each caption to the sink.
pub(super) fn push_rows(sink: &mut Sink<'_>, file: &Path, rows: &[ArrayView<'_>]) -> Result<()> {
    let data = sink.data();
    for i in 0..data.len() {
        let range = data.caption_range(i);
        let place = format!("rows {} to {}", range.start, range.end);
        let own = rows.get(range).unwrap_or_default();
        let dim = own.first().map_or(0, ArrayView::len);
        if let Some(other) = own.iter().find(|row| row.len() != dim) {
            let pair = (format!("{dim} numbers as in the first"), format!("{:?}", other.shape));
            return Err(no_fit(file, &place, pair));
        }
        let values: Vec<f32> = own.iter().flat_map(ArrayView::to_f32).collect();
        let shape = vec![own.len(), dim];
        sink.push(&Numbers { shape, values, file: file.into(), place })?;
    }
    Ok(())
}

/// The names of the `n` pictures of an array, from the list beside it.
pub(super) fn names_beside(file: &Path, n: usize) -> Result<Vec<String>> {
    let missing = |list: &Path| {
        Error::missing(
            list,
            "an array of several pictures needs a list of their names",
            format!("{n} names of pictures, one a line"),
            "write the list in the order of the array",
        )
    };
    let unfit = |list: &Path, lines: usize| {
        let expected = format!("{n} lines of pictures, as {} has", file.display());
        no_fit(list, "whole list", (expected, counted(lines, "line")))
    };
    Ok(list_beside(file, missing, &[n], unfit)?.1)
}

/// The list beside the file of an array, and its lines. Blank lines count, except for the end of the last
/// one. `missing` is the error if there is no list, `unfit` that for a number of lines which is none of
/// `fitting`.
pub(super) fn list_beside(
    file: &Path,
    missing: impl FnOnce(&Path) -> Error,
    fitting: &[usize],
    unfit: impl FnOnce(&Path, usize) -> Error,
) -> Result<(PathBuf, Vec<String>)> {
    let list = file.with_extension("txt");
    if !list.is_file() {
        return Err(missing(&list));
    }
    let text = String::from_utf8(read_bounded(&list, MAX_LIST)?)
        .map_err(|_| no_fit(&list, "whole list", ("text in UTF-8", "other bytes")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    let n = lines.clone().count(); // before memory is taken for them
    if !fitting.contains(&n) {
        return Err(unfit(&list, n));
    }
    let lines = lines.map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect();
    Ok((list, lines))
}
