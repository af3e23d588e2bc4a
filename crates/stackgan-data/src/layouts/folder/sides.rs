//! The split that folders named `train` and `test` say.

use super::found::Found;
use super::table::side;
use crate::dataset::Split;
use crate::error::{counted, first_few, joined, printable};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Pictures by key.
type Pictures = BTreeMap<String, Found>;

/// The split of each picture by its first folder, if there are folders for training and for
/// testing; `None` if not.
///
/// # Errors
/// When there are both, and pictures beside them: if all folders were classes instead, pictures for
/// testing would be trained on.
pub(super) fn of(pictures: &Pictures, dir: &Path) -> Result<Option<Vec<Split>>> {
    let sides: Vec<Option<Split>> = pictures.keys().map(|key| side(top(key)?)).collect();
    if !Split::ALL.iter().all(|split| sides.contains(&Some(*split))) {
        return Ok(None);
    }
    let strays = pictures.iter().zip(&sides).filter(|(_, side)| side.is_none());
    let strays: Vec<String> = strays.map(|((key, found), _)| place(key, found)).collect();
    if strays.is_empty() {
        return Ok(Some(sides.into_iter().flatten().collect()));
    }
    let n = strays.len();
    let (are, them) = if n == 1 { ("is", "it") } else { ("are", "them") };
    let places: Vec<String> = BTreeSet::from_iter(strays).into_iter().collect();
    let split: Vec<String> = folders(pictures).into_iter().map(|(_, name)| name).collect();
    let split = joined(&split, "or");
    Err(Error::malformed(
        dir,
        format!("{} {are} in no part of the split", counted(n, "picture")),
        "its folders",
        (format!("every picture in {split}"), format!("{n} elsewhere: {}", first_few(&places))),
        format!("put {them} into {split}, or rename those folders if they are no split"),
    ))
}

/// The note about folders whose names are those of parts of a split, where they say none: the other
/// part is not there, or they lie deeper.
pub(super) fn unheeded(pictures: &Pictures) -> Option<String> {
    let found = folders(pictures);
    let Some((one, _)) = found.first() else { return deeper(pictures) };
    let lacking = match one {
        Split::Train => "testing (test, validation, valid, val or dev)",
        Split::Test => "training (train)",
    };
    let names: Vec<String> = found.iter().map(|(_, name)| name.clone()).collect();
    let (taken, it) = match names.len() {
        1 => ("is taken for a folder like others", "it"),
        _ => ("are taken for folders like others", "them"),
    };
    let names = names.join(" and ");
    Some(format!("{names} {taken}, not for a split: there is no folder for {lacking} beside {it}"))
}

/// The note about a split below other folders.
fn deeper(pictures: &Pictures) -> Option<String> {
    let mut first: BTreeMap<Split, String> = BTreeMap::new();
    for key in pictures.keys() {
        let folders: Vec<&str> = key.split('/').collect();
        let inner = folders.iter().enumerate().take(folders.len() - 1).skip(1);
        for (i, split) in inner.filter_map(|(i, name)| Some((i, side(name)?))) {
            let path = || folders.iter().take(i + 1).map(|name| format!("{name}/")).collect();
            first.entry(split).or_insert_with(path);
        }
    }
    let (train, test) = (first.get(&Split::Train)?, first.get(&Split::Test)?);
    Some(format!(
        "{} and {} are taken for folders like others, not for a split: only the first folder of a picture says its split",
        printable(train),
        printable(test)
    ))
}

/// The first folder of a picture.
fn top(key: &str) -> Option<&str> {
    Some(key.split_once('/')?.0)
}

/// The first folder of a picture, or the picture itself if it is in none.
fn place(key: &str, found: &Found) -> String {
    match (top(key), found.image.file_name()) {
        (Some(folder), _) => format!("{folder}/"),
        (None, Some(name)) => name.to_string_lossy().into_owned(),
        (None, None) => key.to_owned(),
    }
}

/// The first folders whose names are those of parts of a split: for training, then for testing.
fn folders(pictures: &Pictures) -> BTreeSet<(Split, String)> {
    let tops = pictures.keys().filter_map(|key| top(key));
    tops.filter_map(|name| Some((side(name)?, format!("{name}/")))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use crate::Result;
    use crate::dataset::{Dataset, Split};
    use crate::layouts::{Reading, Uncaptioned};
    use crate::testing::put;
    use std::collections::BTreeSet;

    /// A folder with these pictures, each with a caption.
    fn read_as(names: &[&str], table: Option<&str>, uncaptioned: Uncaptioned) -> Result<Dataset> {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = put(&dir, name, "");
            if uncaptioned == Uncaptioned::Refuse {
                std::fs::write(path.with_extension("txt"), "x").unwrap();
            }
        }
        if let Some(table) = table {
            std::fs::write(dir.path().join("metadata.csv"), table).unwrap();
        }
        read(dir.path(), Reading { uncaptioned, ..Reading::default() })
    }

    fn said(names: &[&str]) -> String {
        read_as(names, None, Uncaptioned::Refuse).unwrap_err().to_string()
    }

    const SPLIT: [&str; 4] = ["train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg", "test/b/4.jpg"];

    #[test]
    fn what_lies_beside_a_split_is_refused_by_name() {
        let data = read_as(&SPLIT, None, Uncaptioned::Refuse).unwrap();
        assert_eq!((data.count(Split::Train), data.classes(Split::Train).len()), (2, 2));
        for (more, parts) in [
            (
                &["cover.jpg"][..],
                &[
                    "1 picture is in no part of the split",
                    "every picture in train/ or test/, found 1 elsewhere: cover.jpg\n",
                    "put it into train/ or test/, or rename those folders if they are no split",
                ][..],
            ),
            (
                &["extra/5.png", "extra/a/6.png", "cover.JPG"],
                &["3 pictures are in", "3 elsewhere: cover.JPG, extra/\n", "put them into"],
            ),
            (&["Valid/7.jpg", "8.png"], &["every picture in train/, Valid/ or test/", ": 8.png"]),
        ] {
            let names = [&SPLIT[..], more].concat();
            let said = said(&names);
            for part in parts {
                assert!(said.contains(part), "{part} in {said}");
            }
            let by_class = read_as(&names, None, Uncaptioned::ClassName).unwrap_err().to_string();
            assert!(by_class.contains("in no part of the split"), "{by_class}");
        }
    }

    /// A table that says the split leaves nothing to folders.
    #[test]
    fn a_table_may_say_the_split_of_what_lies_beside() {
        let names = [&SPLIT[..], &["cover.jpg"]].concat();
        let rows: String = names.iter().map(|name| format!("{name},test\n")).collect();
        let table = format!("file_name,split\n{}", rows.replacen("test\n", "train\n", 1));
        let data = read_as(&names, Some(&table), Uncaptioned::Refuse).unwrap();
        assert_eq!((data.count(Split::Train), data.count(Split::Test)), (1, 4));
        let by_class = "file_name,label\ncover.jpg,c\n".to_owned();
        let rows: String = SPLIT.iter().map(|name| format!("{name},d\n")).collect();
        let said = read_as(&names, Some(&(by_class + &rows)), Uncaptioned::Refuse).unwrap_err();
        assert!(said.to_string().contains("elsewhere: cover.jpg"), "{said}");
    }

    #[test]
    fn folders_that_say_no_split_though_their_names_do_are_noted() {
        let alone = "train/ is taken for a folder like others, not for a split: there is no folder for testing (test,";
        let both = "test/ and val/ are taken for folders like others, not for a split: there is no folder for training (train) beside them";
        let deeper = "x/train/ and x/test/ are taken for folders like others, not for a split: only the first";
        for (names, note, classes) in [
            (&["train/1.jpg", "bus/2.jpg", "bus/3.jpg", "cover.jpg"][..], Some(alone), 3),
            (&["test/1.jpg", "val/2.jpg"], Some(both), 2),
            (&["x/train/1.jpg", "x/test/2.jpg", "x/train/y/3.jpg"], Some(deeper), 3),
            (&["trains/1.jpg", "tests/2.jpg"], None, 2),
            (&["a/train/1.jpg", "train.jpg"], None, 2),
        ] {
            let data = read_as(names, None, Uncaptioned::Refuse).unwrap();
            let all: BTreeSet<u32> = data.items.iter().map(|item| item.class).collect();
            assert_eq!(all.len(), classes, "{names:?}");
            let notes = data.notes.join("\n");
            assert_eq!(notes.contains("not for a split"), note.is_some(), "{notes}");
            assert!(note.is_none_or(|note| notes.contains(note)), "{notes}");
        }
        // A table that says the split leaves nothing to be noted.
        let table = "file_name,split\ntrain/1.jpg,train\nbus/2.jpg,test\n";
        let names = ["train/1.jpg", "bus/2.jpg"];
        let data = read_as(&names, Some(table), Uncaptioned::Refuse).unwrap();
        assert!(!data.notes.join("\n").contains("not for a split"), "{:?}", data.notes);
    }
}
