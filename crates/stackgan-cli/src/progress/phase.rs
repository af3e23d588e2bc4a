//! An activity that takes a while: a bar with an estimate, or a line every ten seconds.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::manner::Manner;

/// Interval of lines where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// An activity that takes a while, counted in `unit`s.
pub(crate) struct Phase {
    manner: Manner,
    name: String,
    unit: &'static str,
    total: u64,
    bar: Option<ProgressBar>,
    started: Instant,
    first: Option<u64>,
    last_line: Instant,
    note: String,
}

impl Phase {
    /// Starts a phase of `total` `unit`s (0 if unknown).
    pub(crate) fn new(manner: Manner, name: &str, total: u64, unit: &'static str) -> Self {
        let bar = (manner == Manner::Bar).then(|| bar(name, total, unit));
        if manner == Manner::Lines {
            manner.say(format!("{name} …"));
        }
        let now = Instant::now();
        let (name, note) = (name.to_owned(), String::new());
        Self { manner, name, unit, total, bar, started: now, first: None, last_line: now, note }
    }

    /// Runs a function that reports its progress from any thread.
    pub(crate) fn counted<T, E>(
        manner: Manner,
        (name, unit): (&str, &'static str),
        work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> Result<T, E>,
    ) -> Result<T, E> {
        let phase = Mutex::new((Self::new(manner, name, 0, unit), 0));
        let done = work(&|done, of| {
            // A poisoned lock means that drawing the bar panicked: continue without it.
            if let Ok(mut shown) = phase.lock()
                && done > shown.1
            {
                shown.0.set_total(of as u64);
                shown.0.at(done as u64);
                shown.1 = done;
            }
        })?;
        if let Ok((phase, count)) = phase.into_inner() {
            phase.finish(&format!("{count} {unit}"));
        }
        Ok(done)
    }

    /// Changes the total.
    fn set_total(&mut self, total: u64) {
        if let Some(bar) = &self.bar {
            if (self.total == 0) != (total == 0) {
                bar.set_style(style(total, self.unit));
            }
            bar.set_length(total);
        }
        self.total = total;
    }

    /// Sets the text after the bar, such as loss terms.
    pub(crate) fn note(&mut self, note: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(note.clone());
        }
        self.note = note;
    }

    /// Reports that `done` units are done.
    pub(crate) fn at(&mut self, done: u64) {
        let is_first = self.first.is_none();
        let first = *self.first.get_or_insert(done);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            if is_first {
                bar.tick(); // the estimate must know the position before it begins anew
                bar.reset_eta(); // what was done before does not count as speed
            }
        } else if self.manner == Manner::Lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            self.manner.say(self.line(first, done));
        }
    }

    fn line(&self, first: u64, done: u64) -> String {
        let rate =
            done.saturating_sub(first) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        let (name, total, unit, note) = (&self.name, self.total, self.unit, &self.note);
        if total == 0 || rate <= 0.0 {
            return format!("{name}: {done} {unit}  {note}");
        }
        let left = duration(total.saturating_sub(done) as f64 / rate);
        format!("{name}: {done}/{total} {unit}, {rate:.1}/s, {left} left  {note}")
    }

    /// Prints a permanent line above the bar.
    pub(crate) fn say(&self, line: &str) {
        self.aside(|| self.manner.say(line));
    }

    /// Runs `prints`, which may print to stdout on the same terminal, while the bar is hidden.
    pub(crate) fn aside<T>(&self, prints: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(prints),
            None => prints(),
        }
    }

    /// Ends the phase with a permanent line.
    pub(crate) fn finish(self, result: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.manner.say(format!("{}: {result} ({})", self.name, duration(seconds)));
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear(); // an error must not be printed into the bar
        }
    }
}

fn bar(name: &str, total: u64, unit: &str) -> ProgressBar {
    ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(4))
        .with_style(style(total, unit))
        .with_prefix(name.to_owned())
}

/// How a phase is drawn: with a bar, its speed and what is left if the total is known. The name of the
/// phase is the prefix: it may hold braces, which a template would read.
fn style(total: u64, unit: &str) -> ProgressStyle {
    let template = if total == 0 {
        format!("{{spinner}} {{prefix}}  {{pos}} {unit}  {{elapsed}}  {{wide_msg}}")
    } else {
        format!(
            "{{prefix}}  {{bar:12}} {{pos}}/{{len}} {unit}  {{speed}}  eta {{eta}}  {{wide_msg}}"
        )
    };
    let style = ProgressStyle::with_template(&template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key("speed", |state: &ProgressState, text: &mut dyn fmt::Write| {
        let _ = write!(text, "{:.1}/s", state.per_sec());
    })
}

/// Formats a duration: `95.0` as `1m35s`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) if seconds < 9.95 => format!("{:.1}s", seconds.max(0.0)),
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

/// The time of something short, such as a step.
pub(crate) fn brief(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", 1000.0 * seconds) } else { format!("{seconds:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::sync::Arc;

    /// A terminal that keeps what is written.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            120
        }
        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> std::io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(1.24), "1.2s");
        assert_eq!(duration(42.4), "42s");
        assert_eq!(duration(95.0), "1m35s");
        assert_eq!(duration(7300.0), "2h01m");
        assert_eq!([brief(0.0124), brief(2.04)], ["12 ms", "2.0 s"]);
    }

    #[test]
    fn a_line_has_speed_and_what_is_left() {
        let mut phase = Phase::new(Manner::Quiet, "drawing", 100, "pictures");
        phase.started = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let line = phase.line(0, 50);
        assert!(line.starts_with("drawing: 50/100 pictures, 5.0/s, 10s left"), "{line}");
        phase.note("kl 0.1".to_owned());
        assert!(phase.line(0, 0).ends_with("kl 0.1"));
    }

    /// A phase with a bar, and what is drawn.
    fn drawn(name: &str, total: u64) -> (Phase, Screen) {
        let screen = Screen::default();
        let phase = Phase::new(Manner::Bar, name, total, "steps");
        let bar = phase.bar.as_ref().unwrap();
        bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        (phase, screen)
    }

    #[test]
    fn what_a_resumed_run_had_done_is_no_speed() {
        let (mut phase, _) = drawn("stage 1", 120_000);
        phase.at(90_000);
        std::thread::sleep(Duration::from_millis(300));
        phase.at(90_001);
        let speed = phase.bar.as_ref().unwrap().per_sec();
        assert!(speed < 100.0, "{speed}");
    }

    #[test]
    fn a_total_that_becomes_known_is_shown() {
        let (mut phase, screen) = drawn("preparing", 0);
        phase.at(1);
        phase.set_total(40);
        phase.at(10);
        phase.bar.as_ref().unwrap().tick();
        let shown = screen.0.lock().unwrap().clone();
        assert!(shown.contains("10/40 steps") && shown.contains("eta"), "{shown}");
    }
}
