//! `demo.json`: what a demo was asked for, and which of its parts are done.
//!
//! A part is noted when everything that it leaves behind is whole. So one that is not noted goes on
//! from what lies in the folder, or begins.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use stackgan_core::Stage;
use stackgan_data::formats::read_bounded;
use stackgan_train::estimate::Plan;
use stackgan_train::store::write_atomically;

use super::wanted::Wanted;
use crate::exit::Problem;
use crate::version::VERSION;

/// The name of the file.
pub(super) const FILE: &str = "demo.json";
/// Maximum size of the file in bytes.
const LARGEST: u64 = 1 << 20;
/// Largest share of a demo's time that drawing and preparing count for: on a busy machine, training
/// still gets the rest.
const MOST_DRAWING: f64 = 0.4;

/// A part of a demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Part {
    /// Birds are drawn and prepared.
    Birds,
    /// The text encoder is trained and encodes the captions.
    Words,
    /// Stage-I is trained.
    Stage1,
    /// Stage-II is trained.
    Stage2,
    /// Sheets are painted.
    Sheets,
    /// Pictures and encoder are scored.
    Scores,
}

impl From<Stage> for Part {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::One => Self::Stage1,
            Stage::Two => Self::Stage2,
        }
    }
}

/// A part that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Took {
    /// The part.
    pub part: Part,
    /// What was done, for a person.
    pub what: String,
    /// How long it took in seconds, without what was lost by a kill.
    pub seconds: f64,
}

/// What was measured, for the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Scores {
    /// The table of scores; the first row is the header.
    pub table: Vec<Vec<String>>,
    /// The encoder's scores on real pictures of unseen species.
    pub encoder: Option<String>,
}

/// The contents of `demo.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Notes {
    /// What was asked for.
    pub wanted: Wanted,
    /// The version of the program that began.
    version: String,
    /// How often the demo was started.
    pub sittings: u64,
    /// The parts that are done.
    pub took: Vec<Took>,
    /// How long Stage-I and Stage-II train, once that was measured.
    pub plans: [Option<Plan>; 2],
    /// What was measured.
    pub scores: Option<Scores>,
}

impl Notes {
    /// Those of a demo that begins.
    pub(super) fn new(wanted: Wanted) -> Self {
        let version = VERSION.to_owned();
        Self { wanted, version, sittings: 0, took: Vec::new(), plans: [None; 2], scores: None }
    }

    /// Reads those of the demo in a folder; `None` if none has begun there.
    ///
    /// # Errors
    /// Code 3 if they cannot be read: nothing is begun over a demo that is there.
    pub(super) fn find(folder: &Path) -> Result<Option<Self>> {
        let file = folder.join(FILE);
        if file.symlink_metadata().is_err() {
            return Ok(None); // whatever else is wrong there shows when the folder is taken
        }
        let damaged = |found: String| {
            let what = "the demo's record is damaged";
            let remedy = "restore it from a copy, or name another folder with `--out`";
            Problem::data(what, &file, ("what the demo was asked for", found), remedy)
        };
        let bytes = read_bounded(&file, LARGEST)?;
        let notes: Self = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
        if notes.is_possible() {
            return Ok(Some(notes));
        }
        Err(damaged("times that cannot be".to_owned()).into())
    }

    fn is_possible(&self) -> bool {
        let mut times = self.took.iter().map(|took| took.seconds);
        self.wanted.is_possible()
            && times.all(|seconds| seconds.is_finite() && seconds >= 0.0)
            && self.plans.iter().flatten().all(Plan::is_possible)
    }

    /// Writes them into a folder.
    ///
    /// # Errors
    /// When the storage refuses.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(write_atomically(&folder.join(FILE), text.as_bytes())?)
    }

    /// Whether a part is done.
    pub(super) fn has(&self, part: Part) -> bool {
        self.took.iter().any(|took| took.part == part)
    }

    /// The seconds that parts took, in all.
    pub(super) fn seconds(&self) -> f64 {
        self.took.iter().map(|took| took.seconds).sum()
    }

    /// The seconds for a part that trains: its share of what the parts before it left.
    pub(super) fn share(&self, part: Part) -> f64 {
        let all = self.wanted.scale().seconds;
        let counted = |took: &Took| match took.part {
            Part::Birds => took.seconds.min(MOST_DRAWING * all),
            _ => took.seconds,
        };
        let before = self.took.iter().take_while(|took| took.part != part);
        let left = all - before.map(counted).sum::<f64>();
        let share = match part {
            Part::Words => 0.27,
            Part::Stage1 => 0.64,
            _ => 1.0,
        };
        (share * left).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wanted::Extent;
    use super::*;
    use stackgan_train::estimate::Pace;

    fn notes() -> Notes {
        Notes::new(Wanted { extent: Extent::Minutes(10.0), seed: 7 })
    }

    fn took(part: Part, seconds: f64) -> Took {
        Took { part, what: "done".to_owned(), seconds }
    }

    #[test]
    fn each_part_has_its_share_of_what_is_left() {
        let mut notes = notes();
        notes.took.push(took(Part::Birds, 100.0));
        assert!((notes.share(Part::Words) - 0.27 * 500.0).abs() < 1e-9);
        notes.took.push(took(Part::Words, 140.0));
        assert!((notes.share(Part::Stage1) - 0.64 * 360.0).abs() < 1e-9);
        notes.took.push(took(Part::Stage1, 400.0));
        assert_eq!(notes.share(Part::Stage2), 1.0, "never nothing");
        assert!((notes.share(Part::Words) - 0.27 * 500.0).abs() < 1e-9, "whatever came later");
        notes.took[0].seconds = 1000.0;
        assert!((notes.share(Part::Words) - 0.27 * 360.0).abs() < 1e-9, "drawing took long");
    }

    #[test]
    fn notes_are_read_as_written_and_damaged_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Notes::find(dir.path()).unwrap(), None);
        let mut all = notes();
        all.sittings = 2;
        all.took.push(took(Part::Birds, 1.5));
        all.plans[0] =
            Some(Plan { seconds: 99.5, pace: Pace { step: 0.25, grid: 1.0, save: 0.5 } });
        all.scores = Some(Scores { table: vec![vec!["a".to_owned()]], encoder: None });
        all.write(dir.path()).unwrap();
        assert_eq!(Notes::find(dir.path()).unwrap(), Some(all.clone()));
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        for (old, new) in [
            ("1.5", "-1.5"),
            ("10.0", "0.0"),
            ("10.0", "1e999"),
            ("99.5", "-1"),
            ("0.25", "0"),
            ("birds", "fish"),
            ("\"seed\"", "\"need\""),
        ] {
            let changed = text.replace(old, new);
            assert_ne!(changed, text);
            std::fs::write(dir.path().join(FILE), changed).unwrap();
            let error = Notes::find(dir.path()).unwrap_err();
            assert_eq!(crate::exit::code(&error), crate::exit::Exit::Data, "{new}: {error}");
        }
        for cut in 0..text.trim_end().len() {
            std::fs::write(dir.path().join(FILE), &text[..cut]).unwrap();
            assert!(Notes::find(dir.path()).is_err(), "{cut}");
        }
    }
}
