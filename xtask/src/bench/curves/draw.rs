//! Curves as plain SVG: two panels side by side, each with axes from zero, units and its own legend
//! above.
//!
//! Nothing is loaded from elsewhere. The colours are of medium brightness and there is no
//! background, so the drawing works on white and on black.

use std::fmt::Write as _;

/// Size of the whole drawing in pixels; text is 12 pixels high.
const WIDTH: f64 = 700.0;
const HEIGHT: f64 = 340.0;
/// Margins of a panel's plot.
const LEFT: f64 = 46.0;
const PLOT_WIDTH: f64 = 286.0;
const BOTTOM: f64 = 296.0;
/// Height of a line of the legend, below the panel's title.
const LINE: f64 = 16.0;

const TEXT: &str = "#717b87";
const RULE: &str = "#8b949e";
const COLOURS: [&str; 4] = ["#2f81d7", "#cf6a12", "#2a9d5a", "#a35bd1"];

/// The style of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    /// In one of the colours, with its points.
    Measured(usize),
    /// Dashed in one of the colours, without points: a limit.
    Limit(usize),
}

/// A curve with its name in the legend.
#[derive(Clone, Debug)]
pub(super) struct Curve {
    pub(super) name: String,
    pub(super) stroke: Stroke,
    pub(super) points: Vec<(f64, f64)>,
}

/// One of the two plots.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) curves: Vec<Curve>,
}

/// The axis labels of both plots, with units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes {
    pub(super) x: &'static str,
    pub(super) y: &'static str,
}

/// Creates the drawing. `about` is its text alternative.
pub(super) fn drawing(about: &str, axes: Axes, panels: &[Panel; 2]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" aria-label=\"{}\" font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{TEXT}\">\n",
        escape(about)
    );
    let legend = panels.iter().map(|panel| panel.curves.len()).max().unwrap_or(0);
    let top = 26.0 + LINE * legend as f64 + 16.0;
    for (i, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", i as f64 * WIDTH / 2.0);
        draw(&mut svg, axes, panel, top);
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, axes: Axes, panel: &Panel, top: f64) {
    let points = || panel.curves.iter().flat_map(|curve| &curve.points);
    let x_end = most(points().map(|p| p.0));
    let (mut xs, ys) = (ticks(x_end, 1.0), ticks(most(points().map(|p| p.1)), 0.0));
    xs.retain(|x| *x <= x_end); // the plot ends at the last point
    let y_end = last(&ys);
    let at_x = |x: f64| LEFT + x / x_end * PLOT_WIDTH;
    let at_y = |y: f64| BOTTOM - y / y_end * (BOTTOM - top);
    let (right, middle) = (LEFT + PLOT_WIDTH, LEFT + PLOT_WIDTH / 2.0);
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"16\" font-weight=\"600\">{}</text>",
        escape(&panel.title)
    );
    for (i, curve) in panel.curves.iter().enumerate() {
        let (y, name) = (32.0 + LINE * i as f64, escape(&curve.name));
        let (line, _) = style(curve.stroke);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {}h26\" {line}/><text x=\"{}\" y=\"{y}\">{name}</text>",
            y - 4.0,
            LEFT + 34.0
        );
    }
    for &tick in &ys {
        let y = at_y(tick);
        let strength = if tick == 0.0 { 1.0 } else { 0.35 };
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"{RULE}\" stroke-opacity=\"{strength}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            number(tick)
        );
    }
    for &tick in &xs {
        let x = at_x(tick);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {BOTTOM}v4\" stroke=\"{RULE}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 18.0,
            number(tick)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        BOTTOM + 36.0,
        escape(axes.x)
    );
    let _ = writeln!(svg, "<text x=\"4\" y=\"{:.1}\">{}</text>", top - 9.0, escape(axes.y));
    for curve in &panel.curves {
        let (line, colour) = style(curve.stroke);
        let mut path = String::new();
        for (i, &(x, y)) in curve.points.iter().enumerate() {
            let _ = write!(path, "{}{:.1} {:.1}", if i == 0 { 'M' } else { 'L' }, at_x(x), at_y(y));
        }
        let _ = writeln!(svg, "<path d=\"{path}\" {line}/>");
        if let Stroke::Measured(_) = curve.stroke {
            for &(x, y) in &curve.points {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    at_x(x),
                    at_y(y)
                );
            }
        }
    }
}

fn style(stroke: Stroke) -> (String, &'static str) {
    let (of, dashes) = match stroke {
        Stroke::Measured(of) => (of, ""),
        Stroke::Limit(of) => (of, " stroke-dasharray=\"4 3\""),
    };
    let colour = COLOURS.get(of % COLOURS.len()).copied().unwrap_or(TEXT);
    (format!("stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"{dashes}"), colour)
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.filter(|v| v.is_finite()).fold(0.0, f64::max).max(1e-9)
}

/// Round numbers from 0 to at least `most`: at most seven, with a distance of at least `least`.
fn ticks(most: f64, least: f64) -> Vec<f64> {
    let power = 10f64.powf((most / 6.0).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power);
    let step = steps.into_iter().find(|step| *step * 6.0 >= most).unwrap_or(most).max(least);
    let count = (most / step - 1e-9).ceil() as u32;
    (0..=count).map(|i| f64::from(i) * step).collect()
}

fn last(ticks: &[f64]) -> f64 {
    ticks.last().copied().unwrap_or(1.0)
}

/// The shortest readable form.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_begin_at_zero_and_hold_every_value() {
        let of = |most: f64| ticks(most, 0.0);
        assert_eq!(of(64.0), [0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(of(2.0), [0.0, 0.5, 1.0, 1.5, 2.0]);
        assert_eq!(of(192.0).len(), 5);
        for most in [1e-3, 0.7, 3.3, 6.0, 59.0, 61.0, 9999.0] {
            let ticks = of(most);
            assert!((3..=7).contains(&ticks.len()) && last(&ticks) >= most * 0.999, "{ticks:?}");
            assert!(last(&ticks) < 1.7 * most, "{most}: {ticks:?}");
        }
        assert_eq!(ticks(2.0, 1.0), [0.0, 1.0, 2.0]);
        assert_eq!(most([3.0, f64::NAN, 7.0, 2.0].into_iter()), 7.0);
        assert_eq!([0.0, 0.25, 40.0, 0.002].map(number), ["0", "0.25", "40", "0.002"]);
    }

    /// Both panels, every curve and every point are inside the frame, and text cannot break the
    /// file.
    #[test]
    fn a_drawing_holds_all_points_inside_its_frame() {
        let curve = |of: usize| Curve {
            name: format!("curve <{of}> & \"more\""),
            stroke: Stroke::Measured(of),
            points: (0..5).map(|i| (f64::from(i) * 16.0, f64::from(i * i) * 3.7)).collect(),
        };
        let limit = Curve { stroke: Stroke::Limit(0), ..curve(9) };
        let panel = Panel { title: "Stage-I".to_owned(), curves: vec![curve(0), curve(1), limit] };
        let svg = drawing("a & b", Axes { x: "pictures", y: "s" }, &[panel.clone(), panel]);
        assert_eq!(svg.matches("<circle").count(), 2 * 2 * 5);
        assert_eq!(svg.matches("stroke-dasharray").count(), 2 * 2);
        assert!(svg.contains("curve &lt;9> &amp; &quot;more&quot;") && !svg.contains("NaN"));
        for (tag, end, least, most) in [("cx=\"", '"', 46.0, 332.0), ("cy=\"", '"', 80.0, 296.0)] {
            for rest in svg.split(tag).skip(1) {
                let at: f64 = rest.split(end).next().unwrap().parse().unwrap();
                assert!((least..=most).contains(&at), "{tag}{at}");
            }
        }
    }
}
