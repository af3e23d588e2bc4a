//! `cargo xtask bench --device cuda`: this program on an NVIDIA GPU in each precision, beside
//! PyTorch in each of its modes (docs/bench/peer/gpu.py), one process after the other.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use xshell::{Shell, cmd};

use super::figures::{Figure, Kind, Pace};
use super::programs::{output, target_folder};
use super::sample;
use super::statistics::{Summary, summary};

/// The precisions of this program.
const PRECISIONS: [&str; 3] = ["f32", "tf32", "bf16"];
/// Default time limit of the peer for one figure in all of its modes, in seconds; compiling takes
/// minutes.
const PATIENCE: u32 = 900;

/// The result of one process for one figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    figure: String,
    program: &'static str,
    mode: String,
    /// Milliseconds per step, or per batch of pictures.
    ms: f64,
    /// MiB of GPU memory held.
    mib: Option<f64>,
}

impl Line {
    /// What a row of the table is of.
    fn key(&self) -> [&str; 3] {
        [&self.figure, self.program, &self.mode]
    }
}

/// The measurements and the programs' output.
pub(super) struct Measured {
    lines: Vec<Line>,
    /// Every line as the programs printed it.
    pub(super) said: Vec<Value>,
    /// The name of the GPU.
    pub(super) gpu: String,
}

/// Builds this program for GPUs and measures the figures whose names contain `only`. The peer is a
/// Python with torch, and its time limit for one figure in seconds.
pub(super) fn measure(
    root: &Path,
    only: Option<&str>,
    (python, patience): (Option<&Path>, Option<u32>),
    (pace, runs): (Pace, u32),
) -> Result<Measured> {
    let figures = Figure::on_gpu(only);
    if figures.is_empty() {
        bail!(
            "nothing to measure on a GPU: expected a part of a figure's name (docs/bench/README.md lists them)"
        );
    }
    let sh = Shell::new()?;
    sh.change_dir(root);
    let feature = "stackgan-cli/cuda";
    cmd!(sh, "cargo build --release --locked --workspace --features {feature} --example bench")
        .run()
        .context("a build for GPUs needs a CUDA toolkit: docs/gpu.md")?;
    let ours = target_folder(root).join("release/examples/bench");
    let script = root.join("docs/bench/peer/gpu.py");
    let mut all = Measured { lines: Vec::new(), said: Vec::new(), gpu: String::new() };
    if let Some(python) = python {
        let mut machine = Command::new(python);
        machine.arg(&script).args(["--figures", "machine"]);
        all.said.extend(objects(&output(machine)?));
    }
    for figure in figures {
        let name = figure.name();
        for run in 1..=runs {
            eprintln!("{name} {run}/{runs}");
            for precision in PRECISIONS {
                let mut command = Command::new(&ours);
                command.args(figure.arguments_on_gpu(pace));
                command.args(["--device", "cuda", "--precision", precision]);
                match output(command).and_then(|said| sample::last_object(&said)) {
                    Ok(said) => {
                        all.lines.push(line_of_ours(&name, precision, &said)?);
                        said["gpu"].as_str().unwrap_or_default().clone_into(&mut all.gpu);
                        all.said.push(json!({ "figure": name, "program": "ours", "said": said }));
                    }
                    Err(error) => {
                        // a failing figure must not prevent the others
                        eprintln!("{name} {precision}: {error:#}");
                        let error = format!("{error:#}");
                        let line = json!({ "figure": name, "program": "ours", "mode": precision, "error": error });
                        all.said.push(line);
                    }
                }
            }
            if let Some(python) = python {
                let mut command = Command::new(python);
                let part = name.trim_end_matches(figure.net).trim_end_matches('-');
                let seconds = if pace == Pace::Full { "2" } else { "0.2" };
                command.arg(&script).args(["--figures", part, "--recipe", figure.net]);
                let patience = patience.unwrap_or(PATIENCE).to_string();
                command.args(["--seconds", seconds, "--budget", &patience]);
                for said in objects(&output(command)?) {
                    all.lines.extend(line_of_peer(&said));
                    all.said.push(said);
                }
            }
        }
    }
    Ok(all)
}

/// The lines of an output that are JSON objects.
fn objects(output: &str) -> Vec<Value> {
    let values = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    values.filter(Value::is_object).collect()
}

fn line_of_ours(figure: &str, precision: &str, said: &Value) -> Result<Line> {
    let ms = sample::parse(&said.to_string(), "ms")?.value;
    let (figure, mode) = (figure.to_owned(), precision.to_owned());
    Ok(Line { figure, program: "ours", mode, ms, mib: said["gpu_mib"].as_f64() })
}

/// Parses a line of the peer; `None` for what was skipped or failed, which the record keeps
/// verbatim.
fn line_of_peer(said: &Value) -> Option<Line> {
    let text = |key: &str| Some(said.get(key)?.as_str()?.to_owned());
    let seconds = said.get("seconds")?.as_f64().filter(|s| s.is_finite() && *s > 0.0)?;
    Some(Line {
        figure: text("figure")?,
        program: "PyTorch",
        mode: text("mode")?,
        ms: seconds * 1e3,
        mib: said.get("reserved_mib").and_then(Value::as_f64),
    })
}

/// A row for each figure, program and mode, with the time relative to PyTorch's fastest mode.
pub(super) fn table(measured: &Measured) -> Result<String> {
    let mut rows: Vec<([&str; 3], Summary, Vec<f64>)> = Vec::new();
    for line in &measured.lines {
        let key = line.key();
        if rows.iter().any(|(known, ..)| *known == key) {
            continue;
        }
        let runs = || measured.lines.iter().filter(move |run| run.key() == key);
        let times: Vec<f64> = runs().map(|run| run.ms).collect();
        let mib = runs().filter_map(|run| run.mib).collect();
        rows.push((key, summary(&times)?, mib));
    }
    let best = |figure: &str| {
        let theirs = rows.iter().filter(|([f, p, _], ..)| *f == figure && *p == "PyTorch");
        theirs.map(|(_, s, _)| s.median).min_by(f64::total_cmp)
    };
    let mut text = "| figure | program | mode | ms | over PyTorch's best | MiB of the GPU |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    for ([figure, program, mode], s, mib) in &rows {
        let dash = || "–".to_owned();
        let ratio = best(figure).map_or_else(dash, |best| format!("{:.2}", s.median / best));
        let mib = summary(mib).map_or_else(|_| dash(), |mib| format!("{:.0}", mib.median));
        text += &format!(
            "| {figure} | {program} | {mode} | {:.2} ({:.2} to {:.2}) | {ratio} | {mib} |\n",
            s.median, s.least, s.most
        );
    }
    Ok(text)
}

impl Figure {
    /// The GPU figures whose names contain `only`.
    fn on_gpu(only: Option<&str>) -> Vec<Self> {
        let kinds = [
            Kind::Step { stage: 1, batch: 64 },
            Kind::Step { stage: 2, batch: 16 },
            Kind::Step { stage: 2, batch: 64 },
            Kind::Paint { count: 64 },
        ];
        let all = ["residual", "plain"];
        let all = all.iter().flat_map(|net| kinds.map(|kind| Self { kind, net }));
        all.filter(|figure| only.is_none_or(|only| figure.name().contains(only))).collect()
    }

    /// The arguments of the example. A round on a GPU is several steps.
    fn arguments_on_gpu(&self, pace: Pace) -> Vec<String> {
        let mut arguments = self.arguments(pace).unwrap_or_default();
        if let Some(timed) = arguments.last_mut().filter(|_| pace == Pace::Full) {
            "5".clone_into(timed);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_gpu_and_how_they_are_asked_for() {
        assert_eq!(Figure::on_gpu(None).len(), 8);
        let residual = Figure::on_gpu(Some("residual"));
        let names: Vec<String> = residual.iter().map(Figure::name).collect();
        assert_eq!(
            names,
            [
                "stage1-b64-residual",
                "stage2-b16-residual",
                "stage2-b64-residual",
                "paint-64-residual"
            ]
        );
        let asked: Vec<String> =
            residual.iter().map(|f| f.arguments_on_gpu(Pace::Full).join(" ")).collect();
        assert_eq!(asked[0], "step residual 1 64 5");
        assert_eq!(asked[3], "paint residual 64 5");
        assert!(residual[1].arguments_on_gpu(Pace::Quick).join(" ").ends_with(" 16 1"));
    }

    #[test]
    fn lines_become_rows_and_errors_stay_words() -> Result<()> {
        let ours = |ms: f64| json!({ "ms": [ms, ms, ms], "threads": 2, "gpu_mib": 900 });
        let theirs = |mode: &str, seconds: f64| json!({ "figure": "paint-64-plain", "mode": mode, "seconds": seconds, "reserved_mib": 800 });
        let mut lines = vec![
            line_of_ours("paint-64-plain", "bf16", &ours(20.0))?,
            line_of_ours("paint-64-plain", "bf16", &ours(30.0))?,
        ];
        lines.extend(line_of_peer(&theirs("eager-tf32", 0.1)));
        lines.extend(line_of_peer(&theirs("compile-bf16", 0.05)));
        let failed = json!({ "figure": "x", "mode": "compile-tf32", "error": "no" });
        assert_eq!(line_of_peer(&failed), None);
        let table = table(&Measured { lines, said: Vec::new(), gpu: String::new() })?;
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| paint-64-plain | ours | bf16 | 25.00 (20.00 to 30.00) | 0.50 | 900 |",
                "| paint-64-plain | PyTorch | eager-tf32 | 100.00 (100.00 to 100.00) | 2.00 | 800 |",
                "| paint-64-plain | PyTorch | compile-bf16 | 50.00 (50.00 to 50.00) | 1.00 | 800 |",
            ]
        );
        assert_eq!(objects("a\n{\"b\": 1}\n[1]\n").len(), 1);
        Ok(())
    }
}
