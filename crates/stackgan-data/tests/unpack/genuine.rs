//! What Hugging Face's `datasets`, pyarrow, the `webdataset` package and tar wrote
//! (`fixtures/shards/make.py`), read back picture by picture.

use std::fs;
use std::path::{Path, PathBuf};

use stackgan_data::crop::decode;
use stackgan_data::dataset::{Dataset, Split};
use stackgan_data::layouts::{self, Kind, Reading, Uncaptioned};
use stackgan_data::prepared::Damaged;
use stackgan_data::unpack::{Column, Columns, Report};

use crate::{fixture, into, turn};

/// Unpacks fixtures, and reads the folder as the program does.
fn read(names: &[&str], columns: &Columns) -> (tempfile::TempDir, Report, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let sources: Vec<PathBuf> = names.iter().map(|name| fixture(name)).collect();
    let report = into(&out, &sources, columns, Damaged::Refuse).unwrap();
    assert_eq!(layouts::detect(&out).unwrap(), Kind::Folder);
    let data = layouts::read(&out, Kind::Folder, Reading::default()).unwrap();
    assert_eq!(data.items.len() as u64, report.pictures);
    assert_eq!(data.items.iter().map(|i| i.captions.len() as u64).sum::<u64>(), report.captions);
    assert_eq!(dir.path().read_dir().unwrap().count(), 1, "only the folder is left");
    (dir, report, data)
}

/// Returns the number that `make.py` painted into a picture.
fn number(picture: &Path) -> u8 {
    let [r, g, b] = decode(&fs::read(picture).unwrap(), picture).unwrap().get_pixel(8, 8).0;
    let number = (r + 10) / 20;
    let painted = [20 * number, 255 - 20 * number, 100];
    assert!([r, g, b].iter().zip(painted).all(|(a, b)| a.abs_diff(b) < 8), "{r} {g} {b}");
    number
}

fn of<'a>(data: &'a Dataset, key: &str) -> &'a stackgan_data::dataset::Item {
    data.items.iter().find(|item| item.key == key).unwrap()
}

#[test]
fn parquet_with_class_names_and_a_split() {
    let _turn = turn();
    let names = [
        "train-00000-of-00002.parquet",
        "train-00001-of-00002.parquet",
        "test-00000-of-00001.parquet",
    ];
    let (_dir, report, data) = read(&names, &Columns::default());
    assert_eq!((report.pictures, report.captions, report.classes), (12, 12, 3));
    assert_eq!(report.splits, ["train", "test"]);
    let said = report.notes.join("\n");
    let expected = "pictures from `image`, captions from `caption`, classes from `label` (3 names); not used: url";
    assert!(said.contains(expected), "{said}");
    assert_eq!((data.count(Split::Train), data.count(Split::Test)), (10, 2));
    // Numbered by row of the split, in three formats; the same class has the same number.
    for (key, painted, class, caption) in [
        ("train/000000", 0, 3, "a red bird, number 0"),
        ("train/000006", 6, 3, "a red bird, number 6"),
        ("train/000007", 7, 3, "a red bird, number 7"),
        ("train/000009", 9, 1, "a blue bird, number 9"),
        ("test/000000", 10, 3, "a red bird, number 10"),
        ("test/000001", 11, 2, "a green bird, number 11"),
    ] {
        let item = of(&data, key);
        assert_eq!((number(&item.image), item.class), (painted, class), "{key}");
        assert_eq!(item.captions, [caption], "{key}");
    }
    let kinds =
        |kind: &str| data.items.iter().filter(|i| i.image.extension().unwrap() == kind).count();
    assert_eq!([kinds("png"), kinds("jpg"), kinds("webp")], [5, 4, 3]);
    let table =
        fs::read_to_string(data.items[0].image.with_file_name("../metadata.jsonl")).unwrap();
    assert!(table.contains(r#""class":"green bird","split":"test""#), "{table}");
    let origins = fs::read_to_string(data.items[0].image.with_file_name("../origins.csv")).unwrap();
    assert!(origins.contains("train/000007.png,") && origins.contains(",row 0\n"), "{origins}");
}

#[test]
fn parquet_with_lists_of_captions_packed_by_zstd() {
    let _turn = turn();
    let (_dir, report, data) = read(&["lists-zstd.parquet"], &Columns::default());
    assert_eq!((report.pictures, report.captions, report.classes), (6, 12, 0));
    assert!(report.splits.is_empty());
    for (i, item) in data.items.iter().enumerate() {
        assert_eq!(usize::from(number(&item.image)), i);
        let captions: Vec<String> = (0..1 + i % 3).map(|c| format!("caption {c} of {i}")).collect();
        assert_eq!(item.captions, captions);
    }
}

/// A row for each caption: the picture is written once, with both captions.
#[test]
fn parquet_with_bytes_alone_and_a_picture_for_each_caption() {
    let _turn = turn();
    let (_dir, report, data) = read(&["bytes.parquet"], &Columns::default());
    assert_eq!((report.pictures, report.captions), (3, 6));
    assert!(
        report.notes.iter().any(|note| note.ends_with("join its own: 3")),
        "{:?}",
        report.notes
    );
    for (i, item) in data.items.iter().enumerate() {
        assert_eq!(item.key, format!("images/{:06}", 2 * i));
        assert_eq!(item.captions, [format!("a bird {}", 2 * i), format!("a bird {}", 2 * i + 1)]);
    }
}

#[test]
fn stated_columns_decide() {
    let _turn = turn();
    let stated = Columns {
        image: Some("back".to_owned()),
        text: Column::Named(vec!["story".to_owned(), "title".to_owned()]),
        class: Column::Find,
    };
    let (_dir, report, data) = read(&["unclear.parquet"], &stated);
    assert_eq!((report.pictures, report.captions), (2, 4));
    assert_eq!(data.items[1].captions, ["s", "t"]);
    let classes = |class| {
        read(&["test-00000-of-00001.parquet"], &Columns { class, ..Columns::default() }).1.classes
    };
    assert_eq!(classes(Column::None), 0);
    assert_eq!(classes(Column::Named("url".to_owned())), 2);
}

/// A dataset of labelled pictures: names of classes are all that can be captions.
#[test]
fn pictures_with_classes_alone() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let columns = Columns { text: Column::None, ..Columns::default() };
    let report =
        into(&out, &[fixture("train-00000-of-00002.parquet")], &columns, Damaged::Refuse).unwrap();
    assert_eq!((report.captions, report.classes), (0, 3));
    assert!(
        report.notes[0].starts_with("pictures from `image`, classes from `label` (3 names)"),
        "{:?}",
        report.notes
    );
    let how = Reading { uncaptioned: Uncaptioned::ClassName, ..Reading::default() };
    let data = layouts::read(&out, Kind::Folder, how).unwrap();
    assert_eq!(data.items.len() as u64, report.pictures);
    let count = |class: &str| data.items.iter().filter(|item| item.captions[0] == class).count();
    assert_eq!(["red bird", "green bird", "blue bird"].map(count), [3, 2, 2]);
    let none = Columns { class: Column::None, ..columns };
    let again = dir.path().join("again");
    let said = into(&again, &[fixture("train-00000-of-00002.parquet")], &none, Damaged::Refuse);
    let said = said.unwrap_err().to_string();
    assert!(said.contains("the pictures have no captions"), "{said}");
}

/// A sound is stored as a picture is; captions are within structures within lists.
#[test]
fn parquet_with_a_sound_and_inner_captions() {
    let _turn = turn();
    let stated =
        Columns { text: Column::Named(vec!["sentences.raw".to_owned()]), ..Columns::default() };
    let (_dir, report, data) = read(&["inner.parquet"], &stated);
    assert_eq!((report.pictures, report.captions), (2, 4));
    assert_eq!(data.items[1].captions, ["sentence 0 of 1", "sentence 1 of 1"]);
}

#[test]
fn tars_of_webdataset() {
    let _turn = turn();
    let names = ["birds-train-000000.tar", "birds-val-000000.tar.gz"];
    let (_dir, report, data) = read(&names, &Columns::default());
    assert_eq!((report.pictures, report.captions, report.classes), (5, 8, 2));
    assert_eq!(report.splits, ["train", "val"]);
    let said = report.notes.join("\n");
    for part in
        ["pictures from `jpg`, `png`", "captions from `txt`", "classes from `cls`", "json.width"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert_eq!((data.count(Split::Train), data.count(Split::Test)), (3, 2));
    let item = of(&data, "train/000002");
    assert_eq!(
        (number(&item.image), &*item.captions),
        (2, &["one of 2".to_owned(), "two of 2".to_owned()][..])
    );
    let item = of(&data, "val/000001");
    assert_eq!((number(&item.image), &*item.captions), (4, &["one of 4".to_owned()][..]));
    assert_eq!(item.class, of(&data, "train/000000").class);
    let of_json = Columns { text: Column::Named(vec!["caption".to_owned()]), ..Columns::default() };
    let (_dir, report, data) = read(&names[..1], &of_json);
    assert_eq!(report.captions, 3);
    assert_eq!(data.items[0].captions, ["of the JSON"]);
    assert!(
        report.notes.iter().any(|note| note.contains("all of the split `train`")),
        "{:?}",
        report.notes
    );
}

/// The files of a sample are apart, hidden ones belong to none, and captions are in JSON.
#[test]
fn a_tar_of_a_folder() {
    let _turn = turn();
    let (_dir, report, data) = read(&["apart.tar"], &Columns::default());
    assert_eq!((report.pictures, report.captions, report.classes), (3, 6, 3));
    assert!(
        report.notes.iter().any(|note| note.contains("without a picture, left out: 1")),
        "{:?}",
        report.notes
    );
    for (i, item) in data.items.iter().enumerate() {
        assert_eq!((usize::from(number(&item.image)), item.class as usize), (i, i + 1));
        assert_eq!(item.captions, ["first", "second"]);
    }
}
