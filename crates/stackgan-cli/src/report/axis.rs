//! The axes of a chart: their ranges and ticks.

use super::numbers::{labels, power_label};
use super::series::Series;

/// Number of points from which on one percent of them may lie above the chart.
const MANY_POINTS: usize = 100;
/// Minimum number of decades of a logarithmic axis, so that it has two ticks.
const DECADES: f64 = 0.7;

/// The kind of the y axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Axis {
    /// A number: the axis has the range of the values.
    #[default]
    Number,
    /// A magnitude that may grow a hundredfold: logarithmic.
    Size,
    /// A probability, 0 to 1.
    Probability,
}

impl Axis {
    /// Converts `value` to the units of the axis; `None` if it is not on it.
    pub(super) fn at(self, value: f64) -> Option<f64> {
        let at = if self == Self::Size { value.log10() } else { value };
        at.is_finite().then_some(at)
    }

    /// The ranges of the axes for lines in its units, x first. `None` without points.
    pub(super) fn reach(self, lines: &[Series]) -> Option<((f64, f64), (f64, f64))> {
        let (x, y) = bounds(lines)?;
        Some(match self {
            Self::Number => (x, y),
            Self::Probability => (x, (0.0, 1.0)),
            Self::Size => {
                let all = || lines.iter().flat_map(|line| line.points.iter().map(|p| p.1));
                let (low, high) =
                    (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
                let room = (0.04 * (high - low)).max(0.5 * (DECADES - (high - low)));
                (x, (low - room, high + room))
            }
        })
    }

    /// Ticks in units of the axis, with their labels.
    pub(super) fn ticks(self, (low, high): (f64, f64)) -> Vec<(f64, String)> {
        if self == Self::Size {
            return powers(low, high);
        }
        let ticks = ticks((low, high), 4, 0.0);
        let labels = labels(&ticks);
        ticks.into_iter().zip(labels).collect()
    }
}

/// The ranges of x and y; neither is empty. A high start does not flatten the rest: with many
/// points, y ends at their 99th percentile. For a constant the range includes zero.
pub(crate) fn bounds(series: &[Series]) -> Option<((f64, f64), (f64, f64))> {
    let points = || series.iter().flat_map(|s| s.points.iter());
    let mut ys: Vec<f64> = points().map(|p| p.1).collect();
    ys.sort_by(f64::total_cmp);
    let outliers = if ys.len() < MANY_POINTS { 0 } else { ys.len() / 100 };
    let (low, high) = (*ys.first()?, *ys.get(ys.len() - 1 - outliers)?);
    let constant = high - low < 1e-3 * high;
    let low = if low >= 0.0 && (constant || low < 0.5 * high) { 0.0 } else { low };
    let high = if high <= 0.0 && high - low < 1e-3 * low.abs() { 0.0 } else { high };
    let first = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let last = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    let room = ((high - low) * 0.06).max(low.abs() * 1e-6).max(1e-9);
    Some(((first, last.max(first + 1e-9)), (low, high + room)))
}

/// About `n` round numbers from `low` to `high`, at least `least` apart.
pub(super) fn ticks((low, high): (f64, f64), n: usize, least: f64) -> Vec<f64> {
    let rough = ((high - low) / n as f64).max(least);
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
    let step = steps.into_iter().find(|s| *s >= rough * (1.0 - 1e-9)).unwrap_or(rough);
    let first = (low / step - 1e-9).ceil();
    (0..20)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|t| *t <= high + step * 1e-9)
        .collect()
}

/// Powers of ten and, if there are few of them, also 2 and 5 times these.
fn powers(low: f64, high: f64) -> Vec<(f64, String)> {
    let stride = ((high - low) / 4.0).ceil().max(1.0);
    let factors: &[f64] = if high - low < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let first = (low / stride).floor();
    let decades = (0..20).map(|i| (first + f64::from(i)) * stride).take_while(|d| *d <= high);
    let all = decades.flat_map(|d| factors.iter().map(move |f| (d + f.log10(), f, d)));
    let inside = all.filter(|(at, ..)| (low..=high).contains(at));
    inside.map(|(at, f, d)| (at, power_label(f * 10f64.powf(d)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 1000.0), 5, 0.0), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert_eq!(ticks((-1.0, 1.0), 4, 0.0), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        assert_eq!(ticks((1.0, 3.0), 6, 1.0), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn few_points_are_all_inside_and_of_many_an_outlier_may_not_flatten_the_rest() {
        let with_peak = |n: u32| {
            let y = |i: u32| if i == 3 { 50.0 } else { 1.0 + f64::from(i % 2) };
            let points = (0..n).map(|i| (f64::from(i), y(i))).collect();
            bounds(&[Series::new("a", points)]).unwrap().1.1
        };
        assert!(with_peak(20) >= 50.0 && with_peak(400) < 3.0);
    }

    #[test]
    fn a_size_has_an_axis_of_powers() {
        let of = |low: f64, high: f64| {
            let line = Series::new("a", vec![(0.0, low.log10()), (1.0, high.log10())]);
            let (_, y) = Axis::Size.reach(&[line]).unwrap();
            Axis::Size.ticks(y).into_iter().map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(of(2.0, 741.0), ["10", "100"]);
        assert_eq!(of(0.02, 0.3), ["0.02", "0.05", "0.1", "0.2"]);
        assert!(of(4.0, 4.0).len() >= 2);
        assert_eq!(of(1.0, 6e10), ["1", "1000", "1e6", "1e9"]);
        assert_eq!((Axis::Size.at(0.0), Axis::Size.at(-1.0)), (None, None));
    }
}
