//! `cargo xtask bench`: the times that users wait for, measured for this program and for PyTorch in
//! turns on the same machine, beside the machine's limits.
//!
//! What each figure means: docs/bench/README.md.

mod curves;
mod figures;
mod gpu;
mod machine;
mod programs;
mod record;
mod sample;
mod statistics;
mod work;

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use self::figures::{Figure, Pace};
use self::machine::machine;
use self::programs::{LAYOUTS, Programs};
use self::record::{Measured, facts, keep, raw, table};
use crate::flags::{Bench, Where};

/// Measures, prints the table and writes a record: a full one to docs/bench/, a quick one to
/// target/bench/.
pub(crate) fn bench(root: &Path, options: &Bench) -> Result<()> {
    let pace = if options.quick { Pace::Quick } else { Pace::Full };
    if options.curves {
        return draw_curves(root, options, pace);
    }
    let runs = options.runs.unwrap_or(if options.quick { 2 } else { 5 });
    if on_gpu(options) && runs > 0 {
        return bench_gpu(root, options, (pace, runs));
    }
    let chosen = Figure::choose(options.only.as_deref());
    if chosen.is_empty() || runs == 0 {
        bail!(
            "nothing to measure: expected a part of a figure's name and at least one run (docs/bench/README.md lists them)"
        );
    }
    let programs = Programs::prepare(root, options.peer.clone())?;
    let machine = machine(root)?;
    let mut about = machine.facts.clone();
    about["command"] = command(options).into();
    about["runs"] = runs.into();
    about["peer"] = programs.peer_versions()?.unwrap_or(Value::Null);

    let (mut peaks, mut measured) = (Vec::new(), Vec::new());
    for figure in chosen {
        peaks.push(programs.peak()?);
        let mut m = Measured::new(figure);
        for run in 1..=runs {
            eprint!("\r{:24} {run}/{runs} ", figure.name());
            m.ours.push(programs.measure_ours(&figure, pace)?);
            for (layout, of) in LAYOUTS.iter().zip(&mut m.peer) {
                of.extend(programs.measure_peer(&figure, layout, pace)?);
            }
        }
        let ratio =
            m.ratio().map_or_else(String::new, |s| format!("ours / PyTorch {:.2}", s.median));
        eprintln!("{ratio}");
        measured.push(m);
    }
    let table = table(&measured, &peaks)?;
    println!("\n{table}");

    let all = raw(&measured, &peaks, &about);
    keep(root, (pace, &machine.folder()), &all, page(&about, &table)?)
}

fn draw_curves(root: &Path, options: &Bench, pace: Pace) -> Result<()> {
    let runs = options.runs.unwrap_or(if options.quick { 1 } else { 3 });
    if on_gpu(options) || options.peer.is_some() || options.only.is_some() || runs == 0 {
        bail!(
            "curves are of ours on the CPU: expected --runs above 0 or --quick alone beside --curves"
        );
    }
    curves::curves(root, command(options), (pace, runs))
}

/// Runs the benchmark on a GPU.
fn bench_gpu(root: &Path, options: &Bench, (pace, runs): (Pace, u32)) -> Result<()> {
    let machine = machine(root)?;
    let peer = (options.peer.as_deref(), options.patience);
    let measured = gpu::measure(root, options.only.as_deref(), peer, (pace, runs))?;
    let mut about = machine.facts.clone();
    about["command"] = command(options).into();
    about["runs"] = runs.into();
    about["gpu"] = measured.gpu.clone().into();
    let table = gpu::table(&measured)?;
    println!("\n{table}");
    let all = json!({ "about": about, "lines": measured.said });
    keep(root, (pace, &machine.folder_of(&measured.gpu)), &all, page(&about, &table)?)
}

fn on_gpu(options: &Bench) -> bool {
    options.device == Some(Where::Gpu)
}

/// The command without paths of this machine.
fn command(options: &Bench) -> String {
    let mut words = vec!["cargo xtask bench".to_owned()];
    words.extend(on_gpu(options).then(|| "--device cuda".to_owned()));
    words.extend(options.peer.is_some().then(|| "--peer PYTHON".to_owned()));
    words.extend(options.patience.map(|seconds| format!("--patience {seconds}")));
    words.extend(options.runs.map(|n| format!("--runs {n}")));
    words.extend(options.only.as_ref().map(|name| format!("--only {name}")));
    words.extend(options.curves.then(|| "--curves".to_owned()));
    words.extend(options.quick.then(|| "--quick".to_owned()));
    words.join(" ")
}

fn page(about: &Value, table: &str) -> Result<String> {
    let facts = facts(about)?;
    Ok(format!(
        "# A record of `cargo xtask bench`\n\n{facts}\nMachines are noisy: medians over the runs, in brackets the least and the \
         most. Ours and PyTorch were run in turns, so the ratios say more than the times. What the figures are: \
         [../README.md](../README.md). Every number: [raw.json](raw.json).\n\n{table}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_repeats_the_command_without_paths() -> Result<()> {
        let options = Bench {
            device: None,
            peer: Some("somewhere/python".into()),
            patience: None,
            runs: Some(7),
            only: Some("paint".to_owned()),
            curves: false,
            quick: false,
        };
        let command = command(&options);
        assert_eq!(command, "cargo xtask bench --peer PYTHON --runs 7 --only paint");
        let gpu = Bench { device: Some(Where::Gpu), peer: None, ..options };
        assert!(super::command(&gpu).starts_with("cargo xtask bench --device cuda --runs 7"));
        let curves =
            Bench { curves: true, quick: true, device: None, only: None, runs: None, ..gpu };
        assert_eq!(super::command(&curves), "cargo xtask bench --curves --quick");
        let refused = bench(Path::new("nowhere"), &Bench { runs: Some(0), ..curves });
        assert!(refused.unwrap_err().to_string().contains("--curves"));
        let page = page(&json!({ "command": command, "runs": 7, "peer": null }), "| a |\n")?;
        assert!(page.contains("- runs: 7\n") && page.ends_with("| a |\n"), "{page}");
        assert!(!page.contains("peer:"), "{page}");
        Ok(())
    }
}
