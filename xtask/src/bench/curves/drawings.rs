//! The drawings of docs/performance: which lines each contains, and with which limit.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::draw::{Axes, Curve, Panel, Stroke, drawing};
use super::measured::Measured;
use super::plan::{Axis, Line, Point, small_batch};

/// The drawn quantity of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Seconds, with the minimum for the direct algorithm's multiply-adds.
    Time,
    /// Peak GiB.
    Memory,
}

/// The file, the drawn quantity, and the axis.
const DRAWINGS: [(&str, Of, Axis); 5] = [
    ("batch-time", Of::Time, Axis::Batch),
    ("batch-memory", Of::Memory, Axis::Batch),
    ("width-time", Of::Time, Axis::Width),
    ("width-memory", Of::Memory, Axis::Width),
    ("threads-time", Of::Time, Axis::Threads),
];

/// Writes all drawings.
pub(super) fn write(root: &Path, lines: &[Line], measured: &Measured) -> Result<()> {
    let folder = root.join("docs/performance");
    fs::create_dir_all(&folder)?;
    for (name, of, axis) in DRAWINGS {
        let path = folder.join(format!("{name}.svg"));
        let svg = draw(of, axis, lines, measured);
        fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn draw(of: Of, axis: Axis, lines: &[Line], measured: &Measured) -> String {
    let x = match axis {
        Axis::Batch => "pictures of a batch",
        Axis::Width => "width: channels net.gf, net.df half of it",
        Axis::Threads => "threads",
    };
    let y = match of {
        Of::Time => "seconds of a step",
        Of::Memory => "GiB at the peak",
    };
    let panels = [1, 2].map(|stage| panel(stage, (of, axis), lines, measured));
    drawing(&format!("{y} over {x}, Stage-I and Stage-II"), Axes { x, y }, &panels)
}

fn panel(stage: u8, (of, axis): (Of, Axis), lines: &[Line], measured: &Measured) -> Panel {
    let name = if stage == 1 { "Stage-I" } else { "Stage-II" };
    let title = match axis {
        Axis::Batch => name.to_owned(),
        _ => format!("{name}, batch {}", small_batch(stage)),
    };
    let mine = lines.iter().filter(|line| (line.stage, line.axis) == (stage, axis));
    let mut curves = Vec::new();
    for (i, line) in mine.enumerate() {
        let along = |value: &dyn Fn(&Point) -> Option<f64>| -> Vec<(f64, f64)> {
            let points = line.points.iter();
            points.filter_map(|(x, point)| Some((*x as f64, value(point)?))).collect()
        };
        let seconds = |point: &Point| Some(measured.of(point)?.0);
        let gib = |point: &Point| Some(measured.of(point)?.1? / 1024.0);
        let mut push = |name: String, stroke, points: Vec<(f64, f64)>| {
            if !points.is_empty() {
                curves.push(Curve { name, stroke, points });
            }
        };
        let (name, whole) = (line.name.clone(), line.points.iter().all(|(_, p)| p.part == 0));
        match (of, axis) {
            (Of::Memory, _) => push(name, Stroke::Measured(i), along(&gib)),
            (Of::Time, Axis::Threads) => {
                let points = along(&seconds);
                let one = points.first().copied();
                let shared = points.iter().filter_map(|(x, _)| Some((*x, one?.1 * one?.0 / x)));
                let shared = shared.collect();
                push(name.clone(), Stroke::Measured(i), points);
                push(format!("{name}, shared evenly"), Stroke::Limit(i), shared);
            }
            (Of::Time, _) => {
                let limit = along(&|point| measured.of(point).map(|_| measured.floor(point)));
                push(name.clone(), Stroke::Measured(i), along(&seconds));
                if whole {
                    push(format!("{name}: the floor"), Stroke::Limit(i), limit);
                }
            }
        }
    }
    Panel { title, curves }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::curves::measured::tests::measured;
    use crate::bench::curves::plan;
    use crate::bench::figures::Pace;

    #[test]
    fn every_measured_point_is_drawn_and_what_was_left_out_is_not() {
        let lines = plan::lines(Pace::Full, 2);
        let measured = measured(&lines);
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &lines, &measured).unwrap();
        for (name, of, axis) in DRAWINGS {
            let path = root.path().join(format!("docs/performance/{name}.svg"));
            let svg = fs::read_to_string(path).unwrap();
            let mine = lines.iter().filter(|line| line.axis == axis).flat_map(|line| &line.points);
            let taken = mine.filter(|(_, point)| measured.of(point).is_some()).count();
            assert!(taken > 0);
            assert_eq!(svg.matches("<circle").count(), taken, "{name}");
            assert_eq!(svg.contains("stroke-dasharray"), of == Of::Time, "{name}");
        }
    }
}
