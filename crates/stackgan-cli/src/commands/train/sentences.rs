//! `train --sample-captions`: sentences of one's own in the grids of a run, below the dataset's. They
//! are kept in the run's folder, so that a run that goes on shows them again.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;
use stackgan_core::text::TextEncoder;
use stackgan_data::counted;
use stackgan_train::Shown;
use stackgan_train::run_files::RunFiles;

use super::reading::Text;
use crate::args::Train;
use crate::captions::{self, Blank};
use crate::exit::Problem;
use crate::output::{beginning, path_text};
use crate::progress::Manner;

/// Most sentences of a run: as many as a grid has rows of the dataset's captions.
const MOST: usize = 8;
/// Number of characters of a sentence that are shown in a warning.
const NAMED: usize = 60;

/// What a plan says of a run's sentences.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PlannedSentences {
    file: String,
    count: usize,
}

impl PlannedSentences {
    /// A line for a person.
    pub(super) fn line(&self) -> String {
        let Self { file, count } = self;
        format!("grids      with {} of {file}", counted(*count, "sentence"))
    }
}

/// The sentences of a run, if it has any, and the file that they are from.
#[derive(Default)]
pub(super) struct Sentences {
    file: PathBuf,
    said: Vec<String>,
}

impl Sentences {
    /// Reads the option's file; without the option, what a run that goes on showed before.
    ///
    /// # Errors
    /// Code 2 for too many, 3 if the file has none or cannot be read, 4 if it does not exist.
    pub(super) fn of(args: &Train, resumed: Option<&Path>, manner: Manner) -> Result<Self> {
        let kept = resumed.map(|run| RunFiles::of(run).sentences()).filter(|file| file.is_file());
        let Some(file) = args.sample_captions.clone().or(kept) else { return Ok(Self::default()) };
        let (blank, mut said) = (Cell::new(0), Vec::new());
        for captions in captions::of(&[], Some(&file), MOST, Blank::Counted(&blank))? {
            said.extend(captions?);
            if said.len() > MOST {
                break; // a pipe may have no end
            }
        }
        if said.len() > MOST {
            let place = format!("file: {}", file.display());
            let parts = (format!("at most {MOST} for `--sample-captions`"), "more");
            let remedy = "leave the others out: each is a row of pictures of every grid";
            let what = "too many sentences for the grids of a run";
            return Err(Problem::usage(what, place, parts, remedy).into());
        }
        if let Some(skipped) = captions::skipped(Some(&file), &blank) {
            manner.say(skipped);
        }
        Ok(Self { file, said })
    }

    /// Number of sentences.
    pub(super) fn len(&self) -> usize {
        self.said.len()
    }

    /// What a plan says of them, if there are any.
    pub(super) fn planned(&self) -> Option<PlannedSentences> {
        let count = Some(self.len()).filter(|count| *count > 0)?;
        Some(PlannedSentences { file: path_text(&self.file), count })
    }

    /// Checks that the run has an encoder that reads them.
    ///
    /// # Errors
    /// Code 4 for a run on imported embeddings.
    pub(super) fn check(&self, text: &Text) -> Result<()> {
        let Text::Imported(embeddings) = text else { return Ok(()) };
        if self.said.is_empty() {
            return Ok(());
        }
        let place = format!("file: {}", self.file.display());
        let embeddings = embeddings.display();
        let expected = format!("an encoder in place of the embeddings {embeddings}");
        let remedy = "train with the encoder that made the embeddings: `--encoder ENCODER`; or leave \
                      `--sample-captions` out, and remove the file if it is the run's own";
        let what = "there is no text encoder that reads the sentences for the grids";
        Err(Problem::missing(what, place, expected, remedy).into())
    }

    /// Reads them with the encoder of the run's captions, and says what it does not read.
    ///
    /// # Errors
    /// Errors of the encoder.
    pub(super) fn shown(&self, encoder: &dyn TextEncoder, manner: Manner) -> Result<Option<Shown>> {
        if self.said.is_empty() {
            return Ok(None);
        }
        let unread = self.said.iter().filter_map(|said| Some((said, encoder.unread(said)?)));
        for (said, unread) in unread {
            manner.say(format!("warning: `{}`: {unread}", beginning(said, NAMED)));
        }
        Ok(Some(Shown::encoded(encoder, self.said.clone())?))
    }
}
