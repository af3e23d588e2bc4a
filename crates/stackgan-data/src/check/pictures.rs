//! The pictures of a dataset folder: whether each can be used, and what else is seen in reading them.

use crate::copies::{self, Copies};
use crate::crop::{self, MAX_FILE, decode_as};
use crate::dataset::{Dataset, Item};
use crate::digest::sha256;
use crate::formats::read_bounded;
use crate::prepared::Damaged;
use crate::{Error, Result};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What was found in the pictures of a dataset.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Examined {
    /// What is wrong with the pictures that are left out.
    pub left_out: Option<Error>,
    /// The positions in the dataset of the pictures that are left out, rising.
    pub unusable: Vec<usize>,
    /// Number of usable pictures without a box that are wider or higher than 4:3.
    pub oblong: usize,
    /// Test pictures that are also in training.
    pub copies: Option<Copies>,
}

/// A picture that can be used.
struct Usable {
    sha256: String,
    is_oblong: bool,
}

/// Decodes every picture of a dataset, and checks that its box lies inside.
///
/// `progress` is called with the number of finished pictures and the total, from several threads.
///
/// # Errors
/// All unusable pictures together, the first ones by name, unless they are left out and other
/// pictures remain.
pub fn pictures(
    dataset: &Dataset,
    damaged: Damaged,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Examined> {
    let (done, total) = (AtomicUsize::new(0), dataset.items.len());
    let usable = |item: &Item| {
        let bytes = read_bounded(&item.image, MAX_FILE)?;
        let image = decode_as(&bytes, dataset.orientation, &item.image)?;
        let part = |bounds| crop::part(bounds, image.dimensions(), &item.image);
        let part = item.bounding_box.map(part).transpose()?;
        let (width, height) = image.dimensions();
        // Sides are at most `MAX_SIDE`.
        let is_oblong = part.is_none() && width.max(height) * 3 > width.min(height) * 4;
        Ok(Usable { sha256: sha256(&bytes), is_oblong })
    };
    let found = dataset.items.par_iter().map(|item| {
        let found = usable(item);
        progress(1 + done.fetch_add(1, Ordering::Relaxed), total);
        found
    });
    let found: Vec<Result<Usable>> = found.collect();
    let good = || dataset.items.iter().zip(&found).filter_map(|(i, f)| Some((i, f.as_ref().ok()?)));
    let oblong = good().filter(|(_, picture)| picture.is_oblong).count();
    let copies = copies::between(good().map(|(item, picture)| (item, &*picture.sha256)));
    let faults = found.into_iter().enumerate().filter_map(|(i, found)| Some((i, found.err()?)));
    let (unusable, faults): (Vec<usize>, Vec<Error>) = faults.unzip();
    let fault = (!faults.is_empty()).then(|| crop::unusable(total, &faults));
    match (fault, damaged) {
        (Some(error), Damaged::Refuse) => Err(error),
        (Some(error), _) if faults.len() == total => Err(error),
        (fault, _) => {
            Ok(Examined { left_out: fault.map(already_left_out), unusable, oblong, copies })
        }
    }
}

/// The error about pictures that are left out already: there is no need to say how.
fn already_left_out(mut error: Error) -> Error {
    if let Error::Malformed { remedy, .. } = &mut error {
        "nothing, or replace or correct them, to use them too".clone_into(remedy);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::BoundingBox;

    #[test]
    fn pictures_that_cannot_be_used_are_all_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = crate::testing::dataset(dir.path(), 9, 3);
        let checked =
            |data: &Dataset, damaged| pictures(data, damaged, &|_, _| {}).map(|e| e.left_out);
        assert!(checked(&data, Damaged::Refuse).unwrap().is_none());
        data.items[4].bounding_box =
            Some(BoundingBox { x: 500.0, y: 1.0, width: 9.0, height: 9.5 });
        std::fs::write(&data.items[7].image, "no picture").unwrap();
        let said = checked(&data, Damaged::Refuse).unwrap_err().to_string();
        let left = pictures(&data, Damaged::LeaveOut, &|_, _| {}).unwrap();
        let (findings, _) = said.rsplit_once("  do: ").unwrap();
        let left_out = left.left_out.unwrap().to_string();
        assert!(left_out.starts_with(findings) && !left_out.contains("--damaged"), "{left_out}");
        assert_eq!(left.unusable, [4, 7]);
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

    #[test]
    fn oblong_pictures_and_copies_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = crate::testing::dataset(dir.path(), 5, 3);
        let found = |data: &Dataset| pictures(data, Damaged::Refuse, &|_, _| {}).unwrap();
        let sides = [(40, 30), (41, 30), (30, 40), (30, 41), (30, 30)];
        for (item, (width, height)) in data.items.iter_mut().zip(sides) {
            item.bounding_box = None;
            image::RgbImage::new(width, height).save(&item.image).unwrap();
        }
        assert_eq!(found(&data).oblong, 2);
        assert_eq!(found(&data).copies, None);
        std::fs::copy(&data.items[2].image, &data.items[4].image).unwrap();
        let copies = found(&data).copies.unwrap();
        assert_eq!(copies.count, 1);
        assert_eq!(copies.first, (data.items[4].key.clone(), data.items[2].key.clone()));
    }
}
