//! `cargo xtask bench --curves`: time and memory of one training step against batch, width and
//! threads. Writes a record, the tables in docs/performance.md, and the drawings beside it.

mod draw;
mod drawings;
mod measured;
mod page;
mod plan;

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use self::measured::Measured;
use super::figures::Pace;
use super::machine::machine;
use super::programs::Programs;
use super::record::{facts, keep};

/// Measures all points `runs` times, writes the record, the drawings and the page.
pub(super) fn curves(root: &Path, command: String, (pace, runs): (Pace, u32)) -> Result<()> {
    let programs = Programs::prepare(root, None)?;
    let machine = machine(root)?;
    let mut about = machine.facts.clone();
    about["command"] = command.into();
    about["date"] = machine.date.clone().into();
    about["runs"] = runs.into();
    let lines = plan::lines(pace, machine.cores as u64);
    let mut measured = Measured::default();
    for run in 1..=runs {
        measured.peaks.push(programs.peak()?);
        for line in &lines {
            for (x, point) in &line.points {
                let taken = measured.runs.get(point).map_or(0, Vec::len);
                if taken >= run as usize || measured.left_out.contains_key(point) {
                    continue; // also on another line
                }
                if let Some(need) = measured.too_much(pace, line, *x) {
                    measured.left_out.insert(*point, need);
                    continue;
                }
                let sample = programs.step(&point.arguments(pace), point.threads)?;
                let (ms, mib) = (sample.value, sample.peak_rss_mib.unwrap_or(0.0));
                eprintln!("{:36} {run}/{runs} {ms:9.1} ms {mib:8.0} MiB", point.name());
                measured.runs.entry(*point).or_default().push(sample);
            }
        }
        measured.peaks.push(programs.peak()?);
    }
    drawings::write(root, &lines, &measured)?;
    let text = page::tables(&about, &lines, &measured);
    page::write(root, &text)?;
    keep(
        root,
        (Pace::Full, &format!("{}-curves", machine.folder())),
        &measured.raw(&about),
        record_page(&about, &text)?,
    )
}

fn record_page(about: &Value, tables: &str) -> Result<String> {
    Ok(format!(
        "# A record of `cargo xtask bench --curves`\n\n{}\nWhat it means: [../../performance.md](../../performance.md). Every number: \
         [raw.json](raw.json).\n\n{tables}",
        facts(about)?
    ))
}
