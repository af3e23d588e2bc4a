//! CUB-200-2011 as the first release lays it out:
//!
//! ```text
//! DIR/CUB_200_2011/images.txt  bounding_boxes.txt  images/NNN.Class/Name.jpg
//! DIR/text/NNN.Class/Name.txt          (or text_c10/) one caption a line
//! DIR/train/filenames.pickle  class_info.pickle     DIR/test/ likewise
//! ```
//!
//! The lists are optional: if neither split has its `filenames.pickle`, all pictures of `images.txt`
//! are taken, and split by the release's classes.
//!
//! Source: TensorFlow release, `misc/preprocess_birds.py` and `misc/datasets.py`.
//!
//! The class is the number before the dot of the folder's name. `class_info.pickle` is only
//! counted, or used if folders have no number. Public copies of the test split's file give number
//! 36 to the pictures of class 37 (abhisheksingh0308/GAN-App).

mod split;

use super::deeper::{Astray, remedy};
use super::keys::{checked_key, inside};
use super::lists::{Absent, List, Lists, MAX_LIST, left_out};
use super::oxford::holds_classes;
use super::{LEAVE_OUT, Reading, Uncaptioned};
use crate::counted;
use crate::crop::Orientation;
use crate::dataset::{BoundingBox, Dataset, Item, Split};
use crate::error::{first_few, printable};
use crate::formats::read_bounded;
use crate::{Error, Result, captions};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use split::split_of_class;

/// The folder of the pictures and of their lists.
const PICTURES: &str = "CUB_200_2011";

/// The paths of the parts of the layout.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// `CUB_200_2011/images`.
    pub(crate) images: PathBuf,
    /// `CUB_200_2011/images.txt`.
    pub(crate) image_list: PathBuf,
    /// `CUB_200_2011/bounding_boxes.txt`.
    pub(crate) boxes: PathBuf,
    /// `text` or, if it does not exist, `text_c10`.
    pub(crate) text: PathBuf,
    /// The release's lists (those of names are optional, but both or neither).
    pub(crate) lists: Lists,
}

impl Parts {
    /// The paths of the layout under `dir`; nothing is opened.
    pub(crate) fn of(dir: &Path) -> Self {
        let cub = dir.join(PICTURES);
        let text = dir.join("text");
        let old = dir.join("text_c10");
        Self {
            images: cub.join("images"),
            image_list: cub.join("images.txt"),
            boxes: cub.join("bounding_boxes.txt"),
            text: if !text.is_dir() && old.is_dir() { old } else { text },
            lists: Lists::of(dir),
        }
    }

    fn missing(&self) -> Vec<String> {
        let dirs = [&self.images, &self.text].into_iter().filter(|p| !p.is_dir());
        let lists = self.lists.filenames.iter().filter(|_| self.lists.are_there());
        let files = [&self.image_list, &self.boxes].into_iter().chain(lists);
        dirs.chain(files.filter(|p| !p.is_file())).map(|p| p.display().to_string()).collect()
    }
}

/// What is not where it is read, but in a folder below: the pictures with their lists, and the
/// captions with those of the release.
pub(crate) fn astray(dir: &Path) -> [Option<Astray>; 2] {
    let (parts, own) = (Parts::of(dir), dir.join(PICTURES));
    let listed = parts.image_list.is_file() && parts.boxes.is_file();
    let pictures = match (listed && parts.images.is_dir(), own.is_dir()) {
        (true, _) => None,
        (false, true) => {
            let lists = ["images", "images.txt", "bounding_boxes.txt"];
            Astray::find(&own, &lists, |folder| folder.join("images.txt").is_file())
        }
        (false, false) => Astray::find(dir, &[PICTURES], |folder| folder.join(PICTURES).is_dir()),
    };
    let birds = ["text", "text_c10", "text.zip", "train", "test"];
    let captions = || Astray::find(dir, &birds, holds_captions);
    [pictures, (!parts.text.is_dir()).then(captions).flatten()]
}

/// Whether a folder holds captions of birds, or the archive with them. Those of flowers lie in
/// folders of other names.
fn holds_captions(folder: &Path) -> bool {
    let texts = ["text", "text_c10"].map(|name| folder.join(name));
    let unpacked = texts.iter().any(|text| text.is_dir());
    let flowers = texts.iter().any(|text| holds_classes(text));
    (unpacked || folder.join("text.zip").is_file()) && !flowers
}

/// Reads the folder `dir`. No picture is opened.
///
/// # Errors
/// [`Error::Missing`] lists everything that is missing at once; [`Error::Malformed`] names the file
/// and entry of whatever does not match.
pub fn read(dir: &Path, how: Reading) -> Result<Dataset> {
    let parts = Parts::of(dir);
    let missing = parts.missing();
    if !missing.is_empty() {
        return Err(Error::missing(
            dir,
            format!("the CUB layout lacks {}", counted(missing.len(), "part")),
            missing.join(", "),
            remedy(
                &astray(dir),
                "run `stackgan data check` on the folder to see what makes each part",
            ),
        ));
    }
    let canonical = |path: &Path| path.canonicalize().map_err(|e| Error::read(path, e));
    let (images, text) = (canonical(&parts.images)?, canonical(&parts.text)?);
    let listed = read_image_list(&parts)?;
    let mut items = Vec::new();
    let mut absent = Absent::default();
    let mut bare = Vec::new();
    let (lists, mut notes) = match parts.lists.are_there() {
        true => (parts.lists.read()?, Vec::new()),
        false => (derived_lists(&parts, &listed)?, vec![split::NOTE.to_owned()]),
    };
    for list in lists {
        let split = list.split;
        for (entry, key) in list.keys.iter().cloned().enumerate() {
            let Some(class) = folder_number(&key).or(list.class(entry)) else {
                return Err(Error::malformed(
                    list.file,
                    "class of a picture is not known",
                    format!("entry {entry}"),
                    ("a folder such as 001.Name, or class_info.pickle", printable(&key)),
                    "name the folders by class number, or add class_info.pickle",
                ));
            };
            let Some((name, bounding_box)) = listed.of.get(&key) else {
                absent.note("pictures without a line in images.txt", key);
                continue;
            };
            let picture = inside(&images, name)?;
            if picture.is_none() {
                absent.note("pictures", name);
            }
            let captions = match inside(&text, &format!("{key}.txt"))? {
                Some(file) => Some(captions::read(&file)?),
                None => None,
            };
            let what = match &captions {
                Some(captions) if captions.is_empty() => Some("captions in caption files"),
                Some(_) => None,
                None => Some("caption files"),
            };
            match (what, how.uncaptioned) {
                (None, _) => {}
                (Some(_), Uncaptioned::LeaveOut) => bare.push(key.clone()),
                (Some(what), Uncaptioned::Refuse | Uncaptioned::ClassName) => {
                    absent.note(what, format!("{key}.txt"));
                }
            }
            let (Some(image), Some(captions), None) = (picture, captions, what) else { continue };
            items.push(Item { image, bounding_box: *bounding_box, class, captions, split, key });
        }
    }
    let (images, text) = (parts.images.display(), parts.text.display());
    absent.check(
        dir,
        format!(
            "put pictures under {images} and captions under {text}, take the entries out of the lists, or leave \
             pictures without captions out with {LEAVE_OUT}"
        ),
    )?;
    notes.extend(left_out(&bare));
    let orientation = Orientation::AsStored; // boxes are in pixels of the stored pictures
    Ok(Dataset { name: "cub".to_owned(), items, orientation, notes })
}

/// The pictures of both splits, by the numbers of their folders.
fn derived_lists<'p>(parts: &'p Parts, listed: &Listed) -> Result<Vec<List<'p>>> {
    let file = &parts.image_list;
    let lists = split_by_class(parts, listed)?;
    let lists = Split::ALL.into_iter().zip(lists);
    Ok(lists.map(|(split, keys)| List { split, file, keys, labels: None }).collect())
}

/// The keys of `images.txt` for training and for testing, each in the file's order.
pub(crate) fn split_by_class(parts: &Parts, listed: &Listed) -> Result<[Vec<String>; 2]> {
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (entry, key) in listed.keys.iter().enumerate() {
        let Some(split) = folder_number(key).and_then(split_of_class) else {
            return Err(Error::malformed(
                &parts.image_list,
                "class of a picture is not one of CUB's, so its split is not known",
                format!("entry {entry}"),
                ("a folder such as 001.Name, numbered 1 to 200", printable(key)),
                "add train/filenames.pickle and test/filenames.pickle, which list the pictures of each split",
            ));
        };
        match split {
            Split::Train => train.push(key.clone()),
            Split::Test => test.push(key.clone()),
        }
    }
    Ok([train, test])
}

/// The class number of a key: 37 for `037.Acadian_Flycatcher/…`.
fn folder_number(key: &str) -> Option<u32> {
    let (folder, _) = key.split_once('/')?;
    folder.split_once('.')?.0.parse().ok()
}

/// The pictures of `images.txt`.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// Their keys, in order.
    keys: Vec<String>,
    /// Their relative paths and boxes.
    pub(crate) of: BTreeMap<String, (String, Option<BoundingBox>)>,
}

/// Reads `images.txt`, and joins the boxes by image id. The release joins by row; for the real files
/// the result is the same.
pub(crate) fn read_image_list(parts: &Parts) -> Result<Listed> {
    let mut boxes = BTreeMap::new();
    let file = &parts.boxes;
    for (line, fields) in records(&read_bounded(file, MAX_LIST)?).enumerate() {
        let numbers: Vec<f64> = fields.iter().filter_map(|f| f.parse().ok()).collect();
        let bad = || {
            Error::malformed(
                file,
                "bounding box is malformed",
                format!("line {}", line + 1),
                (
                    "image id, x, y, width and height, the last two above zero",
                    printable(&fields.join(" ")),
                ),
                "correct the line; a picture needs exactly one box",
            )
        };
        let (&[_, x, y, width, height], [id, _, _, _, _]) = (numbers.as_slice(), fields.as_slice())
        else {
            return Err(bad());
        };
        let sane = numbers.iter().all(|n| n.abs() < 1e6) && width > 0.0 && height > 0.0;
        let id: u64 = id.parse().map_err(|_| bad())?;
        if !sane || boxes.insert(id, BoundingBox { x, y, width, height }).is_some() {
            return Err(bad());
        }
    }
    let file = &parts.image_list;
    let mut listed = Listed::default();
    let mut without_box = Vec::new();
    for (line, fields) in records(&read_bounded(file, MAX_LIST)?).enumerate() {
        let parsed = match fields.as_slice() {
            [id, name @ ..] if !name.is_empty() => id.parse::<u64>().ok().zip(Some(name.join(" "))),
            _ => None,
        };
        let bad = |found: &str| {
            Error::malformed(
                file,
                "list of pictures is malformed",
                format!("line {}", line + 1),
                ("image id and a path with an extension, each once", printable(found)),
                "correct the line",
            )
        };
        let (id, name) = parsed.ok_or_else(|| bad(&fields.join(" ")))?;
        checked_key(&name, file, line + 1)?;
        let key = match name.rsplit_once('.') {
            Some((key, extension)) if !extension.contains('/') => key.to_owned(),
            _ => return Err(bad(&name)),
        };
        let found = boxes.get(&id).copied();
        if found.is_none() {
            without_box.push(name.clone());
        }
        if listed.of.insert(key.clone(), (name, found)).is_some() {
            return Err(bad(&fields.join(" ")));
        }
        listed.keys.push(key);
    }
    if without_box.is_empty() {
        return Ok(listed);
    }
    Err(Error::malformed(
        &parts.boxes,
        "pictures have no bounding box",
        "whole file",
        (
            format!("a box for each of {} pictures", listed.keys.len()),
            format!("none for {} ({})", without_box.len(), first_few(&without_box)),
        ),
        "take images.txt and bounding_boxes.txt from the same archive",
    ))
}

/// The fields of all lines that are not blank.
pub(crate) fn records(bytes: &[u8]) -> impl Iterator<Item = Vec<String>> {
    let lines = bytes.split(|&b| b == b'\n').map(|line| String::from_utf8_lossy(line).into_owned());
    lines
        .map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|fields| !fields.is_empty())
}

#[cfg(test)]
pub(crate) mod tests;
