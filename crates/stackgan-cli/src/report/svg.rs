//! Curves as SVG: axes, a legend, a few lines. Colours come from the page's style, so that one
//! drawing works in light and dark mode; lines also differ by their dashes.

use std::fmt::Write as _;

use super::axis::{Axis, ticks};
use super::markup::escape;
use super::numbers::{labels, number};
use super::series::{Series, thinned};

// About the width of a column of the page, so that text has its nominal size.
const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 190.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 36.0;
/// Width of a character of a label.
const CHARACTER: f64 = 7.0;
/// Maximum number of points for which each is marked.
const FEW_POINTS: usize = 12;
/// Number of lines with distinct colours in the page's style.
const COLOURS: usize = 6;

/// The text around a chart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About<'a> {
    pub title: &'a str,
    /// The note below it.
    pub note: &'a str,
    pub axis: Axis,
    /// A step that is marked as the best.
    pub best: Option<f64>,
}

/// A line of the drawing.
struct Drawn<'a> {
    name: &'a str,
    /// Index of its colour and dashes.
    class: usize,
    /// Its last value.
    last: f64,
    /// The largest value, and where it is.
    most: (f64, f64),
}

/// Draws a chart of the finite points of `series`; x is in steps. Empty if there is nothing to
/// draw.
pub(crate) fn chart(about: &About<'_>, series: &[Series]) -> String {
    let positive = series.iter().flat_map(|s| &s.points).any(|p| p.1 > 0.0);
    let axis = if about.axis == Axis::Size && !positive { Axis::Number } else { about.axis };
    let (mut drawn, mut lines) = (Vec::new(), Vec::new());
    for (place, one) in series.iter().enumerate() {
        let on_axis = |p: &&(f64, f64)| p.0.is_finite() && axis.at(p.1).is_some();
        let points: Vec<(f64, f64)> = one.points.iter().filter(on_axis).copied().collect();
        let (Some(last), Some(most)) =
            (points.last(), points.iter().max_by(|a, b| a.1.total_cmp(&b.1)))
        else {
            continue;
        };
        if points.len() < 2 {
            continue;
        }
        drawn.push(Drawn { name: &one.name, class: place % COLOURS, last: last.1, most: *most });
        let thin = thinned(&Series::new("", points));
        let points = thin.points.iter().filter_map(|(x, y)| Some((*x, axis.at(*y)?))).collect();
        let at = |(low, high): &(f64, f64)| Some((axis.at(*low)?, axis.at(*high)?));
        let band = one.band.iter().map(at).collect::<Option<Vec<_>>>().unwrap_or_default();
        lines.push(Series { name: String::new(), points, band });
    }
    let Some(plot) = Plot::of(axis, &lines) else { return String::new() };
    let title = escape(about.title);
    let last = lines.iter().filter_map(|line| line.points.last()).fold(0.0, |m, p| p.0.max(m));
    let values: Vec<String> =
        drawn.iter().map(|line| format!("{} {}", escape(line.name), number(line.last))).collect();
    let mut svg = format!(
        "<figure class=\"chart\"><figcaption>{title}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}; at step {last:.0}: {}\">",
        values.join(", ")
    );
    plot.frame(&mut svg);
    if let Some(best) = about.best {
        let (at, foot) = (plot.x(best), HEIGHT - BOTTOM);
        let _ = write!(svg, "<path class=\"best\" d=\"M{at:.1} {TOP}V{foot}\"/>");
    }
    for (line, facts) in lines.iter().zip(&drawn) {
        plot.line(&mut svg, line, facts);
    }
    svg.push_str("</svg>");
    legend(&mut svg, about, &drawn, plot.top());
    if !about.note.is_empty() {
        let _ = write!(svg, "<p class=\"note\">{}</p>", escape(about.note));
    }
    svg.push_str("</figure>");
    svg
}

/// Writes names and last values; also the largest value of a line that leaves the chart, or whose
/// peaks were averaged.
fn legend(svg: &mut String, about: &About<'_>, drawn: &[Drawn<'_>], top: f64) {
    svg.push_str("<p class=\"legend\">");
    let key = |class: &str| {
        format!(
            "<svg class=\"key\" viewBox=\"0 0 22 8\" aria-hidden=\"true\"><path class=\"{class}\" d=\"M0 4H22\"/></svg>"
        )
    };
    for Drawn { name, class, last, most } in drawn {
        let (key, name, value) = (key(&format!("line c{class}")), escape(name), number(*last));
        let _ = write!(svg, "<span>{key}{name} <b>{value}</b>");
        let large = about.axis == Axis::Size && most.1 > 10.0 * last.abs();
        if most.1 > top || large {
            let _ = write!(svg, " (max {} at step {:.0})", number(most.1), most.0);
        }
        svg.push_str("</span>");
    }
    if let Some(best) = about.best {
        let _ = write!(svg, "<span>{}best model: step {best:.0}</span>", key("best"));
    }
    svg.push_str("</p>");
}

/// The geometry of a chart.
struct Plot {
    axis: Axis,
    x: (f64, f64),
    y: (f64, f64),
    left: f64,
    ticks: Vec<(f64, String)>,
}

impl Plot {
    fn of(axis: Axis, lines: &[Series]) -> Option<Self> {
        let (x, mut y) = axis.reach(lines)?;
        let bands = || lines.iter().flat_map(|line| &line.band);
        if axis == Axis::Number {
            y.0 = bands().fold(y.0, |low, band| low.min(band.0));
            y.1 = bands().fold(y.1, |high, band| high.max(band.1));
        }
        let ticks = axis.ticks(y);
        let longest = ticks.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
        Some(Self { axis, x, y, left: 8.0 + CHARACTER * longest.max(2) as f64, ticks })
    }

    fn x(&self, step: f64) -> f64 {
        self.left + (step - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - self.left - RIGHT)
    }

    /// The position of a value in units of the axis; values beyond it are at the edge.
    fn y(&self, at: f64) -> f64 {
        let share = (at - self.y.0) / (self.y.1 - self.y.0);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    /// The largest value inside the chart.
    fn top(&self) -> f64 {
        if self.axis == Axis::Size { 10f64.powf(self.y.1) } else { self.y.1 }
    }

    /// Draws rules and labels.
    fn frame(&self, svg: &mut String) {
        let (left, right) = (self.left, WIDTH - RIGHT);
        for (tick, label) in &self.ticks {
            let at = self.y(*tick);
            let half = self.axis == Axis::Probability && (tick - 0.5).abs() < 0.01;
            let _ = write!(
                svg,
                "<path class=\"rule{}\" d=\"M{left:.1} {at:.1}H{right}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                if half { " half" } else { "" },
                left - 5.0,
                at + 3.8
            );
        }
        let steps = ticks(self.x, 5, 1.0);
        for (step, label) in steps.iter().zip(labels(&steps)) {
            let half = 0.5 * CHARACTER * label.len() as f64;
            let (at, foot) = (self.x(*step).min(WIDTH - half), HEIGHT - BOTTOM + 15.0);
            let _ = write!(
                svg,
                "<text x=\"{at:.1}\" y=\"{foot:.1}\" text-anchor=\"middle\">{label}</text>"
            );
        }
        let (middle, foot) = (0.5 * (left + right), HEIGHT - 5.0);
        let _ = write!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{foot:.1}\" text-anchor=\"middle\">steps</text>"
        );
    }

    /// Draws a line, with a mark at each peak that the chart cuts off.
    fn line(&self, svg: &mut String, line: &Series, Drawn { name, class, .. }: &Drawn<'_>) {
        let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
            let mut path = String::new();
            for (n, (x, y)) in points.enumerate() {
                let (sign, x, y) = (if n == 0 { 'M' } else { 'L' }, self.x(x), self.y(y));
                let _ = write!(path, "{sign}{x:.1} {y:.1}");
            }
            path
        };
        if line.band.len() == line.points.len() {
            let edge = || line.points.iter().zip(&line.band);
            let there = edge().map(|(p, band)| (p.0, band.0));
            let back = edge().rev().map(|(p, band)| (p.0, band.1));
            let around = path(&mut there.chain(back));
            let _ = write!(svg, "<path class=\"band c{class}\" d=\"{around}Z\"/>");
        }
        let (course, name) = (path(&mut line.points.iter().copied()), escape(name));
        let _ = write!(
            svg,
            "<path class=\"line c{class}\" d=\"{course}\"><title>{name}</title></path>"
        );
        for (x, y) in &line.points {
            let (at, height) = (self.x(*x), self.y(*y));
            if *y > self.y.1 {
                let _ = write!(svg, "<path class=\"dot c{class}\" d=\"M{at:.1} {TOP}l4 7h-8z\"/>");
            } else if line.points.len() <= FEW_POINTS {
                let _ = write!(
                    svg,
                    "<circle class=\"dot c{class}\" cx=\"{at:.1}\" cy=\"{height:.1}\" r=\"2.2\"/>"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled(title: &str) -> About<'_> {
        About { title, ..About::default() }
    }

    #[test]
    fn bad_numbers_and_long_runs_do_not_break_a_chart() {
        let nothing = Series::new("a", vec![(0.0, f64::NAN)]);
        assert_eq!(chart(&titled("nothing"), &[nothing]), "");
        let points: Vec<(f64, f64)> =
            (0..10_000).map(|i| (f64::from(i), if i == 7 { f64::NAN } else { 1.0 })).collect();
        let about = About { title: "<b>", note: "<i>", ..About::default() };
        let svg = chart(&about, &[Series::new("a & b", points)]);
        assert!(svg.contains("&lt;b&gt;") && svg.contains("&lt;i&gt;") && !svg.contains("NaN"));
        assert!(svg.contains("a &amp; b") && svg.matches('L').count() < 300);
    }

    #[test]
    fn a_constant_line_is_drawn_inside_the_frame() {
        let line = Series::new("lr", vec![(0.0, 2e-4), (10.0, 2e-4)]);
        let svg = chart(&titled("lr"), &[line]);
        assert!(svg.contains("class=\"line c0\"") && svg.contains(">0.0002<"), "{svg}");
    }

    #[test]
    fn a_peak_that_is_cut_is_marked_and_told() {
        let y = |i: u32| if i == 3 { 741.0 } else { 1.0 + f64::from(i % 2) };
        let line = Series::new("a", (0..200).map(|i| (f64::from(i), y(i))).collect());
        let svg = chart(&titled("a"), std::slice::from_ref(&line));
        assert!(svg.contains("(max 741 at step 3)") && svg.matches("class=\"dot").count() == 1);
        let about = About { axis: Axis::Size, ..titled("a") };
        let svg = chart(&about, &[line]);
        assert!(svg.contains(">100<") && !svg.contains("class=\"dot"), "{svg}");
    }

    #[test]
    fn the_legend_has_the_last_value_not_a_mean() {
        let points: Vec<(f64, f64)> = (0..1000).map(|i| (f64::from(i), f64::from(i))).collect();
        let svg = chart(&titled("a"), &[Series::new("a", points)]);
        assert!(svg.contains("<b>999</b>") && svg.contains("at step 998"), "{svg}");
    }

    #[test]
    fn a_probability_is_seen_against_a_half_and_a_band_around_its_line() {
        let line = Series::new("p", vec![(0.0, 0.4), (10.0, 0.6)]);
        let about = About { axis: Axis::Probability, ..titled("p") };
        let svg = chart(&about, std::slice::from_ref(&line));
        assert!(svg.contains("rule half") && svg.contains(">1.0<"), "{svg}");
        let line = Series { band: vec![(0.1, 0.5), (0.4, 2.0)], ..line };
        let svg = chart(&About { best: Some(10.0), ..titled("p") }, &[line]);
        assert!(svg.contains("class=\"band c0\"") && svg.contains("best model: step 10"));
        assert!(svg.contains(">2.0<"), "{svg}");
    }
}
