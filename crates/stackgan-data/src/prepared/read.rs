//! Reads a prepared file: the small tables when it is opened, pictures by position.

use super::manifest::{Manifest, VERSION, fit};
use crate::container::{Container, Element, Tensor, words};
use crate::crop::{Fit, PictureSize};
use crate::dataset::Split;
use crate::digest::{is_hex, sha256};
use crate::error::printable;
use crate::sums::StoredSums;
use crate::{Error, Result};
use std::ops::Range;
use std::path::Path;

/// An open prepared file. Reading needs no exclusive access, so it can be shared by `Arc`.
#[derive(Debug)]
pub struct Prepared {
    container: Container,
    images: Tensor,
    /// The sums of all rows of pixels.
    sums: Option<StoredSums>,
    size: PictureSize,
    manifest: Manifest,
    classes: Vec<u32>,
    splits: Vec<Split>,
    captions: Vec<String>,
    ranges: Vec<usize>,
}

impl Prepared {
    /// Opens `path` and checks every table; no picture is read.
    ///
    /// # Errors
    /// When the file is damaged, or of another kind or version; names the table.
    pub fn open(path: &Path) -> Result<Self> {
        let (container, manifest): (_, Manifest) = Container::open(path, "prepared", 1..=VERSION)?;
        let images = container.tensor("images", Element::U8, 4)?;
        let (n, size) = match *images.shape.as_slice() {
            [n, height, width, 3] if height == width => (n, PictureSize::from_prepared(height)),
            _ => (0, None),
        };
        let Some(size) = size else {
            let expected = "shape (N, 76, 76, 3) or (N, 304, 304, 3)";
            return Err(container.malformed("images", expected, format!("{:?}", images.shape)));
        };
        // Other files are named after these.
        let Manifest { fingerprint, boxes, .. } = &manifest;
        for (name, text) in [("fingerprint", fingerprint), ("boxes", boxes)] {
            if !is_hex(text, 64) && (name == "fingerprint" || !text.is_empty()) {
                let expected = "64 hexadecimal digits";
                return Err(container.malformed(name, expected, printable(text)));
            }
        }
        let count = |name: &str, found: usize, expected: usize| {
            if found == expected {
                return Ok(());
            }
            let [expected, found] = [expected, found].map(|n| format!("{n} entries"));
            Err(container.malformed(name, expected, found))
        };
        count("keys", manifest.keys.len(), n)?;
        count("sha256", manifest.sha256.len(), n)?;

        // A caption takes 32 bytes of memory besides its text, and may take only 8 in the file.
        // More captions than would fit in twice the file plus 16 MiB are rejected; real datasets
        // have fewer.
        let pixels: usize = images.shape.iter().product();
        let offsets = container.tensor("caption_offsets", Element::U64, 1)?.shape;
        if let Some(found) = offsets.first().filter(|&&n| n > pixels / 8 + (10 << 16)) {
            let (expected, found) =
                ("captions of these pictures", format!("{found} for {n} pictures"));
            return Err(container.malformed("caption_offsets", expected, found));
        }

        // In the order of the file, in which they are summed.
        let mut sum = 0;
        let mut table = |name: &str, element| -> Result<Vec<u8>> {
            let table = container.read_all(&container.tensor(name, element, 1)?)?;
            sum = crc32c::crc32c_append(sum, &table);
            Ok(table)
        };
        let offsets = positions(&table("caption_offsets", Element::U64)?);
        let ranges = positions(&table("caption_ranges", Element::U64)?);
        let classes: Vec<u32> =
            words(&table("class_id", Element::U32)?).map(u32::from_le_bytes).collect();
        let text = table("captions", Element::U8)?;
        let splits = table("split", Element::U8)?;
        let found = format!("{sum:08x}");
        if let Some(said) = manifest.tables_crc32c.as_ref().filter(|said| **said != found) {
            let expected = format!("tables with the CRC-32C {}, as written", printable(said));
            return Err(container.malformed("captions, classes and splits", expected, found));
        }
        count("class_id", classes.len(), n)?;
        count("split", splits.len(), n)?;
        let splits: Option<Vec<Split>> =
            splits.iter().map(|&s| Split::ALL.get(usize::from(s)).copied()).collect();
        let splits =
            splits.ok_or_else(|| container.malformed("split", "0 or 1", "another number"))?;
        rising(&container, ("caption_offsets", &offsets), text.len())?;
        let text = std::str::from_utf8(&text)
            .map_err(|_| container.malformed("captions", "UTF-8", "other bytes"))?;
        let mut captions = Vec::with_capacity(offsets.len());
        for (&from, &to) in offsets.iter().zip(offsets.iter().skip(1)) {
            let caption = text
                .get(from..to)
                .ok_or_else(|| container.malformed("captions", "whole characters", "cut ones"))?;
            captions.push(caption.to_owned());
        }
        rising(&container, ("caption_ranges", &ranges), captions.len())?;
        count("caption_ranges", ranges.len(), n + 1)?;
        let sums = StoredSums::find(&container, n * size.prepared())?;
        Ok(Self { container, images, sums, size, manifest, classes, splits, captions, ranges })
    }

    /// Number of pictures.
    #[must_use]
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there are no pictures.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The size of the pictures.
    #[must_use]
    pub fn size(&self) -> PictureSize {
        self.size
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.container.path()
    }

    /// The dataset's fingerprint: equal for all sizes made from one folder.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.manifest.fingerprint
    }

    /// Identifies how the pixels were made from the source files, which the fingerprint does not
    /// cover: the first twelve hexadecimal digits of the SHA-256 of filter, contrast, orientation,
    /// boxes, and the fit unless pictures were squeezed. It is safe in a file name whatever the file contains.
    #[must_use]
    pub fn pixels(&self) -> String {
        let Manifest { resizing, stretch, orientation, boxes, fit: how, .. } = &self.manifest;
        let squeezed = how == fit(Fit::Squeeze);
        let parts = [resizing, stretch, orientation, boxes].into_iter();
        let parts = parts.chain((!squeezed).then_some(how));
        let text: String = parts.map(|part| format!("{part:?}")).collect();
        sha256(text).chars().take(12).collect()
    }

    /// Identifies the whole content: SHA-256 of the metadata, in hexadecimal. It covers the
    /// fingerprint, how the pixels were made, and the notes.
    #[must_use]
    pub fn identity(&self) -> String {
        sha256(&self.container.stackgan)
    }

    /// The dataset's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The metadata of the file.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The name of picture `i`; empty beyond the end.
    #[must_use]
    pub fn key(&self, i: usize) -> &str {
        self.manifest.keys.get(i).map_or("", String::as_str)
    }

    /// The class of picture `i`; `None` beyond the end.
    #[must_use]
    pub fn class(&self, i: usize) -> Option<u32> {
        self.classes.get(i).copied()
    }

    /// The classes of all pictures.
    #[must_use]
    pub fn classes(&self) -> &[u32] {
        &self.classes
    }

    /// The split of picture `i`; `None` beyond the end.
    #[must_use]
    pub fn split(&self, i: usize) -> Option<Split> {
        self.splits.get(i).copied()
    }

    /// The pictures of one split, in order.
    #[must_use]
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.split(i) == Some(split)).collect()
    }

    /// The rows of picture `i` among all captions (and embeddings); empty beyond the end.
    #[must_use]
    pub fn caption_range(&self, i: usize) -> Range<usize> {
        match self.ranges.get(i..).unwrap_or_default() {
            [from, to, ..] => *from..*to,
            _ => 0..0,
        }
    }

    /// The captions of picture `i`; empty beyond the end.
    #[must_use]
    pub fn captions(&self, i: usize) -> &[String] {
        self.captions.get(self.caption_range(i)).unwrap_or_default()
    }

    /// All captions, by row.
    #[must_use]
    pub fn all_captions(&self) -> &[String] {
        &self.captions
    }

    /// Number of captions of all pictures.
    #[must_use]
    pub fn caption_count(&self) -> usize {
        self.captions.len()
    }

    /// Picture `i`: `S * S * 3` bytes, RGB, row by row.
    ///
    /// # Errors
    /// When there is no such picture, or the file cannot be read.
    pub fn image(&self, i: usize) -> Result<Vec<u8>> {
        self.rows(i, 0..self.size.prepared())
    }

    /// Rows `rows` of picture `i`, in one read.
    pub(crate) fn rows(&self, i: usize, rows: Range<usize>) -> Result<Vec<u8>> {
        let side = self.size.prepared();
        if i >= self.len() || rows.end > side || rows.start > rows.end {
            return Err(Error::config(
                "there is no such picture",
                (format!("0 to {}", self.len().saturating_sub(1)), i.to_string()),
                "use the indices of this prepared file",
            ));
        }
        let row = side * 3;
        let first = i * side + rows.start;
        let read = self.container.read(&self.images, (first * row) as u64, rows.len() * row)?;
        if let Some(sums) = &self.sums {
            let place = |row| {
                let (picture, line, key) = (i + 1, row % side + 1, printable(self.key(i)));
                format!("picture {picture} of {}, {key}, line {line}", self.len())
            };
            sums.check(&self.container, (first, &place), &read, row)?;
        }
        Ok(read)
    }
}

/// The numbers of a table of positions. One that does not fit in usize is none that [`rising`] accepts.
fn positions(table: &[u8]) -> Vec<usize> {
    let numbers = words(table).map(u64::from_le_bytes);
    numbers.map(|number| usize::try_from(number).unwrap_or(usize::MAX)).collect()
}

/// Checks that positions start at 0, never decrease, and end at `end`.
fn rising(container: &Container, (name, table): (&str, &[usize]), end: usize) -> Result<()> {
    if table.first() == Some(&0) && table.is_sorted() && table.last() == Some(&end) {
        return Ok(());
    }
    Err(container.malformed(name, format!("numbers that rise from 0 to {end}"), "others"))
}
