//! Checks of a dataset folder against its layout.
//!
//! Each part is reported as found, missing or wrong, with counts and with the command that creates
//! what is missing. Misplaced files are the most frequent problem of the original's users
//! (hanzhanggit/StackGAN issues 9, 14 and 64).

mod coco;
mod cub;
mod folder;
mod oxford;
mod report;

pub use report::{CheckReport, Part, Status};

use crate::crop::{self, MAX_FILE, decode_as};
use crate::dataset::{Dataset, Item};
use crate::formats::read_bounded;
use crate::layouts::{self, Kind, Reading};
use crate::prepared::{Damaged, Prepared};
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Examines a folder of the given kind, to be read as `how` says. Never fails: what cannot be read
/// is reported as wrong. Pictures are not opened.
#[must_use]
pub fn check(dir: &Path, kind: Kind, how: Reading) -> CheckReport {
    let mut parts = match kind {
        Kind::Cub => cub::parts(dir),
        Kind::Oxford => oxford::parts(dir),
        Kind::Coco => coco::parts(dir),
        Kind::Folder => folder::parts(dir, how),
    };
    let complete = parts.iter().all(Part::is_sound);
    match layouts::read(dir, kind, how) {
        Ok(dataset) if complete => return CheckReport::of(dir, kind, parts, Some(&dataset)),
        Err(error) if complete => {
            parts.push(Part::fault(dir, "the parts together", &error, error.remedy()));
        }
        _ => {}
    }
    CheckReport::of(dir, kind, parts, None)
}

/// Decodes every picture of a dataset, and checks that its box lies inside.
///
/// `progress` is called with the number of finished pictures and the total, from several threads.
/// Returns the error that the pictures would cause if they were not left out.
///
/// # Errors
/// All unusable pictures together, the first ones by name, unless they are left out and other
/// pictures remain.
pub fn pictures(
    dataset: &Dataset,
    damaged: Damaged,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Option<Error>> {
    let (done, total) = (AtomicUsize::new(0), dataset.items.len());
    let usable = |item: &Item| {
        let bytes = read_bounded(&item.image, MAX_FILE)?;
        let image = decode_as(&bytes, dataset.orientation, &item.image)?;
        let part = |bounds| crop::part(bounds, image.dimensions(), &item.image);
        item.bounding_box.map(part).transpose()
    };
    let faults = dataset.items.par_iter().filter_map(|item| {
        let fault = usable(item).err();
        progress(1 + done.fetch_add(1, Ordering::Relaxed), total);
        fault
    });
    let faults: Vec<Error> = faults.collect();
    let unusable = (!faults.is_empty()).then(|| crop::unusable(total, &faults));
    match (unusable, damaged) {
        (Some(error), Damaged::LeaveOut) if faults.len() < total => Ok(Some(error)),
        (Some(error), _) => Err(error),
        (None, _) => Ok(None),
    }
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
    use crate::dataset::BoundingBox;

    #[test]
    fn a_prepared_file_is_read_with_its_tables_and_every_row() {
        let size = crop::PictureSize::Stage1;
        let (_dir, path, data) = crate::testing::prepared(4, 2, size);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(prepared(&path).unwrap().identity(), data.identity());
        let (rows, row) = (4 * 76, 3 * 76);
        let images = whole.len() - 4 * rows - row * rows;
        // A class or caption in front of the pictures, and the last row of the last picture.
        for (at, said) in
            [(images - 20, "captions, classes and splits"), (images + row * rows - 1, "row 303")]
        {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let error = prepared(&path).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains("CRC-32C"), "{error}");
        }
    }

    #[test]
    fn pictures_that_cannot_be_used_are_all_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = crate::testing::dataset(dir.path(), 9, 3);
        let checked = |data: &Dataset, damaged| pictures(data, damaged, &|_, _| {});
        assert!(checked(&data, Damaged::Refuse).unwrap().is_none());
        data.items[4].bounding_box =
            Some(BoundingBox { x: 500.0, y: 1.0, width: 9.0, height: 9.5 });
        std::fs::write(&data.items[7].image, "no picture").unwrap();
        let said = checked(&data, Damaged::Refuse).unwrap_err().to_string();
        assert_eq!(checked(&data, Damaged::LeaveOut).unwrap().unwrap().to_string(), said);
        assert!(said.starts_with("2 of 9 pictures cannot be used"), "{said}");
        for part in ["4.png: bounding box", "x 500, y 1, width 9, height 9.5", "7.png: picture"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        data.items.retain(|item| item.image.ends_with("7.png"));
        for damaged in [Damaged::Refuse, Damaged::LeaveOut] {
            let said = checked(&data, damaged).unwrap_err().to_string();
            assert!(said.starts_with("no picture of 1 can be used"), "{said}");
            assert!(!said.contains("leave"), "nothing would be left: {said}");
        }
    }
}
