//! numpy's `.npz` archives of arrays: a zip of `.npy` files, stored (`numpy.savez`) or deflated
//! (`numpy.savez_compressed`).

use super::budget::Budget;
use super::zip;
use crate::error::{first_few, printable};
use crate::{Error, Result};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

const REMEDY: &str = "check that this is an .npz file, whole; save it again with numpy.savez";

/// An archive of arrays. Arrays are decompressed on request.
#[derive(Debug)]
pub struct Npz<'a> {
    archive: zip::Archive<'a>,
    file: PathBuf,
    length: usize,
}

/// Opens an archive; `file` is for error messages only.
///
/// # Errors
/// When `bytes` are not a zip archive, or a damaged one.
pub fn decode<'a>(bytes: &'a [u8], file: &Path) -> Result<Npz<'a>> {
    let length = bytes.len();
    let archive = zip::Archive::open(bytes, &mut Budget::for_input(length))
        .map_err(|fault| fault.in_file(file, length, REMEDY))?;
    Ok(Npz { archive, file: file.to_path_buf(), length })
}

impl<'a> Npz<'a> {
    /// The names of the arrays in the order of the file, without `.npy`. They may hold anything:
    /// an error escapes them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |entry: &zip::Entry<'_>| {
            let name = entry.name.strip_suffix(b".npy")?;
            Some(String::from_utf8_lossy(name).into_owned())
        };
        self.archive.entries().iter().filter_map(name).collect()
    }

    /// The `.npy` file of an array, for [`super::npy::decode`]. It is borrowed if it is stored
    /// uncompressed; its CRC-32 is checked.
    ///
    /// # Errors
    /// When there is no such array (the existing ones are named), it is damaged, or it is longer
    /// than the whole archive plus 15 MiB.
    pub fn member(&self, name: &str) -> Result<Cow<'a, [u8]>> {
        let found = self.archive.named(format!("{name}.npy").as_bytes()).ok_or_else(|| {
            let place = format!("array {}", printable(name));
            let names = (format!("an array `{}`", printable(name)), first_few(&self.names()));
            Error::malformed(&self.file, "archive has no such array", place, names, REMEDY)
        });
        let contents = self.archive.read(found?, &mut Budget::for_input(self.length));
        contents
            .map(|(_, contents)| contents)
            .map_err(|fault| fault.in_file(&self.file, self.length, REMEDY))
    }
}
