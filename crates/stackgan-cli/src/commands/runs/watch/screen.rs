//! The dashboard: progress, four charts at a time, and a key for a soft stop.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Gauge, Paragraph};
use stackgan_train::run_files::RunFiles;

use super::charts;
use super::watched::Watched;
use crate::commands::runs::facts::State;
use crate::progress::duration;
use crate::report::number;

/// Interval at which the folder is read.
const EVERY: Duration = Duration::from_secs(1);

/// Minimum size in characters for showing several charts.
const ROOM: (u16, u16) = (90, 26);

/// The state of the screen.
struct Screen {
    watched: Watched,
    /// Index of the first chart that is shown.
    chart: usize,
    /// Number of charts that were last shown.
    shown: Cell<usize>,
    asking: bool,
    message: Option<String>,
    left: bool,
}

/// Shows the dashboard until a key closes it. The run is not affected.
pub(super) fn run(watched: Watched) -> Result<()> {
    let mut terminal = ratatui::try_init().context("the terminal cannot be drawn on")?;
    let ended = until_left(&mut terminal, Screen::new(watched));
    ratatui::restore();
    ended
}

fn until_left(terminal: &mut ratatui::DefaultTerminal, mut screen: Screen) -> Result<()> {
    let mut looked = Instant::now();
    while !screen.left {
        terminal.draw(|frame| screen.draw(frame))?;
        if event::poll(EVERY.saturating_sub(looked.elapsed()))? {
            if let Event::Key(key) = event::read()? {
                screen.key(key);
            }
        } else {
            looked = Instant::now();
            screen.watched.refresh();
        }
    }
    Ok(())
}

impl Screen {
    fn new(watched: Watched) -> Self {
        Self { watched, chart: 0, shown: Cell::new(1), asking: false, message: None, left: false }
    }

    fn key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let interrupt = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, self.asking) {
            (KeyCode::Char('c'), _) if interrupt => self.left = true,
            (KeyCode::Char('y'), true) => self.stop(),
            (_, true) => (self.asking, self.message) = (false, Some("not stopped".to_owned())),
            (KeyCode::Char('q') | KeyCode::Esc, _) => self.left = true,
            (KeyCode::Char('s'), _) if self.watched.facts.state == State::Running => {
                self.asking = true;
            }
            (KeyCode::Char('s'), _) => self.message = Some("nothing runs here".to_owned()),
            (KeyCode::Tab | KeyCode::Right, _) => self.turn(1),
            (KeyCode::BackTab | KeyCode::Left, _) => self.turn(-1),
            _ => {}
        }
    }

    /// Scrolls to other charts.
    fn turn(&mut self, by: isize) {
        let (all, shown) = (charts::of(&self.watched).len(), self.shown.get());
        let pages = all.div_ceil(shown) as isize;
        let page = (self.chart / shown) as isize + by;
        self.chart = page.rem_euclid(pages.max(1)) as usize * shown;
    }

    /// Requests the trainer to save and end after the current step.
    fn stop(&mut self) {
        self.asking = false;
        let file = RunFiles::of(&self.watched.facts.path).stop();
        self.message = Some(match std::fs::write(&file, "") {
            Ok(()) => "asked to stop: it saves and ends after this step".to_owned(),
            Err(error) => format!("cannot write {}: {error}", file.display()),
        });
    }

    fn draw(&self, frame: &mut Frame) {
        let areas = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(6),
            Constraint::Length(1),
        ]);
        let [head, bar, area, foot] = areas.areas(frame.area());
        frame.render_widget(self.head(head.width), head);
        frame.render_widget(self.bar(), bar);
        let room = area.width >= ROOM.0 && area.height >= ROOM.1 - 3;
        self.shown.set(if room { charts::AT_ONCE } else { 1 });
        let all = charts::of(&self.watched);
        if room {
            let rows: [Rect; 2] = Layout::vertical([Constraint::Fill(1); 2]).areas(area);
            let cells = rows.into_iter().flat_map(|row| -> [Rect; 2] {
                Layout::horizontal([Constraint::Fill(1); 2]).areas(row)
            });
            let from = self.chart - self.chart % charts::AT_ONCE;
            for (chart, cell) in all.iter().skip(from).zip(cells) {
                charts::draw(frame, &self.watched, chart, cell);
            }
        } else if let Some(chart) = all.get(self.chart) {
            charts::draw(frame, &self.watched, chart, area);
        }
        frame.render_widget(self.foot(), foot);
    }

    /// The header, with as many complete values as there is room for.
    fn head(&self, width: u16) -> Paragraph<'_> {
        let facts = &self.watched.facts;
        let colour = match facts.state {
            State::Running | State::Done => Color::LightGreen,
            State::Stopped | State::Unknown => Color::LightYellow,
            State::Failed | State::Interrupted => Color::LightRed,
        };
        let mut parts = vec![
            Span::styled(&facts.run, Style::new().add_modifier(Modifier::BOLD)),
            Span::raw("  "),
            Span::styled(facts.state.word(), Style::new().fg(colour)),
            Span::raw(format!("  epoch {}", facts.epoch)),
        ];
        let mut more = Vec::new();
        if let Some(speed) = facts.steps_a_second {
            more.push(format!("  {} steps/s", number(speed)));
        }
        if let Some(step) = facts.checkpoint {
            more.push(format!("  saved at {step}"));
        }
        if let Some((speed, batch)) = facts.steps_a_second.zip(facts.batch) {
            more.push(format!("  {} pictures/s", number(speed * batch as f64)));
        }
        let mut room = usize::from(width).saturating_sub(parts.iter().map(Span::width).sum());
        for part in more.into_iter().map(Span::raw) {
            if part.width() <= room {
                room -= part.width();
                parts.push(part);
            }
        }
        Paragraph::new(Line::from(parts))
    }

    fn bar(&self) -> Gauge<'_> {
        let facts = &self.watched.facts;
        let of = facts.steps.map_or_else(String::new, |steps| format!(" of {steps}"));
        let left = facts.seconds_left.filter(|_| facts.state == State::Running);
        let left = left.map_or_else(String::new, |left| format!(", {} left", duration(left)));
        Gauge::default()
            .ratio(facts.done())
            .gauge_style(Style::new().fg(Color::Blue))
            .label(format!("step {}{of}{left}", facts.step))
    }

    fn foot(&self) -> Paragraph<'_> {
        let text = match (&self.message, self.asking) {
            (_, true) => "Save and stop the run after this step?  y: yes   any other key: no",
            (Some(message), _) => message,
            (None, _) => "q: leave, the run goes on   s: stop the run, saved   tab: other charts",
        };
        Paragraph::new(text).style(Style::new().add_modifier(Modifier::DIM))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    /// A run folder of a run that continues (its lock is held) or is done.
    fn folder(run: &Path, state: &str) -> File {
        let record = format!(
            "{{\"preset\":\"toy\",\"stage\":1,\"data\":null,\"encoder\":null,\"stage1\":null,\"sittings\":[],\"version\":\"0\",\"state\":\"{state}\",\"steps\":400}}"
        );
        std::fs::write(run.join("run.json"), record).unwrap();
        let lines: String = (1..=20)
            .map(|i| {
                let (step, p) = (i * 10, 0.5 + f64::from(i) / 100.0);
                format!("{{\"step\":{step},\"epoch\":{i},\"seconds\":{i},\"since\":0,\"d_real\":0.7,\"p_real\":{p},\"p_fake\":0.4,\"g_adv\":1.5,\"kl\":null}}\n")
            })
            .collect();
        std::fs::write(run.join("stats.jsonl"), lines).unwrap();
        let lock = File::create(run.join("LOCK")).unwrap();
        lock.lock().unwrap();
        lock
    }

    fn drawn(screen: &Screen, (width, height): (u16, u16)) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn press(screen: &mut Screen, keys: &str) {
        for key in keys.chars() {
            screen.key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
        }
    }

    #[test]
    fn the_screen_shows_progress_and_curves_at_any_size() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = folder(dir.path(), "running");
        let screen = Screen::new(Watched::open(dir.path()));
        let text = drawn(&screen, (120, 40));
        for words in [
            "running",
            "epoch 20",
            "10.0 steps/s",
            "step 200 of 400, 20s left",
            "p_real 0.700",
            "p_fake 0.400",
            "Discriminator: loss",
            "Norm of the",
            "two reports",
            "⠉",
            "s: stop",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        assert!(!text.contains("NaN"), "{text}");
        let small = drawn(&screen, (60, 14));
        assert!(small.contains("Discriminator: loss") && !small.contains("probability"), "{small}");
        for size in [(1, 1), (10, 3), (20, 6), (300, 90)] {
            drawn(&screen, size);
        }
        std::fs::remove_file(dir.path().join("stats.jsonl")).unwrap();
        drawn(&Screen::new(Watched::open(dir.path())), (120, 40));
    }

    #[test]
    fn a_stop_is_asked_for_twice_and_only_where_something_runs() {
        let dir = tempfile::tempdir().unwrap();
        let stop = dir.path().join("STOP");
        let lock = folder(dir.path(), "running");
        let mut screen = Screen::new(Watched::open(dir.path()));
        press(&mut screen, "sn");
        assert!(!stop.exists() && !screen.left);
        press(&mut screen, "s");
        assert!(drawn(&screen, (120, 40)).contains("y: yes"));
        press(&mut screen, "y");
        assert!(stop.exists() && drawn(&screen, (120, 40)).contains("asked to stop"));
        std::fs::remove_file(&stop).unwrap();
        drop(lock);
        let _lock = folder(dir.path(), "done");
        screen.watched.refresh();
        press(&mut screen, "sy");
        assert!(!stop.exists());
        press(&mut screen, "q");
        assert!(screen.left);
    }
    #[test]
    fn nothing_is_cut_and_tab_turns_to_the_other_charts() {
        let dir = tempfile::tempdir().unwrap();
        let _lock = folder(dir.path(), "running");
        std::fs::create_dir(dir.path().join("checkpoints")).unwrap();
        std::fs::write(dir.path().join("checkpoints/step-0000200.safetensors"), "").unwrap();
        let mut stats = std::fs::read_to_string(dir.path().join("stats.jsonl")).unwrap();
        stats = stats.replace("\"g_adv\"", "\"matching\":2.5,\"own_term\":7,\"g_adv\"");
        std::fs::write(dir.path().join("stats.jsonl"), stats).unwrap();
        let mut screen = Screen::new(Watched::open(dir.path()));
        let name = screen.watched.facts.run.len() as u16;
        let head =
            |screen: &Screen, width| drawn(screen, (width, 30)).lines().next().unwrap().to_owned();
        assert!(head(&screen, name + 60).contains("saved at 200"));
        assert!(!head(&screen, name + 43).contains("saved"), "{}", head(&screen, name + 43));
        assert!(drawn(&screen, (120, 40)).contains("Norm of"));
        screen.key(KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE));
        let turned = drawn(&screen, (120, 40));
        for term in ["own_term 7.00", "matching 2.50"] {
            assert!(turned.contains(term) && !turned.contains("Norm of"), "{turned}");
        }
        screen.key(KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE));
        assert!(drawn(&screen, (120, 40)).contains("Norm of"));
    }
}
