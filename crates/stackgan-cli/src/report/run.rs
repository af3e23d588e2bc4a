//! The report of a run folder, written again and again while the run goes on: how far it is, grids over time, curves,
//! settings.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::run_dir::RunDir;

use super::numbers::number;
use super::{Grids, Measurements, Page, charts};
use crate::progress::duration;

/// Most warnings that a page shows: the last ones.
const MOST_WARNINGS: usize = 12;

/// How often the page is written at most, and how often a page that is open looks for a newer one.
const EVERY: Duration = Duration::from_secs(30);

/// The page of a run that goes on.
pub(crate) struct RunReport<'a> {
    dir: &'a RunDir,
    grids: Grids,
    warnings: Vec<String>,
    started: Option<Started>,
    step: u64,
    epoch: u64,
    terms: Vec<(&'static str, f64)>,
    written: Option<Instant>,
}

/// How a run began.
#[derive(Clone, Copy)]
struct Started {
    first: u64,
    steps: u64,
    batch: usize,
    since: Instant,
}

impl<'a> RunReport<'a> {
    /// A page for a run folder; nothing is written yet.
    pub(crate) fn new(dir: &'a RunDir) -> Self {
        let (grids, warnings, terms) = (Grids::default(), Vec::new(), Vec::new());
        Self { dir, grids, warnings, started: None, step: 0, epoch: 0, terms, written: None }
    }

    /// Takes in an event, and writes the page where there is something new to see and the last writing is a while ago. A
    /// disk that refuses is told by the checkpoint, not here.
    pub(crate) fn on(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Started { step, steps, batch, .. } => {
                let (first, since) = (*step, Instant::now());
                self.started = Some(Started { first, steps: *steps, batch: *batch, since });
                self.step = first;
                return;
            }
            TrainEvent::Step { step } | TrainEvent::WentBack { step } => {
                self.step = *step;
                return;
            }
            TrainEvent::Report { epoch, terms, .. } => {
                (self.epoch, self.terms) = (*epoch, terms.clone());
            }
            TrainEvent::Warning { step, text } => {
                self.warnings.push(format!("step {step}: {text}"));
            }
            _ => {}
        }
        if self.written.is_none_or(|written| written.elapsed() >= EVERY) {
            drop(self.write(None));
            self.written = Some(Instant::now());
        }
    }

    /// Writes the page for the last time.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn finish(mut self, reason: StopReason) -> Result<()> {
        self.write(Some(reason))
    }

    fn write(&mut self, ended: Option<StopReason>) -> Result<()> {
        let path = self.dir.path();
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let mut page =
            Page::new(&format!("StackGAN run {name}"), "Everything is inside this one file.");
        page.tiles(&self.tiles(ended));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        page.written(now, ended.is_none().then_some(EVERY.as_secs() as u32));
        if !self.warnings.is_empty() {
            let from = self.warnings.len().saturating_sub(MOST_WARNINGS);
            page.warnings(self.warnings.get(from..).unwrap_or_default());
        }
        let grids = self.grids.of(path, Some(self.step));
        if !grids.is_empty() {
            page.section("The same captions and the same noise over time");
            page.slider(
                "Painted in evaluation mode. Rows are captions, columns are seeds.",
                &grids,
            );
        }
        if let Ok(reals) = std::fs::read(self.dir.reals()) {
            page.picture("Real pictures of the same captions, in the order of the rows.", &reals);
        }
        if let Ok(captions) = std::fs::read_to_string(self.dir.captions()) {
            page.folded("The captions, a row each", &captions);
        }
        Measurements::read(path).section(&mut page, self.step);
        page.section("Curves");
        page.charts(&charts(&self.dir.stats()));
        page.section("Settings");
        let settings = std::fs::read_to_string(self.dir.config()).unwrap_or_default();
        page.folded("config.toml", &settings);
        self.dir.write(&path.join("report.html"), page.finish().as_bytes())?;
        Ok(())
    }

    /// What is seen at a glance.
    fn tiles(&self, ended: Option<StopReason>) -> Vec<(&'static str, String)> {
        let state = match ended {
            None => "running",
            Some(StopReason::Done) => "done",
            Some(_) => "stopped",
        };
        let mut tiles = vec![("state", state.to_owned())];
        if let Some(Started { first, steps, batch, since }) = self.started {
            tiles.push(("step", format!("{} of {steps}", self.step)));
            tiles.push(("epoch", self.epoch.to_string()));
            let speed =
                self.step.saturating_sub(first) as f64 / since.elapsed().as_secs_f64().max(1e-9);
            if speed > 0.0 {
                tiles.push(("pictures a second", pictures(speed * batch as f64)));
                let left = duration(steps.saturating_sub(self.step) as f64 / speed);
                tiles.extend(ended.is_none().then_some(("left", left)));
            }
        }
        let shown = [
            ("p_real", "D on real"),
            ("p_wrong", "D on wrong"),
            ("p_fake", "D on fake"),
            ("sigma", "mean sigma"),
        ];
        for (name, label) in shown {
            let found = self.terms.iter().find(|(n, value)| *n == name && value.is_finite());
            tiles.extend(found.map(|(_, value)| (label, number(*value))));
        }
        tiles
    }
}

/// A speed without digits that change all the time.
fn pictures(speed: f64) -> String {
    if speed < 10.0 { format!("{speed:.1}") } else { format!("{speed:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(step: u64) -> TrainEvent {
        TrainEvent::Started { step, steps: 40, steps_per_epoch: 10, batch: 2, parameters: (1, 1) }
    }

    #[test]
    fn the_page_of_a_run_that_goes_on_loads_itself_and_the_last_one_does_not() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "toy-stage1").unwrap();
        let file = dir.path().join("report.html");
        let mut report = RunReport::new(&dir);
        report.on(&started(10));
        report.on(&TrainEvent::Step { step: 12 });
        assert!(!file.exists(), "nothing to see yet");
        let terms = vec![("p_real", 0.625), ("p_wrong", f64::NAN)];
        report.on(&TrainEvent::Report {
            step: 12,
            epoch: 1,
            lr: (1e-4, 1e-4),
            terms,
            seconds: 1.0,
        });
        let html = std::fs::read_to_string(&file).unwrap();
        for words in ["data-again=\"30\"", "12 of 40", "running", "<dd>0.625</dd>", "left"] {
            assert!(html.contains(words), "{words}");
        }
        assert!(!html.contains("NaN") && !html.contains("D on wrong"));
        report.on(&TrainEvent::Warning { step: 13, text: "D has <won>".to_owned() });
        report.finish(StopReason::Done).unwrap();
        let html = std::fs::read_to_string(&file).unwrap();
        assert!(html.contains("D has &lt;won&gt;") && html.contains("done"));
        assert!(!html.contains("data-again"));
    }
}
