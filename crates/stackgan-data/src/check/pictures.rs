//! The pictures of a dataset folder: whether each can be used, and what else is seen in reading them.

use crate::copies::{self, Copies};
use crate::crop::{self, MAX_FILE, PictureSize, decode_as};
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
    /// Number of usable pictures of which less than 256 pixels, the side that Stage-II sees, are taken
    /// along an axis.
    pub small: usize,
    /// The positions in the dataset of the usable pictures whose box reaches more than a pixel beyond
    /// them, rising. The square around it is cut at the edge.
    pub beyond: Vec<usize>,
    /// Test pictures that are also in training.
    pub copies: Option<Copies>,
}

/// A picture that can be used.
struct Usable {
    sha256: String,
    is_oblong: bool,
    is_small: bool,
    reaches_beyond: bool,
}

/// Decodes every picture of a dataset, and checks that its box lies in it, at least in part.
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
        let (width, height) = image.dimensions();
        let part = |bounds| crop::part(bounds, (width, height), &item.image);
        let part = item.bounding_box.map(part).transpose()?;
        let beyond = |bounds| crop::reaches_beyond(bounds, (width, height));
        let reaches_beyond = item.bounding_box.is_some_and(beyond);
        let (across, down) = part.map_or((width, height), |part| (part.width, part.height));
        let is_small = (across.min(down) as usize) < PictureSize::Stage2.crop();
        // Sides are at most `MAX_SIDE`.
        let is_oblong = part.is_none() && width.max(height) * 3 > width.min(height) * 4;
        Ok(Usable { sha256: sha256(&bytes), is_oblong, is_small, reaches_beyond })
    };
    let found = dataset.items.par_iter().map(|item| {
        let found = usable(item);
        progress(1 + done.fetch_add(1, Ordering::Relaxed), total);
        found
    });
    let found: Vec<Result<Usable>> = found.collect();
    let good = || dataset.items.iter().zip(&found).filter_map(|(i, f)| Some((i, f.as_ref().ok()?)));
    let oblong = good().filter(|(_, picture)| picture.is_oblong).count();
    let small = good().filter(|(_, picture)| picture.is_small).count();
    let beyond = found.iter().enumerate().filter_map(|(i, f)| Some((i, f.as_ref().ok()?)));
    let beyond = beyond.filter(|(_, picture)| picture.reaches_beyond).map(|(i, _)| i).collect();
    let copies = copies::between(good().map(|(item, picture)| (item, &*picture.sha256)));
    let faults = found.into_iter().enumerate().filter_map(|(i, found)| Some((i, found.err()?)));
    let (unusable, faults): (Vec<usize>, Vec<Error>) = faults.unzip();
    let fault = (!faults.is_empty()).then(|| crop::unusable(total, &faults));
    match (fault, damaged) {
        (Some(error), Damaged::Refuse) => Err(error),
        (Some(error), _) if faults.len() == total => Err(error),
        (fault, _) => {
            let left_out = fault.map(already_left_out);
            Ok(Examined { left_out, unusable, oblong, small, beyond, copies })
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

    /// A box that has no pixel of its picture is outside, also if the square around it is not.
    #[test]
    fn boxes_that_reach_beyond_are_counted_and_those_outside_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut data = crate::testing::dataset(dir.path(), 5, 3);
        for (item, x) in data.items.iter_mut().zip([10.0, 60.0, 31.0, 79.0, 90.0]) {
            image::RgbImage::new(80, 80).save(&item.image).unwrap();
            item.bounding_box = Some(BoundingBox { x, y: 10.0, width: 50.0, height: 50.0 });
        }
        let found = pictures(&data, Damaged::LeaveOut, &|_, _| {}).unwrap();
        assert_eq!((found.beyond, found.unusable, found.small), (vec![1, 3], vec![4], 4));
        let said = pictures(&data, Damaged::Refuse, &|_, _| {}).unwrap_err().to_string();
        let part = "4.png: bounding box lies outside of the picture (found x 90, y 10, width 50, height 50)";
        assert!(said.starts_with("1 of 5 pictures") && said.contains(part), "{said}");
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
        assert_eq!((found(&data).oblong, found(&data).small), (2, 5));
        image::RgbImage::new(256, 300).save(&data.items[4].image).unwrap();
        assert_eq!((found(&data).oblong, found(&data).small), (2, 4));
        assert_eq!(found(&data).copies, None);
        std::fs::copy(&data.items[2].image, &data.items[4].image).unwrap();
        let copies = found(&data).copies.unwrap();
        assert_eq!(copies.count, 1);
        assert_eq!(copies.first, (data.items[4].key.clone(), data.items[2].key.clone()));
    }
}
