//! The real birds, if they are available: 2,889 pictures of CUB-200-2011.

use crate::shared;
use stackgan_data::crop::{PictureSize, Preparation, Resizing, crop_rule, decode, prepare};
use stackgan_data::dataset::{Item, Split};
use stackgan_data::layouts::{Reading, cub};

#[test]
fn the_real_folder_is_read() {
    let Some(dir) = shared("cub") else { return };
    let data = cub::read(&dir, Reading::default()).unwrap();
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

/// Without the release's lists the dataset is the same, in the same order: `images.txt` has it too.
#[cfg(unix)]
#[test]
fn the_real_folder_without_lists_is_the_same_dataset() {
    let Some(dir) = shared("cub") else { return };
    let bare = tempfile::tempdir().unwrap();
    for part in ["CUB_200_2011", "text"] {
        std::os::unix::fs::symlink(dir.join(part), bare.path().join(part)).unwrap();
    }
    let (listed, derived) = (
        cub::read(&dir, Reading::default()).unwrap(),
        cub::read(bare.path(), Reading::default()).unwrap(),
    );
    assert!(listed.notes.is_empty() && derived.notes.len() == 1);
    let same = |a: &Item, b: &Item| {
        (&a.key, a.class, a.split, &a.captions) == (&b.key, b.class, b.split, &b.captions)
    };
    assert_eq!(listed.items.len(), derived.items.len());
    assert!(listed.items.iter().zip(&derived.items).all(|(a, b)| same(a, b)));
}

/// The boxes in this subset that, scaled with their pictures, extend a pixel or more beyond them.
const BEYOND: [&str; 3] = [
    "018.Spotted_Catbird/Spotted_Catbird_0041_796807",
    "019.Gray_Catbird/Gray_Catbird_0032_21551",
    "022.Chuck_will_Widow/Chuck_Will_Widow_0051_796991",
];

#[test]
fn every_real_box_gives_a_crop_also_the_three_that_pass_the_edge() {
    let Some(dir) = shared("cub") else { return };
    let data = cub::read(&dir, Reading::default()).unwrap();
    let mut beyond = Vec::new();
    for item in &data.items {
        let (width, height) = image::image_dimensions(&item.image).unwrap();
        let bounds = item.bounding_box.unwrap();
        let rect = crop_rule(bounds, width, height).unwrap();
        assert!(rect.x + rect.width <= width && rect.y + rect.height <= height, "{}", item.key);
        assert!(rect.width > 20 && rect.height > 20, "{}", item.key);
        let past = [
            bounds.x + bounds.width - f64::from(width),
            bounds.y + bounds.height - f64::from(height),
        ];
        if past.iter().any(|&past| past > 1.0) {
            beyond.push(item.key.as_str());
            assert!(rect.x + rect.width == width || rect.y + rect.height == height, "{}", item.key);
        }
    }
    beyond.sort_unstable();
    assert_eq!(beyond, BEYOND);
}

/// Our crops compared with Pillow's, for ten real pictures with both filters and sizes
/// (`fixtures/pil/make.py`). Single values may differ as two JPEG decoders do at colour edges. On
/// average they differ by less than two levels, and means of large cells by less than one.
#[test]
fn crops_agree_with_pillow() {
    let Some(dir) = shared("cub") else { return };
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/pil/pil.json")).unwrap();
    let numbers = |facts: &serde_json::Value, key: &str| -> Vec<f64> {
        facts[key].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let data = cub::read(&dir, Reading::default()).unwrap();
    let pictures = fixture["pictures"].as_object().unwrap();
    assert_eq!(pictures.len(), 10);
    for (key, forms) in pictures {
        let item = data.items.iter().find(|item| item.key == *key).unwrap();
        let bytes = std::fs::read(&item.image).unwrap();
        for (name, resizing, size) in [
            ("residual304", Resizing::Residual, PictureSize::Stage2),
            ("residual76", Resizing::Residual, PictureSize::Stage1),
            ("plain304", Resizing::Plain, PictureSize::Stage2),
            ("plain76", Resizing::Plain, PictureSize::Stage1),
        ] {
            let how = Preparation::squeezed(size, resizing);
            let image = decode(&bytes, &item.image).unwrap();
            let square = prepare(image, item.bounding_box, how, &item.image).unwrap();
            let side = size.prepared();
            let theirs = numbers(&forms[name], "values");
            let apart = theirs.iter().enumerate().map(|(k, theirs)| {
                (f64::from(square[(k * 104_729 + 7) % (side * side * 3)]) - theirs).abs()
            });
            let mean = apart.sum::<f64>() / theirs.len() as f64;
            assert!(mean < 2.0, "{key} {name}: {mean} levels apart on average");
            let cell = side / 4;
            for (at, theirs) in numbers(&forms[name], "means").iter().enumerate() {
                let (channel, row, column) = (at / 16, at / 4 % 4, at % 4);
                let sum: f64 = (0..cell * cell)
                    .map(|p| (row * cell + p / cell) * side + column * cell + p % cell)
                    .map(|pixel| f64::from(square[pixel * 3 + channel]))
                    .sum();
                let ours = sum / (cell * cell) as f64;
                assert!((ours - theirs).abs() < 1.0, "{key} {name} cell {at}: {ours}, {theirs}");
            }
            eprintln!("{name} {key}: {mean:.3}");
        }
    }
}
