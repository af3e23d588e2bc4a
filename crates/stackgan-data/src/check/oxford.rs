//! The expected parts of the Oxford-102 layout.

use super::report::{Part, Report, Status};
use crate::counted;
use crate::dataset::Split;
use crate::layouts::names;
use crate::layouts::oxford::{Parts, astray};
use std::collections::BTreeSet;
use std::path::Path;

const FETCH: &str = "fetch the pictures and labels with `stackgan data fetch oxford`, which says where captions are";

pub(super) fn parts(dir: &Path) -> Vec<Part> {
    let parts = Parts::of(dir);
    let [with_pictures, with_captions] =
        astray(dir).map(|found| found.map_or_else(|| FETCH.to_owned(), |found| found.remedy()));
    let mut report = Report::new(dir, &with_pictures);
    report.pictures(&parts.images);
    let captions = "captions by class, one a line";
    match parts.text.is_dir().then(|| parts.captions()) {
        None => report.push(&parts.text, captions, Status::Missing { remedy: with_captions }),
        Some(Err(error)) => report.wrong(captions, &error),
        Some(Ok(texts)) => {
            let classes: BTreeSet<u32> = texts.values().map(|(class, _)| *class).collect();
            let detail =
                format!("{} of {}", counted(texts.len(), "file"), counted(classes.len(), "class"));
            report.push(&parts.text, captions, Status::Found { detail });
        }
    }
    let why = "the folders of captions say the class";
    report.optional(&parts.labels, ("classes by number", why), || {
        let labels = parts.mat_labels()?;
        let classes: BTreeSet<&u32> = labels.iter().collect();
        let (pictures, classes) =
            (counted(labels.len(), "picture"), counted(classes.len(), "class"));
        Ok((format!("{pictures} of {classes}"), ()))
    });
    let setid = dir.join("setid.mat");
    let why = "it splits pictures, not classes";
    report.optional(&setid, ("the official split", why), || Ok(("not used".to_owned(), ())));
    let lists = parts.lists.filenames.iter().zip(&parts.lists.class_info);
    for (split, (file, labels)) in Split::ALL.into_iter().zip(lists) {
        let why = "without the release's lists all pictures are taken";
        let listed = report.optional(file, ("names of one split, in order", why), || {
            let names = names(file)?;
            Ok((counted(names.len(), "name"), names.len()))
        });
        let why = "the folders of captions say the class";
        report.classes(labels, why, (file, listed));
        report.embeddings(&dir.join(split.name()).join("char-CNN-RNN-embeddings.pickle"));
    }
    let why = "the release's lists say the split, or a fifth of the classes is kept for testing";
    report.optional(&parts.test_classes, ("Reed's classes for testing", why), || {
        Ok((counted(parts.reed_classes()?.len(), "class"), ()))
    });
    report.into_parts()
}

#[cfg(test)]
mod tests {
    use crate::check::{Status, check};
    use crate::layouts::oxford::tests::folder;
    use crate::layouts::{self, Kind, Reading, oxford};
    use crate::testing::{name_list, put};

    #[test]
    fn parts_are_found_missing_and_wrong() {
        let dir = folder();
        let report = check(dir.path(), Kind::Oxford, Reading::default());
        let said = report.to_string();
        assert!(report.is_complete(), "{said}");
        for part in [
            "12 pictures",
            "12 files of 6 classes",
            "absent ",
            "1 of 6 classes are kept",
            "everything",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        // Pictures may lie in folders, and what a Mac leaves beside them is none.
        std::fs::create_dir(dir.path().join("jpg/part")).unwrap();
        for picture in 1..=12 {
            let name = |folder: &str, extension| format!("{folder}/image_{picture:05}.{extension}");
            let extension = if picture == 3 { "JPG" } else { "jpg" };
            let moved = dir.path().join(name("jpg/part", extension));
            std::fs::rename(dir.path().join(name("jpg", extension)), moved).unwrap();
        }
        put(&dir, "jpg/part/._image_00001.jpg", b"of a Mac");
        let report = check(dir.path(), Kind::Oxford, Reading::default());
        assert!(report.is_complete() && report.to_string().contains("12 pictures"), "{report}");
        for (part, status) in [("jpg", "MISSING"), ("text_c10", "MISSING")] {
            let dir = folder();
            std::fs::rename(dir.path().join(part), dir.path().join("elsewhere")).unwrap();
            let said = check(dir.path(), Kind::Oxford, Reading::default()).to_string();
            assert!(
                said.contains(&format!("{status}  {part}")) && said.contains("fetch oxford"),
                "{said}"
            );
        }
        std::fs::write(dir.path().join("imagelabels.mat"), "x").unwrap();
        std::fs::remove_file(dir.path().join("text_c10/class_00002/image_00003.txt")).unwrap();
        let report = check(dir.path(), Kind::Oxford, Reading::default());
        let labels = report.parts.iter().find(|part| part.path == "imagelabels.mat").unwrap();
        assert!(matches!(labels.status, Status::Wrong { .. }), "{report}");
    }

    /// `flowers.zip` unpacks to one folder, as `birds.zip` does.
    #[test]
    fn archives_unpacked_by_hand_are_found_in_their_folders() {
        let dir = folder();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("flowers")).unwrap();
        std::fs::rename(at("text_c10"), at("flowers/text_c10")).unwrap();
        put(&dir, "flowers/train/filenames.pickle", name_list(&["jpg/image_00001"]));
        put(&dir, "birds/text/001.A/a.txt", "a bird\n");
        let said = || {
            let report = check(dir.path(), Kind::Oxford, Reading::default());
            let error = oxford::read(dir.path(), Reading::default()).unwrap_err();
            [report.to_string(), error.to_string()].map(|said| said.replace('\\', "/"))
        };
        let all = dir.path().display().to_string().replace('\\', "/");
        let moves = format!("move text_c10 and train from {all}/flowers up into {all}");
        assert_eq!(layouts::detect(dir.path()).unwrap(), Kind::Oxford);
        for said in said() {
            assert!(said.contains(&moves) && !said.contains("fetch oxford"), "{said}");
        }
        std::fs::create_dir(at("102flowers")).unwrap();
        std::fs::rename(at("jpg"), at("102flowers/jpg")).unwrap();
        for said in said() {
            let both = format!("move jpg from {all}/102flowers up into {all}");
            assert!(said.contains(&moves) && said.contains(&both), "{said}");
        }
    }

    #[test]
    fn one_name_is_counted_as_one() {
        let dir = folder();
        put(&dir, "train/filenames.pickle", name_list(&["jpg/image_00001"]));
        let said = check(dir.path(), Kind::Oxford, Reading::default()).to_string();
        assert!(said.contains("names of one split, in order: 1 name\n"), "{said}");
    }

    #[test]
    fn what_only_the_parts_together_show_is_told() {
        let dir = folder();
        std::fs::remove_file(dir.path().join("text_c10/class_00002/image_00003.txt")).unwrap();
        let report = check(dir.path(), Kind::Oxford, Reading::default());
        let said = report.to_string();
        assert!(!report.is_complete(), "{said}");
        assert!(said.contains("captions of pictures: 1 (jpg/image_00003)"), "{said}");
        assert!(said.contains("--uncaptioned leave-out"), "{said}");
    }
}
