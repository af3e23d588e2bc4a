//! Oxford-102 (102flowers) as `StackGAN`'s users have it:
//!
//! ```text
//! DIR/jpg/image_00001.jpg …
//! DIR/imagelabels.mat                        the class of each picture, if captions do not say it
//! DIR/text_c10/class_00001/image_06734.txt   one caption per line; or below text/ or
//!                                            cvpr2016_flowers/text_c10/
//! DIR/train/filenames.pickle  class_info.pickle
//! DIR/test/…                                 likewise: the release's lists, if any
//! DIR/testclasses.txt                        Reed's classes, if any; or beside the captions
//! ```
//!
//! Source: TensorFlow release, `misc/datasets.py` and `misc/preprocess_*.py`; reedscot/cvpr2016
//! (the captions and the list of classes).
//!
//! The split is that of the release's lists or, without them, of Reed's list. Without either,
//! classes are split at random in the same proportion (82 and 20), and a note says so. `setid.mat`
//! splits pictures, not classes, and is not used. Pictures are used whole, because there are no
//! boxes.

use super::deeper::{Astray, remedy};
use super::keys::inside;
use super::lists::{Absent, Lists, left_out};
use super::reading::{LEAVE_OUT, Reading, Uncaptioned};
use super::scan::{PICTURES, children, files, is_picture, own_name, stem};
use super::split::{Classes, divide, untested};
use crate::counted;
use crate::crop::Orientation;
use crate::dataset::{Dataset, Item, Split};
use crate::error::printable;
use crate::formats::{matlab, read_bounded};
use crate::{Error, Result, captions};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Maximum length of a `.mat` file and of the list of classes, in bytes; the real ones have a few
/// kilobytes.
const MAX_SMALL: u64 = 16 << 20;

/// Where captions lie.
const TEXTS: [&str; 3] = ["text_c10", "text", "cvpr2016_flowers/text_c10"];

/// The paths of the parts of the layout.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// `jpg`.
    pub(crate) images: PathBuf,
    /// `imagelabels.mat`.
    pub(crate) labels: PathBuf,
    /// `text_c10` or, if it does not exist, `text` or `cvpr2016_flowers/text_c10`.
    pub(crate) text: PathBuf,
    /// The release's lists (optional).
    pub(crate) lists: Lists,
    /// Reed's `testclasses.txt`, in the folder or beside the captions.
    pub(crate) test_classes: PathBuf,
}

impl Parts {
    /// The paths under `dir`; nothing is opened.
    pub(crate) fn of(dir: &Path) -> Self {
        let texts = TEXTS.map(|name| dir.join(name));
        let text = texts.iter().find(|text| text.is_dir()).unwrap_or(&texts[0]).clone();
        let beside = text.with_file_name("testclasses.txt");
        let own = dir.join("testclasses.txt");
        Self {
            images: dir.join("jpg"),
            labels: dir.join("imagelabels.mat"),
            text,
            lists: Lists::of(dir),
            test_classes: if !own.is_file() && beside.is_file() { beside } else { own },
        }
    }

    /// The caption file and the class of each picture, by the picture's name.
    pub(crate) fn captions(&self) -> Result<BTreeMap<String, (u32, PathBuf)>> {
        let mut found = BTreeMap::new();
        for (name, path) in files(&self.text)? {
            let Some((key, extension)) = stem(&name) else { continue };
            let Some((folder, picture)) = key.split_once('/') else { continue };
            let Some(class) = class_number(folder) else { continue };
            if extension != "txt" {
                continue; // Reed's archive has a tensor file per class beside its folder
            }
            if let Some((before, _)) = found.insert(picture.to_owned(), (class, path)) {
                return Err(Error::malformed(
                    &self.text,
                    "captions of a picture lie in two classes",
                    printable(picture),
                    ("one class", format!("classes {before} and {class}")),
                    "remove one of the two files",
                ));
            }
        }
        Ok(found)
    }

    /// The class of each picture by its number, which starts at one.
    pub(crate) fn mat_labels(&self) -> Result<Vec<u32>> {
        let file = &self.labels;
        let bytes = read_bounded(file, MAX_SMALL)?;
        let mat = matlab::decode(&bytes, file)?;
        let numbers = mat.array("labels")?.to_ints().unwrap_or_default();
        let labels: Option<Vec<u32>> = numbers.iter().map(|&n| u32::try_from(n).ok()).collect();
        labels.filter(|labels| !labels.is_empty()).ok_or_else(|| {
            Error::malformed(
                file,
                "list of classes is malformed",
                "variable labels",
                ("whole numbers from 1", "others"),
                "take the file from the dataset's page",
            )
        })
    }

    /// The test classes of Reed's list.
    pub(crate) fn reed_classes(&self) -> Result<BTreeSet<u32>> {
        let file = &self.test_classes;
        let text = read_bounded(file, MAX_SMALL)?;
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        lines
            .map(|(i, line)| {
                class_number(line).ok_or_else(|| {
                    Error::malformed(
                        file,
                        "list of classes is malformed",
                        format!("line {}", i + 1),
                        ("a class such as class_00001", printable(line)),
                        "take the file from Reed's archive",
                    )
                })
            })
            .collect()
    }
}

/// Whether a folder has captions by class, below one of the names where they lie.
pub(super) fn holds_captions(folder: &Path) -> bool {
    TEXTS.iter().any(|text| holds_classes(&folder.join(text)))
}

/// Whether there are folders of classes in `text`.
pub(super) fn holds_classes(text: &Path) -> bool {
    children(text).any(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("class_"))
    })
}

/// What is not where it is read, but in a folder below: the pictures, and the captions with the
/// release's lists.
pub(crate) fn astray(dir: &Path) -> [Option<Astray>; 2] {
    let parts = Parts::of(dir);
    let pictures = || Astray::find(dir, &["jpg"], |folder| folder.join("jpg").is_dir());
    let flowers = ["text_c10", "text", "cvpr2016_flowers", "train", "test", "testclasses.txt"];
    let captions = || Astray::find(dir, &flowers, holds_captions);
    [
        (!parts.images.is_dir()).then(pictures).flatten(),
        (!parts.text.is_dir()).then(captions).flatten(),
    ]
}

/// The class number of a folder: 98 for `class_00098`.
fn class_number(folder: &str) -> Option<u32> {
    folder.strip_prefix("class_")?.parse().ok()
}

/// The number of a picture: 6734 for `image_06734`.
fn picture_number(name: &str) -> Option<usize> {
    name.strip_prefix("image_")?.parse().ok()
}

/// A picture to read: its key, its file if it is there, and its split and class if lists give them.
struct Wanted {
    key: String,
    image: Option<PathBuf>,
    split: Option<Split>,
    class: Option<u32>,
}

/// Reads the folder `dir`. No picture is opened.
///
/// # Errors
/// Lists everything that is missing; names the file and entry of whatever does not match.
pub fn read(dir: &Path, how: Reading) -> Result<Dataset> {
    let parts = Parts::of(dir);
    let mut absent = Absent::default();
    for (what, path) in
        [("folders of pictures", &parts.images), ("folders of captions", &parts.text)]
    {
        if !path.is_dir() {
            absent.note(what, path.display().to_string());
        }
    }
    let check = "run `stackgan data check DIR --kind oxford` to see what makes each part";
    absent.check(dir, remedy(&astray(dir), check))?;
    let (mut notes, mut bare) = (Vec::new(), Vec::new());
    let texts = parts.captions()?;
    let mat = if parts.labels.is_file() { parts.mat_labels()? } else { Vec::new() };
    let mut items = Vec::new();
    let mut sides = Vec::new();
    for Wanted { key, image, split, class } in wanted(&parts)? {
        let name = own_name(&key);
        let text = match texts.get(name) {
            Some((folder, text)) => {
                Some((folder, captions::read(text)?)).filter(|(_, captions)| !captions.is_empty())
            }
            None => None,
        };
        if image.is_none() {
            absent.note("pictures", &key);
        }
        if text.is_none() {
            match how.uncaptioned {
                Uncaptioned::Refuse | Uncaptioned::ClassName => {
                    absent.note("captions of pictures", &key);
                }
                Uncaptioned::LeaveOut => bare.push(key.clone()),
            }
        }
        let (Some(image), Some((folder, captions))) = (image, text) else { continue };
        let labelled = picture_number(name).and_then(|n| mat.get(n.checked_sub(1)?)).copied();
        if let Some(label) = labelled.filter(|label| label != folder) {
            return Err(Error::malformed(
                &parts.labels,
                "classes contradict each other",
                printable(&key),
                (format!("class {folder}, as its captions lie"), format!("class {label}")),
                "take imagelabels.mat and the captions from the original archives",
            ));
        }
        sides.push(split);
        items.push(Item {
            image,
            bounding_box: None,
            class: class.unwrap_or(*folder),
            captions,
            split: split.unwrap_or(Split::Train),
            key,
        });
    }
    absent.check(
        dir,
        format!(
            "put pictures under jpg and captions under text_c10/class_NNNNN, or leave pictures without captions out \
             with {LEAVE_OUT}"
        ),
    )?;
    notes.extend(left_out(&bare));
    if items.is_empty() || sides.contains(&None) {
        notes.push(divide_by(&parts, &mut items, how)?);
    } else {
        notes.extend(untested(&items));
    }
    let name = "oxford".to_owned();
    Ok(Dataset { name, items, orientation: Orientation::AsStored, notes })
}

/// The pictures of the release's lists in their order, or all pictures of the folder by name.
fn wanted(parts: &Parts) -> Result<Vec<Wanted>> {
    if !parts.lists.are_there() {
        return unlisted(&parts.images);
    }
    let root = parts.images.canonicalize().map_err(|e| Error::read(&parts.images, e))?;
    let mut wanted = Vec::new();
    for list in parts.lists.read()? {
        for (entry, key) in list.keys.iter().cloned().enumerate() {
            let image = picture(&root, own_name(&key))?;
            wanted.push(Wanted { key, image, split: Some(list.split), class: list.class(entry) });
        }
    }
    Ok(wanted)
}

/// All pictures of a folder and of those in it. Captions are found by a picture's name alone, so there may
/// be one of each.
fn unlisted(images: &Path) -> Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    let mut seen = BTreeMap::new();
    for (file, path) in files(images)? {
        let Some((name, _)) = stem(&file).filter(|(_, extension)| is_picture(extension)) else {
            continue;
        };
        if let Some(before) = seen.insert(own_name(name).to_owned(), file.clone()) {
            return Err(Error::malformed(
                images,
                "two pictures have one name",
                printable(own_name(name)),
                ("one file", format!("{} and {}", printable(&before), printable(&file))),
                "remove one of the two files",
            ));
        }
        let key = format!("jpg/{name}");
        wanted.push(Wanted { key, image: Some(path), split: None, class: None });
    }
    Ok(wanted)
}

fn picture(root: &Path, name: &str) -> Result<Option<PathBuf>> {
    for extension in PICTURES {
        for extension in [extension, extension.to_uppercase().as_str()] {
            if let Some(path) = inside(root, &format!("{name}.{extension}"))? {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// Splits the pictures if the release's lists do not.
fn divide_by(parts: &Parts, items: &mut [Item], how: Reading) -> Result<String> {
    if !parts.test_classes.is_file() {
        return Ok(divide(items, Classes::Known, how.split_seed));
    }
    let test = parts.reed_classes()?;
    for item in items.iter_mut() {
        item.split = if test.contains(&item.class) { Split::Test } else { Split::Train };
    }
    let (n, file) = (counted(test.len(), "class"), parts.test_classes.display());
    Ok(format!("split by {file}: {n} kept for testing"))
}

#[cfg(test)]
pub(crate) mod tests;
