//! The plan of the measurements: lines of points, each a training step at some batch, width and
//! number of threads.

use crate::bench::figures::{NETS, PAPER, Pace};
use crate::bench::work;

/// The quantity that varies along a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// Number of pictures of a batch.
    Batch,
    /// Number of channels of G (`net.gf`); D has half as many.
    Width,
    /// Number of computing threads.
    Threads,
}

/// One training step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) stage: u8,
    pub(super) net: &'static str,
    pub(super) batch: u64,
    /// Number of pictures of its parts; 0 for the whole batch at once.
    pub(super) part: u64,
    pub(super) width: u64,
    pub(super) threads: u64,
}

/// Points along an axis.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) axis: Axis,
    pub(super) stage: u8,
    pub(super) name: String,
    pub(super) points: Vec<(u64, Point)>,
}

const BATCHES: [u64; 6] = [2, 4, 8, 16, 32, 64];
const WIDTHS: [u64; 5] = [64, 96, 128, 160, 192];

/// The batch of a stage when width or threads vary.
pub(super) const fn small_batch(stage: u8) -> u64 {
    if stage == 1 { 16 } else { 4 }
}

/// Number of pictures of the parts that a stage's batches are also split into.
const fn part_of(stage: u8) -> u64 {
    if stage == 1 { 8 } else { 4 }
}

/// All lines for a machine with `cores` cores. In quick mode only those of the residual recipe,
/// with two batches in parts.
pub(super) fn lines(pace: Pace, cores: u64) -> Vec<Line> {
    let mut lines = Vec::new();
    for stage in [1, 2] {
        let point =
            |net, batch| Point { stage, net, batch, part: 0, width: PAPER.gf, threads: cores };
        let nets = if pace == Pace::Full { &["residual", "plain"][..] } else { &["residual"] };
        for net in nets {
            let name = format!("{net}, whole batch");
            let points = BATCHES.map(|batch| (batch, point(net, batch))).to_vec();
            lines.push(Line { axis: Axis::Batch, stage, name, points });
        }
        let part = part_of(stage);
        let name = format!("residual, in parts of {part}");
        let larger = BATCHES.into_iter().filter(|batch| match pace {
            Pace::Full => *batch > part,
            Pace::Quick => *batch == 2 * part || *batch == 32,
        });
        let points = larger.map(|batch| (batch, Point { part, ..point("residual", batch) }));
        lines.push(Line { axis: Axis::Batch, stage, name, points: points.collect() });
        for net in nets {
            let small = point(net, small_batch(stage));
            let widths = WIDTHS.map(|width| (width, Point { width, ..small }));
            lines.push(Line {
                axis: Axis::Width,
                stage,
                name: (*net).to_owned(),
                points: widths.to_vec(),
            });
            let threads = threads(cores).map(|threads| (threads, Point { threads, ..small }));
            lines.push(Line {
                axis: Axis::Threads,
                stage,
                name: (*net).to_owned(),
                points: threads.collect(),
            });
        }
    }
    lines
}

/// 1, 2, 4, … and all cores.
fn threads(cores: u64) -> impl Iterator<Item = u64> {
    let doubled = std::iter::successors(Some(1), |n| Some(2 * n)).take_while(move |n| *n < cores);
    doubled.chain([cores])
}

impl Point {
    pub(super) fn name(&self) -> String {
        let Self { stage, net, batch, width, threads, .. } = self;
        let parts = if self.part == 0 { String::new() } else { format!("-parts{}", self.part) };
        format!("stage{stage}-b{batch}{parts}-{net}-w{width}-t{threads}")
    }

    /// The arguments of the example crates/stackgan-cli/examples/bench.
    pub(super) fn arguments(&self, pace: Pace) -> [String; 5] {
        let batch = match self.part {
            0 => self.batch.to_string(),
            part => format!("{}/{part}", self.batch),
        };
        let rounds = if pace == Pace::Full { "2" } else { "1" };
        let net = format!("{}:{}", self.net, self.width);
        ["step".to_owned(), net, self.stage.to_string(), batch, rounds.to_owned()]
    }

    /// Multiply-adds by the direct algorithm.
    pub(super) fn work(&self) -> u64 {
        let (_, net) = NETS.iter().find(|(name, _)| *name == self.net).unwrap_or(&("", PAPER));
        let net = work::Net { gf: self.width, df: self.width / 2, ..*net };
        work::step(&net, self.stage, self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_is_walked_in_both_stages_and_grows() {
        for (pace, cores) in [(Pace::Quick, 1), (Pace::Full, 2), (Pace::Full, 12)] {
            let lines = lines(pace, cores);
            for stage in [1, 2] {
                for axis in [Axis::Batch, Axis::Width, Axis::Threads] {
                    assert!(lines.iter().any(|line| (line.stage, line.axis) == (stage, axis)));
                }
            }
            for line in &lines {
                assert!(line.points.windows(2).all(|pair| pair[0].0 < pair[1].0), "{line:?}");
                for (x, point) in &line.points {
                    let along = match line.axis {
                        Axis::Batch => point.batch,
                        Axis::Width => point.width,
                        Axis::Threads => point.threads,
                    };
                    assert_eq!((*x, line.stage), (along, point.stage));
                    assert!(point.part == 0 || point.batch.is_multiple_of(point.part));
                }
            }
        }
        assert_eq!(threads(12).collect::<Vec<_>>(), [1, 2, 4, 8, 12]);
        assert_eq!(threads(1).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_point_is_asked_for_as_the_example_reads_it() {
        let point = Point { stage: 2, net: "residual", batch: 64, part: 4, width: 96, threads: 2 };
        assert_eq!(point.arguments(Pace::Full), ["step", "residual:96", "2", "64/4", "2"]);
        assert_eq!(point.name(), "stage2-b64-parts4-residual-w96-t2");
        let whole = Point { part: 0, ..point };
        assert_eq!(whole.arguments(Pace::Quick)[3..], ["64", "1"]);
        assert_eq!(point.work(), whole.work());
        let wider = Point { width: 192, ..point };
        assert!(wider.work() > 3 * point.work() && wider.work() < 4 * point.work());
    }
}
