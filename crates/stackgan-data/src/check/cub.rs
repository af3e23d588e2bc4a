//! The expected parts of the CUB layout.

use super::report::{Part, Report, Status};
use crate::counted;
use crate::dataset::Split;
use crate::formats::read_bounded;
use crate::layouts::cub::{self, Parts};
use crate::layouts::{MAX_LIST, Reading, Uncaptioned, names as read_names};
use std::path::Path;

const FETCH: &str =
    "fetch the set with `stackgan data fetch cub`, or draw one with `stackgan data toy`";

pub(super) fn parts(dir: &Path, how: Reading) -> Vec<Part> {
    let parts = Parts::of(dir);
    let [with_pictures, with_captions] = cub::astray(dir)
        .map(|found| found.map_or_else(|| FETCH.to_owned(), |found| found.remedy()));
    let mut report = Report::new(dir, &with_pictures);
    let listed = report.read(&parts.image_list, "pictures by number", || {
        let records = count_records(&parts.image_list)?;
        Ok((counted(records, "picture"), ()))
    });
    let boxes = report.read(&parts.boxes, "boxes by number", || {
        let records = count_records(&parts.boxes)?;
        Ok((counted(records, "box"), ()))
    });
    let listed = match (listed, boxes) {
        (Some(()), Some(())) => cub::read_image_list(&parts),
        _ => Ok(cub::Listed::default()),
    };
    let listed = listed.unwrap_or_else(|e| {
        report.wrong("pictures and boxes together", &e);
        cub::Listed::default()
    });
    report.on_missing(&with_captions);
    let keys = match parts.lists.are_there() {
        true => release_lists(&mut report, &parts),
        false => derived_lists(&mut report, &parts, &listed),
    };
    for split in Split::ALL {
        report.embeddings(&dir.join(split.name()).join("char-CNN-RNN-embeddings.pickle"));
    }
    let pictures = keys.iter().map(|key| {
        let listed = listed.of.get(key).map(|(name, _)| name.clone());
        listed.unwrap_or_else(|| format!("{key}.jpg"))
    });
    report.on_missing(&with_pictures);
    report.files(&parts.images, "pictures", &pictures.collect::<Vec<_>>());
    report.on_missing(&with_captions);
    let captions = keys.iter().map(|key| format!("{key}.txt"));
    // What is left out is counted in a note on the whole.
    let all = how.uncaptioned != Uncaptioned::LeaveOut;
    let captions: Vec<_> = captions.filter(|name| all || parts.text.join(name).is_file()).collect();
    let what = "captions, one a line";
    if !parts.text.is_dir() && dir.join("text.zip").is_file() {
        // birds.zip contains a second archive, which users of the release overlooked
        // (taoxugit/AttnGAN issue 9).
        let remedy = "unpack text.zip there: its folder `text`".to_owned();
        report.push(&parts.text, what, Status::Missing { remedy });
    } else {
        report.files(&parts.text, what, &captions);
    }
    report.into_parts()
}

/// Examines the release's lists, and returns the pictures that they name.
fn release_lists(report: &mut Report<'_>, parts: &Parts) -> Vec<String> {
    let mut keys = Vec::new();
    for (file, labels) in parts.lists.filenames.iter().zip(&parts.lists.class_info) {
        let names = report.read(file, "names of one split, in order", || {
            let names = read_names(file)?;
            Ok((counted(names.len(), "name"), names))
        });
        report.classes(labels, "folders are named by class", (file, names.as_ref().map(Vec::len)));
        keys.extend(names.unwrap_or_default());
    }
    keys
}

/// Examines a folder without the release's lists, and returns all its pictures.
fn derived_lists(report: &mut Report<'_>, parts: &Parts, listed: &cub::Listed) -> Vec<String> {
    for file in &parts.lists.filenames {
        let detail = "not needed: folders are numbered by class, and the release's classes for testing are known";
        report.push(file, "names of one split", Status::Absent { detail: detail.to_owned() });
    }
    let keys = cub::split_by_class(parts, listed).unwrap_or_else(|e| {
        report.wrong("split by class", &e);
        <[Vec<String>; 2]>::default()
    });
    keys.concat()
}

fn count_records(file: &Path) -> crate::Result<usize> {
    Ok(cub::records(&read_bounded(file, MAX_LIST)?).count())
}

#[cfg(test)]
mod tests {
    use crate::check::{Status, check};
    use crate::layouts::cub;
    use crate::layouts::cub::tests::folder;
    use crate::layouts::{Kind, Reading, Uncaptioned};
    use std::path::Path;

    #[test]
    fn a_whole_folder_is_complete_and_can_be_read() {
        let dir = folder();
        let report = check(dir.path(), Kind::Cub, Reading::default());
        assert!(report.is_complete(), "{report}");
        let said = report.to_string();
        for part in ["images.txt", "3 pictures", "2 names", "3 of 3 files", "everything"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(cub::read(dir.path(), Reading::default()).is_ok());
    }

    #[test]
    fn each_missing_part_is_named_with_its_remedy() {
        for part in [
            "CUB_200_2011/images.txt",
            "CUB_200_2011/bounding_boxes.txt",
            "CUB_200_2011/images",
            "text",
            "train/filenames.pickle",
            "test/filenames.pickle",
        ] {
            let dir = folder();
            std::fs::rename(dir.path().join(part), dir.path().join("elsewhere")).unwrap();
            let report = check(dir.path(), Kind::Cub, Reading::default());
            let missing = report.parts.iter().find(|p| p.path == part).map(|p| &p.status);
            assert!(matches!(missing, Some(Status::Missing { .. })), "{part}: {report}");
            assert!(!report.is_complete());
            let error = cub::read(dir.path(), Reading::default()).unwrap_err().to_string();
            assert!(error.contains("1 part") && error.replace('\\', "/").contains(part), "{error}");
        }
    }

    #[test]
    fn lists_are_not_needed_if_both_are_absent() {
        let dir = folder();
        std::fs::remove_dir_all(dir.path().join("train")).unwrap();
        std::fs::remove_dir_all(dir.path().join("test")).unwrap();
        let report = check(dir.path(), Kind::Cub, Reading::default());
        assert!(report.is_complete(), "{report}");
        let said = report.to_string();
        for part in [
            "train/filenames.pickle",
            "3 of 3 files",
            "1 picture to train on and 2 to test",
            "the 50 classes",
        ] {
            assert!(said.contains(part), "{part} in {said}");
        }
        std::fs::write(
            dir.path().join("CUB_200_2011/images.txt"),
            b"1 201.A/x.jpg\n2 001.A/y.jpg\n3 002.B/b.jpg\n",
        )
        .unwrap();
        let said = check(dir.path(), Kind::Cub, Reading::default()).to_string();
        assert!(said.contains("WRONG") && said.contains("(entry 0)"), "{said}");
    }

    /// `birds.zip` unpacks to one folder, `birds`.
    #[test]
    fn archives_unpacked_by_hand_are_found_in_their_folders() {
        let dir = folder();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("birds/birds")).unwrap();
        for part in ["text", "train", "test"] {
            std::fs::rename(at(part), at("birds/birds").join(part)).unwrap();
        }
        std::fs::create_dir_all(at("a/text_c10/class_00001")).unwrap(); // of flowers
        let said = || {
            let report = check(dir.path(), Kind::Cub, Reading::default());
            assert!(!report.is_complete(), "{report}");
            let error = cub::read(dir.path(), Reading::default()).unwrap_err();
            [report.to_string(), error.to_string()].map(|said| said.replace('\\', "/"))
        };
        let all = dir.path().display().to_string().replace('\\', "/");
        for said in said() {
            let moves = format!("move text, train and test from {all}/birds/birds up into {all}");
            assert!(said.contains(&moves) && !said.contains("fetch cub"), "{said}");
        }
        std::fs::rename(at("CUB_200_2011"), at("inner")).unwrap();
        std::fs::create_dir(at("CUB_200_2011")).unwrap();
        std::fs::rename(at("inner"), at("CUB_200_2011/CUB_200_2011")).unwrap();
        for said in said() {
            let own = format!("{all}/CUB_200_2011");
            let moves = format!(
                "move images, images.txt and bounding_boxes.txt from {own}/CUB_200_2011 up into {own}"
            );
            assert!(said.contains(&moves), "{said}");
        }
        std::fs::rename(at("CUB_200_2011"), at("x")).unwrap();
        for said in said() {
            let moves = format!("move CUB_200_2011 from {all}/x up into {all}");
            assert!(said.contains(&moves), "{said}");
        }
    }

    #[test]
    fn one_record_is_counted_as_one() {
        let dir = folder();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("CUB_200_2011/images.txt", "1 001.A/x.jpg\n");
        write("CUB_200_2011/bounding_boxes.txt", "1 0 0 5 5\n");
        let said = check(dir.path(), Kind::Cub, Reading::default()).to_string();
        assert!(said.contains("boxes by number: 1 box\n"), "{said}");
    }

    #[test]
    fn an_archive_within_the_archive_is_pointed_at() {
        let dir = folder();
        std::fs::remove_dir_all(dir.path().join("text")).unwrap();
        std::fs::write(dir.path().join("text.zip"), "PK").unwrap();
        let said = check(dir.path(), Kind::Cub, Reading::default()).to_string();
        assert!(said.contains("unpack text.zip"), "{said}");
    }

    #[test]
    fn pictures_without_captions_can_be_left_out() {
        let dir = folder();
        std::fs::remove_file(dir.path().join("text/002.B/b.txt")).unwrap();
        let how = Reading { uncaptioned: Uncaptioned::LeaveOut, ..Reading::default() };
        let report = check(dir.path(), Kind::Cub, how);
        let said = report.to_string();
        assert!(
            report.is_complete() && said.contains("1 picture without captions left out"),
            "{said}"
        );
    }

    #[test]
    fn a_list_that_cannot_be_read_does_not_make_its_classes_wrong() {
        let dir = folder();
        std::fs::write(dir.path().join("train/filenames.pickle"), "x").unwrap();
        let report = check(dir.path(), Kind::Cub, Reading::default());
        let status =
            |path: &str| &report.parts.iter().find(|part| part.path == path).unwrap().status;
        assert!(matches!(status("train/class_info.pickle"), Status::Found { .. }), "{report}");
        assert!(report.to_string().contains("WRONG"), "{report}");
    }

    #[test]
    fn damaged_and_absent_files_are_told() {
        let dir = folder();
        std::fs::remove_file(dir.path().join("text/002.B/b.txt")).unwrap();
        std::fs::write(dir.path().join("train/filenames.pickle"), b"cos\nsystem\n.").unwrap();
        let said = check(dir.path(), Kind::Cub, Reading::default()).to_string();
        assert!(said.contains("WRONG") && said.contains("os.system"), "{said}");
        assert!(
            check(Path::new("/nonexistent"), Kind::Cub, Reading::default())
                .to_string()
                .contains("MISSING")
        );
    }
}
