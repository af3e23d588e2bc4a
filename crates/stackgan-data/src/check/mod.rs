//! Checks of a dataset folder against its layout.
//!
//! Each part is reported as found, missing or wrong, with counts and with the command that creates
//! what is missing. Misplaced files are the most frequent problem of the original's users
//! (hanzhanggit/StackGAN issues 9, 14 and 64).

mod coco;
mod cub;
mod folder;
mod oxford;
mod pictures;
mod report;

pub use pictures::{Examined, pictures};
pub use report::{CheckReport, Part, Status};

use crate::Result;
use crate::layouts::{self, Kind, Reading};
use crate::prepared::Prepared;
use std::path::Path;

/// Examines a folder of the given kind, to be read as `how` says. Never fails: what cannot be read
/// is reported as wrong. Pictures are not opened.
#[must_use]
pub fn check(dir: &Path, kind: Kind, how: Reading) -> CheckReport {
    let (parts, summary) = match kind {
        Kind::Cub => (cub::parts(dir, how), Vec::new()),
        Kind::Oxford => (oxford::parts(dir), Vec::new()),
        Kind::Coco => (coco::parts(dir), Vec::new()),
        Kind::Folder => folder::parts(dir, how),
    };
    let mut report = CheckReport { dir: dir.to_path_buf(), kind, parts, summary };
    if report.is_complete() {
        match layouts::read(dir, kind, how) {
            Ok(dataset) => report.recount(&dataset),
            Err(error) => {
                let fault = Part::fault(dir, "the parts together", &error, error.remedy());
                report.parts.push(fault);
            }
        }
    }
    report
}

/// Opens a prepared file and reads every picture of it: tables and rows are compared with their
/// sums.
///
/// # Errors
/// The first table or row that is damaged, by name; whatever [`Prepared::open`] refuses.
pub fn prepared(file: &Path) -> Result<Prepared> {
    let prepared = Prepared::open(file)?;
    for i in 0..prepared.len() {
        prepared.image(i)?;
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop;

    #[test]
    fn a_prepared_file_is_read_with_its_tables_and_every_row() {
        let size = crop::PictureSize::Stage1;
        let (_dir, path, data) = crate::testing::prepared(4, 2, size);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(prepared(&path).unwrap().identity(), data.identity());
        let (rows, row) = (4 * 76, 3 * 76);
        let images = whole.len() - 4 * rows - row * rows;
        // A class or caption in front of the pictures, and the last row of the last picture.
        for (at, said) in [
            (images - 20, "captions, classes and splits"),
            (images + row * rows - 1, "picture 4 of 4, k3, line 76"),
        ] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let error = prepared(&path).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("CRC-32C"), "{error}");
        }
    }
}
