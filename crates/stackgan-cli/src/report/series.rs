//! A line of a chart, and what is left of one that has more points than can be seen.

/// Points kept of a line: more cannot be seen at the width of a chart.
const MOST_POINTS: usize = 280;

/// One line of a chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points `(x, y)`, by growing x.
    pub points: Vec<(f64, f64)>,
    /// Of each point, from where to where it may be; empty where nobody says so.
    pub band: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) fn new(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), points, band: Vec::new() }
    }
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
    Series::new(&series.name, finite.chunks(run).map(mean).collect())
}
