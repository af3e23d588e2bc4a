//! What the headers of a Parquet file declare, before the `parquet` crate reads them (Apache Thrift,
//! "Thrift compact protocol"; parquet-format, `parquet.thrift`).
//!
//! The crate reserves memory for as many columns and bytes as a header claims, and follows the nesting of columns with
//! its stack: a small file could end the program. So the headers are walked here first, as it walks them
//! (`structures`).

use super::structures::{FILE, Kind, PAGE, Shape};

/// Maximum depth of structures, and of columns in columns.
const DEPTH: usize = 16;
/// Maximum number of columns, including those that hold others.
const COLUMNS: usize = 4096;
/// Maximum length of a column's name, in bytes.
const NAME: usize = 1024;

/// What is wrong with a header: what was expected, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) expected: &'static str,
    pub(super) found: String,
}

type Step<T> = Result<T, Flaw>;

fn flaw<T>(expected: &'static str, found: impl Into<String>) -> Step<T> {
    Err(Flaw { expected, found: found.into() })
}

/// The end of the input within a header.
pub(super) const ENDS: &str = "a whole header";

/// Checks the metadata at the end of a file: the columns form a tree of bounded depth and width, and
/// no list is longer than the bytes that are there.
pub(super) fn check_footer(bytes: &[u8]) -> Step<()> {
    let mut at = Cursor { bytes, at: 0 };
    at.check(&FILE, Kind::Struct, DEPTH)?;
    at.at = 0;
    let mut last = 0;
    while let Some((id, kind)) = at.field(&mut last)? {
        match id {
            2 => check_columns(&mut at)?,
            _ => at.skip(kind, DEPTH)?,
        }
    }
    Ok(())
}

/// Checks the list of columns, in which each is followed by those that it holds.
fn check_columns(at: &mut Cursor<'_>) -> Step<()> {
    let (_, n) = at.list()?;
    if n > COLUMNS {
        return flaw("a list of at most 4096 columns", n.to_string());
    }
    let mut open: Vec<usize> = vec![1];
    for _ in 0..n {
        let (mut last, mut holds) = (0, 0);
        while let Some((id, kind)) = at.field(&mut last)? {
            match id {
                4 => match at.binary()?.len() {
                    0..=NAME => {}
                    bytes => {
                        return flaw("names of columns of at most 1024 bytes", bytes.to_string());
                    }
                },
                5 => holds = at.number()?,
                _ => at.skip(kind, DEPTH)?,
            }
        }
        let Some(of) = open.last_mut() else {
            return flaw("columns that one column holds", "more of them");
        };
        *of -= 1;
        match usize::try_from(holds) {
            Ok(holds @ 1..=COLUMNS) => open.push(holds),
            Ok(0) => {}
            _ => return flaw("at most 4096 columns in a column", holds.to_string()),
        }
        if open.len() > DEPTH {
            return flaw("columns at most 16 deep", "deeper ones");
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    if open.is_empty() { Ok(()) } else { flaw("all columns that are announced", "fewer") }
}

/// What the header of a page declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Length of the header itself, in bytes.
    pub(super) header: usize,
    /// Length of the page that follows it, in bytes.
    pub(super) packed: u64,
    /// Its length when it is unpacked, in bytes.
    pub(super) unpacked: u64,
    /// Number of values in it, with those that are empty.
    pub(super) values: u64,
    /// What it holds.
    pub(super) kind: PageKind,
}

/// The kinds of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PageKind {
    /// Values.
    Data,
    /// Values to which others refer by number.
    Dictionary,
    /// Nothing that is read.
    #[default]
    Other,
}

/// The encodings of values that are read: plain, and numbers of values in a dictionary under its two
/// names. The crate's readers of the `DELTA` encodings reserve memory for as many values as a page
/// claims.
const ENCODINGS: [i64; 3] = [0, 2, 8];

/// Reads the header of a page at the start of `bytes`. The flaw of a header that does not end there
/// expects [`ENDS`].
pub(super) fn page(bytes: &[u8]) -> Step<Page> {
    let mut at = Cursor { bytes, at: 0 };
    at.check(&PAGE, Kind::Struct, DEPTH)?;
    at.at = 0;
    let (mut page, mut last) = (Page::default(), 0);
    let (mut said, mut own) = (None, None); // its kind, and the field for pages of a kind
    while let Some((id, kind)) = at.field(&mut last)? {
        match id {
            1 => said = Some(at.number()?),
            2 => page.unpacked = at.size()?,
            3 => page.packed = at.size()?,
            5 | 7 | 8 => {
                if own.replace(id).is_some() {
                    return flaw("a page of one kind", "two kinds");
                }
                let (mut last, mut levels) = (0, 0_u64);
                while let Some((inner, kind)) = at.field(&mut last)? {
                    match (id, inner) {
                        (_, 1) => page.values = at.size()?,
                        (5 | 7, 2) | (8, 4) => {
                            let encoding = at.number()?;
                            if !ENCODINGS.contains(&encoding) {
                                return flaw(PLAIN, format!("encoding {}", name(encoding)));
                            }
                        }
                        // Lengths of the levels of a page of the second version.
                        (8, 5 | 6) => levels += at.size()?,
                        _ => at.skip(kind, DEPTH)?,
                    }
                }
                if levels > page.unpacked {
                    return flaw("levels within the page", format!("{levels} bytes of them"));
                }
            }
            _ => at.skip(kind, DEPTH)?,
        }
    }
    page.kind = match (said, own) {
        (Some(0), Some(5)) | (Some(3), Some(8)) => PageKind::Data,
        (Some(2), Some(7)) => PageKind::Dictionary,
        (Some(1), None) => PageKind::Other, // an index
        (said, _) => {
            let said = said.map_or("none".to_owned(), |said| said.to_string());
            return flaw("facts about a page of its kind", format!("others, kind {said}"));
        }
    };
    page.header = at.at;
    Ok(page)
}

/// The flaw of values in another encoding.
pub(super) const PLAIN: &str = "values that are plain or in a dictionary";

/// The name of an encoding.
fn name(encoding: i64) -> String {
    match encoding {
        5 => "DELTA_BINARY_PACKED".to_owned(),
        6 => "DELTA_LENGTH_BYTE_ARRAY".to_owned(),
        7 => "DELTA_BYTE_ARRAY".to_owned(),
        9 => "BYTE_STREAM_SPLIT".to_owned(),
        other => other.to_string(),
    }
}

/// The kind in the low half of a byte.
fn kind(head: u8) -> Step<Kind> {
    let code = head & 0x0f;
    Kind::of(code).map_or_else(|| flaw("a value of a known kind", format!("kind {code}")), Ok)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let taken = self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end));
        let Some(taken) = taken else { return flaw(ENDS, "its end") };
        self.at += n;
        Ok(taken)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn varint(&mut self) -> Step<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        flaw("a number of at most ten bytes", "a longer one")
    }

    /// A signed number, in zigzag.
    fn number(&mut self) -> Step<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A length of 32 bits, which must not be negative.
    fn size(&mut self) -> Step<u64> {
        let size = self.number()?;
        match u64::try_from(size) {
            Ok(size) if i32::try_from(size).is_ok() => Ok(size),
            _ => flaw("a length from 0", size.to_string()),
        }
    }

    fn binary(&mut self) -> Step<&'a [u8]> {
        let n = self.varint()?;
        self.take(usize::try_from(n).unwrap_or(usize::MAX))
    }

    /// The number and kind of the next field of a structure; `None` at its end. Their numbers
    /// rise.
    fn field(&mut self, last: &mut i64) -> Step<Option<(i64, Kind)>> {
        let head = self.byte()?;
        if head & 0x0f == 0 {
            return Ok(None);
        }
        *last = match head >> 4 {
            0 => match self.number()? {
                full if full > *last && i16::try_from(full).is_ok() => full,
                other => return flaw("fields in their order", format!("field {other}")),
            },
            delta => *last + i64::from(delta),
        };
        Ok(Some((*last, kind(head)?)))
    }

    /// The kind and number of the elements of a list.
    fn list(&mut self) -> Step<(Kind, usize)> {
        let head = self.byte()?;
        if head == 0 {
            return Ok((Kind::Byte, 0)); // how some write an empty list
        }
        let n = match head >> 4 {
            15 => usize::try_from(self.varint()?).unwrap_or(usize::MAX),
            n => usize::from(n),
        };
        let left = self.bytes.len() - self.at;
        let kind = kind(head)?;
        if n > left || kind == Kind::Bool {
            return flaw("a list within the header", format!("{n} elements of kind {kind:?}"));
        }
        Ok((kind, n))
    }

    /// Skips a value, and checks that it has a form.
    fn check(&mut self, shape: &Shape, kind: Kind, depth: usize) -> Step<()> {
        match (shape, kind) {
            (Shape::Of(form), kind) if *form == kind => self.skip(kind, depth),
            (Shape::Each(form), Kind::List) => {
                let (kind, n) = self.list()?;
                (0..n).try_for_each(|_| self.check(form, kind, depth))
            }
            (Shape::Fields(fields), Kind::Struct) => {
                let mut last = 0;
                while let Some((id, kind)) = self.field(&mut last)? {
                    match fields.iter().find(|(own, _)| *own == id) {
                        Some((_, form)) => self.check(form, kind, depth)?,
                        None => self.skip(kind, depth)?,
                    }
                }
                Ok(())
            }
            _ => flaw("values of the kinds of parquet.thrift", format!("{kind:?}")),
        }
    }

    fn skip(&mut self, kind: Kind, depth: usize) -> Step<()> {
        let Some(depth) = depth.checked_sub(1) else {
            return flaw("structures at most 16 deep", "deeper ones");
        };
        match kind {
            Kind::Bool => Ok(()),
            Kind::Byte => self.take(1).map(drop),
            Kind::I16 | Kind::I32 | Kind::I64 => self.varint().map(drop),
            Kind::Double => self.take(8).map(drop),
            Kind::Binary => self.binary().map(drop),
            Kind::List => {
                let (kind, n) = self.list()?;
                (0..n).try_for_each(|_| self.skip(kind, depth))
            }
            Kind::Struct => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, depth)?;
                }
                Ok(())
            }
        }
    }
}
