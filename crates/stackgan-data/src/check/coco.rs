//! The expected parts of the COCO layout, in the form that the folder has.

use super::report::{Part, Report};
use crate::counted;
use crate::dataset::Split;
use crate::layouts::coco::{Annotations, Form, Parts};
use crate::layouts::names;
use std::path::{Path, PathBuf};

const FETCH: &str = "fetch the pictures and annotations with `stackgan data fetch coco`";

pub(super) fn parts(dir: &Path) -> Vec<Part> {
    let parts = Parts::of(dir);
    let mut report = Report::new(dir, FETCH);
    let form = parts.form();
    for folder in folders(&parts, form) {
        report.pictures(folder);
    }
    match form {
        Form::Downloaded => {
            for (_, _, file) in parts.downloaded() {
                report.read(file, "captions of one split", || annotations(file));
            }
        }
        Form::Listed => listed(dir, &parts, &mut report),
    }
    report.into_parts()
}

/// The folders of pictures. In either form `images` may hold them; whether it holds all of them is seen
/// when the lists are read.
fn folders(parts: &Parts, form: Form) -> Vec<&PathBuf> {
    let by_year = form == Form::Downloaded && parts.years.iter().all(|year| year.is_dir());
    match form {
        _ if parts.images.is_dir() && !by_year => vec![&parts.images],
        Form::Downloaded => parts.downloaded().map(|(_, year, _)| year).collect(),
        Form::Listed => parts.years.iter().collect(),
    }
}

fn annotations(file: &Path) -> crate::Result<(String, ())> {
    let read = Annotations::read(file)?;
    let (pictures, captions) = (read.pictures().count(), read.caption_count());
    Ok((format!("{} of {}", counted(captions, "caption"), counted(pictures, "picture")), ()))
}

fn listed(dir: &Path, parts: &Parts, report: &mut Report<'_>) {
    let lists = parts.lists.filenames.iter().zip(&parts.lists.class_info).zip(&parts.annotations);
    for (split, ((file, labels), captions)) in Split::ALL.into_iter().zip(lists) {
        let what = "names of one split, in order";
        let read = || {
            let names = names(file)?;
            Ok((counted(names.len(), "name"), names.len()))
        };
        let listed = match split {
            Split::Train => report.read(file, what, read),
            Split::Test => report.optional(file, (what, "pictures are for training then"), read),
        };
        let why = "each picture is its own class";
        report.classes(labels, why, (file, listed));
        report.embeddings(&dir.join(split.name()).join("char-CNN-RNN-embeddings.pickle"));
        let why = "captions are empty then, as many as there are embeddings";
        report.optional(captions, ("captions of one split", why), || annotations(captions));
    }
}

#[cfg(test)]
mod tests {
    use crate::check::check;
    use crate::layouts::coco::tests::{downloaded, listed, with_more_captions};
    use crate::layouts::{Kind, Reading};
    use crate::testing::put;

    #[test]
    fn both_forms_are_whole_or_told_what_is_missing() {
        let dir = downloaded();
        let said = check(dir.path(), Kind::Coco, Reading::default()).to_string();
        for part in [
            "2 pictures",
            "5 captions of 2 pictures",
            "2 pictures to train on and 1 to test",
            "everything",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        for part in ["train2014", "val2014", "annotations/captions_train2014.json"] {
            let dir = downloaded();
            std::fs::rename(dir.path().join(part), dir.path().join("elsewhere")).unwrap();
            let said = check(dir.path(), Kind::Coco, Reading::default()).to_string();
            assert!(
                said.contains(&format!("MISSING  {part}")) && said.contains("fetch coco"),
                "{said}"
            );
        }
        let dir = downloaded();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("images")).unwrap();
        assert!(check(dir.path(), Kind::Coco, Reading::default()).is_complete(), "by year");
        std::fs::remove_dir(at("images")).unwrap();
        std::fs::rename(at("train2014"), at("images")).unwrap();
        let report = check(dir.path(), Kind::Coco, Reading::default());
        assert!(report.is_complete() && report.to_string().contains("images"), "{report}");
        std::fs::remove_dir_all(at("val2014")).unwrap();
        let said = check(dir.path(), Kind::Coco, Reading::default()).to_string();
        assert!(said.contains("WRONG") && said.contains("v.jpg"), "{said}");
        let dir = listed();
        let report = check(dir.path(), Kind::Coco, Reading::default());
        assert!(report.is_complete() && report.to_string().contains("2 names"), "{report}");
        std::fs::write(dir.path().join("train/filenames.pickle"), "x").unwrap();
        assert!(check(dir.path(), Kind::Coco, Reading::default()).to_string().contains("WRONG"));
    }

    #[test]
    fn the_notes_of_the_dataset_are_shown() {
        let dir = with_more_captions();
        let said = check(dir.path(), Kind::Coco, Reading::default()).to_string();
        assert!(said.contains("1 picture has more captions than embeddings"), "{said}");
    }

    /// The lists name pictures for training, though those for testing would be a dataset by themselves.
    #[test]
    fn lists_want_the_pictures_of_both_years() {
        let (dir, whole) = (listed(), downloaded());
        std::fs::remove_dir_all(dir.path().join("images")).unwrap();
        for name in ["annotations/captions_val2014.json", "val2014/v.jpg"] {
            put(&dir, name, std::fs::read(whole.path().join(name)).unwrap());
        }
        let said = check(dir.path(), Kind::Coco, Reading::default()).to_string();
        assert!(said.contains("MISSING  train2014"), "{said}");
        assert!(said.contains("found    val2014"), "{said}");
    }

    #[test]
    fn pictures_for_testing_may_be_there_alone() {
        let dir = downloaded();
        std::fs::remove_dir_all(dir.path().join("train2014")).unwrap();
        std::fs::remove_file(dir.path().join("annotations/captions_train2014.json")).unwrap();
        let report = check(dir.path(), Kind::Coco, Reading::default());
        let said = report.to_string();
        assert!(report.is_complete() && said.contains("0 pictures to train on and 1 to"), "{said}");
        std::fs::remove_file(dir.path().join("annotations/captions_val2014.json")).unwrap();
        let said = check(dir.path(), Kind::Coco, Reading::default()).to_string();
        assert!(said.contains("MISSING  train2014"), "{said}");
    }
}
