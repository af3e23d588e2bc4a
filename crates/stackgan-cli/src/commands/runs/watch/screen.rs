//! The dashboard: how far the run is, four charts, and a soft stop by key.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};

use super::Watched;
use crate::commands::runs::{State, number};
use crate::progress::duration;
use crate::report::{Series, bounds, thinned};

/// How often the folder is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The charts: a title and the terms on it.
const CHARTS: &[(&str, &[&str])] = &[
    ("D: loss on each kind of pair", &["d_real", "d_wrong", "d_fake"]),
    ("D: probability that a pair is real", &["p_real", "p_wrong", "p_fake"]),
    ("G: loss, KL, mean sigma", &["g_adv", "kl", "sigma"]),
    ("Norm of the gradients", &["d_grad", "g_grad"]),
];

const COLOURS: [Color; 3] = [Color::LightRed, Color::LightBlue, Color::LightGreen];

/// Least size in characters for all charts at once.
const ROOM: (u16, u16) = (90, 26);

/// What is on the screen.
struct Screen {
    watched: Watched,
    chart: usize,
    asking: bool,
    message: Option<String>,
    left: bool,
}

/// Shows the dashboard until a key leaves it. The run is none of its business: it goes on.
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
        Self { watched, chart: 0, asking: false, message: None, left: false }
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
            (KeyCode::Tab | KeyCode::Right, _) => self.chart = (self.chart + 1) % CHARTS.len(),
            (KeyCode::BackTab | KeyCode::Left, _) => {
                self.chart = (self.chart + CHARTS.len() - 1) % CHARTS.len();
            }
            _ => {}
        }
    }

    /// Asks the trainer to save and end after its step.
    fn stop(&mut self) {
        self.asking = false;
        let file = self.watched.path.join("STOP");
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
        let [head, bar, charts, foot] = areas.areas(frame.area());
        frame.render_widget(self.head(), head);
        frame.render_widget(self.bar(), bar);
        if charts.width >= ROOM.0 && charts.height >= ROOM.1 - 3 {
            let rows: [Rect; 2] = Layout::vertical([Constraint::Fill(1); 2]).areas(charts);
            let cells = rows.into_iter().flat_map(|row| -> [Rect; 2] {
                Layout::horizontal([Constraint::Fill(1); 2]).areas(row)
            });
            for (chart, cell) in CHARTS.iter().zip(cells) {
                self.chart(frame, chart, cell);
            }
        } else if let Some(chart) = CHARTS.get(self.chart) {
            self.chart(frame, chart, charts);
        }
        frame.render_widget(self.foot(), foot);
    }

    fn head(&self) -> Paragraph<'_> {
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
        if let Some(speed) = facts.steps_a_second {
            let pictures = speed * facts.batch.unwrap_or(0) as f64;
            let (steps, pictures) = (number(speed), number(pictures));
            parts.push(Span::raw(format!("  {steps} steps/s, {pictures} pictures/s")));
        }
        if let Some(step) = facts.checkpoint {
            parts.push(Span::raw(format!("  saved at {step}")));
        }
        Paragraph::new(Line::from(parts))
    }

    fn bar(&self) -> Gauge<'_> {
        let facts = &self.watched.facts;
        let of = facts.steps.map_or_else(String::new, |steps| format!(" of {steps}"));
        let left = facts.seconds_left.filter(|_| facts.state == State::Running);
        let left = left.map_or_else(String::new, |left| format!(", {} left", duration(left)));
        Gauge::default()
            .ratio(facts.done().unwrap_or(0.0))
            .gauge_style(Style::new().fg(Color::Blue))
            .label(format!("step {}{of}{left}", facts.step))
    }

    fn foot(&self) -> Paragraph<'_> {
        let text = match (&self.message, self.asking) {
            (_, true) => "Save and stop the run after this step?  y: yes   any other key: no",
            (Some(message), _) => message,
            (None, _) => "q: leave, the run goes on   s: stop the run, saved   tab: next chart",
        };
        Paragraph::new(text).style(Style::new().add_modifier(Modifier::DIM))
    }

    fn chart(&self, frame: &mut Frame, (title, names): &(&str, &[&str]), area: Rect) {
        let series: Vec<Series> = names
            .iter()
            .map(|name| Series {
                name: (*name).to_owned(),
                points: self.watched.points(name).to_vec(),
            })
            .map(|series| thinned(&series))
            .filter(|series| series.points.len() > 1)
            .collect();
        let colour = |name: &str| {
            let place = names.iter().position(|n| *n == name).unwrap_or(0);
            COLOURS.get(place).copied().unwrap_or(Color::Gray)
        };
        // The newest values stand in the frame: a legend would lie over the newest part of the curves.
        let newest = |series: &Series| {
            let last = series.points.last().map_or(0.0, |p| p.1);
            let text = format!(" {} {} ", series.name, number(last));
            Span::styled(text, Style::new().fg(colour(&series.name)))
        };
        let values: Line = series.iter().map(newest).collect();
        let block = Block::bordered().title(*title).title_bottom(values.right_aligned());
        let Some((x, y)) = bounds(&series) else {
            let text = "two reports make a curve";
            frame.render_widget(Paragraph::new(text).block(block), area);
            return;
        };
        let lines = series.iter().map(|series| {
            Dataset::default()
                .marker(Marker::Braille)
                .graph_type(GraphType::Line)
                .style(Style::new().fg(colour(&series.name)))
                .data(&series.points)
        });
        let steps = [format!("{:.0}", x.0), format!("{:.0}", x.1)];
        let chart = Chart::new(lines.collect())
            .block(block)
            .x_axis(Axis::default().bounds([x.0, x.1]).labels(steps))
            .y_axis(Axis::default().bounds([y.0, y.1]).labels([number(y.0), number(y.1)]));
        frame.render_widget(chart, area);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    /// A run folder of a run that goes on (its lock is held) or is done.
    fn folder(run: &Path, state: &str) -> File {
        let record = format!(
            "{{\"dataset\":\"toy\",\"stage\":1,\"data\":null,\"encoder\":null,\"stage1\":null,\"version\":\"0\",\"state\":\"{state}\",\"steps\":400}}"
        );
        std::fs::write(run.join("run.json"), record).unwrap();
        let lines: String = (1..=20)
            .map(|i| {
                let (step, p) = (i * 10, 0.5 + f64::from(i) / 100.0);
                format!("{{\"step\":{step},\"epoch\":{i},\"seconds\":{i},\"d_real\":0.7,\"p_real\":{p},\"p_fake\":0.4,\"g_adv\":1.5,\"kl\":null}}\n")
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
            "10.00 steps/s",
            "step 200 of 400, 20s left",
            "p_real 0.7000",
            "p_fake 0.4000",
            "D: loss on each",
            "Norm of the",
            "two reports",
            "⠉",
            "s: stop",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        assert!(!text.contains("NaN"), "{text}");
        let small = drawn(&screen, (60, 14));
        assert!(small.contains("D: loss on each") && !small.contains("probability"), "{small}");
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
}
