//! Detection of the kind of a folder from its contents.

use super::deeper::folders;
use super::kind::Kind;
use super::reading::CLASS_NAME;
use super::scan::{OWN, children, slashed};
use super::{folder, oxford};
use crate::crop::PictureSize;
use crate::error::{counted, first_few, joined, shown};
use crate::prepared::prepared_name;
use crate::{Error, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The kind of `dir`, recognised by files and folders that only this kind has.
///
/// # Errors
/// When `dir` matches no kind or several, which says what was looked for in each; or cannot be listed.
pub fn detect(dir: &Path) -> Result<Kind> {
    if !dir.is_dir() {
        let what = "there is no such folder";
        return Err(Error::missing(dir, what, "a dataset folder", "check the path"));
    }
    let mut found: Vec<Kind> =
        Kind::ALL.into_iter().filter(|&kind| bears_marks(dir, kind)).collect();
    if found.is_empty() && folder::has_captions(dir) {
        found.push(Kind::Folder);
    }
    let prepared = prepared(dir);
    if is_own(dir) && !prepared.is_empty() {
        found.clear(); // a preview's sheet may lie there, with its text
    }
    match found.as_slice() {
        [kind] => Ok(*kind),
        [] => {
            let (what, remedy) = explained(dir, &prepared)?;
            Err(Error::missing(dir, what, looked_for(), remedy))
        }
        several => Err(ambiguous(dir, several)),
    }
}

/// Whether `dir` is a folder for the program's own output, in whatever way it is named.
fn is_own(dir: &Path) -> bool {
    dir.ends_with(OWN) || dir.canonicalize().is_ok_and(|real| real.ends_with(OWN))
}

/// The error about a folder that could be of several kinds.
fn ambiguous(dir: &Path, kinds: &[Kind]) -> Error {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    Error::malformed(
        dir,
        "the folder could be of several kinds",
        "folder",
        (looked_for(), format!("the marks of {}", names.join(" and "))),
        REMEDY,
    )
}

/// What is looked for in a folder, for every kind.
fn looked_for() -> String {
    let marks = Kind::ALL.map(|kind| format!("{} ({})", kind.name(), marks(kind)));
    format!("one of: {}", marks.join("; "))
}

/// What a folder of no kind is instead, and what to do about it.
fn explained(dir: &Path, prepared: &[String]) -> Result<(String, String)> {
    if dir.join("images.txt").is_file() && dir.join("images").is_dir() {
        let remedy = "name the folder around it, in which it is called CUB_200_2011";
        return Ok(("this is the inside of a CUB folder".to_owned(), remedy.to_owned()));
    }
    let below = below(dir);
    if let Some((first, _)) = below.first() {
        let remedy = match below.len() {
            1 => format!("name that folder: {}", shown(first)),
            _ => format!("name one of these folders, such as {}", shown(first)),
        };
        return Ok((format!("{UNKNOWN}, but {}", first_few(&alike(dir, &below))), remedy));
    }
    if !prepared.is_empty() {
        let remedy = format!("name the file: {}", joined(prepared, "or"));
        return Ok(("the folder holds prepared files, not a dataset".to_owned(), remedy));
    }
    let (pictures, seen) = folder::Seen::of(dir)?;
    if pictures > 0 {
        return Ok(uncaptioned(pictures, &seen));
    }
    let remedy =
        format!("check the path; save pictures of other formats in one of these; or {REMEDY}");
    Ok((format!("{UNKNOWN}, and has no picture in JPEG, PNG or WebP"), remedy))
}

/// What is said of a folder of pictures without captions, and what to do about it.
fn uncaptioned(pictures: usize, seen: &folder::Seen) -> (String, String) {
    let mut said = format!("{UNKNOWN}: it has {} and no captions", counted(pictures, "picture"));
    if let Some(seen) = seen.said() {
        // Writing to a String cannot fail.
        let _ = write!(said, ", but {seen}");
    }
    let write = format!(
        "give the pictures captions: beside NAME.jpg write NAME.txt, one caption a line, or all of them in \
         metadata.csv with the columns file_name and text; if they lie in folders whose names say what they show, {CLASS_NAME}"
    );
    let remedies = [seen.texts_remedy(), seen.tables_remedy(), Some(write)];
    (said, remedies.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// The prepared files that lie in `dir` itself, each with the stage that it is for.
fn prepared(dir: &Path) -> Vec<String> {
    let files = [(PictureSize::Stage1, "Stage-I"), (PictureSize::Stage2, "Stage-II")]
        .map(|(size, stage)| (dir.join(prepared_name(size)), stage));
    let there = files.iter().filter(|(file, _)| file.is_file());
    there.map(|(file, stage)| format!("{} ({stage})", shown(file))).collect()
}

/// What a folder is in which nothing was found.
const UNKNOWN: &str = "the folder is of no known kind";

/// The remedy for a folder whose kind cannot be detected.
const REMEDY: &str =
    "state the kind with `--kind`; `stackgan data check DIR --kind KIND` shows what it needs";

/// The folders below `dir` that bear the marks of a published set.
fn below(dir: &Path) -> Vec<(PathBuf, Kind)> {
    let mut found: Vec<(PathBuf, Kind)> = Vec::new();
    for folder in folders(dir) {
        if found.iter().any(|(outer, _)| folder.starts_with(outer)) {
            continue;
        }
        let sets = [Kind::Cub, Kind::Oxford, Kind::Coco];
        let kind = sets.into_iter().find(|&kind| bears_marks(&folder, kind));
        found.extend(kind.map(|kind| (folder, kind)));
    }
    found
}

/// What these folders below `dir` look like, each in words.
fn alike(dir: &Path, folders: &[(PathBuf, Kind)]) -> Vec<String> {
    let said = |(folder, kind): &(PathBuf, Kind)| {
        let name = slashed(folder.strip_prefix(dir).unwrap_or(folder));
        format!("`{name}` looks like {}", title(*kind))
    };
    folders.iter().map(said).collect()
}

/// What a kind is called.
const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Cub => "CUB-200-2011",
        Kind::Oxford => "Oxford-102",
        Kind::Coco => "COCO 2014",
        Kind::Folder => "a folder of your own",
    }
}

/// A description of what is looked for.
const fn marks(kind: Kind) -> &'static str {
    match kind {
        Kind::Cub => "a folder CUB_200_2011",
        Kind::Oxford => {
            "a folder jpg, with imagelabels.mat, text_c10/class_NNNNN or train/filenames.pickle"
        }
        Kind::Coco => {
            "train2014 or val2014; annotations/captions_*.json; or a folder images with train/filenames.pickle"
        }
        Kind::Folder => {
            "metadata.csv, .tsv or .jsonl, captions.csv or .txt with a header, or a picture with a .txt of the same name"
        }
    }
}

fn bears_marks(dir: &Path, kind: Kind) -> bool {
    let folder = |name: &str| dir.join(name).is_dir();
    let listed = dir.join("train/filenames.pickle").is_file();
    match kind {
        Kind::Cub => folder("CUB_200_2011"),
        Kind::Oxford => {
            let labelled = dir.join("imagelabels.mat").is_file() || listed;
            let captioned = || oxford::holds_captions(dir) || oxford::astray(dir)[1].is_some();
            folder("jpg") && (labelled || captioned())
        }
        Kind::Coco => {
            let years = folder("train2014") || folder("val2014");
            years || has_caption_list(&dir.join("annotations")) || (folder("images") && listed)
        }
        Kind::Folder => folder::has_marks(dir),
    }
}

fn has_caption_list(annotations: &Path) -> bool {
    let mut names =
        children(annotations).filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    names.any(|name| name.starts_with("captions_") && name.ends_with(".json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::put;

    #[test]
    fn the_inside_of_a_cub_folder_is_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("images")).unwrap();
        std::fs::write(dir.path().join("images.txt"), "").unwrap();
        let said = detect(dir.path()).unwrap_err().to_string();
        assert!(
            said.contains("inside of a CUB folder") && said.contains("folder around it"),
            "{said}"
        );
    }

    #[test]
    fn a_folder_of_prepared_files_names_them() {
        let sheet = ["prepared/sheet.png", "prepared/sheet.txt"];
        for (names, remedy) in [
            (&["prepared-76.safetensors"][..], "prepared/prepared-76.safetensors (Stage-I)\n"),
            (&["prepared-304.safetensors"], "prepared/prepared-304.safetensors (Stage-II)\n"),
            (
                &["prepared-304.safetensors", "prepared-76.safetensors"],
                "prepared-76.safetensors (Stage-I) or ",
            ),
        ] {
            let names: Vec<String> = names.iter().map(|name| format!("prepared/{name}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).chain(sheet).collect();
            let dir = with(&names);
            let said = detect(&dir.path().join("prepared")).unwrap_err().to_string();
            let said = format!("{}\n", said.replace('\\', "/"));
            assert!(said.starts_with("the folder holds prepared files"), "{said}");
            assert!(said.contains("do: name the file: ") && said.contains(remedy), "{said}");
        }
    }

    #[test]
    fn a_folder_of_prepared_files_is_known_by_whatever_path() {
        let files = ["prepared-76.safetensors", "sheet.png", "sheet.txt", "inner/notes"];
        let dir = with(&files.map(|name| format!("prepared/{name}")).each_ref().map(|s| &**s));
        for path in ["prepared/inner/..", "prepared/../prepared/", "prepared/."] {
            let said = detect(&dir.path().join(path)).unwrap_err().to_string();
            assert!(said.starts_with("the folder holds prepared files"), "{path}: {said}");
        }
    }

    /// What lies beside the pictures is connected to them, though it is not read.
    #[cfg(target_os = "linux")] // elsewhere names in other capitals and forms are those of the same file
    #[test]
    fn captions_under_other_names_are_named() {
        for (names, parts) in [
            (
                &["IMG_1.JPG", "img_1.txt"][..],
                &[
                    "1 picture and no captions, but 1 text beside no picture (img_1.txt)",
                    "(img_1.txt for IMG_1.JPG); give",
                ][..],
            ),
            (&["p.jpg", "p.jpg.txt"], &["1 keeps the picture's extension (p.jpg.txt for p.jpg)"]),
            (
                &["images/a.jpg", "images/b.jpg", "captions/a.txt", "captions/b.txt"],
                &["2 are in another folder (captions/a.txt for images/a.jpg)"],
            ),
            (
                &["cafe\u{301}.jpg", "caf\u{e9}.txt"],
                &["NFC or NFD (caf\u{e9}.txt for cafe\u{301}.jpg)"],
            ),
            (
                &["a.jpg", "Metadata.CSV", "labels.csv", "x/metadata.json", "a.json"],
                &[
                    "no captions, but 3 files like a table (Metadata.CSV, labels.csv, x/metadata.json)",
                    "do: call the table of captions metadata.csv",
                ],
            ),
            (&["a.jpg", "captions.csv"], &["1 file like a table (captions.csv)"]),
        ] {
            let said = detect(with(names).path()).unwrap_err().to_string();
            for part in parts {
                assert!(said.contains(part), "{part} in {said}");
            }
        }
        let alone = detect(with(&["a.jpg"]).path()).unwrap_err().to_string();
        assert!(alone.contains("no captions\n") && alone.contains("do: give"), "{alone}");
    }

    #[test]
    fn a_set_that_lies_deeper_is_named() {
        let cub = "x/birds/CUB_200_2011/images/001.A/a.jpg";
        for (names, looks, remedy) in [
            (&[cub][..], "`x/birds` looks like CUB-200-2011", "name that folder: "),
            (&["x/jpg/a.jpg", "x/imagelabels.mat"], "`x` looks like Oxford-102", "x\n"),
            (&["x/y/train2014/a.jpg", "b.png"], "`x/y` looks like COCO 2014", "x/y\n"),
            (
                &[cub, "coco/train2014/a.jpg"],
                "`coco` looks like COCO 2014, `x/birds` looks like CUB-200-2011",
                "name one of these folders, such as ",
            ),
        ] {
            let said = detect(with(names).path()).unwrap_err().to_string().replace('\\', "/");
            let (looks, ends) = (format!("of no known kind, but {looks}\n"), format!("{said}\n"));
            assert!(said.contains(&looks) && ends.contains(remedy), "{said}");
        }
        let deep = with(&["x/y/z/CUB_200_2011/images/a.jpg"]);
        let said = detect(deep.path()).unwrap_err().to_string();
        assert!(said.contains("it has 1 picture") && !said.contains("looks like"), "{said}");
    }

    fn with(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::Builder::new().prefix("birds-CUB-coco").tempdir().unwrap();
        for name in names {
            put(&dir, name, "x");
        }
        dir
    }

    #[test]
    fn contents_decide_and_letters_in_the_path_do_not() {
        for (names, kind) in [
            (&["CUB_200_2011/images.txt", "train/filenames.pickle"][..], Kind::Cub),
            (&["CUB_200_2011/images.txt", "prepared/sheet.png", "prepared/sheet.txt"], Kind::Cub),
            (&["jpg/image_00001.jpg", "imagelabels.mat"], Kind::Oxford),
            (&["jpg/image_00001.jpg", "text_c10/class_00001/image_00001.txt"], Kind::Oxford),
            (&["jpg/image_00001.jpg", "train/filenames.pickle"], Kind::Oxford),
            (&["train2014/x.jpg"], Kind::Coco),
            (&["annotations/captions_val2014.json"], Kind::Coco),
            (&["images/x.jpg", "train/filenames.pickle"], Kind::Coco),
            (&["metadata.csv"], Kind::Folder),
            (&["metadata.tsv"], Kind::Folder),
            (&["train/metadata.jsonl"], Kind::Folder),
            (&["red/metadata.csv", "blue/metadata.csv"], Kind::Folder),
            (&["train/red/metadata.csv", "x.jpg"], Kind::Folder),
            (&["red/a.JPG", "red/a.txt"], Kind::Folder),
            (&["IMG_1.JPG", "IMG_1.TXT"], Kind::Folder),
            (&["red/b.c.webp", "red/b.c.Txt", "red/a.jpg"], Kind::Folder),
        ] {
            assert_eq!(detect(with(names).path()).unwrap(), kind, "{names:?}");
        }
    }

    #[test]
    fn unknown_and_ambiguous_folders_are_told_what_was_looked_for() {
        for names in [
            &[][..],
            &["a.jpg", "b.txt"],
            &["a.jpg", "b/a.TXT", "a.TXT/x", "a"],
            &["jpg/x.jpg"],
            &["images/x.jpg"],
        ] {
            let said = detect(with(names).path()).unwrap_err().to_string();
            for kind in Kind::ALL {
                assert!(said.contains(&format!("{} (", kind.name())), "{said}");
            }
            let pictures = names.iter().filter(|name| name.ends_with(".jpg")).count();
            let told = ["no picture in JPEG, PNG or WebP", "it has 1 picture and no captions"];
            assert!(said.contains("no known kind") && said.contains(told[pictures]), "{said}");
        }
        let both = with(&["CUB_200_2011/images.txt", "metadata.csv"]);
        let said = detect(both.path()).unwrap_err().to_string();
        assert!(said.contains("several kinds") && said.contains("cub and folder"), "{said}");
        assert!(
            detect(Path::new("/nonexistent")).unwrap_err().to_string().contains("no such folder")
        );
    }
}
