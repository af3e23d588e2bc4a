//! The header of a checkpoint, and the checksum over the whole file.
//!
//! The checksum is that of the file with an empty checksum field, which is 64 characters shorter
//! and keeps the padding of the header. So the file is serialised once, and the checksum is
//! inserted or removed in place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stackgan_core::archive::KEY;
use stackgan_core::digest::Sum;

use crate::origins::Origins;

/// The version of the checkpoint format that this program reads and writes.
pub(super) const FORMAT: &str = "stackgan-checkpoint/1";

/// The bytes before the checksum, inside a JSON string inside the file's JSON header.
const BEFORE: &[u8] = br#"\"sha256\":\""#;

/// Number of characters of a checksum.
const SUM: usize = 64;

/// The header of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format.
    pub(super) format: String,
    /// Steps taken.
    pub step: u64,
    /// Step counts of the optimisers of G and D.
    pub optimiser_steps: (u64, u64),
    /// SHA-256 of what determines the mathematics: configuration and data.
    pub digest: String,
    /// The part of the configuration that determines the mathematics, to report what differs.
    pub config: String,
    /// What else determines the mathematics, to report what differs.
    pub origins: Origins,
    /// Steps that were skipped because they became non-finite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<u64>,
    /// The last value of R1, which reports repeat until the next step that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r1: Option<f32>,
    /// SHA-256 of the file with this field empty.
    sha256: String,
}

impl Header {
    /// Creates a header for the state after `step` steps.
    #[must_use]
    pub fn new(step: u64, optimiser_steps: (u64, u64), digest: String) -> Self {
        let format = FORMAT.to_owned();
        let (config, origins, skipped, r1, sha256) = Default::default();
        Self { format, step, optimiser_steps, digest, config, origins, skipped, r1, sha256 }
    }

    /// The header as the metadata of a file, without the checksum.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let bare = Self { sha256: String::new(), ..self.clone() };
        let text = serde_json::to_string(&bare).unwrap_or_default(); // strings and numbers: cannot fail
        [(KEY.to_owned(), text)].into()
    }

    /// Reads the header from a file's metadata.
    ///
    /// # Errors
    /// The parser's message.
    pub(super) fn read(metadata: &BTreeMap<String, String>) -> Result<Self, String> {
        let text = metadata.get(KEY).map_or("", String::as_str);
        serde_json::from_str(text).map_err(|e| e.to_string())
    }
}

/// Inserts the checksum of a file into its head, which has none; `None` if it has no place for it.
pub(super) fn sealed(mut head: Vec<u8>, sum: &str) -> Option<Vec<u8>> {
    let at = place(&head)?;
    let length = length(&head)?.checked_add(sum.len() as u64)?;
    head.get_mut(..8)?.copy_from_slice(&length.to_le_bytes());
    head.splice(at..at, sum.bytes());
    Some(head)
}

/// The checksum stored in a file and the actual one; `None` if the file has no place for one.
pub(super) fn sums(file: &[u8]) -> Option<(String, String)> {
    let at = place(file)?;
    let (before, rest) = file.split_at_checked(at)?;
    let (said, after) = rest.split_at_checked(SUM)?;
    let length = length(file)?.checked_sub(SUM as u64)?;
    let mut sum = Sum::default();
    sum.add(&length.to_le_bytes());
    sum.add(before.get(8..)?);
    sum.add(after);
    let found = sum.finish();
    Some((String::from_utf8(said.to_vec()).ok()?, found))
}

/// The offset of the checksum in the JSON header.
fn place(file: &[u8]) -> Option<usize> {
    let end = usize::try_from(length(file)?).ok()?.checked_add(8)?;
    let header = file.get(..end)?;
    header.windows(BEFORE.len()).position(|w| w == BEFORE).map(|at| at + BEFORE.len())
}

fn length(file: &[u8]) -> Option<u64> {
    file.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
}
