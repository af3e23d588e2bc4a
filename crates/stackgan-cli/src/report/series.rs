//! A line of a chart, and its reduction if it has more points than are visible.

/// Maximum number of points of a line: more are not visible at the width of a chart.
const MOST_POINTS: usize = 280;

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points `(x, y)`, by increasing x.
    pub points: Vec<(f64, f64)>,
    /// The interval of each point; empty if unknown.
    pub band: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) fn new(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), points, band: Vec::new() }
    }
}

/// Reduces a line to the means of consecutive points, so that it keeps its shape.
pub(crate) fn thinned(series: &Series) -> Series {
    let finite: Vec<(f64, f64)> =
        series.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let run = finite.len().div_ceil(MOST_POINTS).max(1);
    let mean = |points: &[(f64, f64)]| {
        let n = points.len().max(1) as f64;
        let sum = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
        (sum.0 / n, sum.1 / n)
    };
    Series::new(&series.name, finite.chunks(run).map(mean).collect())
}
