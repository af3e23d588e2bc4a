//! MATLAB `.mat` files of level 5 (`save -v6` and `-v7`): numeric arrays by name, as in
//! Oxford-102's `imagelabels.mat` and `setid.mat`.
//!
//! Source: `MathWorks`, "MAT-File Format", chapter 1; `scipy.io` reads and writes the same format.
//!
//! Other variables (cells, structs, character arrays, sparse arrays, objects) are listed, and
//! rejected by name when requested. MATLAB 4 and 7.3 (HDF5) files are rejected with a remedy.
//! Memory for decompressed variables and the file itself stays within twice the file plus 16 MiB.

mod element;
mod variable;

use super::ArrayView;
use super::budget::Budget;
use super::cursor::Cursor;
use super::fault::{Fault, Step};
use super::inflate;
use crate::error::{first_few, printable};
use crate::{Error, Result};
use element::{COMPRESSED, MATRIX, Tag};
use flate2::bufread::ZlibDecoder;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use variable::{Facts, Variable};

const REMEDY: &str = "check that this is a .mat file, whole; save it again in MATLAB with -v7, or with scipy.io.savemat";

/// Size of the header: text, offset of the subsystem's data, version, and byte-order mark.
const HEADER: usize = 128;

/// A file of variables.
#[derive(Debug)]
pub struct MatFile<'a> {
    variables: Vec<Variable<'a>>,
    file: PathBuf,
}

/// Reads a file; `file` is for error messages only.
///
/// # Errors
/// [`Error::Malformed`] with the byte offset when the input is not exactly one file of level 5.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<MatFile<'a>> {
    let variables = variables(bytes).map_err(|fault| fault.in_file(file, bytes.len(), REMEDY))?;
    Ok(MatFile { variables, file: file.to_path_buf() })
}

impl MatFile<'_> {
    /// The names of all variables in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| variable.facts.name.as_str())
    }

    /// The numeric or logical variable called `name`.
    ///
    /// The shape is the one that MATLAB shows. It has at least two dimensions, so a list of n
    /// numbers has the shape (1, n).
    ///
    /// # Errors
    /// When there is no such variable (the existing ones are named), or it is of another kind.
    pub fn array(&self, name: &str) -> Result<ArrayView<'_>> {
        let refuse = |what: &str, expected: &str, found: String| {
            let place = format!("variable {}", printable(name));
            Error::malformed(&self.file, what, place, (expected, found), REMEDY)
        };
        let Some(variable) = self.variables.iter().find(|variable| variable.facts.name == name)
        else {
            let names: Vec<&str> = self.names().collect();
            let found = if names.is_empty() { "none".to_owned() } else { first_few(&names) };
            return Err(refuse("file has no such variable", "a variable of this name", found));
        };
        variable.array().map_err(|kind| {
            refuse("variable is of another kind", "an array of real numbers", kind.to_owned())
        })
    }
}

fn variables(bytes: &[u8]) -> Step<Vec<Variable<'_>>> {
    let mut cursor = header(bytes)?;
    let mut budget = Budget::for_input(bytes.len());
    let mut variables = Vec::new();
    while cursor.left() > 0 {
        let offset = cursor.offset();
        let tag = Tag::read(&mut cursor)?;
        let variable = match tag {
            Tag { kind: MATRIX, size, small: false } => {
                let contents = cursor.part(size)?;
                let data = Cow::Borrowed(contents.rest());
                Variable { facts: Facts::read(contents, &mut budget)?, data }
            }
            Tag { kind: COMPRESSED, size, small: false } => {
                let stream = cursor.part(size)?;
                let inside = |fault: Fault| Fault { offset, ..fault };
                compressed(stream, &mut budget).map_err(inside)?
            }
            Tag { kind, .. } => {
                let found = format!("an element of type {kind}");
                return cursor.fault("file holds something unknown", "a variable", found);
            }
        };
        if !budget.reserve(&mut variables, 1) {
            return Err(Fault::too_large(offset));
        }
        variables.push(variable);
    }
    Ok(variables)
}

/// The contents after the header, in the byte order that it states.
fn header(bytes: &[u8]) -> Step<Cursor<'_>> {
    let refuse = |found: &str| {
        let pair = ("a MATLAB file of level 5 (-v6 or -v7)", found);
        Err(Fault::new(0, "this .mat file cannot be read", pair))
    };
    if bytes.starts_with(b"MATLAB 7.3") || bytes.get(512..520) == Some(b"\x89HDF\r\n\x1a\n") {
        return refuse("MATLAB 7.3 (HDF5)");
    }
    let mut cursor = Cursor::new(bytes);
    let big_endian = match cursor.take(HEADER).ok().and_then(|header| header.get(124..)) {
        Some([0, 1, b'I', b'M']) => false,
        Some([1, 0, b'M', b'I']) => true,
        _ if bytes.get(..4).is_some_and(|start| start.contains(&0)) => return refuse("MATLAB 4"),
        _ => return refuse("no header of such a file"),
    };
    Ok(cursor.ordered(big_endian))
}

/// Reads a variable in a compressed stream, which holds nothing else.
fn compressed<'a>(stream: Cursor<'a>, budget: &mut Budget) -> Step<Variable<'a>> {
    let (mut inflated, offset) = (ZlibDecoder::new(stream.rest()), stream.offset());
    let start = inflate::take(&mut inflated, Tag::SIZE, offset, budget)?;
    let mut start = stream.over(&start);
    let Tag { kind: MATRIX, size, small: false } = Tag::read(&mut start)? else {
        let found = "another element";
        return start.fault("file holds something unknown", "a compressed variable", found);
    };
    let contents = inflate::take(&mut inflated, size, offset, budget)?;
    inflate::finish(&mut inflated, offset)?;
    let facts = Facts::read(stream.over(&contents), budget)?;
    Ok(Variable { facts, data: Cow::Owned(contents) })
}
