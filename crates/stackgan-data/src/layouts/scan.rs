//! The files of a folder, in an order that is independent of the file system.

use super::keys::{checked_key, inside};
use super::painted::is_run;
use crate::error::{first_few, printable};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Maximum nesting depth of folders.
const MAX_DEPTH: usize = 16;

/// The folder for the program's own output, which is not part of the dataset.
pub(super) const OWN: &str = "prepared";

/// The folders, in small letters, in which systems and network drives keep their own: previews of pictures
/// (Synology), what macOS adds to archives, bins.
const OF_SYSTEMS: [&str; 6] =
    ["@eadir", "#recycle", "__macosx", "$recycle.bin", "system volume information", "lost+found"];

/// The extensions of supported pictures, in lower case.
pub(super) const PICTURES: [&str; 7] = ["jpg", "jpeg", "jpe", "jfif", "pjpeg", "png", "webp"];

/// Every file under `root` by its relative path, with `/` between names.
///
/// Hidden files and folders, those of systems, the folder `prepared` and folders of runs are skipped. Links to folders are not
/// followed; links to files only inside `root`.
///
/// # Errors
/// When a folder cannot be read or is nested too deep, the name of a picture or caption file is
/// unsafe, or a link leads out of `root` or to nothing. Other files may have any name; those whose names are not
/// UTF-8 are skipped.
pub(crate) fn files(root: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let root = root.canonicalize().map_err(|e| Error::read(root, e))?;
    let mut found = BTreeMap::new();
    let (mut unsafe_names, mut lost) = (Vec::new(), Vec::new());
    let mut open = vec![(root.clone(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| Error::read(&folder, e))? {
            let entry = entry.map_err(|e| Error::read(&folder, e))?;
            let name = entry.file_name();
            let lossy = name.to_string_lossy();
            let own = depth == 0 && lossy == OWN;
            if is_passed_over(&lossy) || own {
                continue;
            }
            let kind = entry.file_type().map_err(|e| Error::read(&entry.path(), e))?;
            let Some(name) = name.to_str() else {
                if !kind.is_dir() && !is_key(&lossy) {
                    continue;
                }
                return Err(Error::malformed(
                    &entry.path(),
                    "file name is not text",
                    "its name",
                    ("a name in UTF-8", printable(&lossy)),
                    "rename it",
                ));
            };
            let relative = format!("{prefix}{name}");
            if kind.is_dir() && is_run(&entry.path()) {
                continue;
            }
            if kind.is_dir() {
                if depth == MAX_DEPTH {
                    return Err(Error::malformed(
                        &entry.path(),
                        "folders are nested too deep",
                        "folder",
                        (format!("at most {MAX_DEPTH} levels"), "more"),
                        "name the folder that holds the pictures",
                    ));
                }
                open.push((entry.path(), format!("{relative}/"), depth + 1));
            } else {
                if is_key(name) && checked_key(&relative, &folder, 0).is_err() {
                    unsafe_names.push((relative, entry.path()));
                    continue;
                }
                if kind.is_file() {
                    found.insert(relative, entry.path());
                    continue;
                }
                match inside(&root, &relative)? {
                    Some(path) if path.is_file() => drop(found.insert(relative, path)),
                    Some(_) => {} // a folder, a pipe
                    None => lost.push(relative),
                }
            }
        }
    }
    lost.sort();
    if !lost.is_empty() {
        return Err(Error::malformed(
            &root,
            "links lead to nothing",
            "symbolic links",
            ("what they lead to", first_few(&lost)),
            "mount or fetch what they lead to, copy it into the dataset's folder, or remove the links",
        ));
    }
    unsafe_names.sort();
    let Some((_, path)) = unsafe_names.first() else { return Ok(found) };
    let names: Vec<&str> = unsafe_names.iter().map(|(name, _)| name.as_str()).collect();
    Err(Error::malformed(
        path,
        "name of a picture or of its captions is not safe",
        "its name",
        ("at most 1024 bytes without `\\`, `:` and control characters", first_few(&names)),
        "rename these files, or their folders",
    ))
}

/// Number of pictures below a folder of any kind.
///
/// # Errors
/// As [`files`].
pub(crate) fn pictures(root: &Path) -> Result<usize> {
    Ok(files(root)?.keys().filter(|name| names_picture(name)).count())
}

/// Whether the name of a file becomes that of a picture or is joined to it.
fn is_key(name: &str) -> bool {
    stem(name).is_some_and(|(_, extension)| is_picture(&extension) || extension == "txt")
}

/// Whether a file or folder of this name is passed over wherever it lies in a dataset: hidden ones, and
/// folders in which systems and network drives keep their own (`@eaDir`, `__MACOSX`, bins), in capitals
/// or not.
///
/// `name` is the name alone, without folders. Folders that are known by more than their names are not
/// told: those of runs, and `prepared` at the top of a dataset.
#[must_use]
pub fn is_passed_over(name: &str) -> bool {
    name.starts_with('.') || OF_SYSTEMS.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// The visible entries of a folder; empty if it cannot be read.
pub(super) fn children(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| !is_passed_over(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
}

/// The name of a file without its folder.
pub(super) fn own_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A name and its extension in lower case: `a/b` and `jpg` for `a/b.JPG`.
pub(crate) fn stem(name: &str) -> Option<(&str, String)> {
    let (stem, extension) = name.rsplit_once('.')?;
    let plain = !stem.is_empty() && !stem.ends_with('/') && !extension.contains('/');
    plain.then(|| (stem, extension.to_ascii_lowercase()))
}

/// Whether files with this extension, in lower case, are supported pictures.
#[must_use]
pub fn is_picture(extension: &str) -> bool {
    PICTURES.contains(&extension)
}

/// A relative path with `/` between names on every system.
pub(crate) fn slashed(path: &Path) -> String {
    path.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// Whether a file of this name is taken for a picture.
pub(super) fn names_picture(name: &str) -> bool {
    stem(name).is_some_and(|(_, extension)| is_picture(&extension))
}

/// Whether files with this extension, in lower case, are pictures that are not supported: a folder is told
/// of them, and in a tar they are pictures all the same.
pub(crate) fn is_foreign(extension: &str) -> bool {
    let stored = matches!(
        extension,
        "gif"
            | "bmp"
            | "tif"
            | "tiff"
            | "heic"
            | "heif"
            | "avif"
            | "jxl"
            | "jp2"
            | "svg"
            | "psd"
            | "tga"
    );
    let of_cameras =
        matches!(extension, "dng" | "cr2" | "cr3" | "nef" | "arw" | "orf" | "raf" | "rw2");
    stored || of_cameras
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::put;

    #[test]
    fn files_come_by_name_without_what_is_hidden_or_our_own() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b/x.png",
            "a.jpg",
            "b/a.txt",
            ".git/x",
            "prepared/p.safetensors",
            "b/prepared/y",
            "runs/00000/run.json",
            "runs/00000/checkpoints/c",
            "runs/00000/samples/1.png",
            "runs/00000/reals.png",
            "runs/mine/run.json",
            "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
            "b/__MACOSX/x.jpg",
            "$RECYCLE.BIN/x.jpg",
            "System Volume Information/x.txt",
            ".ipynb_checkpoints/a.jpg",
        ] {
            put(&dir, name, "x");
        }
        assert_eq!(children(&dir.path().join("b")).count(), 3);
        let names: Vec<String> = files(dir.path()).unwrap().into_keys().collect();
        assert_eq!(names, ["a.jpg", "b/a.txt", "b/prepared/y", "b/x.png", "runs/mine/run.json"]);
        let deep = dir.path().join("d/".repeat(MAX_DEPTH + 1));
        std::fs::create_dir_all(&deep).unwrap();
        assert!(files(dir.path()).unwrap_err().to_string().contains("too deep"));
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("a.jpg"), "x").unwrap();
        std::os::unix::fs::symlink("a.jpg", root.join("b.jpg")).unwrap();
        std::os::unix::fs::symlink(".", root.join("loop")).unwrap();
        assert_eq!(files(&root).unwrap().len(), 2);
        for name in ["d.png", "class", "002.Laysan", "metadata.csv"] {
            std::os::unix::fs::symlink("/unmounted/d", root.join(name)).unwrap();
            let error = files(&root).unwrap_err().to_string();
            assert!(error.contains("lead to nothing") && error.contains(name), "{error}");
            std::fs::remove_file(root.join(name)).unwrap();
        }
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("c.jpg")).unwrap();
        assert!(files(&root).unwrap_err().to_string().contains("leads out"));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_cannot_be_used_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        for second in [5, 2, 9] {
            std::fs::write(dir.path().join(format!("at 12:30:0{second}.jpg")), "x").unwrap();
        }
        std::fs::write(dir.path().join("notes: mine.md"), "x").unwrap();
        let error = files(dir.path()).unwrap_err().to_string();
        let all = "at 12:30:02.jpg, at 12:30:05.jpg, at 12:30:09.jpg";
        assert!(error.contains(all), "{error}");
        assert!(error.contains("rename these files"), "{error}");
    }

    #[test]
    fn hidden_names_and_those_of_systems_are_passed_over() {
        for name in [".git", "._a.jpg", ".DS_Store", "@eaDir", "__macosx", "Lost+Found"] {
            assert!(is_passed_over(name), "{name}");
        }
        for name in ["a.jpg", "prepared", "runs", "eadir", "a.__MACOSX", ""] {
            assert!(!is_passed_over(name), "{name}");
        }
    }

    #[test]
    fn stems_and_extensions() {
        assert_eq!(stem("a/b.JPG"), Some(("a/b", "jpg".to_owned())));
        assert_eq!(stem("a.b/c"), None);
        assert_eq!(stem("a/.jpg"), None);
    }

    #[test]
    fn pictures_are_told_by_their_extensions() {
        for name in ["a.jpg", "a.JFIF", "b/a.jpe", "a.pjpeg", "a.WebP", "a.png"] {
            assert!(names_picture(name), "{name}");
        }
        for name in ["a.HEIF", "a.jp2", "a.cr2", "a.NEF", "a.dng", "a.svg", "a.avif", "a.heic"] {
            let (_, extension) = stem(name).unwrap();
            assert!(is_foreign(&extension) && !is_picture(&extension), "{name}");
        }
    }
}
