//! `stackgan eval`: paints or reads pictures and measures them. Every value is printed with the
//! conditions of its measurement.

use std::path::Path;

use anyhow::{Result, ensure};
use serde::{Serialize, Serializer};
use stackgan_eval::report::{self, Measured};

use crate::args::Eval;
use crate::context::Context;
use crate::datasets;
use crate::exit::Exit;
use crate::measuring::{Found, measured};
use crate::models::file_of;
use crate::output::{Answer, Form, aligned, apart, check_writable, outside, spare, write_file};

/// Measures, prints, and checks the gates.
pub(super) fn run(args: &Eval, context: &Context) -> Result<Exit> {
    check_places(args)?;
    let found = measured(args, context)?;
    Form::from(args.json).show(&Numbers(&found))?;
    found.notes().iter().for_each(|note| context.manner.say(format!("warning: {note}")));
    if let Some(out) = &args.out {
        write_file(out, (serde_json::to_string_pretty(&found.document)? + "\n").as_bytes())?;
    }
    gate(args, &found.measures, context)
}

/// Checks, before anything is painted, that the results can be written and replace nothing that is
/// read.
fn check_places(args: &Eval) -> Result<()> {
    let written = [("--out", args.out.as_deref()), ("--save-stats", args.save_stats.as_deref())];
    let model = args.model.as_deref().map(file_of);
    let features = args.features.as_deref().map(Path::new);
    let files = [&args.judge, &args.stats, &args.painting.embeddings].map(Option::as_deref);
    let data = args.data.as_deref();
    // Of a folder, what was made of it is read.
    let made = data.map(|data| (datasets::files(data), datasets::embeddings_of(data)));
    let (prepared, beside) = made.unwrap_or_default();
    let mut read = vec![model.as_deref(), features, data];
    read.extend(prepared.iter().chain(&beside).map(|file| Some(file.as_path())).chain(files));
    apart(&read, &written)?;
    for (option, file) in written {
        let Some(file) = file else { continue };
        spare((option, file), &[])?;
        data.map(|data| outside(data, (option, file))).transpose()?;
        check_writable(file)?;
    }
    Ok(())
}

/// What was measured: the document, or a table below what it is about.
struct Numbers<'a>(&'a Found);

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.document.serialize(to)
    }
}

impl Answer for Numbers<'_> {
    fn lines(&self) -> Vec<String> {
        let table = aligned(&report::table(&self.0.measures));
        self.0.head.iter().cloned().chain(table).collect()
    }
}

fn gate(args: &Eval, measures: &[Measured], context: &Context) -> Result<Exit> {
    let most = strictest([args.max_fid, args.max_fd]);
    let Some(distance) = measures.iter().find(|m| m.key == "fid") else {
        ensure!(
            most.is_none(),
            "the gate has no number: the Fréchet distance could not be measured"
        );
        return Ok(Exit::Done);
    };
    if passes(distance.value, most) {
        return Ok(Exit::Done);
    }
    let span = distance.interval.map(|i| format!(" ({:.2} to {:.2})", i.low, i.high));
    context.manner.say(format!(
        "gate: {} is {:.4}{}, above {}",
        distance.name,
        distance.value,
        span.unwrap_or_default(),
        most.unwrap_or_default()
    ));
    Ok(Exit::Gate)
}

/// The gate that decides, if any: to pass the lowest is to pass all.
fn strictest(gates: [Option<f64>; 2]) -> Option<f64> {
    gates.into_iter().flatten().reduce(f64::min)
}

/// Whether a value passes a gate; NaN does not.
fn passes(value: f64, most: Option<f64>) -> bool {
    most.is_none_or(|most| value <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_gates_both_count() {
        for gates in [[Some(3.0), Some(7.0)], [Some(7.0), Some(3.0)], [None, Some(3.0)]] {
            assert!(passes(3.0, strictest(gates)) && !passes(5.0, strictest(gates)));
        }
        assert!(passes(9.0, strictest([None, None])) && !passes(f64::NAN, Some(3.0)));
    }
}
