//! The report of a run folder, rewritten at intervals during the run: progress, grids over time,
//! curves, settings.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use stackgan_train::event::{StopReason, TrainEvent};
use stackgan_train::run_dir::RunDir;

use super::curves::charts;
use super::grids::Grids;
use super::numbers::number;
use super::page::Page;
use super::warnings::Warnings;
use crate::progress::duration;
use crate::run::Measurements;

/// Minimum interval at which the page of a long run is rewritten, and interval at which an open
/// page looks for a newer one.
const EVERY: Duration = Duration::from_secs(30);

/// Interval before it is rewritten for the first time; doubled each time.
const SOON: Duration = Duration::from_secs(2);

/// The page of a run in progress.
pub(crate) struct RunReport<'a> {
    dir: &'a RunDir,
    grids: Grids,
    warnings: Warnings,
    started: Option<Started>,
    step: u64,
    epoch: u64,
    terms: Vec<(&'static str, f64)>,
    written: Option<Instant>,
    /// How long the page is left unchanged.
    wait: Duration,
    /// The time of the last event, and the longest time without one.
    heard: Instant,
    pause: Duration,
}

#[derive(Clone, Copy)]
struct Started {
    first: u64,
    steps: u64,
    batch: usize,
    since: Instant,
}

/// How a run ended.
#[derive(Clone, Copy)]
enum End<'a> {
    Stopped(StopReason),
    Failed(&'a str),
}

impl<'a> RunReport<'a> {
    /// Its file in a run folder.
    pub(crate) fn file(run: &Path) -> PathBuf {
        run.join("report.html")
    }

    /// Creates the report of a run folder without writing anything yet.
    pub(crate) fn new(dir: &'a RunDir) -> Self {
        Self {
            dir,
            grids: Grids::default(),
            warnings: Warnings::of(dir.path()),
            started: None,
            step: 0,
            epoch: 0,
            terms: Vec::new(),
            written: None,
            wait: SOON,
            heard: Instant::now(),
            pause: Duration::ZERO,
        }
    }

    /// Processes an event, and rewrites the page if there is something new and the interval has
    /// passed. Storage errors are not reported here, because the checkpoint reports them.
    pub(crate) fn on(&mut self, event: &TrainEvent) {
        self.pause = self.pause.max(self.heard.elapsed());
        self.heard = Instant::now();
        match event {
            TrainEvent::Started { step, steps, batch, .. } => {
                let (first, since) = (*step, Instant::now());
                self.started = Some(Started { first, steps: *steps, batch: *batch, since });
                self.step = first;
                self.warnings.keep();
                return;
            }
            TrainEvent::Step { step } | TrainEvent::WentBack { step } => {
                self.step = *step;
                if self.written.is_none() {
                    return; // nothing to see yet
                }
            }
            TrainEvent::Report { epoch, terms, .. } => {
                (self.epoch, self.terms) = (*epoch, terms.clone());
            }
            TrainEvent::Warning { step, text } => {
                self.warnings.add(*step, text);
                if self.started.is_none() {
                    return; // a refused run leaves the page unchanged
                }
                self.warnings.keep();
            }
            _ => {}
        }
        if self.written.is_none_or(|written| written.elapsed() >= self.wait) {
            if self.written.is_some() {
                self.wait = (2 * self.wait).min(EVERY);
            }
            drop(self.write(None));
            self.written = Some(Instant::now());
        }
    }

    /// Writes the final page.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn finish(mut self, reason: StopReason) -> Result<()> {
        self.write(Some(End::Stopped(reason)))
    }

    /// Writes the final page with the error. If the run never started, the page is left unchanged.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn fail(mut self, error: &str) -> Result<()> {
        if self.started.is_none() { Ok(()) } else { self.write(Some(End::Failed(error))) }
    }

    fn write(&mut self, ended: Option<End<'_>>) -> Result<()> {
        let path = self.dir.path();
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let mut page =
            Page::new(&format!("StackGAN run {name}"), "Everything is inside this one file.");
        page.tiles(&self.tiles(ended));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let patience = (5 * EVERY).max(3 * self.pause);
        page.written(now, ended.is_none().then_some((self.wait, patience)));
        if let Some(End::Failed(error)) = ended {
            page.failure("The run ended with an error", error);
        }
        page.warnings(&self.warnings.lines());
        let grids = self.grids.of(path, Some(self.step));
        if !grids.is_empty() {
            page.section("The same captions and the same noise over time");
            page.slider(
                "Painted in evaluation mode. Rows are captions, columns are seeds.",
                &grids,
            );
        }
        if let Ok(captions) = std::fs::read_to_string(self.dir.files().captions()) {
            page.captions(&captions);
        }
        if let Ok(reals) = std::fs::read(self.dir.files().reals()) {
            page.picture("Real pictures of the same captions, in the order of the rows.", &reals);
        }
        Measurements::read(path).section(&mut page, self.step);
        page.section("Curves");
        page.charts(&charts(&self.dir.files().stats()));
        page.section("Settings");
        let settings = std::fs::read_to_string(self.dir.files().config()).unwrap_or_default();
        page.folded("config.toml", &settings);
        self.dir.write(&Self::file(path), page.finish().as_bytes())?;
        Ok(())
    }

    /// The key figures.
    fn tiles(&self, ended: Option<End<'_>>) -> Vec<(&'static str, String)> {
        let state = match ended {
            None => "running",
            Some(End::Stopped(StopReason::Done)) => "done",
            Some(End::Stopped(_)) => "stopped",
            Some(End::Failed(_)) => "failed",
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

/// A speed without rapidly changing digits.
fn pictures(speed: f64) -> String {
    if speed < 10.0 { format!("{speed:.1}") } else { format!("{speed:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(step: u64) -> TrainEvent {
        TrainEvent::Started {
            step,
            steps: 40,
            steps_per_epoch: 10,
            batch: 2,
            parameters_g: 1,
            parameters_d: 1,
        }
    }

    #[test]
    fn the_page_of_a_run_that_goes_on_loads_itself_and_the_last_one_does_not() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "toy-stage1").unwrap();
        let file = RunReport::file(dir.path());
        let mut report = RunReport::new(&dir);
        report.on(&started(10));
        report.on(&TrainEvent::Step { step: 12 });
        assert!(!file.exists(), "nothing to see yet");
        let terms = vec![("p_real", 0.625), ("p_wrong", f64::NAN)];
        report.on(&TrainEvent::Report {
            step: 12,
            epoch: 1,
            lr_g: 1e-4,
            lr_d: 1e-4,
            terms,
            seconds: 1.0,
        });
        let html = std::fs::read_to_string(&file).unwrap();
        for words in ["data-again=\"2\"", "12 of 40", "running", "<dd>0.625</dd>", "left"] {
            assert!(html.contains(words), "{words}");
        }
        assert!(!html.contains("NaN") && !html.contains("D on wrong"));
        report.on(&TrainEvent::Warning { step: 13, text: "D has <won>".to_owned() });
        report.finish(StopReason::Done).unwrap();
        let html = std::fs::read_to_string(&file).unwrap();
        assert!(html.contains("D has &lt;won&gt;") && html.contains("done"));
        assert!(!html.contains("data-again"));
    }

    #[test]
    fn a_run_that_failed_says_so_and_why() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "toy-stage1").unwrap();
        let file = RunReport::file(dir.path());
        RunReport::new(&dir).fail("refused").unwrap();
        assert!(!file.exists(), "it never began");
        let mut report = RunReport::new(&dir);
        report.on(&started(0));
        report.on(&TrainEvent::Step { step: 1 });
        report.fail("d_loss is <NaN>\n  do: replay nonfinite-step-0000001.safetensors").unwrap();
        let html = std::fs::read_to_string(&file).unwrap();
        for words in ["<dd>failed</dd>", "d_loss is &lt;NaN&gt;", "nonfinite-step-0000001"] {
            assert!(html.contains(words), "{words}");
        }
        assert!(!html.contains("data-again") && !html.contains("<dd>running"));
    }

    #[test]
    fn the_second_page_comes_soon_and_those_after_it_less_often() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "toy-stage1").unwrap();
        let file = RunReport::file(dir.path());
        let mut report = RunReport::new(&dir);
        report.on(&started(0));
        report.on(&TrainEvent::Warning { step: 0, text: "x".to_owned() });
        report.on(&TrainEvent::Step { step: 1 });
        let page = || std::fs::read_to_string(&file).unwrap();
        assert!(page().contains("0 of 40"), "written a moment ago");
        for (step, again) in [(2, 4), (3, 8), (4, 16), (5, 30), (6, 30)] {
            report.written = Instant::now().checked_sub(report.wait);
            report.on(&TrainEvent::Step { step });
            assert!(page().contains(&format!("{step} of 40")), "step {step}");
            assert!(page().contains(&format!("data-again=\"{again}\" data-patience=\"150\"")));
        }
    }

    #[test]
    fn warnings_outlive_a_resume_and_those_of_a_refusal_are_not_kept() {
        let root = tempfile::tempdir().unwrap();
        let dir = RunDir::create(root.path(), "toy-stage1").unwrap();
        let warn = |step| TrainEvent::Warning { step, text: format!("of step {step}\nmore") };
        let mut report = RunReport::new(&dir);
        report.on(&started(0));
        (1..=5).for_each(|step| report.on(&warn(step)));
        let mut refused = RunReport::new(&dir);
        refused.on(&warn(9));
        let mut report = RunReport::new(&dir);
        report.on(&started(5));
        report.finish(StopReason::Done).unwrap();
        let html = std::fs::read_to_string(RunReport::file(dir.path())).unwrap();
        assert!((1..=5).all(|step| html.contains(&format!("step {step}: of step {step}\nmore"))));
        assert!(!html.contains("of step 9") && html.contains("2 earlier warnings"));
    }
}
