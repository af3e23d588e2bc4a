//! The real birds, where they are at hand: 2,889 pictures of CUB-200-2011.

use crate::shared;
use stackgan_data::crop::{PictureSize, Preparation, Resizing, Stretch, crop_rule, decode};
use stackgan_data::dataset::Split;
use stackgan_data::layouts::cub;
use stackgan_data::prepared::{ImportOptions, Prepared, import};

#[test]
fn the_real_folder_is_read() {
    let Some(dir) = shared("cub") else { return };
    let data = cub::read(&dir).unwrap();
    assert_eq!((data.count(Split::Train), data.count(Split::Test)), (1906, 983));
    assert!(data.items.iter().all(|item| item.captions.len() == 10));
    assert!(data.items.iter().all(|item| item.captions.iter().all(|caption| !caption.is_empty())));
    assert!(data.items.iter().all(|item| item.bounding_box.is_some()));
    let (train, test) = (data.classes(Split::Train), data.classes(Split::Test));
    assert!(train.is_disjoint(&test));
    assert_eq!((train.len(), test.len()), (33, 17));
    assert!(test.contains(&37)); // from the folder, not from class_info
    assert_eq!(data.items[0].key, "002.Laysan_Albatross/Laysan_Albatross_0002_1027");
    assert_eq!(data.items[0].class, 2);
}

#[test]
fn a_part_of_the_real_set_is_prepared() {
    let Some(dir) = shared("cub") else { return };
    let mut data = cub::read(&dir).unwrap();
    data.items = data.items.into_iter().step_by(40).collect();
    let folder = tempfile::tempdir().unwrap();
    let how = |size| ImportOptions {
        preparation: Preparation { size, resizing: Resizing::Residual, stretch: Stretch::None },
    };
    let mut prints = Vec::new();
    for size in [PictureSize::Stage1, PictureSize::Stage2] {
        let path = folder.path().join("x.safetensors");
        let report = import(&data, &path, &how(size), &|_, _| {}).unwrap();
        let prepared = Prepared::open(&path).unwrap();
        assert_eq!(prepared.len(), data.items.len());
        assert_eq!(prepared.fingerprint(), report.fingerprint);
        for (i, item) in data.items.iter().enumerate() {
            assert_eq!(prepared.key(i), item.key);
            assert_eq!(prepared.captions(i), item.captions);
            let image = prepared.image(i).unwrap();
            assert_eq!(image.len(), size.prepared().pow(2) * 3);
            assert!(image.iter().max() > image.iter().min());
        }
        prints.push(report.fingerprint);
    }
    assert_eq!(prints[0], prints[1]);
}

#[test]
fn every_real_box_gives_a_crop() {
    let Some(dir) = shared("cub") else { return };
    let data = cub::read(&dir).unwrap();
    for item in data.items.iter().step_by(10) {
        let image = decode(&std::fs::read(&item.image).unwrap(), &item.image).unwrap();
        let bounds = item.bounding_box.unwrap();
        let rect = crop_rule(bounds, image.width(), image.height()).unwrap();
        assert!(rect.x + rect.width <= image.width() && rect.y + rect.height <= image.height());
    }
}
