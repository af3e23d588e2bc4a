//! A user's own pictures.
//!
//! Captions are beside the pictures, one per line, or in tables as in Hugging Face's `ImageFolder`.
//! Folders may be splits and classes:
//!
//! ```text
//! DIR/a.jpg  a.txt  b.png  b.txt  captions beside the pictures, any number
//! DIR/red/a.jpg red/a.txt blue/…  two folders or more: each is a class
//! DIR/train/…  test/…             the split (validation, valid, val and dev count as test)
//! DIR/metadata.csv                file_name,text[,class,split,x,y,width,height]
//! DIR/metadata.jsonl              {"file_name", "text": one or a list[, "class", "split", "bbox"]}
//! DIR/captions.csv  captions.txt  tables with the headers of others, such as image,caption
//! ```
//!
//! A picture may have several rows in a table; each non-empty one is a caption. They take
//! precedence over captions beside the picture, which is reported in a note. A table without
//! captions adds boxes, classes or splits to pictures with captions beside them. Pictures are
//! sorted by name and rotated upright. Without captions, the names of classes may serve
//! ([`Uncaptioned::ClassName`]).
//!
//! Training on one's own pictures is a frequent question of the original's users (for example
//! hanzhanggit/StackGAN issues 14, 37 and 58).

mod class_names;
mod found;
mod header;
mod near;
mod quotes;
mod seen;
mod sides;
mod spelling;
mod survey;
mod table;
mod table_names;

pub(crate) use found::Origin;
pub(crate) use seen::Seen;
pub(crate) use survey::{Survey, has_captions, has_marks};
pub use table::is_table_of_captions;
#[cfg(feature = "fetch")] // for what is unpacked
pub(crate) use table::{MAX_LINE, MAX_TABLE, side};

use super::lists::{Absent, left_out};
use super::reading::{LEAVE_OUT, Reading, Uncaptioned};
use super::split::{Classes, divide};
use crate::crop::Orientation;
use crate::dataset::{Dataset, Item, Split};
use crate::error::counted;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// Reads the folder `dir`. No picture is opened.
///
/// # Errors
/// Lists all pictures without captions, all captions that cannot be used, all names in tables
/// without a picture, and what lies beside a split; names the table and row of whatever does not
/// match.
pub fn read(dir: &Path, how: Reading) -> Result<Dataset> {
    let mut survey = Survey::of(dir)?;
    if how.uncaptioned == Uncaptioned::ClassName {
        survey.caption_by_class(dir)?;
    }
    let mut notes = survey.notes();
    let mut absent = Absent::default();
    for name in &survey.named_only {
        absent.note("pictures named by a table", name);
    }
    match how.uncaptioned {
        Uncaptioned::Refuse | Uncaptioned::ClassName => {
            for name in survey.uncaptioned() {
                absent.note("captions of pictures", name);
            }
            if !survey.unread.is_empty() {
                return Err(unread(survey.unread, &absent));
            }
        }
        Uncaptioned::LeaveOut => {
            notes.extend(left_out(&survey.uncaptioned()));
            notes.extend(survey.unread_left_out());
        }
    }
    notes.extend(survey.seen.texts_remedy());
    let captions = match how.uncaptioned {
        Uncaptioned::LeaveOut => None,
        given => survey.captions_remedy(given),
    };
    let remedies: Vec<String> = survey.names_remedy().into_iter().chain(captions).collect();
    absent.check(dir, remedies.join("; "))?;
    if survey.pictures.is_empty() {
        return Err(Error::missing(
            dir,
            "the folder has no pictures with captions",
            "NAME.jpg, NAME.png or NAME.webp with NAME.txt, or metadata.csv",
            "`stackgan data check DIR --kind folder` shows the layouts that are read",
        ));
    }
    let (labels, classes) = survey.labels(dir)?;
    let splits = survey.splits(dir)?;
    let unheeded = splits.is_none().then(|| sides::unheeded(&survey.pictures)).flatten();
    let mut items = Vec::with_capacity(survey.pictures.len());
    for (i, (key, found)) in std::mem::take(&mut survey.pictures).into_iter().enumerate() {
        items.push(Item {
            image: found.image,
            bounding_box: found.bounds,
            class: labels.get(i).copied().unwrap_or(i as u32),
            captions: found.captions,
            split: splits.as_ref().and_then(|s| s.get(i).copied()).unwrap_or(Split::Train),
            key,
        });
    }
    if splits.is_none() {
        notes.push(divide(&mut items, classes, how.split_seed));
        notes.extend(unheeded);
    }
    notes.push(match classes {
        Classes::Known | Classes::AsCaptions => {
            counted(BTreeSet::from_iter(&labels).len(), "class")
        }
        Classes::None => "no classes: a wrong picture is any other picture".to_owned(),
    });
    let name = "folder".to_owned();
    Ok(Dataset { name, items, orientation: Orientation::Upright, notes })
}

/// The error about captions that cannot be used, with what else is missing.
fn unread(faults: Vec<(String, Error)>, absent: &Absent) -> Error {
    let n = faults.len();
    let faults: Vec<Error> = faults.into_iter().map(|(_, fault)| fault).collect();
    let mut error = Error::together(
        format!("captions of {} cannot be used", counted(n, "picture")),
        "captions that docs/datasets.md describes",
        (&faults, n),
        "correct them",
    );
    if let Error::Malformed { found, remedy, .. } = &mut error {
        let mut said = std::mem::take(found).into_string();
        for line in absent.lines() {
            said += &format!("\n    besides, files that are needed are missing: {line}");
        }
        *found = said.into();
        *remedy = format!("correct them, or leave such pictures out with {LEAVE_OUT}");
    }
    error
}

#[cfg(test)]
mod tests;
