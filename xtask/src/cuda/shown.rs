//! How a download is shown: bars on a terminal, occasional lines elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use stackgan_data::fetch::{Event, bytes};

/// Interval of progress lines where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Displays events.
#[derive(Default)]
pub(super) struct Shown {
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
    pub(super) fn on(&mut self, event: &Event) {
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
