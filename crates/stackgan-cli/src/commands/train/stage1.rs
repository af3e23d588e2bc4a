//! The Stage-I model of a Stage-II run: named, found, or kept in the folder of a run that goes on.

use std::path::Path;

use anyhow::Result;
use stackgan_core::Model;
use stackgan_core::text::short_fingerprint;

use super::preset::{newest_stage1, run_of};
use crate::context::Context;
use crate::exit::Problem;
use crate::models::load;
use crate::output::quoted;
use crate::run::{RUNS, Record, lasting};

/// Returns the Stage-I model of a Stage-II run: the one `kept` in its folder, the given one, or the
/// newest finished one of the preset on the given data. Records which one it is and, unless data were
/// given, that the run uses its data.
///
/// # Errors
/// Code 4, with the command that makes one, or with the options for data that are gone.
pub(super) fn find(wanted: &mut Record, kept: Option<&Path>, context: &Context) -> Result<Model> {
    let model = match (&wanted.stage1, kept) {
        (Some(model), _) => model.clone(),
        (None, Some(kept)) => lasting(kept),
        (None, None) => {
            let newest = newest_stage1(Some(&wanted.preset), wanted.data.as_deref());
            lasting(&newest.ok_or_else(|| missing(wanted))?)
        }
    };
    let loaded = load(kept.unwrap_or(&model), context)?.model;
    if wanted.data.is_none()
        && let Some(run) = run_of(&model)
        && let Some(data) = Record::read(run).and_then(|record| record.data)
    {
        if !data.exists() {
            return Err(data_gone(&data, run, wanted.stage1.is_some()).into());
        }
        wanted.data = Some(data);
    }
    if wanted.encoder.is_none()
        && wanted.embeddings.is_none()
        && loaded.encoder().is_none()
        && let Some(low) = run_of(&model).and_then(Record::read)
        && low.data == wanted.data
    {
        // Those of its training, wherever they are. Other data have embeddings of their own.
        wanted.embeddings = low.embeddings.filter(|file| file.is_file());
    }
    wanted.stage1 = Some(model); // a resumed run must not take a newer one
    Ok(loaded)
}

/// The data of a Stage-I run are gone. Unless it was `named`, it is no longer found by its data.
fn data_gone(data: &Path, run: &Path, named: bool) -> Problem {
    let place = format!("path: {}", data.display());
    let expected = format!("what {} says of that run", Record::file(run).display());
    let stage1 = if named { String::new() } else { format!("--stage1 {} ", quoted(run)) };
    let remedy = format!("if they were moved, name their new place: `{stage1}--data PATH`");
    Problem::missing("the data of the Stage-I run are gone", place, expected, remedy)
}

fn missing(wanted: &Record) -> Problem {
    let preset = &wanted.preset;
    let (on, option) = wanted.data.as_deref().map_or_else(Default::default, |data| {
        (format!(" on {}", data.display()), format!(" --data {}", quoted(data)))
    });
    let expected = format!("a finished run of {preset}, Stage-I{on}");
    let other = newest_stage1(Some(preset), None);
    let named = match &other {
        Some(run) => format!(
            "if {} is of these pictures, name it: `--stage1 {}`",
            run.display(),
            quoted(run)
        ),
        None => "or name one: `--stage1 MODEL`".to_owned(),
    };
    let remedy =
        format!("train it first: `stackgan train --stage 1 --preset {preset}{option}`; {named}");
    Problem::missing("there is no Stage-I model", format!("folder: {RUNS}"), expected, remedy)
}

/// Checks that embeddings come from the encoder that a Stage-I model was trained with, if the model
/// knows it.
pub(super) fn belongs(stage1: &Model, encoder: &str) -> Result<()> {
    let trained = stage1.encoder_fingerprint();
    if trained.is_empty() || trained == encoder {
        return Ok(());
    }
    let named = |print: &str| format!("embeddings of encoder {}", short_fingerprint(print));
    let parts = (named(trained), named(encoder));
    let remedy = match &stage1.info().encoder_source {
        Some(source) => format!("give `--encoder {}`", source.escape_debug()),
        None => "train both stages with the same encoder or the same embeddings".to_owned(),
    };
    let what = "the Stage-I model was trained with other embeddings";
    Err(Problem::usage(what, "option: --stage1", parts, remedy).into())
}
