//! Curves as hand-written SVG: axes, a legend, a few lines. Colours come from the page's style, so that one drawing
//! serves light and dark.

use std::fmt::Write as _;

use super::escape;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;
/// Points kept of a line: more cannot be seen at this width.
const MOST_POINTS: usize = 280;
/// Points from which on a hundredth of them may lie above the chart.
const MANY_POINTS: usize = 100;
/// Lines that have a colour of their own in the page's style.
pub(super) const COLOURS: usize = 6;

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points `(x, y)`, by growing x.
    pub points: Vec<(f64, f64)>,
}

/// Draws a chart of the finite points of `series`, with a title above and a note below; x is `steps`. Empty when there is
/// nothing to draw.
pub(crate) fn chart((title, note): (&str, &str), series: &[Series]) -> String {
    let thin: Vec<Series> = series.iter().map(thinned).filter(|s| s.points.len() > 1).collect();
    let Some((x, y)) = bounds(&thin) else { return String::new() };
    let to_x = |v: f64| LEFT + (v - x.0) / (x.1 - x.0) * (WIDTH - LEFT - RIGHT);
    let to_y = |v: f64| HEIGHT - BOTTOM - (v - y.0) / (y.1 - y.0) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<figure class=\"chart\"><figcaption>{}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escape(title),
        escape(title)
    );
    for tick in ticks(y.0, y.1, 4) {
        let (at, label) = (to_y(tick), number(tick));
        let _ = write!(
            svg,
            "<path class=\"rule\" d=\"M{LEFT} {at:.1}H{:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 3.5
        );
    }
    for tick in ticks(x.0, x.1, 6) {
        let (at, label) = (to_x(tick), number(tick));
        let foot = HEIGHT - BOTTOM + 16.0;
        let _ = write!(
            svg,
            "<text x=\"{at:.1}\" y=\"{foot:.1}\" text-anchor=\"middle\">{label}</text>"
        );
    }
    for (i, line) in thin.iter().enumerate() {
        let mut path = String::new();
        for (n, &(px, py)) in line.points.iter().enumerate() {
            let _ =
                write!(path, "{}{:.1} {:.1}", if n == 0 { 'M' } else { 'L' }, to_x(px), to_y(py));
        }
        let name = escape(&line.name);
        let _ = write!(
            svg,
            "<path class=\"line c{}\" d=\"{path}\"><title>{name}</title></path>",
            i % COLOURS
        );
    }
    svg.push_str("</svg><p class=\"legend\">");
    for (i, line) in thin.iter().enumerate() {
        let last = line.points.last().map_or(0.0, |p| p.1);
        let (colour, name, last) = (i % COLOURS, escape(&line.name), number(last));
        let _ = write!(svg, "<span><i class=\"c{colour}\"></i>{name} <b>{last}</b></span>");
    }
    svg.push_str("</p>");
    if !note.is_empty() {
        let _ = write!(svg, "<p class=\"note\">{}</p>", escape(note));
    }
    svg.push_str("</figure>");
    svg
}

/// Means over runs of points, so that the line keeps its course.
pub(crate) fn thinned(series: &Series) -> Series {
    let finite: Vec<(f64, f64)> =
        series.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let run = finite.len().div_ceil(MOST_POINTS).max(1);
    let mean = |points: &[(f64, f64)]| {
        let n = points.len().max(1) as f64;
        let sum = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (sum.0 / n, sum.1 / n)
    };
    Series { name: series.name.clone(), points: finite.chunks(run).map(mean).collect() }
}

/// The ranges of x and y; neither is empty. A high start does not flatten the rest: y ends at the 99th percentile of many
/// points. A constant is seen against zero.
pub(crate) fn bounds(series: &[Series]) -> Option<((f64, f64), (f64, f64))> {
    let points = || series.iter().flat_map(|s| s.points.iter());
    let mut ys: Vec<f64> = points().map(|p| p.1).collect();
    ys.sort_by(f64::total_cmp);
    let outliers = if ys.len() < MANY_POINTS { 0 } else { ys.len() / 100 };
    let (low, high) = (*ys.first()?, *ys.get(ys.len() - 1 - outliers)?);
    let constant = high - low < 1e-3 * high;
    let low = if low >= 0.0 && (constant || low < 0.5 * high) { 0.0 } else { low };
    let first = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let last = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    let room = ((high - low) * 0.06).max(low.abs() * 1e-6).max(1e-9);
    Some(((first, last.max(first + 1e-9)), (low, high + room)))
}

/// About `n` round numbers from `low` to `high`.
fn ticks(low: f64, high: f64, n: usize) -> Vec<f64> {
    let rough = (high - low) / n as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    (0..20)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|t| *t <= high + step * 1e-9)
        .collect()
}

/// A number as short as it can be read.
fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.1e}")
    } else {
        let places = if size >= 100.0 {
            0
        } else if size >= 10.0 {
            1
        } else {
            3
        };
        let text = format!("{value:.places$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 1000.0, 5), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert_eq!(ticks(-1.0, 1.0, 4), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(
            ["0", "0.25", "5.0e-5", "1200", "3"],
            [0.0, 0.25, 5e-5, 1200.0, 3.0].map(number)
        );
    }

    #[test]
    fn bad_numbers_and_long_runs_do_not_break_a_chart() {
        assert_eq!(
            chart(("nothing", ""), &[Series { name: "a".into(), points: vec![(0.0, f64::NAN)] }]),
            ""
        );
        let points: Vec<(f64, f64)> =
            (0..10_000).map(|i| (f64::from(i), if i == 7 { f64::NAN } else { 1.0 })).collect();
        let svg = chart(("<b>", "<i>"), &[Series { name: "a & b".into(), points }]);
        assert!(svg.contains("&lt;b&gt;") && svg.contains("a &amp; b") && !svg.contains("NaN"));
        assert!(svg.matches('L').count() < MOST_POINTS + 10);
    }

    #[test]
    fn few_points_are_all_inside_and_of_many_an_outlier_may_not_flatten_the_rest() {
        let with_peak = |n: u32| {
            let y = |i: u32| if i == 3 { 50.0 } else { 1.0 + f64::from(i % 2) };
            let points = (0..n).map(|i| (f64::from(i), y(i))).collect();
            bounds(&[Series { name: "a".into(), points }]).unwrap().1.1
        };
        assert!(with_peak(20) >= 50.0 && with_peak(400) < 3.0);
    }

    #[test]
    fn a_constant_line_is_drawn_inside_the_frame() {
        let line = Series { name: "lr".into(), points: vec![(0.0, 2e-4), (10.0, 2e-4)] };
        assert_eq!(bounds(std::slice::from_ref(&line)).map(|b| b.1.0), Some(0.0));
        let svg = chart(("lr", ""), &[line]);
        assert!(svg.contains("class=\"line c0\"") && svg.contains(">1.0e-4<"), "{svg}");
    }
}
