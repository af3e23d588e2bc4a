//! For unit tests: a small dataset, of noise pictures of odd sizes, classes, and one to three captions
//! each; and files of dataset folders.

use crate::crop::{PictureSize, Preparation, Resizing};
use crate::dataset::{BoundingBox, Dataset, Item, Split};
use crate::formats::pickle::write_strings;
use crate::prepared::{Damaged, ImportOptions, Prepared, import};
use std::path::{Path, PathBuf};

/// `n` pictures of `classes` classes, every fifth in the test split, written under `dir`.
pub(crate) fn dataset(dir: &Path, n: usize, classes: u32) -> Dataset {
    let items = (0..n).map(|i| {
        let mut d = stackgan_noise::Noise::new(77).draws(stackgan_noise::Stream::Test, 0, i as u64);
        let (width, height) = (40 + d.below(60) as u32, 40 + d.below(60) as u32);
        let base = [0; 3].map(|_: u8| d.below(200) as u8);
        let image = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb(base.map(|b| b + ((x * 3 + y * 7) % 50) as u8))
        });
        let path = dir.join(format!("{i}.png"));
        image.save(&path).unwrap();
        Item {
            key: format!("k{i}"),
            image: path,
            bounding_box: (i % 2 == 0).then_some(BoundingBox {
                x: 5.0,
                y: 6.0,
                width: 20.0,
                height: 30.0,
            }),
            class: i as u32 % classes,
            captions: (0..=i % 3).map(|c| format!("caption {c} of {i}, é")).collect(),
            split: if i % 5 == 4 { Split::Test } else { Split::Train },
        }
    });
    Dataset { name: "small".to_owned(), items: items.collect(), ..Dataset::default() }
}

/// Options for one size, as in the residual recipe.
pub(crate) fn options(size: PictureSize) -> ImportOptions {
    ImportOptions {
        preparation: Preparation::squeezed(size, Resizing::Residual),
        damaged: Damaged::Refuse,
    }
}

/// A small prepared dataset; keep the folder alive while it is used.
pub(crate) fn prepared(
    n: usize,
    classes: u32,
    size: PictureSize,
) -> (tempfile::TempDir, PathBuf, Prepared) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("small.safetensors");
    import(&dataset(dir.path(), n, classes), &out, &options(size), &|_, _| {}).unwrap();
    let data = Prepared::open(&out).unwrap();
    (dir, out, data)
}

/// Writes the file `name` below `dir`, and the folders that it is in.
pub(crate) fn put(dir: impl AsRef<Path>, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.as_ref().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A `filenames.pickle` of these names.
pub(crate) fn name_list(names: &[&str]) -> Vec<u8> {
    write_strings(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
}
