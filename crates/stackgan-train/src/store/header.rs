//! What a checkpoint says of itself, and the sum over the whole file.
//!
//! The sum is that of the file as it would be with its own field empty: 64 characters shorter, which keeps the padding of
//! the header as it is. So the file is serialised once and the sum put in, or taken out, at its place.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of the checkpoint format that this program writes and reads.
pub(super) const FORMAT: &str = "stackgan-checkpoint/1";

/// The metadata key under which [`Header`] lies.
const KEY: &str = "stackgan";

/// What stands before the sum, inside a JSON string inside the file's JSON header.
const BEFORE: &[u8] = br#"\"sha256\":\""#;

/// Characters of a sum.
const SUM: usize = 64;

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The format's version.
    pub(super) format: String,
    /// Steps taken.
    pub step: u64,
    /// Steps of each optimiser: G, D.
    pub optimiser_steps: (u64, u64),
    /// SHA-256 of what decides the mathematics: configuration and data.
    pub digest: String,
    /// The configuration, as far as it decides the mathematics: to say what differs. Empty in files of early versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub config: String,
    /// Steps that were left out because they became non-finite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<u64>,
    /// The last value of R1, which is not in every step, to be told until there is another. Absent in early files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r1: Option<f32>,
    /// SHA-256 of the file as it would be with this field empty.
    sha256: String,
}

impl Header {
    /// A header for a state after `step` steps.
    #[must_use]
    pub fn new(step: u64, optimiser_steps: (u64, u64), digest: String) -> Self {
        let format = FORMAT.to_owned();
        let (config, skipped, r1, sha256) = Default::default();
        Self { format, step, optimiser_steps, digest, config, skipped, r1, sha256 }
    }

    /// As a file's metadata, without the sum.
    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        let bare = Self { sha256: String::new(), ..self.clone() };
        let text = serde_json::to_string(&bare).unwrap_or_default(); // strings and numbers: cannot fail
        [(KEY.to_owned(), text)].into()
    }

    /// From a file's metadata.
    ///
    /// # Errors
    /// The parser's message.
    pub(super) fn read(metadata: &BTreeMap<String, String>) -> Result<Self, String> {
        let text = metadata.get(KEY).map_or("", String::as_str);
        serde_json::from_str(text).map_err(|e| e.to_string())
    }
}

/// Puts the sum of a file into its head, which has none; `None` when it has no place for it.
pub(super) fn sealed(mut head: Vec<u8>, sum: &str) -> Option<Vec<u8>> {
    let at = place(&head)?;
    let length = length(&head)?.checked_add(sum.len() as u64)?;
    head.get_mut(..8)?.copy_from_slice(&length.to_le_bytes());
    head.splice(at..at, sum.bytes());
    Some(head)
}

/// The sum that a file says it has, and the one that it has; `None` when there is no place for one.
pub(super) fn sums(file: &[u8]) -> Option<(String, String)> {
    let at = place(file)?;
    let (before, rest) = file.split_at_checked(at)?;
    let (said, after) = rest.split_at_checked(SUM)?;
    let length = length(file)?.checked_sub(SUM as u64)?;
    let mut sum = Sha256::new();
    sum.update(length.to_le_bytes());
    sum.update(before.get(8..)?);
    sum.update(after);
    let found = sum.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Some((String::from_utf8(said.to_vec()).ok()?, found))
}

/// Where the sum is or belongs, in the JSON header.
fn place(file: &[u8]) -> Option<usize> {
    let end = usize::try_from(length(file)?).ok()?.checked_add(8)?;
    let header = file.get(..end)?;
    header.windows(BEFORE.len()).position(|w| w == BEFORE).map(|at| at + BEFORE.len())
}

fn length(file: &[u8]) -> Option<u64> {
    file.first_chunk::<8>().map(|b| u64::from_le_bytes(*b))
}
