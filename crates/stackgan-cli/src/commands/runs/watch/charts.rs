//! The charts of the dashboard.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, GraphType, Paragraph};

use super::watched::Watched;
use crate::report::{CHARTS, Series, bounds, number, others, thinned};

/// A chart: a title and its terms.
pub(super) type Shown<'a> = (&'a str, Vec<&'a str>);

/// Number of charts shown together if there is room.
pub(super) const AT_ONCE: usize = 4;

const COLOURS: [Color; 3] = [Color::LightRed, Color::LightBlue, Color::LightGreen];

/// The charts that a run has; the first four even if it does not have their terms.
pub(super) fn of(watched: &Watched) -> Vec<Shown<'_>> {
    let told = |name: &&str| !watched.points(name).is_empty();
    let charts = CHARTS.iter().enumerate();
    let there = charts.filter(|(i, (_, names, ..))| *i < AT_ONCE || names.iter().any(told));
    let mut there: Vec<_> = there.map(|(_, (title, names, ..))| (*title, names.to_vec())).collect();
    there.extend(others(&watched.terms).into_iter().map(|name| (name, vec![name])));
    there
}

/// Draws one chart.
pub(super) fn draw(frame: &mut Frame, watched: &Watched, (title, names): &Shown<'_>, area: Rect) {
    let series: Vec<Series> = names
        .iter()
        .map(|name| thinned(&Series::new(name, watched.points(name).to_vec())))
        .filter(|series| series.points.len() > 1)
        .collect();
    let colour = |name: &str| {
        let place = names.iter().position(|n| *n == name).unwrap_or(0);
        COLOURS.get(place).copied().unwrap_or(Color::Gray)
    };
    // The newest values are in the frame: a legend would cover the newest part of the curves.
    let newest = |series: &Series| {
        let last = watched.points(&series.name).iter().rfind(|p| p.1.is_finite());
        let last = last.map_or(f64::NAN, |p| p.1);
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
