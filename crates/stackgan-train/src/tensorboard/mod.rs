//! TensorBoard event files of a run: `tb/events.out.tfevents.NNNNNNNNNN.stackgan`.
//!
//! There is one file for each start and for each time that a run goes back. A run that resumes from
//! a checkpoint, or goes back to one, takes later steps again. So every file is first truncated to
//! the checkpoint's step. The new file begins with the mark of a start, which makes a running
//! TensorBoard drop the same steps (`_CheckForRestartAndMaybePurge` of
//! `tensorboard/backend/event_processing/event_accumulator.py`).
//!
//! Training does not depend on these files. The listener to the run's events writes them, and a
//! full disk ends the writing, not the run.

mod event;
mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use self::event::What;
use crate::event::TrainEvent;
use crate::run_files::RunFiles;
use crate::store::write_atomically;

/// Maximum size of a picture in a file, in bytes. TensorBoard keeps ten pictures of each name in
/// memory.
const LARGEST_PICTURE: u64 = 16 << 20;

/// The name under which a truncated file is written first. TensorBoard reads every file in its
/// folder whose name contains `tfevents`.
const ASIDE: &str = "tb.cut";

/// Writes the events of a run as they happen.
#[derive(Debug)]
pub struct Board {
    run: PathBuf,
    file: Option<File>,
    last: Option<(u64, f64)>, // step and seconds of the last report
}

impl Board {
    /// Creates a writer for the run folder `run`. Files are created when the run starts.
    #[must_use]
    pub fn new(run: &Path) -> Self {
        Self { run: run.to_path_buf(), file: None, last: None }
    }

    /// Writes the parts of `event` that TensorBoard can display.
    ///
    /// # Errors
    /// The storage's error, once: after an error nothing more is written.
    pub fn on(&mut self, event: &TrainEvent) -> io::Result<()> {
        let written = match event {
            TrainEvent::Started { step, .. } => self.start(*step),
            TrainEvent::WentBack { step } if self.file.is_some() => self.start(*step),
            TrainEvent::Report { step, lr_g, lr_d, terms, seconds, .. } => {
                let mut values = scalars(terms);
                values.push(("rate/lr_g".to_owned(), *lr_g as f32));
                values.push(("rate/lr_d".to_owned(), *lr_d as f32));
                values.extend(self.speed(*step, *seconds));
                self.write(*step, What::Scalars(&values))
            }
            TrainEvent::Samples { step, path } => self.picture(*step, "samples", path),
            TrainEvent::Warning { step, text } => self.write(*step, What::Text("warning", text)),
            _ => Ok(()),
        };
        if written.is_err() {
            self.file = None;
        }
        written
    }

    /// Truncates the files of earlier starts to the first `step` steps, and begins a new file.
    fn start(&mut self, step: u64) -> io::Result<()> {
        (self.last, self.file) = (None, None); // its file is replaced, too
        let folder = self.run.join("tb");
        fs::create_dir_all(&folder)?;
        let mut number = 0;
        for (n, path) in files(&folder)? {
            cut(&path, step, &self.run.join(ASIDE))?;
            number = n + 1;
        }
        let path = folder.join(format!("events.out.tfevents.{number:010}.stackgan"));
        self.file = Some(OpenOptions::new().create_new(true).append(true).open(path)?);
        self.write(0, What::Version)?;
        if number > 0 {
            return self.write(step.saturating_add(1), What::Start);
        }
        let config = fs::read_to_string(RunFiles::of(&self.run).config()).unwrap_or_default();
        self.write(0, What::Text("config", &format!("```toml\n{config}```\n")))?;
        let captions = fs::read_to_string(RunFiles::of(&self.run).captions());
        self.write(0, What::Text("captions", &listed(&captions.unwrap_or_default())))?;
        self.picture(0, "reals", &RunFiles::of(&self.run).reals())
    }

    fn picture(&mut self, step: u64, name: &str, path: &Path) -> io::Result<()> {
        if fs::metadata(path).is_ok_and(|facts| facts.len() <= LARGEST_PICTURE) {
            let png = fs::read(path)?;
            if let Some(size) = png_size(&png) {
                return self.write(step, What::Image(name, size, &png));
            }
        }
        Ok(())
    }

    /// Steps per second since the previous report.
    fn speed(&mut self, step: u64, seconds: f64) -> Option<(String, f32)> {
        let (before, then) = self.last.replace((step, seconds))?;
        let speed = step.saturating_sub(before) as f64 / (seconds - then);
        (seconds > then).then(|| ("rate/steps_a_second".to_owned(), speed as f32))
    }

    fn write(&mut self, step: u64, what: What) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        file.write_all(&record::framed(&event::encode(now, step, what)))
    }
}

/// Groups the terms of a step for TensorBoard, which takes the part of a name before the slash as
/// its group.
fn scalars(terms: &[(&'static str, f64)]) -> Vec<(String, f32)> {
    let group = |name: &str| match name {
        "kl" | "sigma" => "conditioning",
        _ if name.starts_with("p_") => "probability",
        _ if name.ends_with("_grad") => "gradient",
        _ => "loss",
    };
    terms.iter().map(|(name, value)| (format!("{}/{name}", group(name)), *value as f32)).collect()
}

/// Formats lines as a numbered Markdown list, with markup escaped.
fn listed(lines: &str) -> String {
    let mut out = String::new();
    for (i, line) in lines.lines().enumerate() {
        out.push_str(&format!("{}. ", i + 1));
        for c in line.chars() {
            if c.is_ascii_punctuation() {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('\n');
    }
    out
}

/// Reads the width and height of a PNG, which are at fixed offsets.
fn png_size(png: &[u8]) -> Option<(u32, u32)> {
    let number =
        |at: usize| png.get(at..at + 4)?.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes));
    png.starts_with(b"\x89PNG").then(|| Some((number(16)?, number(20)?)))?
}

/// The event files in `folder` with their numbers, in order.
fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number =
            name.strip_prefix("events.out.tfevents.").and_then(|n| n.strip_suffix(".stackgan"));
        let number = number.and_then(|n| n.parse().ok());
        if let Some(number) = number.filter(|n: &u64| *n < u64::MAX) {
            found.push((number, path)); // the largest would leave none for the next file
        }
    }
    found.sort();
    Ok(found)
}

/// Removes from a file the records of steps after `step`, and an incomplete last record.
fn cut(path: &Path, step: u64, aside: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let (mut rest, mut kept) = (&bytes[..], Vec::with_capacity(bytes.len()));
    while let Some((data, behind)) = record::first(rest) {
        if event::step(data).is_some_and(|s| s <= step) {
            kept.extend(&rest[..rest.len() - behind.len()]);
        }
        rest = behind;
    }
    if kept.len() == bytes.len() {
        return Ok(());
    }
    write_atomically(aside, &kept).map_err(io::Error::other)?;
    fs::rename(aside, path)
}

#[cfg(test)]
mod tests;
