//! The captions that a file of embeddings may hold, so that its rows have names without a dataset.
//!
//! | tensor | type, shape | contents |
//! |---|---|---|
//! | `caption_offsets` | u32 (captions + 1) | caption `c` is `captions[offsets[c]..offsets[c + 1]]` |
//! | `captions` | u8 (bytes) | UTF-8, one after the other |
//!
//! They are tensors rather than metadata, because a header may only be small beside its numbers.
//! Unlike those of prepared files the offsets are u32, which candle can read.

use crate::container::{Container, Element, Spec, Tensor, words};
use crate::{Error, Result};
use std::path::Path;

/// The names of both tensors.
const OFFSETS: &str = "caption_offsets";
const TEXT: &str = "captions";

/// Captions that will be written behind the embeddings.
#[derive(Debug)]
pub(super) struct Texts {
    /// Where each caption begins, and where the last one ends.
    offsets: Vec<u32>,
    text: String,
    /// The extents of both tensors.
    shapes: [[usize; 1]; 2],
}

impl Texts {
    /// # Errors
    /// When the captions have more than 4 GiB.
    pub(super) fn of(captions: &[String], path: &Path) -> Result<Self> {
        let text = captions.concat();
        let mut end = 0;
        let mut offsets = vec![0];
        for caption in captions {
            end += caption.len();
            offsets.push(u32::try_from(end).map_err(|_| {
                Error::config(
                    format!("captions are too long for {}", path.display()),
                    (format!("at most {} bytes", u32::MAX), format!("{} bytes", text.len())),
                    "make several files of them",
                )
            })?);
        }
        let shapes = [[offsets.len()], [text.len()]];
        Ok(Self { offsets, text, shapes })
    }

    pub(super) fn specs(&self) -> [Spec<'_>; 2] {
        let [offsets, text] = &self.shapes;
        [
            Spec { name: OFFSETS, element: Element::U32, shape: offsets },
            Spec { name: TEXT, element: Element::U8, shape: text },
        ]
    }

    /// The bytes of both tensors.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let offsets = self.offsets.iter().flat_map(|offset| offset.to_le_bytes());
        offsets.chain(self.text.bytes()).collect()
    }
}

/// The captions of an open file, which are read one at a time.
#[derive(Debug)]
pub(super) struct StoredTexts {
    offsets: Tensor,
    text: Tensor,
}

impl StoredTexts {
    /// `None` if the file has no captions.
    ///
    /// # Errors
    /// When they are not those of `rows` embeddings.
    pub(super) fn find(container: &Container, rows: usize) -> Result<Option<Self>> {
        if !container.has(OFFSETS) && !container.has(TEXT) {
            return Ok(None);
        }
        let offsets = container.tensor(OFFSETS, Element::U32, 1)?;
        let text = container.tensor(TEXT, Element::U8, 1)?;
        match offsets.shape.first() {
            Some(&n) if n == rows + 1 => Ok(Some(Self { offsets, text })),
            _ => {
                let found = format!("{:?}", offsets.shape);
                Err(container.malformed(OFFSETS, format!("shape [{}]", rows + 1), found))
            }
        }
    }

    /// The caption of a row.
    ///
    /// # Errors
    /// When there is no such row, or the file is damaged.
    pub(super) fn read(&self, container: &Container, row: usize) -> Result<String> {
        let ends = container.read(&self.offsets, (row as u64).saturating_mul(4), 8)?;
        let mut ends = words(&ends).map(u32::from_le_bytes);
        let (from, to) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
        let length = to.checked_sub(from).ok_or_else(|| {
            container.malformed(OFFSETS, "rising numbers", format!("{from}, then {to}"))
        })?;
        let bytes = container.read(&self.text, u64::from(from), length as usize)?;
        String::from_utf8(bytes).map_err(|_| container.malformed(TEXT, "UTF-8", "other bytes"))
    }
}
