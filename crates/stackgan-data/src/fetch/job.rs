//! A file that is to be downloaded: what is known of it, and where it goes.

use std::path::Path;

use super::event::bytes;
use super::hash::Pinned;
use crate::Error;

/// A file to download.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What is known about its contents.
    pub(super) pinned: Pinned<'a>,
    /// Maximum number of bytes to accept.
    pub(super) cap: u64,
    /// The destination.
    pub(super) path: &'a Path,
    /// Number of further bytes that will be needed on the disk once it is complete.
    pub(super) after: u64,
    /// Where a person finds the file: its pages, or its addresses if there are none. `None` if a
    /// copy saved by a person would not be read.
    pub(super) by_hand: Option<&'a [&'a str]>,
}

impl Job<'_> {
    /// The error for a file of more bytes than are accepted.
    pub(super) fn too_large(&self, length: u64) -> Error {
        Error::malformed(
            self.path,
            format!("{} is too large", self.name),
            "its length",
            (format!("at most {}", bytes(self.cap)), format!("{} ({length} bytes)", bytes(length))),
            "nothing was downloaded; check that this is the right file, and the right place",
        )
    }
}
