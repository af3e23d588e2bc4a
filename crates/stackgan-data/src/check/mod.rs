//! What a dataset folder should hold and what it holds: each part found, missing or wrong, with counts and the
//! command that makes what is missing. The most frequent trouble with the original is a file in the wrong place
//! (LESSONS A2).

mod coco;
mod cub;
mod folder;
mod oxford;
mod report;

pub use report::{CheckReport, Part, Status};

use crate::layouts::{self, Kind, Reading};
use std::path::Path;

/// Examines a folder of a stated kind, to be read as `how` says. Never fails: what cannot be read is reported as wrong. Pictures are not
/// opened.
#[must_use]
pub fn check(dir: &Path, kind: Kind, how: Reading) -> CheckReport {
    let mut parts = match kind {
        Kind::Cub => cub::parts(dir),
        Kind::Oxford => oxford::parts(dir),
        Kind::Coco => coco::parts(dir),
        Kind::Folder => folder::parts(dir),
    };
    let complete = parts.iter().all(Part::is_sound);
    match layouts::read(dir, kind, how) {
        Ok(dataset) if complete => return CheckReport::of(dir, kind, parts, Some(&dataset)),
        Err(error) if complete => parts.push(Part {
            path: ".".to_owned(),
            what: "the parts together",
            status: Status::Wrong { detail: error.reason(), remedy: error.remedy() },
        }),
        _ => {}
    }
    CheckReport::of(dir, kind, parts, None)
}
