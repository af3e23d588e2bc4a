//! `cargo xtask fetch-cub | fetch-oxford | fetch-coco`: fetches a dataset with `stackgan-data` and
//! imports it with the program.

use std::fmt;
use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use stackgan_data::fetch::manifest::Set;
use stackgan_data::fetch::{self, Event, From, Patience, Request, bytes};
use xshell::{Shell, cmd};

/// Interval of progress lines where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// The options of the command.
pub(crate) struct Options {
    /// The dataset's folder; `data/SET` by default.
    pub(crate) into: Option<PathBuf>,
    /// A mirror.
    pub(crate) from: Option<String>,
    /// Fetch nothing, and verify what is present.
    pub(crate) verify: bool,
}

/// Fetches a dataset into a folder of the repository and imports it.
pub(crate) fn fetch(root: &Path, set: &Set<'_>, options: &Options) -> Result<()> {
    let into = match &options.into {
        Some(into) => std::path::absolute(into).context("no such folder can be named")?,
        None => root.join("data").join(set.name),
    };
    let mut shown = Shown::default();
    if options.verify {
        let lines = fetch::verify(set, &into, &mut |event| shown.on(event))?;
        lines.iter().for_each(|line| println!("{line}"));
        return Ok(());
    }
    let from = options.from.as_deref().map(From::parse).transpose()?;
    let patience = Patience::default();
    let request = Request { set, into: &into, from: from.as_ref(), patience };
    let report = fetch::fetch(&request, &mut |event| shown.on(event))?;
    drop(shown);
    let (title, folder) = (set.title, into.display());
    if !report.by_hand.is_empty() {
        eprintln!("\nA browser is needed for these: a program is not let in.\n");
        report.by_hand.iter().for_each(|file| eprintln!("{file}\n"));
        let names: Vec<String> = report.by_hand.into_iter().map(|file| file.name).collect();
        return Err(stackgan_data::Error::Missing {
            what: format!("{title} is not complete yet"),
            file: into,
            expected: names.join(", "),
            remedy: "save the files in that folder, then run this again".to_owned(),
        }
        .into());
    }
    let (found, whole) = report.pictures;
    if found < whole {
        println!("{folder}: a subset of {title}: {found} of {whole} pictures");
    } else {
        println!("{folder}: {title}, whole: {found} pictures");
    }
    let sh = Shell::new()?;
    sh.change_dir(root);
    let kind = set.kind.name();
    // In release mode, which training will use too: it is built once for both.
    let import =
        cmd!(sh, "cargo run --quiet --release -p stackgan-cli -- data import {into} --kind {kind}");
    let status = std::process::Command::from(import).status().context("cargo does not start")?;
    if !status.success() {
        return Err(NotImported(status.code()).into());
    }
    let name = set.name;
    let program = "cargo run --release -p stackgan-cli --";
    println!("next: {program} text train --data {folder} --out encoder.safetensors");
    println!(
        "then: {program} train --stage 1 --preset {name} --data {folder} --encoder encoder.safetensors"
    );
    Ok(())
}

/// The program failed with this exit code, after printing the error.
#[derive(Debug)]
pub(crate) struct NotImported(pub(crate) Option<i32>);

impl fmt::Display for NotImported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the set was fetched, but not imported: the reason stands above")
    }
}

impl std::error::Error for NotImported {}

/// Displays events: bars on a terminal, occasional lines elsewhere.
#[derive(Default)]
pub(crate) struct Shown {
    phase: Option<Phase>,
}

/// An activity with a known or unknown length.
struct Phase {
    name: String,
    total: Option<u64>,
    bar: Option<ProgressBar>,
    started: Instant,
    first: Option<u64>,
    said: Instant,
}

impl Shown {
    pub(crate) fn on(&mut self, event: &Event) {
        match (event, &mut self.phase) {
            (Event::Begin { doing, file, total }, _) => {
                self.clear();
                self.phase = Some(Phase::new(format!("{} {file}", doing.word()), *total));
            }
            (Event::At(done), Some(phase)) => phase.at(*done),
            (Event::End(said), Some(phase)) => {
                let name = phase.name.clone();
                self.clear();
                eprintln!("{name}: {said}");
            }
            (Event::Note(note), Some(Phase { bar: Some(bar), .. })) => {
                bar.suspend(|| eprintln!("{note}"));
            }
            (Event::Note(note), _) => eprintln!("{note}"),
            (Event::At(_) | Event::End(_), None) => {}
        }
    }

    fn clear(&mut self) {
        if let Some(Phase { bar: Some(bar), .. }) = self.phase.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.clear(); // an error must not be printed into the bar
    }
}

impl Phase {
    fn new(name: String, total: Option<u64>) -> Self {
        let now = Instant::now();
        let bar = stderr().is_terminal().then(|| bar(&name, total));
        if bar.is_none() {
            let size = total.map(|total| format!(" ({})", bytes(total))).unwrap_or_default();
            eprintln!("{name}{size} …");
        }
        Self { name, total, bar, started: now, first: None, said: now }
    }

    fn at(&mut self, done: u64) {
        let is_first = self.first.is_none();
        let first = *self.first.get_or_insert(done);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            if is_first {
                bar.tick(); // the estimate must know the position before it begins anew
                bar.reset_eta(); // existing bytes do not count as speed
            }
        } else if self.said.elapsed() >= LINE_EVERY {
            self.said = Instant::now();
            eprintln!("{}", self.line(first, done));
        }
    }

    fn line(&self, first: u64, done: u64) -> String {
        let speed = done.saturating_sub(first) as f64 / self.started.elapsed().as_secs_f64();
        let (name, here) = (&self.name, bytes(done));
        match self.total {
            Some(total) if speed > 0.0 => {
                let left = total.saturating_sub(done) as f64 / speed;
                let speed = bytes(speed as u64);
                format!("{name}: {here} of {}, {speed}/s, {left:.0} s left", bytes(total))
            }
            _ => format!("{name}: {here}"),
        }
    }
}

fn bar(name: &str, total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => {
            format!("{name}  {{bar:24}} {{bytes}}/{{total_bytes}}  {{bytes_per_sec}}  eta {{eta}}")
        }
        None => format!("{{spinner}} {name}  {{bytes}}  {{elapsed}}"),
    };
    let style = ProgressStyle::with_template(&template);
    let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let mut phase = Phase::new("downloading x".to_owned(), Some(3_000_000));
        phase.started = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let line = phase.line(1_000_000, 2_000_000);
        assert!(line.starts_with("downloading x: 2.0 MB of 3.0 MB, "), "{line}");
        assert!(line.ends_with(" kB/s, 10 s left"), "{line}");
        assert_eq!(Phase::new("y".to_owned(), None).line(0, 5), "y: 5 bytes");
    }

    #[test]
    fn bytes_that_were_there_are_no_speed() {
        let mut phase = Phase::new("downloading x".to_owned(), Some(1 << 30));
        phase.bar = Some(bar("downloading x", Some(1 << 30)));
        phase.at(900_000_000);
        std::thread::sleep(Duration::from_millis(300));
        phase.at(900_001_000);
        let speed = phase.bar.as_ref().map_or(0.0, ProgressBar::per_sec);
        assert!(speed < 100_000.0, "{speed}");
    }
}
